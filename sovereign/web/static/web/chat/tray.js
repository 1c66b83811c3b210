// The files that go with what is being written: chosen, dropped or pasted, sent to the server one by one while their
// person goes on writing, and kept over a reload as ids.

import { t, tn } from "../words.js";
import { sizeOf } from "./chips.js";
import { element } from "./format.js";

const CODE = "code_interpreter";
const SEARCH = "file_search";
const SENDING = new Set(["waiting", "sending"]);

export class Tray {
  #items = []; // { name, bytes, type, state: waiting, sending, here or failed, id, problem, progress, file, abort, row }
  #takes = null; // what each of the chosen assistants takes, as soon as it is known: [{ images, tools }]
  #key; // under which what is here is kept now
  #isSending = false;
  #isFull = false; // which was said of files that were too many

  // parts: { list, input, button, note: where it says what cannot go with the message, area: where files may be
  // dropped, box: where they are pasted }; limits: as the page has them; draftKey() names what is kept;
  // onChange(): something is to be shown anew; say(text): for those who hear the page
  constructor(parts, { api, limits, draftKey, onChange, say }) {
    Object.assign(this, { parts, api, limits, draftKey, onChange, say });
    this.#key = this.#keyNow;
    const most = { n: limits.files, size: sizeOf(limits.bytes) };
    parts.button.title = t("Add files, at most {n} of {size} each: or drop them here, or paste them", most);
    parts.button.addEventListener("click", () => parts.input.click());
    parts.input.addEventListener("change", () => {
      this.add(parts.input.files);
      parts.input.value = ""; // the same file may be chosen again
    });
    parts.box.addEventListener("paste", (event) => this.#paste(event));
    this.#takeDropped(parts.area);
    this.#restore();
  }

  get isEmpty() {
    return this.#items.length === 0;
  }

  // What becomes of the files is not known yet: which tools get them.
  get isUnclear() {
    return this.#takes === null && !this.isEmpty;
  }

  get hasImages() {
    return this.#items.some((item) => item.id && this.#usesOf(item).every((use) => use.isImage));
  }

  // Why the message cannot be sent with them as they are; "" where it can.
  get obstacle() {
    if (this.#items.some((item) => this.#problemOf(item))) return t("Remove the files that cannot go with the message.");
    return this.#items.every((item) => item.id) ? "" : t("Wait until the files are there, or remove them.");
  }

  set takes(takes) {
    this.#takes = takes;
    this.#show();
    this.#sendNext();
  }

  add(files) {
    const room = this.limits.files - this.#items.length;
    const added = [...files].slice(0, Math.max(0, room)).map((file) => this.#itemOf(file));
    this.#items.push(...added);
    this.#isFull = files.length > room;
    this.tell(this.#isFull ? t("A message takes at most {n} files.", { n: this.limits.files }) : "");
    this.#show();
    this.#sendNext();
  }

  // What goes with a message, see usedBy. The tray is empty then; until forget() a reload still brings it.
  take() {
    const taken = this.#items.map((item) => this.#asGiven(item));
    this.#items = [];
    this.#show();
    return taken;
  }

  // What could not be sent, or is to be written anew. Whether a message has it by now is not known: it is not deleted.
  putBack(files) {
    const known = new Set(this.#items.map((item) => item.id));
    const back = files.filter((file) => !known.has(file.id)).map((file) => ({ ...file, state: "here", isGiven: true }));
    this.#items.unshift(...back);
    this.#keep();
    this.#show();
  }

  forget() {
    this.#keep(); // what was added meanwhile
  }

  // ------------------------------------------------------------------ one file

  #itemOf(file) {
    const { name, size, type } = file;
    const item = { name: name || t("Pasted file"), bytes: size, type, state: "waiting", file, progress: 0 };
    const refused = this.#refusalOf(item);
    return refused ? { ...item, state: "failed", problem: refused } : item;
  }

  // What is wrong with a file before it is sent, whichever assistant gets it.
  #refusalOf(item) {
    const most = this.#isImage(item) ? this.limits.image_bytes : this.limits.bytes;
    if (item.bytes === 0) return t("This file is empty.");
    return item.bytes > most ? t("Larger than the {size} that are allowed.", { size: sizeOf(most) }) : "";
  }

  #isImage(item) {
    return this.limits.images.includes(item.type);
  }

  // For each who is asked.
  #usesOf(item) {
    return (this.#takes ?? [{ images: true, tools: [] }]).map((takes) => this.#useOf(item, takes));
  }

  // Whether it is shown to the model, and which tools get it otherwise.
  #useOf(item, takes) {
    if (this.#isImage(item) && takes.images) return { isImage: true, tools: [] };
    const extension = item.name.includes(".") ? item.name.split(".").at(-1).toLowerCase() : "";
    const suits = { [SEARCH]: this.limits.searchable.includes(extension), [CODE]: true };
    return { isImage: false, tools: takes.tools.filter((tool) => suits[tool]) };
  }

  #problemOf(item) {
    if (item.problem) return item.problem;
    const without = (this.#takes ?? []).find((takes) => !isUsed(this.#useOf(item, takes)));
    if (!without) return "";
    if (this.#takes.length > 1) return t("Not both of these assistants can use this file.");
    if (this.#isImage(item)) return t("This assistant's model does not see images.");
    if (!without.tools.length) return t("This assistant reads no files.");
    return t("Files of this kind cannot be searched.");
  }

  #asGiven(item) {
    return { id: item.id, name: item.name, bytes: item.bytes, type: item.type, uses: this.#usesOf(item) };
  }

  // ------------------------------------------------------------------ sending

  // One after the other; what the assistant cannot take is not sent.
  async #sendNext() {
    const item = this.#items.find((one) => one.state === "waiting" && !this.#problemOf(one));
    if (this.#isSending || !item) return;
    this.#isSending = true;
    await this.#send(item);
    this.#isSending = false;
    this.#show();
    this.#sendNext();
  }

  async #send(item) {
    Object.assign(item, { state: "sending", abort: new AbortController() });
    this.#show();
    const body = new FormData();
    body.append("purpose", this.#isImage(item) ? "vision" : "assistants");
    body.append("file", item.file, item.name);
    const onProgress = (share) => { item.progress = share; this.#showProgress(item); };
    try {
      const made = await this.api.upload("/v1/files", body, { onProgress, signal: item.abort.signal });
      Object.assign(item, { id: made.id, state: "here", file: null });
      if (!this.#items.includes(item)) return this.#deleteFile(item); // removed while the answer came
      this.#keep();
      if (!this.#isFull) this.tell("");
      this.say(t("{name} is there.", { name: item.name }));
    } catch (refusal) {
      Object.assign(item, { state: "failed", problem: refusal.message, mayRetry: true });
      if (this.#items.includes(item)) this.say(`${item.name}: ${refusal.message}`);
    }
  }

  #retry(item) {
    Object.assign(item, { state: "waiting", problem: "", mayRetry: false, progress: 0 });
    this.#show();
    this.#sendNext();
  }

  #remove(item) {
    const at = this.#items.indexOf(item);
    this.#items.splice(at, 1);
    item.abort?.abort();
    if (item.id && !item.isGiven) this.#deleteFile(item);
    this.#isFull = false;
    this.tell("");
    this.#keep();
    this.#show();
    const next = this.#items[Math.min(at, this.#items.length - 1)]; // the focus stays near
    (next?.row.querySelector("button:last-child") ?? this.parts.box).focus();
  }

  // Nobody's message has it: where that fails, it lies among the project's files.
  #deleteFile(item) {
    this.api.delete(`/v1/files/${encodeURIComponent(item.id)}`).catch(() => {});
  }

  // ------------------------------------------------------------------ ways in

  #paste(event) {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    this.add(event.clipboardData.files);
  }

  #takeDropped(area) {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    let inside = 0; // entering a child is leaving the parent
    const mark = (by) => { inside = Math.max(0, inside + by); area.classList.toggle("is-dropped-on", inside > 0); };
    area.addEventListener("dragenter", (event) => { if (hasFiles(event)) mark(1); });
    area.addEventListener("dragleave", (event) => { if (hasFiles(event)) mark(-1); });
    area.addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
    area.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      mark(-inside);
      this.add(event.dataTransfer.files);
    });
  }

  // ------------------------------------------------------------------ what is shown and kept

  #show() {
    this.#draw();
    this.onChange();
  }

