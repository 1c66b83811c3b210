// Requests to our own server: JSON both ways, the session's CSRF token, and refusals as errors with plain words.

import { t } from "../words.js";

const SESSION_ENDED = t("Your session has ended. Log in again: nothing is lost, and a running answer goes on meanwhile.");
const UNREACHABLE = t("Sovereign cannot be reached at the moment. Your text is still here; try again in a moment.");

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
  // project: the one that the page is about, also where another tab has turned the session to another
  constructor(csrfCookie, project) {
    this.csrfCookie = csrfCookie;
    this.project = project;
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

  // The answer itself, for whoever reads it as it comes.
  async open(path, signal) {
    const answer = await this.#fetch("GET", path, undefined, {}, signal);
    if (answer.ok) return answer;
    const data = await answer.json().catch(() => null);
    throw this.#refusal(answer.status, data?.error);
  }

  // The bytes go as they are read: fetch does not tell how much of them is sent. onProgress(0 to 1); signal: ends it
  upload(path, body, { onProgress, signal }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", path);
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("X-Sovereign-Project", this.project);
      request.setRequestHeader("X-CSRFToken", this.#token());
      request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 0));
      request.addEventListener("loadend", () => {
        if (request.status === 0) return reject(new Refused(UNREACHABLE, 0, null));
        const data = parsed(request.responseText);
        const isTaken = request.status < 300 && data !== null;
        return isTaken ? resolve(data) : reject(this.#refusal(request.status, data?.error));
      });
      signal.addEventListener("abort", () => request.abort());
      request.send(body);
    });
  }

  async #request(method, path, body, more = {}) {
    const answer = await this.#fetch(method, path, body, more);
    const data = await answer.json().catch(() => null);
    if (answer.ok && data !== null) return data;
    throw this.#refusal(answer.status, data?.error);
  }

  async #fetch(method, path, body, more, signal) {
    const headers = { Accept: "application/json", "X-Sovereign-Project": this.project, ...more };
    const options = { method, headers, credentials: "same-origin", cache: "no-store", signal };
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
    return answer;
  }

  #refusal(status, error) {
    if (status === 401 || (status === 403 && /CSRF/.test(error?.message ?? ""))) return new Refused(SESSION_ENDED, 401, null);
    if (status >= 500 && !error) return new Refused(t("The server answered with an error ({status}).", { status }), status, null);
    return new Refused(error?.message ?? t("The server refused that ({status}).", { status }), status, error?.code ?? null);
  }

  #token() {
    const prefix = `${this.csrfCookie}=`;
    const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(prefix));
    return found ? decodeURIComponent(found.slice(prefix.length)) : "";
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
