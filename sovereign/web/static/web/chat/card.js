// One call of a tool as a card: what is called in one line, and under it what was asked and what came of it.

import { language, t } from "../words.js";
import { picture } from "./files.js";
import { codeFrame, element } from "./format.js";
import { indented } from "./json.js";

const WORDS = { // [while it goes on, afterwards]
  code_interpreter: [t("Running code"), t("Ran code")],
  file_search: [t("Searching files"), t("Searched files")],
  function: [t("Calling"), t("Called")],
};
const FAILURES = { // what came of a call that the server carried out, where it is not what was wanted
  error: t("failed"),
  raised: t("raised an error"),
  timeout: t("took too long"),
  refused: t("refused"),
  interrupted: t("interrupted"),
  repeated: t("not made again"),
  spent: t("no time left"),
};

export class Card {
  #type = "function";
  #name = "";
  #state = "running";
  #asked = null; // what the server keeps of a call that it carried out: { query, seconds, outcome, approval }
  #input = document.createTextNode("");
  #output = null; // a function's
  #outputs = []; // the code's: elements, by their index
  #isTouched = false;
  #isAsked = false; // somebody has to approve it first

  constructor() {
    this.title = element("span", { className: "what" });
    this.aside = element("span", { className: "aside" });
    const summary = element("summary");
    summary.append(element("span", { className: "dot" }), this.title, this.aside);
    summary.firstChild.setAttribute("aria-hidden", "true");
    summary.addEventListener("click", () => { this.#isTouched = true; });
    this.asked = element("div", { className: "asked" });
    this.came = element("div", { className: "came" });
    this.element = element("details", { className: "tool" });
    this.element.append(summary, this.asked, this.came);
  }

  // A part of the call: texts are added to what is there.
  grow(call) {
    this.id = call.id ?? this.id;
    this.#type = call.type ?? this.#type;
    if (call.function) this.#growFunction(call.function);
    if (call.code_interpreter) this.#growCode(call.code_interpreter);
    if (call.file_search) this.#found(call.file_search);
    if (this.#type === "code_interpreter" && !this.#isTouched && this.#state === "running") this.element.open = true;
    this.#retitle();
  }

  // The whole call, which replaces what its parts had built; state: "running", "done" or "stopped".
  show(call, state, asked = null) {
    this.#state = state;
    this.#name = "";
    this.#input.data = "";
    const outputs = call.code_interpreter?.outputs?.map((output, index) => ({ ...output, index }));
    if (outputs) this.#forget(outputs);
    this.#asked = asked ?? this.#asked;
    this.grow(outputs ? { ...call, code_interpreter: { ...call.code_interpreter, outputs } } : call);
  }

  // ids: of the calls that wait for somebody's approval
  wait(ids) {
    this.#isAsked = ids.has(this.id);
    this.#retitle();
  }

  close() {
    if (!this.#isTouched) this.element.open = false;
  }

  #growFunction(called) {
    this.#name += called.name ?? "";
    this.#write(called.arguments, t("Arguments"));
    if (called.output == null) return;
    this.#output = called.output;
    const shown = element("code", {}, indented(called.output));
    this.came.replaceChildren(element("p", { className: "label" }, t("Result")), scrolling(shown, t("Result")));
  }

  #growCode({ input, outputs }) {
    this.#write(input, t("Python code"));
    for (const output of outputs ?? []) this.#put(output);
  }

  #write(text, label) {
    if (this.asked.childElementCount === 0) {
      const code = element("code");
      code.append(this.#input);
      this.asked.append(codeFrame(code, label));
    }
    const area = this.asked.querySelector("pre");
    const isAtEnd = area.scrollHeight - area.scrollTop - area.clientHeight < 40;
    this.#input.appendData(text ?? "");
    if (isAtEnd && this.#state === "running") area.scrollTop = area.scrollHeight;
  }

  #put({ index, type, logs, image }) {
    if (!this.#outputs[index]) {
      const made = type === "image" ? picture(image.file_id) : scrolling(element("code"), t("What the code printed"));
      this.#outputs[index] = made;
      this.came.replaceChildren(...this.#outputs.filter(Boolean));
    }
    if (type !== "logs") return;
    this.#outputs[index].firstChild.append(logs ?? "");
    this.#outputs[index].scrollTop = this.#outputs[index].scrollHeight;
  }

  // A picture that is there already is not loaded again.
  #forget(outputs) {
    const isKept = (shown, index) => shown?.dataset.file && shown.dataset.file === outputs[index]?.image?.file_id;
    this.#outputs = this.#outputs.map((shown, index) => (isKept(shown, index) ? shown : null));
    this.came.replaceChildren(...this.#outputs.filter(Boolean));
  }

  #found({ results = [], note = "" }) {
    const list = element("ol", { className: "found" });
    for (const result of results) {
      const item = element("li");
      const score = element("span", { className: "aside", title: t("Score") }, result.score.toFixed(2));
      item.append(element("span", { className: "file" }, result.file_name), score);
      const passage = (result.content ?? []).map((part) => part.text).join(" ");
      if (passage) item.append(element("p", {}, passage));
      list.append(item);
    }
    const said = [results.length || this.#state === "running" ? "" : t("Nothing was found."), note].filter(Boolean);
    this.came.replaceChildren(...(results.length ? [list] : []), ...said.map((words) => element("p", { className: "label" }, words)));
  }

  #retitle() {
    const failure = this.#failure();
    const isRunning = this.#state === "running" && this.#output === null;
    this.element.dataset.state = this.#stateShown(isRunning, failure);
    const [during, after] = WORDS[this.#type] ?? WORDS.function;
    this.title.replaceChildren(this.#isAsked ? t("Wants to call") : isRunning ? during : after);
    if (!(this.#type in WORDS) || this.#type === "function") this.title.append(" ", element("code", {}, this.#name || this.#type));
    if (this.#asked?.query) this.title.append(` ${t("for")} `, element("q", {}, this.#asked.query));
    this.aside.textContent = this.#ending(failure);
    if (!isRunning || this.#isAsked) this.#tidy();
  }

  #stateShown(isRunning, failure) {
    if (this.#isAsked) return "asked";
    if (isRunning) return "running";
    return this.#state === "stopped" || failure ? "failed" : "done";
  }

  #ending(failure) {
    if (this.#asked?.approval === "refused") return t("refused");
    return [failure || (this.#state === "stopped" ? t("stopped") : ""), lasted(this.#asked?.seconds)].filter(Boolean).join(" · ");
  }

  // A step that has just ended has told its outputs only.
  #failure() {
    if (this.#asked?.outcome) return FAILURES[this.#asked.outcome] ?? "";
    return isFailure(this.#output) ? FAILURES.error : "";
  }

  // JSON is easier to read on several lines once it is whole.
  #tidy() {
    if (this.#type === "function") this.#input.data = indented(this.#input.data);
  }
}

function scrolling(code, label) {
  const area = element("pre", { tabIndex: 0 });
  area.setAttribute("aria-label", label);
  area.append(code);
  return area;
}

// The server's own word for a call that came to nothing: {"error": "…"}.
function isFailure(output) {
  if (output === null || !output.startsWith("{")) return false;
  try {
    const value = JSON.parse(output);
    return Object.keys(value).length === 1 && typeof value.error === "string";
  } catch {
    return false;
  }
}

function number(value) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
}

function lasted(seconds) {
  if (typeof seconds !== "number") return "";
  return seconds < 0.1 ? t("under {seconds} s", { seconds: number(0.1) }) : t("{seconds} s", { seconds: number(seconds) });
}
