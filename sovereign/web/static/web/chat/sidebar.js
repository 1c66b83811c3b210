// The list of the person's conversations, and what they do with one as a whole; on a phone a drawer.

import { language, t, tn } from "../words.js";
import { Renaming } from "./renaming.js";
import { menuClosed, showMenu } from "./menu.js";
import { grouped } from "./thread_list.js";
import { keep, kept, showToast } from "./toast.js";

const TYPED = 250; // milliseconds without a key before it is searched
const FRESH = 1000; // milliseconds for which a list need not be asked for again

export class Sidebar {
  #titles = new Map(); // of every conversation that was ever listed
  #entries = [];
  #next = null; // where the next page begins
  #isArchive = false; // what was put away is shown
  #words = ""; // what is searched for
  #asked = 0; // number of the newest question: what answers an older one comes too late
  #askedAt = 0;
  #isRenaming = false;
  #refused = new Map(); // names that could not be kept, by conversation: the next try begins with them

  // listed: what the server says of the first page; current(): the id of the conversation that is open, and its title;
  // onChange(): titles are no longer what they were; say(text), showRefusal(refusal): as those of the page
  constructor(api, urls, listed, { current, title, onChange = () => {}, say = () => {}, showRefusal = () => {} }) {
    Object.assign(this, { api, urls, current, onChange, say, showRefusal });
    const $ = (id) => document.getElementById(id);
    this.side = $("side");
    this.opener = $("side-open");
    this.veil = $("veil");
    this.list = $("threads");
    this.more = $("more-threads");
    this.none = $("no-threads");
    this.search = $("search");
    this.archive = $("archived");
    this.#listen($("side-close"));
    if (title) this.#titles.set(current(), title);
    this.#take(listed);
    for (const told of kept()) this.#offerUndo(told);
  }

  titleOf(threadId) {
    return this.#titles.get(threadId);
  }

  // Opens the conversation that stands so many places behind the open one.
  go(step) {
    const at = this.#entries.findIndex((entry) => entry.id === this.current());
    const beside = this.#entries[at < 0 ? 0 : at + step];
    if (beside) location.assign(beside.address);
    else this.say(t("There is no other conversation."));
  }

  // ------------------------------------------------------------------ the drawer

  open() {
    this.side.classList.add("is-open");
    this.veil.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    document.getElementById("side-close").focus();
  }

  // True where it was open.
  close() {
    if (!this.side.classList.contains("is-open")) return false;
    this.side.classList.remove("is-open");
    this.veil.hidden = true;
    this.opener.setAttribute("aria-expanded", "false");
    this.opener.focus();
    return true;
  }

  focusSearch() {
    if (this.opener.checkVisibility()) this.open(); // where it is a drawer
    this.search.focus();
    this.search.select();
  }

  // ------------------------------------------------------------------ what is listed

