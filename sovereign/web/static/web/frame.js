// What every page of the admin has: the search over everything (Ctrl K), the sheet of keys (?), and the keys themselves.
// Without this script the search is a page of its own.
"use strict"; // functions of a block stay in it


{
  const PAUSE = 200; // milliseconds without a key until it is searched
  const PATIENCE = 1500; // milliseconds between "g" and the key that says where to
  const OFF = "keys-off"; // in the browser's storage: somebody dictates, and their words must not be keys
  const TYPED_IN = "input:not([type=checkbox], [type=radio], [type=submit], [type=button]), textarea, select";

  let waiting = null;
  let asked = 0;
  let goesUntil = 0;

  const byId = (id) => document.getElementById(id);
  const isOff = () => window.localStorage.getItem(OFF) === "1";

  function open(id) {
    for (const dialog of document.querySelectorAll("dialog.sv-dialog[open]")) dialog.close();
    const dialog = byId(id);
    dialog.showModal();
    if (id === "palette") dialog.querySelector("input").select();
  }

  // ---------------------------------------------------------------------------------------------- the search

  async function find(term) {
    const number = ++asked;
    const address = `${byId("palette").querySelector("form").action}?part=1&s=${encodeURIComponent(term)}`;
    let html;
    try {
      const answer = await fetch(address);
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      html = await answer.text();
    } catch {
      html = null;
    }
    if (number === asked) show(html);
  }

  function show(html) {
    const place = byId("palette-found");
    place.replaceChildren();
    if (html === null) {
      place.append(Object.assign(document.createElement("p"), { className: "sv-note", textContent: "The server does not answer." }));
    } else {
      place.append(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
    }
    const number = place.querySelectorAll("a").length;
    byId("palette-told").textContent = number ? `${number} found` : place.textContent.trim();
  }

  function step(event) {
    const places = [event.currentTarget.querySelector("input"), ...byId("palette-found").querySelectorAll("a")];
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const now = Math.max(0, places.indexOf(document.activeElement));
    places[(now + by + places.length) % places.length].focus();
  }

  // Enter in the field opens the first that was found for what stands there now.
  async function submit(event) {
    event.preventDefault();
    clearTimeout(waiting);
    await find(event.target.elements.s.value);
    byId("palette-found").querySelector("a")?.click();
  }

  // ---------------------------------------------------------------------------------------------- keys

  const ACTS = {
    "?": () => open("keys"),
    "/": () => (byId("searchbar") ? byId("searchbar").focus() : open("palette")),
    n: () => document.querySelector("#main a[href*='/add/']")?.click(),
    g: () => (goesUntil = Date.now() + PATIENCE),
  };

  function go(key) {
    goesUntil = 0;
    const link = document.querySelector(`#keys a[data-keys="${CSS.escape(key)}"]`);
    if (link) window.location.assign(link.href);
    return Boolean(link);
  }

  function save(event) {
    const button = document.querySelector("#main form [name=_continue], #main form [name=_save]");
    if (!button) return;
    event.preventDefault();
    button.click();
  }

  function withControl(event) {
    const key = event.key.toLowerCase();
    if (key === "k") {
      event.preventDefault();
      open("palette");
    } else if (key === "s" && !document.querySelector("dialog[open]")) {
      save(event);
    }
  }

  function press(event) {
    if (event.isComposing || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (!event.shiftKey) withControl(event);
      return;
    }
    if (event.target.closest?.(TYPED_IN) || event.target.isContentEditable) return;
    if (isOff()) {
      if (/^[a-z/?]$/i.test(event.key)) event.stopImmediatePropagation(); // the theme's are keys without Ctrl, too
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    const isDone = Date.now() < goesUntil ? go(event.key) : ACTS[event.key]?.();
    if (isDone !== false && (ACTS[event.key] || isDone)) event.preventDefault();
  }

  function begin() {
    const palette = byId("palette");
    if (!palette) return;
    window.addEventListener("keydown", press, true);
    for (const opener of document.querySelectorAll("[data-opens]")) {
      opener.hidden = false;
      opener.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        open(opener.dataset.opens);
      });
    }
    palette.addEventListener("keydown", step);
    palette.querySelector("form").addEventListener("submit", submit);
    palette.querySelector("input").addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(find, PAUSE, event.target.value);
    });
    byId("keys-off").checked = isOff();
    byId("keys-off").addEventListener("change", (event) => {
      window.localStorage.setItem(OFF, event.target.checked ? "1" : "0");
    });
    for (const dialog of [palette, byId("keys")]) {
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    }
  }

  document.addEventListener("DOMContentLoaded", begin);
}
