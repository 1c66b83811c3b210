// Which version of the assistant made an answer, said under it.

import { t } from "../words.js";
import { element } from "./format.js";

export class Origins {
  // root: has the messages
  constructor(root) {
    this.root = root;
  }

  // origins: run id → "Version 3, Production", of runs that are over; those that have no answer say nothing.
  showAll(origins) {
    for (const [runId, words] of Object.entries(origins ?? {})) this.#show(runId, words);
  }

  #show(runId, words) {
    const answer = [...this.root.querySelectorAll(`.message.assistant[data-run="${CSS.escape(runId)}"]`)].at(-1);
    if (!answer || answer.querySelector(".origin")) return;
    answer.append(element("p", { className: "origin", title: t("What made this answer") }, words));
  }
}
