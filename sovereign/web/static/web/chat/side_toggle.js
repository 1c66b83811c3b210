// On a wide page the list of conversations is hidden and shown again; on a phone it is a drawer, see sidebar.js.

const HIDDEN = "side-hidden"; // in the browser's storage
const isPhone = matchMedia("(max-width: 46rem)");

export class SideToggle {
  // sidebar: the drawer; opener: the button in the page's head, which opens both; hider: the one in the list
  constructor(sidebar, opener, hider) {
    Object.assign(this, { sidebar, opener });
    this.#put(localStorage.getItem(HIDDEN) === "1");
    hider.addEventListener("click", () => this.toggle());
    opener.addEventListener("click", (event) => {
      if (isPhone.matches) return;
      event.stopImmediatePropagation(); // no drawer
      this.toggle();
    }, { capture: true });
  }

  toggle() {
    if (isPhone.matches) return this.sidebar.close() || this.sidebar.open();
    const isHidden = !this.#isHidden;
    this.#put(isHidden);
    localStorage.setItem(HIDDEN, isHidden ? "1" : "0");
    return (isHidden ? this.opener : document.getElementById("new")).focus();
  }

  show() {
    if (this.#isHidden && !isPhone.matches) this.toggle();
  }

  get #isHidden() {
    return document.body.classList.contains("without-side");
  }

  #put(isHidden) {
    document.body.classList.toggle("without-side", isHidden);
    this.opener.setAttribute("aria-expanded", "false");
  }
}
