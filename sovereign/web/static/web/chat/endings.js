// How a run ended, in plain words.

import { t } from "../words.js";
import { TERMINAL } from "./stream.js";

const FAILURES = {
  rate_limit_exceeded: t("The engine has too much to do at the moment."),
  invalid_prompt: t("The engine refused this conversation."),
};
const LIMITS = {
  max_completion_tokens: t("The answer reached its limit of length."),
  max_prompt_tokens: t("The conversation is longer than this run may read."),
};

export function isOver(status) {
  return TERMINAL.has(status);
}

// { text, isBad, mayRetry } of a run that did not simply complete, else null; what left a text can be gone on with
export function formattedEnding(run) {
  switch (run.status) {
    case "cancelled":
      return { text: t("Stopped."), isBad: false, mayRetry: true };
    case "failed":
      return { text: failure(run.last_error), isBad: true, mayRetry: true };
    case "expired":
      return { text: t("No answer came in time, so the attempt was ended."), isBad: true, mayRetry: true };
    case "incomplete":
      return { text: LIMITS[run.incomplete_details?.reason] ?? t("The answer is incomplete."), isBad: false, mayRetry: false };
    default:
      return null;
  }
}

function failure(error) {
  const words = [FAILURES[error?.code], error?.message].filter(Boolean);
  return words.length ? words.join(" ") : t("Something went wrong while the answer was written.");
}
