// What is said beside the conversation: of the run, the engine and the connection, and to those who hear the page.

import { t } from "../words.js";
import { Speech } from "./speech.js";

const NOW_AND_THEN = 2000; // milliseconds between two looks at an engine that is not ready …
const RARELY = 16_000; // … and at one that is
const CONNECTIONS = { connecting: t("Connecting"), open: t("Connected"), http: t("Connected, over HTTP"), lost: t("Connection lost") };
const element = (id) => document.getElementById(id);

export const speech = new Speech(element("spoken"));

export function say(text) {
  speech.say(text);
}

// Seconds count up in some notes: read aloud is only that there is one.
export function note(text) {
  const shown = element("engine-note");
  if (text && shown.hidden) say(text);
  shown.textContent = text;
  shown.hidden = !text;
}

export function showConnection(state, wait) {
  element("connection").dataset.state = state;
  element("connection-text").textContent = wait > 1500 ? t("Connection lost, trying again") : CONNECTIONS[state];
}

// Before a question is asked, say what stands in its way; isIdle(): no run has something else to say.
export async function watchEngine(isIdle, look) {
  let summary = null;
  if (isIdle() && document.visibilityState === "visible") {
    summary = await look().catch(() => null);
    if (summary && isIdle()) note(summary.state === "ready" ? "" : t("Engine: {sentence}", { sentence: summary.sentence }));
  }
  setTimeout(() => watchEngine(isIdle, look), summary?.state === "ready" ? RARELY : NOW_AND_THEN);
}
