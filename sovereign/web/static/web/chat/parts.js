// Answers in parts: one that broke off and was gone on with is several messages. The server's HTML of the last one has the
// text of all of them; then it is shown there, with what else the others have, and they are not.

export class Parts {
  #before = new Map(); // message id → the ids of those before it that are one answer with it, in order
  #shownBy = new Map(); // id of such a part → the id of the message that shows it

  // views: message id → { element, body } of those on the page; earlier() loads what was said before
  constructor(views, earlier) {
    Object.assign(this, { views, earlier });
  }

  // before: ids; a part that is not on the page yet is taken in when it comes
  join(id, before) {
    this.#before.set(id, before);
    for (const part of before) this.#shownBy.set(part, id);
    for (const part of before.toReversed()) this.take(part);
    if (before.some((part) => !this.views.has(part))) this.earlier();
  }

  // The ids of all parts of an answer, in order.
  of(id) {
    return [...(this.#before.get(id) ?? []), id];
  }

  // A message that is on the page, where another one shows it.
  take(id) {
    const [part, whole] = [this.views.get(id), this.views.get(this.#shownBy.get(id))];
    if (!part || !whole || part.element.matches(".part")) return;
    part.element.classList.add("part");
    whole.element.classList.add("whole");
    const chips = part.body.querySelectorAll(":scope > .chips");
    const shown = [...part.body.children].filter((node) => !node.matches(".chips"));
    if (shown.at(-1)?.matches(".said") && whole.body.firstElementChild?.matches(".said")) shown.pop(); // it is in that one
    whole.body.prepend(...shown);
    whole.body.append(...chips);
  }
}
