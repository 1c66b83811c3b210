// What the person thinks of an answer: two buttons under it, and room for a word where it was not good.

import { t } from "../words.js";
import { element, icon } from "./format.js";

const COMMENT_LENGTH = 2000; // characters, as the server takes them
const RATINGS = {
  up: { label: t("Good answer"), path: "M7 10v11H4a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1zm0 0 4-7.5a2.2 2.2 0 0 1 2.9 2.7L13 9h5.6a2 2 0 0 1 2 2.4l-1.5 8a2 2 0 0 1-2 1.6H7" },
  down: { label: t("Bad answer"), path: "M17 14V3h3a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1zm0 0-4 7.5a2.2 2.2 0 0 1-2.9-2.7L11 15H5.4a2 2 0 0 1-2-2.4l1.5-8a2 2 0 0 1 2-1.6H17" },
};

export class Thumbs {
  // root: has the messages; onRefusal(refusal): a rating was not taken; say(text): for those who hear the page
  constructor(api, root, { onRefusal, say }) {
    Object.assign(this, { api, root, onRefusal, say });
  }

  // ratings: run id → "up", "down" or null, of runs that are over; those that have no answer get no buttons.
  // comments: run id → what the person said of some of them.
  showAll(ratings, comments) {
    for (const [runId, rating] of Object.entries(ratings ?? {})) this.show(runId, rating, comments?.[runId]);
  }

  show(runId, rating = null, comment = "") {
    const messages = [...this.root.querySelectorAll(`.message.assistant[data-run="${CSS.escape(runId)}"]`)];
    if (!messages.length || messages.some((message) => message.querySelector(".thumbs"))) return;
    const group = this.#group(runId, rating);
    group.dataset.comment = comment;
    if (comment) group.append(this.#form(group, runId));
    messages.at(-1).append(group);
  }

  #group(runId, rating) {
    const group = element("div", { className: "thumbs" });
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", t("Rate this answer"));
    for (const name of Object.keys(RATINGS)) group.append(this.#button(group, runId, name, name === rating));
    return group;
  }

  #button(group, runId, name, isPressed) {
    const button = element("button", { type: "button", className: "thumb", title: RATINGS[name].label });
    button.dataset.rating = name;
    button.setAttribute("aria-label", RATINGS[name].label);
    button.setAttribute("aria-pressed", isPressed);
    button.append(icon(RATINGS[name].path));
    button.addEventListener("click", () => this.#toggle(group, runId, name));
    return button;
  }

  // Pressed again, a thumb is taken back.
  async #toggle(group, runId, name) {
    const before = pressed(group);
    const rating = before === name ? null : name;
    mark(group, rating);
    if (!(await this.#send(runId, rating))) return mark(group, before);
    group.querySelector("form")?.remove();
    if (rating === null) group.dataset.comment = ""; // taken back with it
    if (rating === "down" || group.dataset.comment) group.append(this.#form(group, runId));
  }

  #form(group, runId) {
    const form = element("form");
    const said = group.dataset.comment;
    const input = element("input", { type: "text", maxLength: COMMENT_LENGTH, placeholder: t("What was wrong? (optional)"), value: said });
    input.setAttribute("aria-label", t("What was wrong?"));
    form.append(input, element("button", { className: "quiet" }, t("Send")));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const comment = input.value.trim();
      if (comment === group.dataset.comment || !(await this.#send(runId, pressed(group), comment))) return;
      group.dataset.comment = comment;
      form.replaceWith(element("span", { className: "note" }, t("Thank you.")));
      this.say(t("Thank you."));
    });
    return form;
  }

  // Without a comment the one that was given stays.
  async #send(runId, rating, comment = undefined) {
    const path = `/api/v1/runs/${encodeURIComponent(runId)}/feedback`;
    try {
      await (rating === null ? this.api.delete(path) : this.api.post(path, { rating, comment }));
      return true;
    } catch (refusal) {
      this.onRefusal(refusal);
      return false;
    }
  }
}

function pressed(group) {
  return group.querySelector("[aria-pressed=true]")?.dataset.rating ?? null;
}

function mark(group, rating) {
  for (const button of group.querySelectorAll(".thumb")) button.setAttribute("aria-pressed", button.dataset.rating === rating);
  group.querySelector(".note")?.remove();
}
