// Numbers, times and states, as people read them.

export const UNKNOWN = "–";

/**
 * How each state is shown: its label, its look, how bad it is, and whether it serves. The look chooses a colour and
 * an icon. The keys are the values of `standing` in /router/state.
 */
export const STATES = {
  "ready": { label: "Ready", look: "good", rank: 0, serves: true },
  "drained": { label: "Drained", look: "off", rank: 1, serves: false },
  "half-open: may be probed": { label: "Half-open", look: "wait", rank: 2, serves: true },
  "half-open: a probe is in progress": { label: "Being probed", look: "wait", rank: 3, serves: true },
  "cooling": { label: "In cooldown", look: "wait", rank: 4, serves: false },
  "failing": { label: "Failing", look: "bad", rank: 5, serves: true },
  "open": { label: "Circuit open", look: "bad", rank: 6, serves: false },
  "gone": { label: "Gone", look: "bad", rank: 7, serves: false },
};

const ICONS = {
  good: ["M4 8.5 7 11.5 12.5 5"],
  bad: ["M4.5 4.5 11.5 11.5", "M11.5 4.5 4.5 11.5"],
  wait: ["M8 4.2V8l2.6 1.8"],
  off: ["M6 4.8v6.4", "M10 4.8v6.4"],
};

/** Draw the icon of a look; screen readers hear the label beside it instead. */
export function icon(look) {
  const draw = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  return draw("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" },
    draw("circle", { cx: 8, cy: 8, r: 7 }), ...ICONS[look].map((d) => draw("path", { d })));
}

/** Write a count: 7, 1,234, 56.7k, 8.9M. */
export function count(number) {
  if (number < 10_000) return Math.round(number).toLocaleString("en");
  const [size, unit] = number >= 1_000_000 ? [1_000_000, "M"] : [1_000, "k"];
  return `${(number / size).toFixed(1).replace(/\.0$/, "")}${unit}`;
}

/** Write a count with its noun. */
export const counted = (number, noun) => `${count(number)} ${number === 1 ? noun : `${noun}s`}`;

/** Write a duration that was measured, in seconds: 420 ms, 1.3 s. */
export function duration(seconds) {
  if (seconds == null) return UNKNOWN;
  return seconds < 0.9995 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
}

/** Write how long something will yet take, in whole seconds: 12 s, 2 min 5 s. */
export function remaining(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Write a part of a whole in per cent; nothing is known of a part of nothing. */
export function percent(part, whole) {
  if (!whole) return UNKNOWN;
  const value = (part / whole) * 100;
  return `${value > 0 && value < 9.95 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)}%`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Write the local time of seconds since the epoch, as 14:05:09 or without its seconds. */
export const clock = (at) => CLOCK.format(new Date(at * 1000));
export const minute = (at) => clock(at).slice(0, 5);
