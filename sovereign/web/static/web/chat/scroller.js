// The conversation stays at its newest line while it grows, unless the reader has scrolled away.

const NEAR = 80; // pixels from the end that still count as being there

export class Scroller {
  constructor(area, button) {
    Object.assign(this, { area, button });
    area.addEventListener("scroll", () => { button.hidden = this.isAtEnd; }, { passive: true });
    button.addEventListener("click", () => this.stick());
  }

  get isAtEnd() {
    return this.area.scrollHeight - this.area.scrollTop - this.area.clientHeight < NEAR;
  }

  stick() {
    this.area.scrollTop = this.area.scrollHeight;
    this.button.hidden = true;
  }

  keep(change) {
    const wasAtEnd = this.isAtEnd;
    change();
    if (wasAtEnd) this.stick();
    else this.button.hidden = false;
  }

  // What is read stays where it is while something is put before it.
  hold(change) {
    const fromEnd = this.area.scrollHeight - this.area.scrollTop;
    change();
    this.area.scrollTop = this.area.scrollHeight - fromEnd;
  }
}