  #draw() {
    const { list } = this.parts;
    for (const item of this.#items) this.#showItem(item);
    list.replaceChildren(...this.#items.map((item) => item.row));
    list.hidden = this.isEmpty;
  }

  // A row stays where its item's state does: the focus is not lost while others change.
  #showItem(item) {
    const problem = this.#problemOf(item);
    const isSending = SENDING.has(item.state) && !problem;
    const state = `${item.state}:${problem}`;
    if (item.row?.dataset.state === state) return;
    const row = element("li", { className: problem ? "file bad" : "file" });
    row.dataset.state = state;
    row.append(element("span", { className: "name", title: item.name }, item.name));
    row.append(element("span", { className: "aside" }, problem || sizeOf(item.bytes)));
    if (isSending) row.append(this.#progressOf(item));
    if (item.mayRetry) row.append(button(t("Try again"), item.name, () => this.#retry(item)));
    const words = isSending ? t("Cancel") : t("Remove");
    row.append(button(words, item.name, () => this.#remove(item)));
    item.row = row;
  }

  #progressOf(item) {
    const progress = element("progress", { max: 1, value: item.progress });
    progress.setAttribute("aria-label", t("{name}: sent so far", { name: item.name }));
    return progress;
  }

  #showProgress(item) {
    const progress = item.row?.querySelector("progress");
    if (progress) progress.value = item.progress;
  }

  // Said beside the files, until there is something else to be said of them; "" for nothing.
  tell(words) {
    this.parts.note.textContent = words;
    this.parts.note.hidden = !words;
    if (words) this.say(words);
  }

  get #keyNow() {
    return `files:${this.draftKey()}`;
  }

  #keep() {
    const key = this.#keyNow;
    if (key !== this.#key) sessionStorage.removeItem(this.#key); // it has become a conversation's
    this.#key = key;
    const kept = this.#items.filter((item) => item.id).map(({ id, name, bytes, type, isGiven }) => ({ id, name, bytes, type, isGiven }));
    if (kept.length) sessionStorage.setItem(key, JSON.stringify(kept));
    else sessionStorage.removeItem(key);
  }

  #restore() {
    const kept = sessionStorage.getItem(this.#key);
    this.#items = kept ? JSON.parse(kept).map((item) => ({ ...item, state: "here" })) : [];
    if (kept) this.say(tn("{n} file is still here.", "{n} files are still here.", this.#items.length));
    this.#draw();
  }
}

// files: as the tray gives them; place: of who is asked, among all of them: what messageOf takes
export function usedBy(files, place = 0) {
  return files.map(({ uses, ...file }) => ({ ...file, ...(uses[place] ?? uses[0]) }));
}

function isUsed({ isImage, tools }) {
  return isImage || tools.length > 0;
}

function button(words, name, onClick) {
  const made = element("button", { type: "button", className: "quiet" }, words);
  made.setAttribute("aria-label", `${words}: ${name}`);
  made.addEventListener("click", onClick);
  return made;
}
