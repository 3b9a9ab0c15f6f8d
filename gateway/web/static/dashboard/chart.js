// Small charts over the last hour. They are drawn when they are seen, and again only when their numbers change.

import uPlot from "../vendor/uPlot.js";
import { make } from "../dom.js";

const colours = new Map();
const drawn = new Set();

/** Give the value of a custom property, which a canvas cannot read for itself. */
function colour(name) {
  if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return colours.get(name);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours.clear();
  for (const chart of drawn) chart.redraw();
});

const charts = new WeakMap();
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) charts.get(entry.target)?.isSeen(entry.isIntersecting);
}, { rootMargin: "200px" });
const sized = new ResizeObserver((entries) => {
  for (const entry of entries) charts.get(entry.target)?.resize(entry.contentRect.width);
});

/** Give the errors of each bucket as they are drawn: high enough to be seen beside many requests. */
export function visibleErrors({ requests, errors }) {
  const least = Math.max(...requests) * 0.08;
  return errors.map((each) => (each ? Math.max(each, least) : 0));
}

/** Draw a point where a line has but one value, which would be invisible. */
const lonelyPoints = (name) => ({
  show: true, size: 5, width: 0, fill: () => colour(name),
  filter: (plot, series) => {
    const known = plot.data[series].flatMap((value, at) => (value == null ? [] : [at]));
    return known.length === 1 ? known : [];
  },
});

/**
 * A canvas with one or more series. `series` are `{ colour, kind }`, of which the kind is "bars" or "line"; where bars
 * are stacked, `draw` gets their sums, the largest first. `pointedAt` gets the bucket under the pointer, or null.
 */
export class Chart {
  element;
  #series;
  #height;
  #pointedAt;
  #plot = null;
  #data = null;
  #width = 0;
  #isSeen = false;
  #isStale = false;

  constructor(series, { height, pointedAt = null }) {
    this.#series = series;
    this.#height = height;
    this.#pointedAt = pointedAt;
    this.element = make("div", { class: "chart", role: "img" });
    charts.set(this.element, this);
    seen.observe(this.element);
    sized.observe(this.element);
  }

  /** Show the `values` of each series; `label` says to screen readers what there is to see. */
  draw(values, label) {
    if (this.element.ariaLabel !== label) this.element.ariaLabel = label;
    const isSame = this.#data?.slice(1).every((row, at) => row.every((value, place) => value === values[at][place]));
    if (isSame) return;
    this.#data = [values[0].map((_, place) => place), ...values.map((row) => [...row])];
    this.#isStale = true;
    this.#show();
  }

  redraw() {
    this.#plot?.redraw(false);
  }

  isSeen(isSeen) {
    this.#isSeen = isSeen;
    this.#show();
  }

  resize(width) {
    if (!width || Math.abs(width - this.#width) < 1) return;
    this.#width = Math.floor(width);
    if (this.#plot) this.#plot.setSize({ width: this.#width, height: this.#height });
    else this.#show();
  }

  /** Free what the chart holds. */
  close() {
    seen.unobserve(this.element);
    sized.unobserve(this.element);
    drawn.delete(this);
    this.#plot?.destroy();
  }

  #show() {
    if (!this.#isSeen || !this.#isStale || !this.#width) return;
    this.#isStale = false;
    if (this.#plot) this.#plot.setData(this.#data);
    else {
      this.#plot = new uPlot(this.#options(), this.#data, this.element);
      drawn.add(this);
    }
  }

  #options() {
    const bars = uPlot.paths.bars({ size: [0.72, 24] });
    const last = this.#data[0].length - 1;
    return {
      width: this.#width,
      height: this.#height,
      padding: [2, 0, 0, 0],
      legend: { show: false },
      axes: [{ show: false }, { show: false }],
      cursor: this.#pointedAt
        ? { y: false, points: { show: false }, drag: { x: false, y: false } }
        : { show: false },
      scales: { x: { time: false, range: [-0.5, last + 0.5] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.02 : 1] } },
      series: [{}, ...this.#series.map(({ colour: name, kind }) => (kind === "bars"
        ? { fill: () => colour(name), stroke: () => colour(name), width: 0, paths: bars, points: { show: false } }
        : { stroke: () => colour(name), width: 1.75, spanGaps: true, points: lonelyPoints(name) }))],
      hooks: this.#pointedAt ? { setCursor: [(plot) => this.#pointedAt(plot.cursor.idx ?? null)] } : {},
    };
  }
}
