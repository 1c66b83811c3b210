// The files of a message as chips with their names and sizes, which messages do not tell: they are asked for together.

import { language, t } from "../words.js";
import { element } from "./format.js";
import { addressOf } from "./files.js";

const SOON = 50; // milliseconds in which the files of several messages are asked for together
const AT_ONCE = 100; // files of one request
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];

export class Chips {
  #known = new Map(); // file id → { name, bytes }, or null of one that is not there any more
  #waiting = new Map(); // file id → what is done once it is known
  #asking = null;

  constructor(api, chatPath) {
    Object.assign(this, { api, chatPath });
  }

  // files: { id, name, bytes } that need not be asked for
  know(files) {
    for (const { id, name, bytes } of files) this.#known.set(id, { name, bytes });
  }

  // A list of a message's attachments; null where it has none.
  of(attachments = []) {
    const ids = attachments.map((attachment) => attachment.file_id).filter(Boolean);
    if (!ids.length) return null;
    const list = element("ul", { className: "chips" });
    list.setAttribute("aria-label", t("Files of this message"));
    list.append(...ids.map((id) => this.#chip(id)));
    return list;
  }

  #chip(id) {
    const chip = element("li", { className: "chip" }, "…");
    this.#onceKnown(id, (file) => this.#fill(chip, id, file));
    return chip;
  }

  // Says what the images are called that somebody has sent; pictures: see picture()
  name(pictures) {
    for (const figure of pictures) {
      this.#onceKnown(figure.dataset.file, (file) => {
        const image = figure.querySelector("img");
        if (file && image) image.alt = t("Image: {name}", { name: file.name });
      });
    }
  }

  #onceKnown(id, use) {
    if (this.#known.has(id)) return use(this.#known.get(id));
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), use]);
    this.#asking ??= setTimeout(() => this.#ask(), SOON);
  }

  #fill(chip, id, file) {
    if (!file) return chip.replaceChildren(t("A file that was deleted"));
    const link = element("a", { href: addressOf(id), download: file.name }, file.name);
    return chip.replaceChildren(link, element("span", { className: "aside" }, sizeOf(file.bytes)));
  }

  // A convenience: where it is not heard, the next message with the file asks again.
  async #ask() {
    this.#asking = null;
    const waiting = [...this.#waiting].slice(0, AT_ONCE);
    for (const [id] of waiting) this.#waiting.delete(id);
    if (this.#waiting.size) this.#asking = setTimeout(() => this.#ask(), SOON);
    const query = new URLSearchParams(waiting.map(([id]) => ["id", id]));
    const listed = await this.api.get(`${this.chatPath}files.json?${query}`).catch(() => null);
    if (!listed) return;
    for (const [id] of waiting) this.#known.set(id, null);
    this.know(listed.data);
    for (const [id, uses] of waiting) for (const use of uses) use(this.#known.get(id));
  }
}

// "3.2 MB" in the reader's language
export function sizeOf(bytes) {
  const power = Math.min(Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(1024)), UNITS.length - 1);
  const options = { style: "unit", unit: UNITS[power], unitDisplay: "short", maximumFractionDigits: power > 1 ? 1 : 0 };
  return new Intl.NumberFormat(language, options).format(bytes / 1024 ** power);
}
