// Whether the proxy can serve some model, and how each subaccount does. No key is asked for.

import { base } from "./api.js";
import { byId, make } from "./dom.js";

const EVERY = 30_000; // milliseconds, while somebody looks

export function watchHealth() {
  look();
  setInterval(() => {
    if (!document.hidden) look();
  }, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
}

async function look() {
  let found = null;
  try {
    found = await (await fetch(`${base}/ready`, { cache: "no-store" })).json();
  } catch {
    // Nobody answers.
  }
  const state = found === null ? "down" : found.status === "ready" ? "good" : "bad";
  const words = { down: "No answer", good: "Ready", bad: "Not ready" }[state];
  const pill = byId("health");
  if (pill.textContent !== words) pill.textContent = words;
  pill.dataset.state = state;
  if (found?.subaccounts) showSubaccounts(Object.entries(found.subaccounts));
}

function showSubaccounts(subaccounts) {
  const rows = subaccounts.map(([name, status]) =>
    make("li", { "data-state": status === "ok" ? "good" : "bad" },
      make("b", {}, name), make("span", {}, status === "ok" ? "ready" : status)));
  byId("subaccounts").replaceChildren(...(rows.length ? rows : [make("li", {}, "None is configured.")]));
}
