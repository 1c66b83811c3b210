// What could not be done, in plain words over the box for the text.

const problem = document.getElementById("problem");

export function showProblem(text, { signedOut = false } = {}) {
  problem.replaceChildren(text ?? "");
  if (signedOut) {
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = "Log in";
    problem.append(" ", link);
  }
  problem.hidden = !text;
}

export function showRefusal(refusal) {
  showProblem(wordsFor(refusal), { signedOut: refusal.isSignedOut });
}

function wordsFor(refusal) {
  if (refusal.code === "model_not_found") return "This assistant's model is not known here any more. Choose another model for it in the admin.";
  if (refusal.status === 404 && /thread/.test(refusal.message)) return "This conversation is not there any more: it was deleted.";
  if (refusal.status === 404 && /assistant/.test(refusal.message)) return "This assistant was deleted. Choose another one above.";
  if (/already has an active run|while a run/.test(refusal.message)) return "An answer is still being written in this conversation. Your text is kept.";
  return refusal.message;
}
