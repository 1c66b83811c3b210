// The box for the text: it grows with what is written, keeps it over a reload, and says when it is to be sent.

const isTouch = matchMedia("(pointer: coarse)"); // a keyboard on glass has no Shift Enter: there the button sends

export class Composer {
  #unsent = []; // texts on their way, oldest first: kept until they were taken
  #key = ""; // under which what is written is kept now

  // form: the form around the box; draftKey() names what is written where it is kept; otherwise: what the box begins with
  constructor(form, box, { draftKey, otherwise = "", onSend, onInput }) {
    Object.assign(this, { box, draftKey });
    this.#key = draftKey();
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
      this.#keep();
      this.#resize();
      onInput();
    });
    this.#show(box.value || (sessionStorage.getItem(draftKey()) ?? otherwise)); // typed before this script was there
  }

  get text() {
    return this.box.value.trim();
  }

  set text(text) {
    this.#show(text);
    this.#keep();
  }

  // What is to be sent: the box is empty then. Until forget() or restore() a reload still brings it.
  take() {
    const { text } = this;
    this.#unsent.push(text);
    this.text = "";
    return text;
  }

  // The first of what was taken was sent.
  forget() {
    this.#unsent.shift();
    this.#keep();
  }

  // Nothing that was taken was sent.
  restore() {
    const texts = this.#unsent.splice(0);
    this.putBack(texts.join("\n"));
  }

  // What was typed meanwhile stays behind it.
  putBack(text) {
    this.text = [text, this.box.value].filter(Boolean).join("\n");
  }

  focus() {
    this.box.focus();
  }

  #show(text) {
    this.box.value = text;
    this.#resize();
  }

  #keep() {
    const [key, kept] = [this.draftKey(), [...this.#unsent, this.box.value].filter(Boolean).join("\n")];
    if (key !== this.#key) sessionStorage.removeItem(this.#key); // it has become a conversation's
    this.#key = key;
    if (kept) sessionStorage.setItem(key, kept);
    else sessionStorage.removeItem(key);
  }

  #resize() {
    this.box.style.height = "auto";
    this.box.style.height = `${this.box.scrollHeight}px`;
  }
}
