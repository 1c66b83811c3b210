// What was said in a conversation before: its messages page by page, and the tools that were used on the way to them.

const PAGE_OF_MESSAGES = 50;
const SOON = 250; // milliseconds in which steps that end one after the other are asked for together

export class History {
  #shown = new Set(); // the runs whose steps are on the page
  #asking = new Set(); // the runs whose steps are about to be asked for

  // button: offers what came before; onHeard(listed): what else is known of these runs
  constructor(api, transcript, scroller, button, chatPath, { onHeard = () => {} } = {}) {
    Object.assign(this, { api, transcript, scroller, button, chatPath, onHeard });
  }

  // The newest messages, and the steps of the runs that made them; newest: the thread's newest run
  // { id, isOver }, which may have written nothing, or be still at it: then its events tell its steps.
  async load(threadId, newest) {
    const listed = await this.#page(threadId);
    this.scroller.keep(() => this.transcript.add(listed.data.toReversed()));
    if (this.button.dataset.after === undefined) this.#offerEarlier(listed);
    await this.#loadStepsOf(threadId, listed.data, newest);
  }

  async loadEarlier(threadId) {
    const listed = await this.#page(threadId, `&after=${this.button.dataset.after}`);
    this.scroller.hold(() => this.transcript.addEarlier(listed.data.toReversed(), this.button));
    this.#offerEarlier(listed);
    await this.#loadStepsOf(threadId, listed.data, null, (change) => this.scroller.hold(change));
  }

  // The steps of a run that goes on, or has just ended: after a reload many of them end at once.
  loadStepsSoon(threadId, runId) {
    if (this.#asking.has(runId)) return;
    this.#asking.add(runId);
    setTimeout(() => {
      this.#asking.delete(runId);
      this.#loadSteps(threadId, [runId]);
    }, SOON);
  }

  // The ids of the calls that a run wants a person's approval for.
  async requests(threadId, runId) {
    return new Set((await this.#steps(threadId, [runId])).requests);
  }

  // Which tools these runs used; true where that was heard. A convenience: an answer can be read without it.
  async #loadSteps(threadId, runIds, held = (change) => this.scroller.keep(change)) {
    const listed = await this.#steps(threadId, runIds).catch(() => null);
    if (listed) held(() => { this.transcript.addSteps(listed.data); this.onHeard(listed); });
    return listed !== null;
  }

  #steps(threadId, runIds) {
    const query = new URLSearchParams(runIds.map((id) => ["run", id]));
    return this.api.get(`${this.chatPath}${encodeURIComponent(threadId)}/steps.json?${query}`);
  }

  #page(threadId, after = "") {
    return this.api.get(`/v1/threads/${threadId}/messages?limit=${PAGE_OF_MESSAGES}&order=desc${after}`);
  }

  #offerEarlier(listed) {
    this.button.hidden = !listed.has_more;
    this.button.dataset.after = listed.last_id ?? "";
  }

  async #loadStepsOf(threadId, messages, newest, held) {
    const runs = new Set([...messages.map((message) => message.run_id), newest?.id].filter(Boolean));
    if (newest && !newest.isOver) runs.delete(newest.id);
    const missing = [...runs].filter((id) => !this.#shown.has(id));
    if (!missing.length || !(await this.#loadSteps(threadId, missing, held))) return;
    for (const id of missing) this.#shown.add(id);
  }
}
