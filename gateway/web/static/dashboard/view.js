// The dashboard: connected while somebody looks at it, and drawn once a frame at most.

import { announce, byId, make } from "../dom.js";
import { currentKey } from "../key.js";
import { act } from "./actions.js";
import { Board, inOrder } from "./board.js";
import { Connection } from "./connection.js";
import { prepareDecisions, showDecisions } from "./decisions.js";
import { arrange, FACTS, ModelRow, setText } from "./rows.js";
import { clock, count, counted, duration, percent, remaining } from "./words.js";

const TICK = 1000; // milliseconds
const BETWEEN_ANNOUNCEMENTS = 5; // seconds
const MOST_ANNOUNCED = 3;

/**
 * The dashboard as long as the page is open; `refused` is called with a message and a status when the key may not see it.
 */
export class Dashboard {
  #board = new Board();
  #connection;
  #refused;
  #rows = new Map();
  #tiles = new Map();
  #frame = 0;
  #isWanted = false;
  #key = null; // with which the connection was opened
  #isFirst = true;
  #until = null;
  #looks = new Map();
  #news = new Map();
  #announced = -Infinity;

  constructor(refused) {
    this.#refused = refused;
    this.#connection = new Connection(this);
    prepareDecisions();
    byId("columns").replaceChildren(make("span"), make("span"), ...FACTS.map(([title]) => make("span", {}, title)));
    for (const list of this.#lists) list.addEventListener("pointerleave", () => this.#redraw());
    byId("idle").addEventListener("toggle", () => this.#redraw());
    document.addEventListener("visibilitychange", () => this.#connect());
    setInterval(() => this.#tick(), TICK);
  }

  /** Say whether the dashboard is looked at, with a key that may see it. */
  show(isWanted) {
    this.#isWanted = isWanted;
    this.#connect();
  }

  event(name, data) {
    if (name === "history") this.#board.takeHistory(data);
    else if (name === "state") this.#board.takeState(data, performance.now() / 1000);
    else return;
    if (this.#board.models.size || name === "state") this.#redraw();
  }

  connection(state, { message = "", until = null, status = 0 } = {}) {
    if (state === "connecting" || state === "open") this.#board.restart();
    const [look, words] = {
      connecting: ["unknown", "Connecting…"], open: ["good", "Live"], lost: ["bad", "Connection lost"],
      refused: ["bad", "Not allowed"],
    }[state];
    byId("live").dataset.state = look;
    setText(byId("live"), words);
    const isOld = state === "lost" && this.#board.models.size > 0;
    setText(byId("live-why"), isOld ? `${message} This is how it was at ${clock(Date.now() / 1000)}.` : message);
    byId("dashboard-content").toggleAttribute("data-old", isOld);
    byId("dashboard").toggleAttribute("data-refused", state === "refused");
    this.#until = until;
    this.#tick();
    if (state === "refused") this.#refused(message, status);
  }

  get #lists() {
    return [byId("busy-models"), byId("idle-models")];
  }

  #connect() {
    const isWanted = this.#isWanted && !document.hidden;
    if (!isWanted || this.#key !== currentKey()) this.#connection.close();
    this.#key = currentKey();
    if (isWanted) this.#connection.open();
  }

  #redraw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const board = this.#board;
    const models = inOrder(board.models.values());
    this.#drawTiles(models);
    this.#drawModels(models);
    showDecisions(board.decisions);
    setText(byId("may-change"), board.mayChange ? "" : "You may look here, and change nothing.");
    this.#announce(models);
    this.#isFirst &&= models.length === 0;
  }

  #drawTiles(models) {
    const totals = models.map((model) => model.traffic.totals);
    const sum = (read) => totals.reduce((total, each) => total + read(each), 0);
    const endpoints = models.flatMap((model) => model.endpoints);
    const ready = endpoints.filter((each) => each.state.serves).length;
    const isAmiss = endpoints.some((each) => !each.state.serves && !each.isDrained);
    const [requests, errors, answered] = ["requests", "errors", "answered"].map((name) => sum((each) => each[name]));
    const read = sum((each) => each.input + each.cacheRead);
    const tiles = {
      "Deployments ready": [`${count(ready)} of ${count(endpoints.length)}`, isAmiss && "bad"],
      "In flight": [count(models.reduce((total, model) => total + model.inFlight, 0))],
      "Requests": [count(requests)],
      "Errors": [`${count(errors)}${errors ? ` (${percent(errors, requests)})` : ""}`, errors > 0 && "bad"],
      "First word": [duration(answered ? sum((each) => each.waited) / answered : null)],
      "Tokens in": [count(read)],
      "Tokens out": [count(sum((each) => each.output))],
      "Cache hits": [percent(sum((each) => each.cacheRead), read)],
    };
    for (const [title, [text, look]] of Object.entries(tiles)) {
      if (!this.#tiles.has(title)) {
        const value = make("dd");
        this.#tiles.set(title, value);
        byId("tiles").append(make("div", {}, make("dt", {}, title), value));
      }
      setText(this.#tiles.get(title), text);
      this.#tiles.get(title).toggleAttribute("data-bad", look === "bad");
    }
  }

  #drawModels(models) {
    const gone = new Set(this.#rows.keys());
    for (const model of models) {
      gone.delete(model.name);
      const known = this.#rows.get(model.name) ?? new ModelRow(model.name, act);
      if (!this.#rows.has(model.name)) this.#rows.set(model.name, known);
      known.update(model, this.#board);
      if (this.#isFirst && model.state.rank > 1) known.toggle(true);
    }
    for (const name of gone) {
      this.#rows.get(name).close();
      this.#rows.get(name).element.remove();
      this.#rows.delete(name);
    }
    if (this.#mayMove(models)) this.#place(models);
  }

  /** Whether rows may change their places: they stay where they are while somebody points at them or is in them. */
  #mayMove(models) {
    const isNew = models.some((model) => !this.#rows.get(model.name).element.isConnected);
    return isNew || !this.#lists.some((list) => list.matches(":hover, :focus-within"));
  }

  #place(models) {
    const isIdle = (model) => model.state.rank <= 1 && model.inFlight === 0 && model.traffic.requests.every((each) => each === 0);
    const [busy, idle] = [models.filter((model) => !isIdle(model)), models.filter(isIdle)];
    const elements = (some) => some.map((model) => this.#rows.get(model.name).element);
    arrange(byId("busy-models"), elements(busy));
    arrange(byId("idle-models"), elements(idle));
    byId("idle").hidden = idle.length === 0;
    setText(byId("idle-title"), `${counted(idle.length, "model")} without trouble and without requests in the last hour`);
    if (this.#isFirst && busy.length === 0) byId("idle").open = true;
  }

  /** Tell screen readers which deployments have begun or ceased to serve, a few at a time. */
  #announce(models) {
    for (const each of models.flatMap((model) => model.endpoints)) {
      const before = this.#looks.get(each.key);
      this.#looks.set(each.key, each.state.look);
      if (before === undefined || before === each.state.look || ![before, each.state.look].includes("bad")) continue;
      this.#news.set(each.key, `${each.model} in ${each.subaccount}: ${each.state.label}.`);
    }
    const now = performance.now() / 1000;
    if (!this.#news.size || now - this.#announced < BETWEEN_ANNOUNCEMENTS) return;
    const news = [...this.#news.values()];
    const more = news.length - MOST_ANNOUNCED;
    announce([...news.slice(0, MOST_ANNOUNCED), ...(more > 0 ? [`And ${counted(more, "more change")}.`] : [])].join(" "));
    this.#news.clear();
    this.#announced = now;
  }

  #tick() {
    const now = performance.now();
    const left = this.#until === null ? 0 : (this.#until - now) / 1000;
    setText(byId("live-countdown"), this.#until === null ? "" : ` Next attempt in ${remaining(left)}.`);
    for (const row of this.#rows.values()) row.tick(now / 1000);
    if (this.#news.size) this.#announce([...this.#board.models.values()]);
  }
}
