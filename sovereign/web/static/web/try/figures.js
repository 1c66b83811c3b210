// What stands under an answer: how long it took, what it used, what made it; the way to its run, and to a test case.

import { element } from "../chat/format.js";

export class Figures {
  #asked = new Set(); // runs whose figures are on the page, or on their way

  // root: has the messages; cases: { isOffered, set() → id, onMade({ id, name }) }; onRefusal(refusal), say(text)
  constructor(root, { api, urls, cases, onRefusal, say }) {
    Object.assign(this, { root, api, urls, cases, onRefusal, say });
  }

  // runIds: of runs that are over; held(change) puts them on the page. A convenience: an answer can be read without.
  async load(runIds, held) {
    const missing = runIds.filter((id) => !this.#asked.has(id));
    if (!missing.length) return;
    for (const id of missing) this.#asked.add(id);
    const query = new URLSearchParams(missing.map((id) => ["run", id]));
    const heard = await this.api.get(`${this.urls.figures}?${query}`).catch(() => null);
    for (const id of missing) if (!heard?.data[id]) this.#asked.delete(id);
    if (heard) held(() => { for (const [id, known] of Object.entries(heard.data)) this.#show(id, known); });
  }

  #show(runId, known) {
    const ofRun = `[data-run="${CSS.escape(runId)}"]`;
    const answer = [...this.root.querySelectorAll(`.message.assistant${ofRun}, .ending${ofRun}`)].at(-1);
    if (!answer || this.root.querySelector(`.figures${ofRun}`)) return;
    const line = element("div", { className: "figures" });
    line.dataset.run = runId;
    line.append(...sentences(known).map((words) => element("span", {}, words)));
    line.append(element("a", { href: known.address }, "Open the run"));
    if (known.case) line.append(caseLink(known.case));
    else if (known.may_be_case && this.cases.isOffered) line.append(this.#button(runId));
    answer.after(line);
  }

  #button(runId) {
    const button = element("button", { type: "button", className: "quiet" }, "Save as test case");
    button.addEventListener("click", () => this.#save(runId, button));
    return button;
  }

  async #save(runId, button) {
    button.disabled = true;
    try {
      const made = await this.api.post(this.urls.case, { run: runId, set: this.cases.set() });
      const link = caseLink(made.case);
      button.replaceWith(link);
      link.focus();
      this.say(`It is a case of ${made.set.name} now.`);
      this.cases.onMade(made.set);
    } catch (refusal) {
      button.disabled = false;
      this.onRefusal(refusal);
    }
  }
}

function caseLink(made) {
  return element("a", { href: made.address, title: `In ${made.set}` }, "Its test case");
}

function sentences({ origin, model, waited, first, total, prompt_tokens: prompt, cached_tokens: cached, completion_tokens: written }) {
  const said = [origin, model];
  if (first !== null) said.push(`began after ${lasted(first)}`);
  if (total !== null) said.push(`${lasted(total)} in all`);
  if (waited >= 1000) said.push(`waited ${lasted(waited)}`);
  if (prompt || written) said.push(`${prompt} tokens read${cached ? ` (${cached} from the cache)` : ""}, ${written} written`);
  return said;
}

function lasted(milliseconds) {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
