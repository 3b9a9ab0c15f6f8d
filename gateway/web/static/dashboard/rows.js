// A model and its deployments as rows: what they are, how they do, and their traffic of the last hour.

import { make } from "../dom.js";
import { Chart, visibleErrors } from "./chart.js";
import { Figures } from "./figures.js";
import { count, counted, duration, icon, percent, remaining } from "./words.js";

const SPARK_HEIGHT = 26; // pixels
const SPARK = [{ colour: "--chart-1", kind: "bars" }, { colour: "--chart-bad", kind: "bars" }];

/** What is said of the traffic of each row: a title, and how it is read. */
export const FACTS = [
  ["In flight", ({ inFlight }) => count(inFlight)],
  ["Requests", (_, totals) => count(totals.requests)],
  ["Errors", (_, totals) => count(totals.errors)],
  ["First word", (_, totals) => duration(totals.answered ? totals.waited / totals.answered : null)],
  ["Tokens", (_, totals) => count(totals.input + totals.cacheRead + totals.output)],
  ["Cache hits", (_, totals) => percent(totals.cacheRead, totals.input + totals.cacheRead)],
];

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A state in words, with a colour and an icon. */
class Badge {
  element = make("span", { class: "badge" });
  #look = "";
  #label = make("span");

  update({ label, look }) {
    setText(this.#label, label);
    if (look === this.#look) return;
    this.#look = look;
    this.element.dataset.look = look;
    this.element.replaceChildren(icon(look), this.#label);
  }
}

/** The numbers of a row, and a small chart of its requests. */
class Numbers {
  element;
  spark = new Chart(SPARK, { height: SPARK_HEIGHT });
  #values = FACTS.map(() => make("dd"));
  #shown = null;

  constructor() {
    this.element = make("dl", { class: "facts" },
      ...FACTS.map(([title], at) => make("div", {}, make("dt", {}, title), this.#values[at])));
  }

  update(row) {
    const [version, inFlight] = this.#shown ?? [];
    if (version === row.traffic.version && inFlight === row.inFlight) return;
    this.#shown = [row.traffic.version, row.inFlight];
    const totals = row.traffic.totals;
    FACTS.forEach(([, read], at) => setText(this.#values[at], read(row, totals)));
    this.#values[2].toggleAttribute("data-bad", totals.errors > 0);
    this.spark.draw([row.traffic.requests, visibleErrors(row.traffic)],
      `${counted(totals.requests, "request")} in the last hour, ${counted(totals.errors, "error")}`);
  }
}

/** One deployment of a model. */
class EndpointRow {
  element;
  #badge = new Badge();
  #numbers = new Numbers();
  #why = make("span");
  #countdown = make("span", { class: "countdown" });
  #buttons = make("div", { class: "buttons" });
  #changes;
  #until = null;
  #offered = [];

  constructor(endpoint, act) {
    const name = `${endpoint.subaccount}/${endpoint.deployment}`;
    this.#changes = ["drain", "circuit"].map((kind) => {
      const button = make("button", { type: "button", class: "small", click: () => act(button.dataset.action, endpoint, button) });
      return { kind, name, button };
    });
    this.element = make("li", { class: "endpoint", "data-deployment": endpoint.deployment },
      make("div", { class: "line" },
        make("div", { class: "identity" },
          make("h4", {}, make("b", {}, endpoint.subaccount), make("span", {}, endpoint.deployment)), this.#badge.element),
        this.#numbers.spark.element, this.#numbers.element),
      make("div", { class: "more" }, make("p", { class: "why" }, this.#why, this.#countdown), this.#buttons));
  }

  update(endpoint, mayChange) {
    this.#badge.update(endpoint.state);
    setAttribute(this.element, "data-look", endpoint.state.look);
    this.#numbers.update(endpoint);
    setText(this.#why, [endpoint.isStandby ? "on standby" : "", endpoint.why, endpoint.workers].filter(Boolean).join(" · "));
    this.#until = endpoint.until;
    this.#offer(endpoint, mayChange);
  }

  /** Write how long the endpoint is yet unavailable; `now` is in seconds. */
  tick(now) {
    const left = this.#until === null ? 0 : this.#until - now;
    setText(this.#countdown, left > 0 ? ` · ${remaining(left)} left` : "");
  }

  close() {
    this.#numbers.spark.close();
  }

  /** Show what may be done to the endpoint. A button keeps its place and the focus when it becomes its opposite. */
  #offer(endpoint, mayChange) {
    const wanted = mayChange ? this.#changes : [];
    for (const { kind, name, button } of wanted) {
      const [action, label] = kind === "drain"
        ? endpoint.isDrained ? ["restore", "Restore"] : ["drain", "Drain"]
        : !endpoint.isCircuitClosed ? ["close-circuit", "Close circuit"]
          : endpoint.isInCooldown ? ["close-circuit", "End cooldown"] : ["open-circuit", "Open circuit"];
      setAttribute(button, "data-action", action);
      setText(button, label);
      setAttribute(button, "aria-label", `${label} of ${name} for ${endpoint.model}`.replace(/^(Drain|Restore) of/, "$1"));
    }
    if (wanted.length !== this.#offered.length) this.#buttons.replaceChildren(...wanted.map((each) => each.button));
    this.#offered = wanted;
  }
}

/** One model: a row that opens to show its charts and its deployments. */
export class ModelRow {
  element;
  isOpen = false;
  #name;
  #act;
  #badge = new Badge();
  #numbers = new Numbers();
  #dots = make("span", { class: "dots", "aria-hidden": "true" });
  #button;
  #body;
  #list = make("ul", { class: "endpoints" });
  #figures = null;
  #strategy = null;
  #rows = new Map();
  #shown = null;

  constructor(name, act) {
    this.#name = name;
    this.#act = act;
    const id = `model-${name.replaceAll(/[^\w-]/g, "_")}`;
    this.#button = make("button", { type: "button", "aria-expanded": "false", "aria-controls": id, click: () => this.toggle() }, name);
    this.#body = make("div", { class: "body", id, hidden: true });
    this.element = make("li", { class: "entry", "data-model": name },
      make("div", { class: "line" },
        make("div", { class: "identity" }, make("h3", {}, this.#button), this.#badge.element, this.#dots),
        this.#numbers.spark.element, this.#numbers.element),
      this.#body);
  }

  toggle(isOpen = !this.isOpen) {
    this.isOpen = isOpen;
    this.#button.setAttribute("aria-expanded", isOpen);
    this.#body.hidden = !isOpen;
    if (this.#shown) this.update(...this.#shown);
  }

  update(model, board) {
    this.#shown = [model, board];
    this.#badge.update(model.state);
    setAttribute(this.element, "data-look", model.state.look);
    this.#numbers.update(model);
    this.#updateDots(model.endpoints);
    if (this.isOpen) this.#updateBody(model, board);
  }

  tick(now) {
    if (this.isOpen) for (const row of this.#rows.values()) row.tick(now);
  }

  close() {
    this.#numbers.spark.close();
    this.#figures?.close();
    for (const row of this.#rows.values()) row.close();
  }

  /** Show a dot for each deployment, where not all are ready. */
  #updateDots(endpoints) {
    const looks = endpoints.some((each) => each.state.look !== "good") ? endpoints.slice(0, 12).map((each) => each.state.look) : [];
    if (looks.join() === this.#dots.dataset.looks) return;
    this.#dots.dataset.looks = looks.join();
    this.#dots.replaceChildren(...looks.map((look) => make("i", { "data-look": look })));
  }

  #updateBody(model, board) {
    if (!this.#figures) {
      this.#figures = new Figures(this.#name);
      this.#strategy = new StrategyPicker(this.#name, this.#act);
      this.#body.replaceChildren(this.#figures.element, this.#strategy.element, this.#list);
    }
    const first = board.end - model.traffic.requests.length * board.step;
    this.#figures.update(model.traffic, (at) => first + at * board.step);
    this.#strategy.update(model.strategy, board);
    const gone = new Set(this.#rows.keys());
    const elements = model.endpoints.map((endpoint) => {
      gone.delete(endpoint.key);
      if (!this.#rows.has(endpoint.key)) this.#rows.set(endpoint.key, new EndpointRow(endpoint, this.#act));
      const row = this.#rows.get(endpoint.key);
      row.update(endpoint, board.mayChange);
      row.tick(performance.now() / 1000);
      return row.element;
    });
    for (const key of gone) {
      this.#rows.get(key).close();
      this.#rows.delete(key);
    }
    // What is in use keeps its place, and with it the focus.
    const isHeld = this.#list.children.length === elements.length && this.#list.matches(":hover, :focus-within");
    if (!isHeld || gone.size) arrange(this.#list, elements);
  }
}

/** The strategy of a model, and a way to switch it. */
class StrategyPicker {
  element;
  #select;
  #apply;
  #current = make("b");
  #form;
  #now = "";

  constructor(model, act) {
    const id = `strategy-${model.replaceAll(/[^\w-]/g, "_")}`;
    this.#select = make("select", { id, change: () => this.#offer() });
    this.#apply = make("button", { type: "submit", class: "small", disabled: true, "aria-label": `Switch the strategy of ${model}` }, "Switch");
    const submit = (event) => {
      event.preventDefault();
      act("strategy", { model, strategy: this.#select.value }, this.#apply);
    };
    this.#form = make("form", { submit, "aria-label": `Strategy of ${model}` },
      make("label", { for: id }, "Strategy"), this.#select, this.#apply);
    this.element = make("div", { class: "strategy" });
  }

  update(strategy, { mayChange, strategies }) {
    const picked = this.#select.value === this.#now ? strategy : this.#select.value; // a choice that waits for "Switch" stays
    const names = strategies.includes(strategy) ? strategies : [strategy, ...strategies];
    if (names.join() !== [...this.#select.options].map((each) => each.value).join()) {
      this.#select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
    }
    this.#now = strategy;
    if (this.#select.value !== picked) this.#select.value = picked;
    setText(this.#current, strategy);
    const wanted = mayChange ? this.#form : make("p", {}, "Strategy ", this.#current);
    if (this.element.dataset.kind !== String(mayChange)) {
      this.element.dataset.kind = mayChange;
      this.element.replaceChildren(wanted);
    }
    this.#offer();
  }

  #offer() {
    const isSame = this.#select.value === this.#now;
    if (this.#apply.disabled !== isSame) this.#apply.disabled = isSame;
  }
}

/** Put elements into this order; those that are in their places already are not touched. */
export function arrange(parent, elements) {
  let next = parent.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  const wanted = new Set(elements);
  for (const element of [...parent.children]) if (!wanted.has(element)) element.remove();
}
