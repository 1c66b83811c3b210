// Functions that an application carries out: here the person says what came of a call, so that a trial goes on without
// one. A run takes all results at once.

import { element } from "../chat/format.js";
import { indented, visible } from "../chat/json.js";

export class Outputs {
  #form = null;
  #waiting = ""; // ids of the calls

  // submit(outputs) sends what submit_tool_outputs takes; it resolves to whether that was accepted
  constructor(root, submit) {
    Object.assign(this, { root, submit });
  }

  // calls: those that a run waits for now. Returns what is to be read aloud, where they are new.
  show(calls) {
    const ids = calls.map((call) => call.id).join();
    if (ids === this.#waiting) return "";
    this.#waiting = ids;
    this.#form?.remove();
    this.#form = calls.length ? this.#made(calls) : null;
    if (!this.#form) return "";
    this.root.append(this.#form);
    return `The assistant waits for the result of ${calls.map((call) => visible(call.function.name)).join(", ")}.`;
  }

  #made(calls) {
    const form = element("form", { className: "approval", autocomplete: "off" });
    form.setAttribute("aria-label", "Results of functions");
    for (const call of calls) form.append(...question(call));
    form.append(element("p", { className: "note" }, "An application would call this function. Say what came of it, and the answer goes on."));
    const button = element("button", { className: "primary" }, calls.length > 1 ? "Give the results" : "Give the result");
    const choices = element("div", { className: "choices" });
    choices.append(button);
    form.append(choices);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const boxes = [...form.querySelectorAll("textarea")];
      button.disabled = true;
      if (!(await this.submit(boxes.map((box) => ({ tool_call_id: box.dataset.call, output: box.value }))))) button.disabled = false;
    });
    return form;
  }
}

function question(call) {
  const name = visible(call.function.name);
  const heading = element("h2", {}, "What does ");
  heading.append(element("code", {}, name), " return?");
  const given = element("pre", { tabIndex: 0 }, indented(call.function.arguments || "{}"));
  given.setAttribute("aria-label", `What ${name} is given`);
  const box = element("textarea", { rows: 2, placeholder: '{"result": …}' });
  box.dataset.call = call.id;
  box.setAttribute("aria-label", `Result of ${name}`);
  return [heading, given, box];
}
