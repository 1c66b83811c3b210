// One WebSocket from its opening to its end; whoever wants another makes another.

export class Socket {
  #socket = null;
  heard = Date.now(); // when the server last said anything

  // onOpen(), onFrame(frame), onEnd(close code, whether it had ever been open)
  constructor(address, { onOpen, onFrame, onEnd }) {
    let wasOpen = false;
    try {
      this.#socket = new WebSocket(address);
    } catch { // where the browser is not allowed any
      queueMicrotask(() => onEnd(0, false));
      return;
    }
    this.#socket.onopen = () => {
      wasOpen = true;
      this.heard = Date.now();
      onOpen();
    };
    this.#socket.onmessage = (message) => {
      this.heard = Date.now();
      onFrame(JSON.parse(message.data));
    };
    this.#socket.onclose = (event) => onEnd(event.code, wasOpen);
  }

  // What cannot be sent now is sent by whoever opens the next one.
  send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  // Nothing is heard of it any more.
  drop() {
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }
}
