// Taking a conversation along, and links by which others read it.

import { confirmCopy, copyText } from "../copy.js";
import { language, t } from "../words.js";
import { element } from "./format.js";

export class Share {
  // button: opens the dialog; pathOf() → the address of the conversation; null where there is none yet
  constructor(api, button, dialog, { pathOf, say }) {
    Object.assign(this, { api, button, dialog, pathOf, say });
    this.list = dialog.querySelector("[data-links]");
    this.problem = dialog.querySelector("[data-problem]");
    this.make = dialog.querySelector("[data-make]"); // null where the project forbids links
    button.addEventListener("click", () => this.#open());
    this.make?.addEventListener("click", () => this.#make());
  }

  // There is something to take along or to share once the conversation has an address.
  update() {
    this.button.hidden = !this.pathOf();
  }

  async #open() {
    for (const link of this.dialog.querySelectorAll("[data-take]")) link.href = `${this.pathOf()}/${link.dataset.take}`;
    this.list.replaceChildren();
    this.#show(null);
    this.dialog.showModal();
    await this.#try(async () => {
      const { data } = await this.api.get(`${this.pathOf()}/links.json`);
      const others = data.filter(({ id }) => !this.#itemOf(id)); // a link may have been made meanwhile
      this.list.append(...others.map((link) => this.#item(link)));
    });
  }

  async #make() {
    this.make.disabled = true;
    await this.#try(async () => {
      const { data } = await this.api.post(`${this.pathOf()}/links.json`);
      const item = this.#item(data);
      this.#itemOf(data.id)?.remove(); // the list, which came meanwhile, may have it
      this.list.prepend(item);
      item.querySelector("button").focus();
      this.say(t("The link is made."));
    });
    this.make.disabled = false;
  }

  #itemOf(id) {
    return [...this.list.children].find((item) => item.dataset.link === id);
  }

  #item(link) {
    const item = element("li");
    item.dataset.link = link.id;
    const made = t("Made {moment}", { moment: moment(link.created_at) });
    const used = link.last_used ? t("last read {moment}", { moment: moment(link.last_used) }) : t("not read yet");
    item.append(...this.#address(link, made), element("p", { className: "note" }, `${made}, ${used}`));
    const revoke = element("button", { type: "button", className: "quiet" }, t("Revoke"));
    revoke.setAttribute("aria-label", t("Revoke the link made {moment}", { moment: moment(link.created_at) }));
    revoke.addEventListener("click", () => this.#revoke(link, item, revoke));
    item.append(revoke);
    return item;
  }

  #address({ address }, made) {
    if (!address) return [element("p", {}, t("This link cannot be shown again; whoever has it can read on."))];
    const field = element("input", { type: "text", readOnly: true, value: address });
    field.setAttribute("aria-label", made);
    field.addEventListener("focus", () => field.select());
    const copy = element("button", { type: "button", className: "quiet" }, t("Copy"));
    copy.addEventListener("click", async () => {
      const copied = await copyText(address);
      if (!copied) field.focus();
      confirmCopy(copy, copied);
      this.say(copied ? t("Copied") : t("Press Ctrl C"));
    });
    return [field, copy];
  }

  async #revoke(link, item, button) {
    button.disabled = true;
    const isDone = await this.#try(() => this.api.delete(`${this.pathOf()}/links/${encodeURIComponent(link.id)}`));
    button.disabled = false;
    if (!isDone) return;
    item.remove();
    this.make?.focus();
    this.say(t("The link opens nothing any more."));
  }

  async #try(what) {
    this.#show(null);
    try {
      await what();
      return true;
    } catch (refusal) {
      this.#show(refusal.message);
      return false;
    }
  }

  #show(problem) {
    this.problem.textContent = problem ?? "";
    this.problem.hidden = !problem;
  }
}

function moment(seconds) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(seconds * 1000));
}
