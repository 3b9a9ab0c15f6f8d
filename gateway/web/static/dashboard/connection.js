// The stream of events behind the dashboard: read while somebody looks, and opened again when it breaks off.

import { ask } from "../api.js";
import { namedEvents } from "../sse.js";

const FIRST_PAUSE = 500; // milliseconds; it doubles with each attempt that fails
const LONGEST_PAUSE = 15_000;
const LONGEST_SILENCE = 60_000; // the proxy sends a sign of life more often

export class Connection {
  #listener;
  #stopper = null;
  #wake = () => {};

  /**
   * `listener.event(name, data)` gets each event. `listener.connection(state, details)` gets "connecting", "open",
   * "lost" with its `message` and the time `until` which it pauses, and "refused" with its `message`.
   */
  constructor(listener) {
    this.#listener = listener;
    addEventListener("online", () => this.#wake());
  }

  open() {
    if (this.#stopper) return;
    this.#stopper = new AbortController();
    this.#run(this.#stopper.signal);
  }

  close() {
    this.#stopper?.abort();
    this.#stopper = null;
    this.#wake();
  }

  async #run(signal) {
    let failures = 0;
    this.#listener.connection("connecting");
    while (!signal.aborted) {
      let message = "The proxy has closed the connection.";
      try {
        await this.#read(signal, () => failures = 0);
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401 || error.status === 403) {
          this.close();
          return this.#listener.connection("refused", { message: error.message, status: error.status });
        }
        message = error.status === undefined ? "The connection to the proxy was lost." : error.message;
      }
      if (signal.aborted) return;
      const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures++) * (0.75 + Math.random() / 2);
      this.#listener.connection("lost", { message, until: performance.now() + pause });
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, pause);
      });
    }
  }

  /** Read one stream to its end; a stream that is silent for too long is given up. */
  async #read(signal, succeeded) {
    const silence = new AbortController();
    let timer = 0;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(new Error("silence")), LONGEST_SILENCE);
    };
    heard();
    try {
      const answer = await ask("router/events", {
        headers: { Accept: "text/event-stream" }, signal: AbortSignal.any([signal, silence.signal]),
      });
      this.#listener.connection("open");
      for await (const { name, data } of namedEvents(answer.body)) {
        heard();
        if (data === null) continue;
        succeeded();
        this.#listener.event(name, JSON.parse(data));
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
