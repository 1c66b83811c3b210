// The conversation stays at its newest line while it grows, unless the reader has scrolled away.

const NEAR = 80; // pixels from the end that still count as being there

export class Scroller {
  #follows = true; // whether the reader was at the end, before something grew that nobody announced

  constructor(area, button) {
    Object.assign(this, { area, button });
    area.addEventListener("scroll", () => {
      this.#follows = this.isAtEnd;
      button.hidden = this.#follows;
    }, { passive: true });
    area.addEventListener("toggle", () => { this.#follows = this.isAtEnd; }, true); // they have opened something to read it
    area.addEventListener("load", () => { if (this.#follows) this.stick(); }, true); // an image has got its height
    button.addEventListener("click", () => this.stick());
    new ResizeObserver(() => { if (this.#follows) this.stick(); }).observe(area); // what waits below has taken its place
  }

  get isAtEnd() {
    return this.area.scrollHeight - this.area.scrollTop - this.area.clientHeight < NEAR;
  }

  stick() {
    this.area.scrollTop = this.area.scrollHeight;
    this.#follows = true;
    this.button.hidden = true;
  }

  keep(change) {
    const wasAtEnd = this.isAtEnd;
    change();
    if (wasAtEnd) this.stick();
    else this.button.hidden = false;
  }

  // What is there already only looks different: that is nothing new.
  settle(change) {
    const wasAtEnd = this.isAtEnd;
    change();
    if (wasAtEnd) this.stick();
  }

  // What is read stays where it is while something is put before it.
  hold(change) {
    const fromEnd = this.area.scrollHeight - this.area.scrollTop;
    change();
    this.area.scrollTop = this.area.scrollHeight - fromEnd;
  }
}
