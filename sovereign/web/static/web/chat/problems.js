// What could not be done, in plain words over the box for the text.

import { t } from "../words.js";

// place: where it is said
export function showProblem(text, { signedOut = false, place = document.getElementById("problem") } = {}) {
  place.replaceChildren(text ?? "");
  if (signedOut) {
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = t("Log in");
    place.append(" ", link);
  }
  place.hidden = !text;
}

export function showRefusal(refusal, { place } = {}) {
  showProblem(wordsFor(refusal), { signedOut: refusal.isSignedOut, place });
}

function wordsFor(refusal) {
  if (refusal.code === "model_not_found") return t("This assistant's model is not known here any more. Choose another model for it in the admin.");
  if (refusal.status === 404 && /thread/.test(refusal.message)) return t("This conversation is not there any more: it was deleted.");
  if (refusal.status === 404 && /assistant/.test(refusal.message)) return t("This assistant was deleted. Choose another one above.");
  if (/already has an active run|while a run/.test(refusal.message)) return t("An answer is still being written in this conversation. Your text is kept.");
  return refusal.message;
}
