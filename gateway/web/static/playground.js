// Asks a model and shows its answer as it comes.

import { ApiError, ask } from "./api.js";
import { byId, make } from "./dom.js";
import { events } from "./sse.js";

const UNKNOWN = "–";
const BROKEN_OFF = "The answer ended early.";
const ENDINGS = {
  length: "The answer ends here: it has reached its limit of tokens.",
  content_filter: "The answer ends here: a content filter has stopped it.",
};
let running = null;

export function preparePlayground() {
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
  });
  byId("stop").addEventListener("click", stopAsking);
}

/** Give up the answer that is coming, if one is. */
export function stopAsking() {
  running?.abort();
}

/** Offer these models, the best one first chosen. */
export function offerModels(names, best) {
  const select = byId("model");
  const chosen = names.includes(select.value) ? select.value : best;
  select.replaceChildren(...names.map((name) => make("option", { value: name, selected: name === chosen }, name)));
  byId("send").disabled = names.length === 0;
  if (names.length === 0) say("No chat model is served.");
}

/** Choose a model and go where it is asked. */
export function tryModel(name) {
  byId("model").value = name;
  byId("playground").scrollIntoView();
  byId("prompt").focus({ preventScroll: true });
}

const say = (text) => byId("answer-state").textContent = text;

async function send() {
  if (running) return;
  const model = byId("model").value;
  const content = byId("prompt").value.trim();
  if (!content) return complain("Write a message first.", byId("prompt"));
  const stopper = running = new AbortController();
  const progress = new Progress(model);
  try {
    const answer = await ask("v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      body: JSON.stringify({
        model, messages: [{ role: "user", content }], stream: true, stream_options: { include_usage: true },
      }),
      signal: stopper.signal,
    });
    progress.begin(answer.headers);
    for await (const data of events(answer.body)) {
      if (data === "[DONE]") progress.isWhole = true;
      else progress.take(JSON.parse(data));
    }
    progress.end(progress.ending);
  } catch (error) {
    if (stopper.signal.aborted) progress.end("Stopped.");
    else {
      progress.end(progress.hasBegun ? BROKEN_OFF : "No answer.");
      complain(error instanceof ApiError ? error.message : "The connection to the proxy was lost.", null);
    }
  } finally {
    stopper.abort(); // A stream that was not read to its end is let go.
    running = null;
  }
}

/** Say what is wrong; `field` is where. */
function complain(text, field) {
  byId("answer-error").textContent = text;
  field?.focus();
}

/** One answer on its way to the page: text is added once a frame, and a screen reader hears it when it is whole. */
class Progress {
  #sent = performance.now();
  #first = 0;
  #pending = "";
  #frame = 0;
  #text = document.createTextNode("");
  #reason = null;
  isWhole = false; // whether the stream has said that it ends

  constructor(model) {
    byId("answer-error").textContent = "";
    byId("answer").replaceChildren(this.#text);
    byId("answer").setAttribute("aria-busy", "true");
    for (const name of ["deployment", "first", "in", "out", "trail"]) this.#fact(name, UNKNOWN);
    this.#switch(true);
    say(`${model} is asked…`);
  }

  begin(headers) {
    this.#fact("deployment", headers.get("x-proxy-deployment"));
    this.#fact("trail", headers.get("x-proxy-trail"));
  }

  take(chunk) {
    if (chunk.error) throw new ApiError(chunk.error.message, 200);
    if (chunk.usage) {
      this.#fact("in", chunk.usage.prompt_tokens);
      this.#fact("out", chunk.usage.completion_tokens);
    }
    this.#reason = chunk.choices?.[0]?.finish_reason ?? this.#reason;
    const delta = chunk.choices?.[0]?.delta ?? {};
    const text = delta.content || delta.refusal;
    if (text) this.#add(text);
    else if (delta.reasoning_content && !this.#first) say("The model is thinking…");
  }

  /** How the answer has ended, in words. */
  get ending() {
    if (!this.isWhole) return BROKEN_OFF;
    return ENDINGS[this.#reason] ?? "The answer is complete.";
  }

  get hasBegun() {
    return this.#first > 0;
  }

  end(state) {
    this.#flush();
    byId("answer").setAttribute("aria-busy", "false");
    this.#switch(false);
    say(state);
  }

  #add(text) {
    if (!this.#first) {
      this.#first = performance.now();
      this.#fact("first", seconds(this.#first - this.#sent));
      say("The answer is coming…");
    }
    this.#pending += text;
    this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#pending) return;
    const box = byId("answer");
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    this.#text.appendData(this.#pending);
    this.#pending = "";
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }

  #fact(name, value) {
    byId(`fact-${name}`).textContent = value ?? UNKNOWN;
  }

  /** While a model is asked, stopping is what can be done. */
  #switch(isRunning) {
    const [off, on] = isRunning ? ["send", "stop"] : ["stop", "send"];
    const hadFocus = document.activeElement === byId(off);
    byId(on).disabled = false;
    if (hadFocus) byId(on).focus();
    byId(off).disabled = true;
  }
}

const seconds = (milliseconds) =>
  milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
