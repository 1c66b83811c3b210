// Two conversations that one box asks, both of them or one.

import { Composer } from "./composer.js";
import { usedBy } from "./tray.js";

const $ = (id) => document.getElementById(id);

export class Pair {
  #isSending = false;

  // sides: two TalkSides; draftKey() names what is written; tray: of the files that go with it, where there is one;
  // look() asks what becomes of them; begin(targets) → whether what they need is there, before they are asked;
  // onUpdate(): the page shows what else depends on them
  constructor(sides, { draftKey, tray = null, look = async () => {}, begin = async () => true, onUpdate = () => {} }) {
    Object.assign(this, { sides, tray, look, begin, onUpdate });
    this.composer = new Composer($("composer"), $("text"), {
      draftKey, onSend: () => this.send(), onInput: () => {
        for (const { talk } of sides) talk.once.forget();
        this.update();
      },
    });
    $("stop").addEventListener("click", () => this.stop());
    $("ask").addEventListener("change", () => this.update());
  }

  // Those who are asked next.
  get asked() {
    const [left, right] = this.sides;
    const to = right.choice ? $("composer").elements.to.value : left.name;
    return this.sides.filter((side) => side.choice && (to === "both" || to === side.name));
  }

  update() {
    const isBusy = this.sides.some((side) => side.talk.isBusy);
    $("stop").hidden = !isBusy;
    $("stop").disabled = !this.sides.some((side) => side.talk.canStop);
    $("send").hidden = isBusy && !this.#mayAsk;
    $("send").disabled = !this.#mayAsk || !this.#hasSomething;
    $("ask").disabled = !this.sides[1].choice;
    this.onUpdate();
  }

  async send() {
    if (this.#isSending || !this.#hasSomething || !this.#mayAsk) return;
    this.#isSending = true;
    try {
      if (this.tray?.isUnclear) await this.look();
      if (this.tray?.obstacle) this.tray.tell(this.tray.obstacle);
      else if (this.#hasSomething) await this.#send(this.composer.take(), this.tray?.take() ?? []);
    } finally {
      this.#isSending = false;
      this.update();
    }
  }

  async #send(text, files) {
    const targets = this.asked;
    const isReady = await this.begin(targets);
    const taken = await Promise.all(targets.map((side, place) => isReady && side.ask(text, usedBy(files, place))));
    const refused = targets.filter((side, index) => !taken[index]);
    if (refused.length) {
      this.composer.restore();
      this.tray?.putBack(files);
    } else {
      this.composer.forget();
      this.tray?.forget();
    }
    if (refused.length && refused.length < targets.length) $("composer").elements.to.value = refused[0].name;
  }

  async stop() {
    if (!this.sides.some((side) => side.talk.canStop)) return;
    await Promise.all(this.sides.map((side) => side.talk.stop()));
    this.composer.focus();
  }

  get #hasSomething() {
    return this.composer.text !== "" || Boolean(this.tray?.hasImages);
  }

  get #mayAsk() {
    return this.asked.length > 0 && !this.asked.some((side) => side.talk.isBusy);
  }
}
