// A message said otherwise, an answer made again: both go on in a conversation of their own, and this one stays as it
// is. Where a conversation goes on in several ways, its messages say so and lead to the others.

import { t, tn } from "../words.js";
import { actOn } from "./acts.js";
import { Editing } from "./editing.js";
import { element } from "./format.js";
import { Once } from "./once.js";
import { showMenu } from "./menu.js";

const PENCIL = "M4 20h4L19 9l-4-4L4 16zM13 7l4 4";
const AGAIN = "M20 12a8 8 0 1 1-2.3-5.7M20 4v4h-4";

export class Branching {
  #forks = new Map(); // message id → where it goes on otherwise: { current, versions: [{ thread, message }] }
  #seen = ""; // what was told last
  #isAsking = false;

  // root: has the messages; chatPath: of the chat's addresses; threadId(); who(): whom the page would ask, as the request
  // has it; choosing: the dialog for another; earlier() → loads what was said before, true where there was something
  constructor(root, { api, chatPath, threadId, who, choosing, earlier, showRefusal }) {
    Object.assign(this, { root, api, chatPath, threadId, who, choosing, earlier, showRefusal });
    this.once = new Once(api, "branch");
    new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => this.#equip(node))))
      .observe(root, { childList: true });
    new MutationObserver((changes) => changes.forEach((change) => this.#equip(change.target)))
      .observe(root, { subtree: true, attributeFilter: ["class", "data-id"] });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.load(); // another tab may have gone on otherwise
    });
    this.#equipAll();
  }

  // Where this conversation comes from and goes on otherwise. A convenience: it can be read without.
  async load() {
    const threadId = this.threadId();
    const told = threadId && (await this.api.get(`${this.#path(threadId)}/branches.json`).catch(() => null));
    if (!told || threadId !== this.threadId()) return;
    const seen = JSON.stringify(told);
    if (seen === this.#seen) return; // who is at one of the links stays there
    this.#seen = seen;
    this.#showOrigin(told);
    this.#forks = new Map(told.forks.map((fork) => [fork.message, fork]));
    for (const shown of this.root.querySelectorAll(".versions")) shown.remove();
    this.#equipAll();
  }

  // The message that the address names is brought into view, also where it was said long ago.
  async reveal(messageId) {
    if (!messageId.startsWith("msg_")) return;
    let frame;
    while (!(frame = this.#frameOf(messageId)) && (await this.earlier()));
    frame?.scrollIntoView({ block: "center" });
    (frame?.querySelector(".versions a") ?? frame?.querySelector(".acts button"))?.focus({ preventScroll: true });
  }

  #path(threadId) {
    return `${this.chatPath}${encodeURIComponent(threadId)}`;
  }

  #frameOf(messageId) {
    return this.root.querySelector(`.message[data-id="${CSS.escape(messageId)}"]`);
  }

  #equipAll() {
    for (const frame of this.root.querySelectorAll(":scope > .message")) this.#equip(frame);
  }

  #equip(frame) {
    if (!frame.matches(".message[data-id]:not(.writing)")) return;
    if (frame.matches(".user")) actOn(frame, { name: "edit", label: t("Edit, on a branch"), path: PENCIL, run: () => this.#edit(frame) });
    else this.#offerAgain(frame);
    const fork = this.#forks.get(frame.dataset.id);
    if (fork && !frame.querySelector(":scope > .versions")) frame.append(this.#versions(fork));
  }

  // ------------------------------------------------------------------ said otherwise, made again

  async #edit(frame) {
    if (frame.querySelector(":scope > .editing")) return;
    try {
      const message = await this.api.get(`/v1/threads/${this.threadId()}/messages/${frame.dataset.id}`);
      new Editing(frame, message, (content) => this.#branch({ message: message.id, content, ...this.who() }));
    } catch (refusal) {
      this.showRefusal(refusal);
    }
  }

  #offerAgain(frame) {
    const again = (more) => this.#branch({ message: frame.dataset.id, ...this.who(), ...more });
    const button = actOn(frame, { name: "again", label: t("Answer again"), path: AGAIN, run: (opener) => {
      showMenu(opener, t("Answer again"), [
        { label: t("Answer again, on a branch"), run: () => again({}) },
        { label: t("Have something else answer"), run: async () => {
          const chosen = await this.choosing.ask(this.who().assistant_id);
          if (chosen) again(chosen);
        } },
      ]);
    } });
    button.setAttribute("aria-haspopup", "menu");
    button.ariaExpanded ??= "false";
  }

  // True where it was taken: then the branch is opened.
  async #branch(wanted) {
    if (this.#isAsking) return false;
    this.#isAsking = true;
    try {
      const { answer: made } = await this.once.post(`${this.#path(this.threadId())}/branch`, wanted);
      location.assign(this.#path(made.thread));
      return true;
    } catch (refusal) {
      this.showRefusal(refusal);
      return false;
    } finally {
      this.#isAsking = false;
    }
  }

  // ------------------------------------------------------------------ where it comes from, and where else it goes

  #showOrigin({ origin, left_out: n }) {
    this.root.querySelector(":scope > .branch-origin")?.remove();
    const note = element("p", { className: "branch-origin" });
    if (origin) note.append(`${t("A branch of")} `, element("a", { href: this.#path(origin.thread) }, origin.title));
    const left = tn("{n} message behind the first one is not here.", "{n} messages behind the first one are not here.", n);
    if (n) note.append(origin ? `. ${left}` : left);
    if (note.hasChildNodes()) this.root.prepend(note);
  }

  #versions({ current, versions }) {
    const nav = element("nav", { className: "versions" });
    nav.setAttribute("aria-label", t("Versions of this message"));
    const words = t("{n} of {total}", { n: current + 1, total: versions.length });
    nav.append(
      this.#step(versions[current - 1], "‹", t("Previous version")),
      element("span", {}, words),
      this.#step(versions[current + 1], "›", t("Next version")),
    );
    return nav;
  }

  #step(version, sign, label) {
    if (!version) return element("span", { className: "none", ariaHidden: "true" }, sign);
    const hash = version.message ? `#${version.message}` : "";
    const link = element("a", { href: `${this.#path(version.thread)}${hash}`, title: label }, sign);
    link.setAttribute("aria-label", label);
    return link;
  }
}
