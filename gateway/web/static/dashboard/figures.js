// The four charts of a model, each with its title, its numbers in words, and all of them as a table.

import { make } from "../dom.js";
import { Chart, visibleErrors } from "./chart.js";
import { count, counted, duration, minute, percent } from "./words.js";

const HEIGHT = 56; // pixels

const cacheShare = (traffic, at) => {
  const all = traffic.input[at] + traffic.cacheRead[at];
  return all ? (traffic.cacheRead[at] / all) * 100 : null;
};
const summed = (...rows) => rows[0].map((_, at) => rows.reduce((total, row) => total + row[at], 0));

/** What each chart shows: `rows` are its series, `at` says a bucket in words, `whole` says the hour in words. */
const FIGURES = [
  {
    title: "Requests a minute",
    series: [{ colour: "--chart-1", kind: "bars", name: "answered" }, { colour: "--chart-bad", kind: "bars", name: "errors" }],
    rows: (traffic) => [traffic.requests, visibleErrors(traffic)],
    at: (traffic, at) => `${counted(traffic.requests[at], "request")}, ${counted(traffic.errors[at], "error")}`,
    whole: (totals, traffic) => `at most ${count(Math.max(...traffic.requests))}`,
  },
  {
    title: "Time to first word",
    series: [{ colour: "--chart-1", kind: "line" }],
    rows: (traffic) => [traffic.firstContent],
    at: (traffic, at) => duration(traffic.firstContent[at]),
    whole: (totals) => `on average ${duration(totals.answered ? totals.waited / totals.answered : null)}`,
  },
  {
    title: "Tokens a minute",
    series: [
      { colour: "--chart-3", kind: "bars", name: "cached" }, { colour: "--chart-1", kind: "bars", name: "input" },
      { colour: "--chart-2", kind: "bars", name: "output" },
    ],
    rows: (traffic) => [
      summed(traffic.output, traffic.input, traffic.cacheRead), summed(traffic.output, traffic.input), traffic.output,
    ],
    at: (traffic, at) => `${count(traffic.input[at])} input, ${count(traffic.cacheRead[at])} cached, ${count(traffic.output[at])} output`,
    whole: (totals) => `${count(totals.input + totals.cacheRead)} in, ${count(totals.output)} out`,
  },
  {
    title: "Cache hits",
    series: [{ colour: "--chart-3", kind: "line" }],
    rows: (traffic) => [traffic.input.map((_, at) => cacheShare(traffic, at))],
    at: (traffic, at) => `${percent(traffic.cacheRead[at], traffic.input[at] + traffic.cacheRead[at])} of the input`,
    whole: (totals) => `${percent(totals.cacheRead, totals.input + totals.cacheRead)} of the input`,
  },
];

/** The four charts of one model. */
export class Figures {
  element;
  #parts;
  #table;
  #traffic = null;
  #times = null;

  constructor(name) {
    this.#parts = FIGURES.map((figure) => this.#part(figure));
    this.#table = make("div", { class: "numbers", tabindex: "0", role: "region", "aria-label": `Numbers of ${name}` });
    const details = make("details", { class: "as-table", toggle: () => this.#fillTable() },
      make("summary", {}, "The same as a table"), this.#table);
    this.element = make("div", {}, make("div", { class: "figures" }, ...this.#parts.map((part) => part.element)), details);
    this.#table.details = details;
  }

  /** Show the traffic of the model; `times` gives when a bucket began, in seconds since the epoch. */
  update(traffic, times) {
    this.#traffic = traffic;
    this.#times = times;
    const totals = traffic.totals;
    for (const part of this.#parts) part.update(traffic, totals);
    this.#fillTable();
  }

  close() {
    for (const part of this.#parts) part.chart.close();
  }

  #part(figure) {
    const value = make("span", { class: "value" });
    let whole = "";
    const pointedAt = (at) => {
      const words = at === null || !this.#traffic ? whole : `${minute(this.#times(at))} · ${figure.at(this.#traffic, at)}`;
      if (value.textContent !== words) value.textContent = words;
    };
    let pointed = null;
    const chart = new Chart(figure.series, { height: HEIGHT, pointedAt: (at) => pointedAt(pointed = at) });
    const keys = figure.series.filter((each) => each.name).map((each) =>
      make("span", { class: "key", "data-colour": each.colour }, each.name));
    const element = make("figure", {},
      make("figcaption", {}, make("span", { class: "title" }, figure.title), value), chart.element,
      make("p", { class: "keys", "aria-hidden": "true" }, ...keys));
    const update = (traffic, totals) => {
      whole = figure.whole(totals, traffic);
      pointedAt(pointed);
      const last = traffic.requests.length - 1;
      chart.draw(figure.rows(traffic), `${figure.title} in the last hour: ${whole}; in this minute ${figure.at(traffic, last)}.`);
    };
    return { element, chart, update };
  }

  /** Write the numbers of each bucket, the latest first, where somebody looks at them. */
  #fillTable() {
    if (!this.#traffic || !this.#table.details.open) return;
    const cell = (tag, text) => make(tag, tag === "th" ? { scope: "row" } : {}, text);
    const rows = this.#traffic.requests.map((_, at) => make("tr", {}, cell("th", minute(this.#times(at))),
      ...FIGURES.map((figure) => cell("td", figure.at(this.#traffic, at))))).reverse();
    const head = ["From", ...FIGURES.map((figure) => figure.title)].map((title) => make("th", { scope: "col" }, title));
    this.#table.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
  }
}
