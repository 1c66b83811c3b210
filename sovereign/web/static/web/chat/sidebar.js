// The list of the person's conversations; on a phone a drawer.

import { element } from "./format.js";

export class Sidebar {
  #titles = new Map();

  constructor(api, urls) {
    Object.assign(this, { api, urls });
    this.side = document.getElementById("side");
    this.opener = document.getElementById("side-open");
    this.veil = document.getElementById("veil");
    this.list = document.getElementById("threads");
    this.opener.addEventListener("click", () => this.open());
    document.getElementById("side-close").addEventListener("click", () => this.close());
    this.veil.addEventListener("click", () => this.close());
    for (const link of this.list.querySelectorAll("a")) {
      this.#titles.set(link.pathname.split("/").at(-1), link.textContent.trim());
    }
  }

  titleOf(threadId) {
    return this.#titles.get(threadId);
  }

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

  async refresh(currentId) {
    let listed;
    try {
      listed = await this.api.get(this.urls.threads);
    } catch {
      return; // the list is a convenience: what is shown stays
    }
    this.#titles = new Map(listed.data.map((thread) => [thread.id, thread.title]));
    this.list.replaceChildren(...listed.data.map((thread) => this.#entry(thread, currentId)));
    document.getElementById("no-threads").hidden = listed.data.length > 0;
  }

  #entry(thread, currentId) {
    const link = element("a", { href: `${this.urls.chat}${encodeURIComponent(thread.id)}` });
    if (thread.id === currentId) link.setAttribute("aria-current", "page");
    if (thread.is_active) link.append(element("span", { className: "pulse", title: "An answer is being written" }));
    link.append(thread.title);
    const item = element("li");
    item.append(link);
    return item;
  }
}
