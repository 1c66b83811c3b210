// The page on which an Ollama is told to fetch a model: the progress of the pull as it comes.

const form = document.getElementById("pull");
const status = document.getElementById("pull-status");
const bar = document.getElementById("pull-progress");
const button = form.querySelector("button");

const GIGABYTE = 1e9;

function say(text, isBad = false) {
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("sv-bad", isBad);
}

function show(event, data) {
  if (event === "error") {
    say(data.message, true);
    return;
  }
  if (event !== "progress") return;
  const { status: step, completed, total } = data;
  bar.hidden = false;
  if (total) bar.value = completed / total;
  else bar.removeAttribute("value");
  say(step === "success" ? "The model is there. It will be listed within seconds." : total
    ? `${step}: ${(completed / GIGABYTE).toFixed(2)} of ${(total / GIGABYTE).toFixed(2)} GB` : step);
  if (step === "success") bar.hidden = true;
}

function frames(text) {
  for (const frame of text.split("\n\n")) {
    const event = /^event: (.*)$/m.exec(frame)?.[1];
    const data = /^data: (.*)$/m.exec(frame)?.[1];
    if (event && data && event !== "done") show(event, JSON.parse(data));
  }
}

async function pull() {
  const answer = await fetch(window.location.pathname, { method: "POST", body: new FormData(form) });
  if (!answer.ok) {
    const refusal = await answer.json().catch(() => ({ message: `Sovereign answered with status ${answer.status}.` }));
    say(refusal.message, true);
    return;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    rest += value;
    const end = rest.lastIndexOf("\n\n");
    if (end >= 0) {
      frames(rest.slice(0, end + 2));
      rest = rest.slice(end + 2);
    }
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  say("Asking …");
  try {
    await pull();
  } catch {
    say("The connection broke. What was fetched is kept: pull again to go on.", true);
  } finally {
    button.disabled = false;
    if (status.classList.contains("sv-bad")) bar.hidden = true;
  }
});