  // Read the list as it is now. A convenience: where it cannot be read, what is shown stays.
  async refresh() {
    if (this.#isRenaming) return;
    const number = ++this.#asked;
    this.#askedAt = performance.now();
    const listed = await this.api.get(this.#address()).catch(() => null);
    await menuClosed();
    if (!listed || number !== this.#asked || this.#isRenaming) return;
    this.#take(this.#withLaterPages(listed));
    this.onChange();
  }

  async loadMore() {
    if (this.#next === null || this.more.disabled) return;
    const number = this.#asked;
    this.more.disabled = true;
    const listed = await this.api.get(this.#address(this.#next)).catch(() => null);
    await menuClosed();
    this.more.disabled = false;
    if (!listed || number !== this.#asked || this.#isRenaming) return;
    const known = new Set(this.#entries.map((entry) => entry.id));
    const fresh = listed.data.filter((entry) => !known.has(entry.id));
    this.#take({ data: [...this.#entries, ...fresh], next: listed.next });
  }

  #address(after = "") {
    const query = new URLSearchParams();
    if (this.#words) query.set("q", this.#words);
    else if (this.#isArchive) query.set("archived", "1");
    if (after) query.set("after", after);
    return `${this.urls.threads}?${query}`;
  }

  // Who has gone further down stays there.
  #withLaterPages(listed) {
    const last = listed.data.at(-1)?.last_activity_at;
    if (listed.next === null || this.#next === listed.next) return listed;
    const known = new Set(listed.data.map((entry) => entry.id));
    const later = this.#entries.filter((entry) => !known.has(entry.id) && !entry.is_pinned && entry.last_activity_at <= last);
    return later.length ? { data: [...listed.data, ...later], next: this.#next } : listed;
  }

  #take({ data, next }) {
    this.#entries = data;
    this.#next = next;
    for (const entry of data) this.#titles.set(entry.id, entry.title);
    this.#draw();
  }

  #draw() {
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    const at = focused?.closest("li")?.dataset.thread;
    this.list.replaceChildren(...grouped(this.#entries, this.current(), (entry, button) => this.#showMenu(entry, button)));
    this.more.hidden = this.#next === null;
    this.none.hidden = this.#entries.length > 0;
    this.none.textContent = this.#nothing();
    if (at) this.#itemOf(at)?.querySelector(focused.matches("button") ? "button" : "a").focus();
  }

  #nothing() {
    if (this.#words) return t("Nothing was found.");
    return this.#isArchive ? t("Nothing was put away.") : t("Your conversations will stand here.");
  }

  #itemOf(threadId) {
    return this.list.querySelector(`li[data-thread="${CSS.escape(threadId)}"]`);
  }

  // ------------------------------------------------------------------ what is done with one

  #showMenu(entry, button) {
    const change = (what, said) => this.#change(entry, what, said);
    showMenu(button, entry.title, [
      { label: t("Rename"), run: () => this.#rename(entry) },
      entry.is_pinned
        ? { label: t("Unpin"), run: () => change({ is_pinned: false }, t("Not pinned any more.")) }
        : { label: t("Pin"), run: () => change({ is_pinned: true }, t("Pinned.")) },
      entry.is_archived
        ? { label: t("Take out of the archive"), run: () => change({ is_archived: false }, t("Taken out of the archive.")) }
        : { label: t("Archive"), run: () => change({ is_archived: true }, t("Archived.")) },
      { label: t("Delete"), isDangerous: true, run: () => this.#trash(entry) },
    ]);
  }

  // What is answered; null where that was refused, which is told.
  async #change(entry, change, said = "") {
    try {
      const answer = await this.api.post(`${this.urls.chat}${encodeURIComponent(entry.id)}/keep`, change);
      if (said) this.say(said);
      await this.refresh();
      return answer;
    } catch (refusal) {
      this.showRefusal(refusal);
      return null;
    }
  }

  #rename(entry) {
    const item = this.#itemOf(entry.id);
    if (!item) return;
    this.#isRenaming = true;
    const done = async (title) => {
      this.#isRenaming = false;
      this.#refused.delete(entry.id);
      const isRefused = title && title !== entry.title && !(await this.#change(entry, { title }, t("Renamed.")));
      if (isRefused) this.#refused.set(entry.id, title);
      this.#draw();
      this.#itemOf(entry.id)?.querySelector("button").focus();
    };
    new Renaming(item, this.#refused.get(entry.id) ?? entry.title, done);
  }

  async #trash(entry) {
    const answer = await this.#change(entry, { is_trashed: true });
    if (!answer) return;
    const { id, title, address } = entry;
    const told = { id, title, address, isOpen: id === this.current(), until: Date.now() + answer.kept_for * 1000 };
    if (!told.isOpen) return this.#offerUndo(told);
    keep(told);
    location.assign(this.urls.chat);
  }

  #offerUndo(told) {
    const undo = async () => {
      if (!(await this.#change(told, { is_trashed: false }, t("It is back.")))) return;
      if (told.isOpen && !told.isTold) location.assign(told.address); // by then they read something else
    };
    const time = new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(told.until);
    const words = t("“{title}” was deleted. Until {time} it can be had back.", { title: told.title, time });
    showToast(words, told, { label: t("Undo"), run: undo });
  }

  // ------------------------------------------------------------------ wiring

  #listen(closer) {
    this.opener.addEventListener("click", () => this.open());
    closer.addEventListener("click", () => this.close());
    this.veil.addEventListener("click", () => this.close());
    this.more.addEventListener("click", () => this.loadMore());
    this.archive.addEventListener("click", () => this.#showArchive(!this.#isArchive));
    let typed = null;
    this.search.addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(() => this.#searchFor(this.search.value.trim()), TYPED);
    });
    this.search.form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(typed);
      this.#searchFor(this.search.value.trim());
    });
    new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting)) this.loadMore();
    }, { root: this.list.parentElement, rootMargin: "200px" }).observe(this.more);
    document.addEventListener("visibilitychange", () => this.#comeBack());
    addEventListener("focus", () => this.#comeBack());
  }

  async #searchFor(words) {
    if (words === this.#words) return;
    this.#words = words;
    await this.refresh();
    if (words && words === this.#words) {
      const n = this.#entries.length;
      this.say(n ? tn("{n} conversation was found.", "{n} conversations were found.", n) : this.#nothing());
    }
  }

  async #showArchive(isArchive) {
    this.#isArchive = isArchive;
    this.archive.setAttribute("aria-pressed", String(isArchive));
    this.archive.textContent = isArchive ? t("Back to all") : t("Archived");
    await this.refresh();
  }

  // Another tab may have changed something.
  #comeBack() {
    if (document.visibilityState === "visible" && performance.now() - this.#askedAt > FRESH) this.refresh();
  }
}
