// Requests to our own server: JSON both ways, the session's CSRF token, and refusals as errors with plain words.

const SESSION_ENDED = "Your session has ended. Log in again: nothing is lost, and a running answer goes on meanwhile.";
const UNREACHABLE = "Sovereign cannot be reached at the moment. Your text is still here; try again in a moment.";

export class Refused extends Error {
  // status 0: the server was not reached, so nobody knows whether the request was carried out
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }

  get isSignedOut() {
    return this.status === 401;
  }
}

export class Api {
  constructor(csrfCookie) {
    this.csrfCookie = csrfCookie;
  }

  get(path) {
    return this.#request("GET", path);
  }

  post(path, body = {}, headers = {}) {
    return this.#request("POST", path, body, headers);
  }

  delete(path) {
    return this.#request("DELETE", path);
  }

  async #request(method, path, body, more = {}) {
    const headers = { Accept: "application/json", ...more };
    const options = { method, headers, credentials: "same-origin", cache: "no-store" };
    if (method !== "GET") {
      headers["Content-Type"] = "application/json";
      headers["X-CSRFToken"] = this.#token(); // read anew each time: logging in in another tab changes it
      options.body = JSON.stringify(body);
    }
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Refused(UNREACHABLE, 0, null);
    }
    if (answer.redirected && new URL(answer.url).pathname === "/login") throw new Refused(SESSION_ENDED, 401, null);
    const data = await answer.json().catch(() => null);
    if (answer.ok && data !== null) return data;
    throw this.#refusal(answer.status, data?.error);
  }

  #refusal(status, error) {
    if (status === 401 || (status === 403 && /CSRF/.test(error?.message ?? ""))) return new Refused(SESSION_ENDED, 401, null);
    if (status >= 500 && !error) return new Refused(`The server answered with an error (${status}).`, status, null);
    return new Refused(error?.message ?? `The server refused that (${status}).`, status, error?.code ?? null);
  }

  #token() {
    const prefix = `${this.csrfCookie}=`;
    const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(prefix));
    return found ? decodeURIComponent(found.slice(prefix.length)) : "";
  }
}
