// How much of what the model can read a conversation takes, and what becomes of the rest.

import { language, t } from "../words.js";

const CUT = {
  summary: () => t("Older messages are summed up for it."),
  left_out: () => t("Older messages are left out."),
};

export class Gauge {
  // root: has a meter and a place for words; ask(threadId) → what the server says
  constructor(root, { ask }) {
    Object.assign(this, { root, ask });
    [this.meter, this.words] = root.children;
  }

  // A convenience: where it is not heard, what was said stays.
  async load(threadId) {
    const heard = await this.ask(threadId).catch(() => null);
    if (heard) this.#show(heard.context);
  }

  #show(context) {
    this.root.hidden = context === null || (context.percent === null && !context.cut);
    if (this.root.hidden) return;
    const { percent, used, length, cut } = context;
    this.meter.hidden = percent === null;
    this.meter.value = percent ?? 0;
    const share = percent === null ? "" : t("{percent} % of what the model reads.", { percent });
    this.words.textContent = [share, CUT[cut]?.()].filter(Boolean).join(" ");
    const number = new Intl.NumberFormat(language);
    this.root.title = length ? t("{used} of {length} tokens", { used: number.format(used), length: number.format(length) }) : "";
  }
}
