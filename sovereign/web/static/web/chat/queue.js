// What waits while an answer is written: rows of the server's, the same in every tab. Each can be changed, moved and taken
// back until it is sent, which the server does by itself. What is written anew and not saved yet is kept in this tab.

import { Composer } from "./composer.js";
import { element } from "./format.js";
import { Once } from "./once.js";
import { t } from "../words.js";

export class Queue {
  #entries = new Map(); // message id → Entry
  #isShown = false;

  // list: shows them; pathOf(): of the thread's pages, "" where there is no thread yet; isBusy(): an answer is written;
  // onLost(text): what was being changed is not there any more; onRefusal(refusal); say(text): for those who hear it
  constructor(api, list, { pathOf, isBusy, onLost, onRefusal, say }) {
    Object.assign(this, { api, list, pathOf, isBusy, onLost, onRefusal, say });
    this.once = new Once(api, "queue");
  }

  // Whether something is about to be sent by itself: what is written now comes after it.
  get isFlowing() {
    return [...this.#entries.values()].some((entry) => entry.place === 0 && !entry.hold);
  }

  // message: as messageOf makes it; true where it was taken: else it is to be put back.
  async add(message, who) {
    const send = async () => (await this.once.post(...this.#request(message, who))).answer;
    if (!(await this.ask(send))) return false;
    if (this.#entries.size) this.#tell(); // else it was sent before its repeat came
    return true;
  }

  // Whether this was added, and nobody has heard what came of it: added again, it is there once.
  mayHave(message, who) {
    return this.once.isLost(...this.#request(message, who));
  }

  #request(message, { assistantId, environment }) {
    return [`${this.pathOf()}/queue.json`, { ...message, assistant_id: assistantId, environment }];
  }

  // queue: into which the server has put a message
  take(queue) {
    this.show(queue);
    this.#tell();
  }

  // queue: as the server tells it, in its order
  show(queue = []) {
    const ids = new Set(queue.map(({ id }) => id));
    if (!this.#isShown) this.#recover(ids);
    for (const [id, entry] of this.#entries) if (!ids.has(id)) this.#drop(id, entry);
    queue.forEach((message, place) => this.#entry(message.id).show(message, { place, isBusy: this.isBusy() }));
    const shown = queue.map(({ id }) => this.#entries.get(id).element);
    if (shown.some((item, place) => this.list.children[place] !== item)) this.list.append(...shown); // else the focus stays
    this.list.hidden = queue.length === 0;
  }

  // Whether an answer is being written is not what it was.
  update() {
    for (const entry of this.#entries.values()) entry.update(this.isBusy());
  }

  // True where the server did it; request(path of the thread's pages) resolves to { queue }.
  async ask(request) {
    try {
      const { queue } = await request(this.pathOf());
      this.show(queue);
      return true;
    } catch (refusal) {
      this.onRefusal(refusal);
      return false;
    }
  }

  keyOf(id) {
    return `draft:queued:${this.pathOf()}:${id}`;
  }

  // What was being changed when the page was left, and was sent or withdrawn since.
  #recover(ids) {
    this.#isShown = true;
    const known = new Set([...ids].map((id) => this.keyOf(id)));
    const lost = Object.keys(sessionStorage).filter((key) => key.startsWith(this.keyOf("")) && !known.has(key));
    for (const key of lost) {
      this.onLost(sessionStorage.getItem(key));
      sessionStorage.removeItem(key);
    }
  }

  #tell() {
    this.say(t("Your message waits. It is sent when the answer is finished."));
  }

  #entry(id) {
    if (!this.#entries.has(id)) this.#entries.set(id, new Entry(this, id));
    return this.#entries.get(id);
  }

  #drop(id, entry) {
    this.#entries.delete(id);
    if (entry.element.contains(document.activeElement)) document.getElementById("text")?.focus();
    entry.element.remove();
    entry.end();
  }
}

class Entry {
  #form = null;
  #original = "";
  #isSettling = false; // it is being saved or withdrawn

  constructor(queue, id) {
    Object.assign(this, { queue, id });
    this.element = element("li");
    this.text = element("span", { className: "text", id: `queued-${id}` });
    this.note = element("span", { className: "note bad", hidden: true });
    this.kept = element("span", { className: "note" }, t("You have changed this and not saved it."));
    this.sender = this.#button(t("Send now"), () => this.#ask((path) => this.queue.api.post(`${path}/queue/send`)));
    this.up = this.#button(t("Earlier"), () => this.#change({ place: this.place - 1 }));
    this.editor = this.#button(t("Edit"), () => this.#edit());
    this.remover = this.#button(t("Withdraw"), () => this.#withdraw());
    this.row = element("div", { className: "row" });
    this.row.append(this.text, this.sender, this.up, this.editor, this.remover);
    this.element.append(this.row, this.note);
  }

  show(message, { place, isBusy }) {
    this.place = place;
    this.hold = message.hold;
    this.text.textContent = message.preview || t("Files");
    this.note.textContent = HOLDS[message.hold]?.(message) ?? "";
    this.note.hidden = !message.hold;
    this.up.hidden = place === 0;
    this.element.dataset.id = message.id;
    this.#showKept();
    this.update(isBusy);
  }

  // Sent by hand is what does not go by itself.
  update(isBusy) {
    this.sender.hidden = !this.hold || this.place > 0 || isBusy;
  }

  get written() {
    return this.#form?.elements.text.value ?? "";
  }

  // What it is to say instead and does not yet; "" for nothing, also where it says that already.
  get draft() {
    return sessionStorage.getItem(this.queue.keyOf(this.id)) ?? "";
  }

  get isChanged() {
    return this.draft !== "";
  }

  // It is not there any more. What was written and not saved is lost; while it is saved, the answer tells whether it was.
  end() {
    if (this.#isSettling) return;
    const { draft } = this;
    this.forget();
    if (draft) this.queue.onLost(draft);
  }

  forget() {
    sessionStorage.removeItem(this.queue.keyOf(this.id));
  }

  #button(label, act) {
    const button = element("button", { type: "button", className: "link" }, label);
    button.setAttribute("aria-describedby", this.text.id); // of several rows
    button.addEventListener("click", act);
    return button;
  }

  async #ask(request) {
    for (const button of this.row.querySelectorAll("button")) button.disabled = true;
    const isDone = await this.queue.ask(request);
    for (const button of this.row.querySelectorAll("button")) button.disabled = false;
    return isDone;
  }

  #change(fields) {
    return this.#ask((path) => this.queue.api.post(`${path}/queue/${encodeURIComponent(this.id)}`, fields));
  }

  // draft: what is not lost once that is done
  async #settle(draft, request) {
    this.#isSettling = true;
    const isDone = await request();
    this.#isSettling = false;
    if (isDone && this.draft === draft) this.forget();
    this.#showKept();
    if (!this.element.isConnected) this.end();
    return isDone;
  }

  async #withdraw() {
    const withdraw = (path) => this.queue.api.delete(`${path}/queue/${encodeURIComponent(this.id)}`);
    if (await this.#settle(this.draft, () => this.#ask(withdraw))) this.queue.say(t("Withdrawn."));
  }

  // All of the text is asked for: the list has only how it begins.
  async #edit() {
    if (this.#form) return this.#form.elements.text.focus();
    let content;
    try {
      const { data } = await this.queue.api.get(`${this.queue.pathOf()}/queue.json`);
      content = data.find(({ id }) => id === this.id)?.content;
    } catch (refusal) {
      return this.queue.onRefusal(refusal);
    }
    if (content === undefined || this.#form) return undefined; // sent meanwhile
    this.#original = textIn(content);
    this.#forgetEqual();
    this.#open(content);
    return this.#form.elements.text.focus();
  }

  #open(content) {
    this.#form = element("form", { autocomplete: "off" });
    const box = element("textarea", { name: "text", rows: 3 });
    box.setAttribute("aria-label", t("The message that waits"));
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // it would stop the answer, too
      this.#leave();
      if (this.isChanged) this.queue.say(t("What you changed is kept, and not saved. Edit shows it again."));
    });
    const cancel = this.#button(t("Cancel"), () => { this.forget(); this.#leave(); });
    this.#form.append(box, element("button", { className: "primary" }, t("Save")), cancel);
    this.element.append(this.#form);
    const draftKey = () => this.queue.keyOf(this.id);
    const onInput = () => this.#forgetEqual();
    new Composer(this.#form, box, { draftKey, otherwise: this.#original, onSend: () => this.#save(content), onInput });
    this.#showKept();
  }

  async #save(content) {
    const { written } = this;
    if (!written.trim() || this.#isSettling) return;
    const save = () => this.#change({ content: withText(content, written.trim()) });
    if (!(await this.#settle(written, save))) return;
    this.#original = written;
    if (this.written === written) this.#leave();
  }

  // What is written as it was is no change. While it is saved nobody knows yet how it was.
  #forgetEqual() {
    if (!this.#isSettling && this.draft === this.#original) this.forget();
  }

  // What was written is there when it is opened again.
  #leave() {
    this.#form?.remove();
    this.#form = null;
    this.#showKept();
    this.editor.focus();
  }

  #showKept() {
    if (this.isChanged && this.#form === null) this.element.append(this.kept);
    else this.kept.remove();
  }
}

const HOLDS = { // what keeps a message from being sent by itself
  failed: () => t("Held, because the last answer failed."),
  expired: () => t("Held, because the last answer did not come in time."),
  refused: ({ problem }) => t("Not sent: {problem}", { problem }),
};

function textIn(content) {
  if (typeof content === "string") return content;
  return content.filter((part) => part.type === "text").map((part) => part.text).join("\n\n");
}

// The same with another text; its images stay.
function withText(content, text) {
  if (typeof content === "string") return text;
  return [{ type: "text", text }, ...content.filter((part) => part.type !== "text")];
}
