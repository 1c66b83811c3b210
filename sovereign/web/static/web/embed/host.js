// The page around the frame: it is told little, and only if it is one of those that may show us.

// origins: those that may; onOpen(): the frame is shown, the focus is to come in
export class Host {
  #origin = null;

  constructor(origins, { onOpen, onKnown }) {
    addEventListener("message", (event) => {
      if (event.source !== parent || !origins.includes(event.origin)) return;
      if (event.data?.sovereign === "hello") {
        this.#origin = event.origin;
        this.#tell("ready");
        onKnown();
      }
      if (event.data?.sovereign === "open") onOpen();
    });
  }

  get isThere() {
    return this.#origin !== null;
  }

  close() {
    this.#tell("close");
  }

  #tell(what) {
    if (this.#origin) parent.postMessage({ sovereign: what }, this.#origin);
  }
}
