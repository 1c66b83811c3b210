// The box for the text: it grows with what is written, keeps it over a reload, and says when it is to be sent.

const isTouch = matchMedia("(pointer: coarse)"); // a keyboard on glass has no Shift Enter: there the button sends

export class Composer {
  // form: the form around the box; draftKey() names what is written where it is kept
  constructor(form, box, { draftKey, onSend, onInput }) {
    Object.assign(this, { box, draftKey });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSend();
    });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || isTouch.matches) return;
      event.preventDefault();
      onSend();
    });
    box.addEventListener("input", () => {
      sessionStorage.setItem(draftKey(), box.value);
      this.#resize();
      onInput();
    });
    this.text = sessionStorage.getItem(draftKey()) ?? "";
  }

  get text() {
    return this.box.value.trim();
  }

  set text(text) {
    this.box.value = text;
    this.#resize();
  }

  // What was typed while the text was sent stays behind it.
  putBack(text) {
    this.text = [text, this.box.value].filter(Boolean).join("\n");
  }

  forget() {
    sessionStorage.removeItem(this.draftKey());
    sessionStorage.removeItem("draft:new");
  }

  focus() {
    this.box.focus();
  }

  #resize() {
    this.box.style.height = "auto";
    this.box.style.height = `${this.box.scrollHeight}px`;
  }
}
