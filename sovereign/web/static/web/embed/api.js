// Requests of a visitor: with the token of their visit, which is begun with the first message, and without cookies.

import { Refused } from "../chat/api.js";
import { t, tn } from "../words.js";

const WORDS = { // for what the server says to programs, in English
  account_needed: t("One needs an account to talk to this assistant."),
  embed_gone: t("This chat is not offered any more."),
  not_answering: t("This chat does not answer at the moment. Your text is still here; try again later."),
  service_unavailable: t("Sovereign cannot be reached at the moment. Your text is still here; try again in a moment."),
  string_above_max_length: t("Your message is too long for this chat."),
  thread_too_long: t("This conversation is full. Begin a new one."),
};
const OVER = t("This visit is over. Begin a new conversation.");
const FOR_GOOD = new Set(["account_needed", "embed_gone"]);

export class VisitorApi {
  hasNoSockets = true;
  project = "";

  // base: the embed's address, under which the paths of the API stand; visit: { token } that is kept; onOver(): it ended
  constructor(base, visit, onOver) {
    Object.assign(this, { base, visit, onOver });
  }

  async get(path) {
    return (await this.#ask("GET", path)).json();
  }

  async post(path, body = {}, headers = {}) {
    this.visit.token ??= (await (await this.#fetch("POST", `${this.base}/visitors`, {})).json()).token;
    return (await this.#ask("POST", path, body, headers)).json();
  }

  open(path, signal) {
    return this.#ask("GET", path, undefined, {}, signal);
  }

  async #ask(method, path, body, headers = {}, signal) {
    const address = path.startsWith("/v1/") ? this.base + path : path;
    return this.#fetch(method, address, body, { ...headers, Authorization: `Bearer ${this.visit.token}` }, signal);
  }

  async #fetch(method, address, body, headers = {}, signal) {
    const options = { method, headers: { Accept: "application/json", ...headers }, credentials: "omit", cache: "no-store", signal };
    if (method === "POST") {
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    const answer = await fetch(address, options).catch(() => {
      throw new Refused(WORDS.service_unavailable, 0, null);
    });
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    throw this.#refusal(answer, error);
  }

  // 403 in the place of 401, since nobody logs in here; and of 404 where it is not the conversation that is gone.
  #refusal({ status, headers }, error) {
    const isOver = status === 401 || error?.code === "access_revoked";
    const isForbidden = isOver || FOR_GOOD.has(error?.code);
    if (isForbidden) this.onOver();
    const words = isOver ? OVER : status === 429 ? limited(Number(headers.get("Retry-After"))) : WORDS[error?.code];
    const message = words ?? error?.message ?? t("The server refused that ({status}).", { status });
    return new Refused(message, isForbidden ? 403 : status, error?.code ?? null);
  }
}

// seconds until one may go on
function limited(seconds) {
  if (seconds <= 60) return t("Too much is asked here at the moment. Go on in a minute.");
  const minutes = Math.ceil(seconds / 60);
  if (minutes <= 60) return tn("Too much was asked here. Go on in {n} minute.", "Too much was asked here. Go on in {n} minutes.", minutes);
  return tn("Too much was asked here. Go on in {n} hour.", "Too much was asked here. Go on in {n} hours.", Math.ceil(minutes / 60));
}
