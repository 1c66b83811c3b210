// What was said in a conversation before: its messages page by page, and the tools that were used on the way to them.

const PAGE_OF_MESSAGES = 50;
const NEAR = "600px"; // over what is seen: so near the earlier messages are loaded before somebody is there
const SOON = 250; // milliseconds in which steps that end one after the other are asked for together

export class History {
  #shown = new Set(); // the runs whose steps are on the page
  #asking = new Set(); // the runs whose steps are about to be asked for
  #earlier = null; // the page before, while it is loaded

  // button: offers what came before; onHeard(listed): what else is known of these runs
  constructor(api, transcript, scroller, button, chatPath, { onHeard = () => {} } = {}) {
    Object.assign(this, { api, transcript, scroller, button, chatPath, onHeard });
    this.observer = new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting)) button.click();
    }, { root: scroller.area, rootMargin: `${NEAR} 0px 0px` });
    this.observer.observe(button);
  }

  // The newest messages, and the steps of the runs that made them; newest: the thread's newest run
  // { id, isOver }, which may have written nothing, or be still at it: then its events tell its steps.
  async load(threadId, newest) {
    const isFirst = this.button.dataset.after === undefined;
    const pages = [await this.#page(threadId)];
    while (!isFirst && this.#leavesGap(pages.at(-1))) pages.push(await this.#page(threadId, pages.at(-1).last_id));
    this.scroller.keep(() => this.transcript.add(pages.flatMap(({ data }) => data).toReversed()));
    if (isFirst) this.#offerEarlier(pages[0]);
    for (const [place, { data }] of pages.entries()) await this.#loadStepsOf(threadId, data, place === 0 ? newest : null);
  }

  // Whether something may have been said between what is on the page and these.
  #leavesGap({ data, has_more: hasMore }) {
    return hasMore && !data.some((message) => this.transcript.knows(message.id));
  }

  // The page before the first one that is shown, once at a time.
  loadEarlier(threadId) {
    this.#earlier ??= this.#loadEarlier(threadId).finally(() => { this.#earlier = null; });
    return this.#earlier;
  }

  async #loadEarlier(threadId) {
    const listed = await this.#page(threadId, this.button.dataset.after);
    this.scroller.hold(() => this.transcript.addEarlier(listed.data.toReversed(), this.button));
    this.#offerEarlier(listed);
    await this.#loadStepsOf(threadId, listed.data, null, (change) => this.scroller.hold(change));
    this.observer.unobserve(this.button); // it is looked at anew: it may still be near
    this.observer.observe(this.button);
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

  // after: the id of the message before which it ends; the newest page where there is none
  #page(threadId, after = "") {
    const query = new URLSearchParams({ limit: PAGE_OF_MESSAGES, order: "desc", ...(after && { after }) });
    return this.api.get(`/v1/threads/${threadId}/messages?${query}`);
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
