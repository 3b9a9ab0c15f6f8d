// The latest decisions: where each request went, why, and how it ended.

import { byId, make } from "../dom.js";
import { isError } from "./board.js";
import { arrange, setText } from "./rows.js";
import { clock, count, counted, duration, icon, UNKNOWN } from "./words.js";

const ANY = "";
const ERRORS = "errors"; // no outcome is called so
const FEW = 25; // rows, until somebody wants to see all
const rows = new Map(); // by the id and the time of a decision
let latest = [];
let shown = [];
let isAll = false;

export function prepareDecisions() {
  byId("decisions-model").addEventListener("change", narrow);
  byId("decisions-outcome").addEventListener("change", narrow);
  byId("decisions-all").addEventListener("click", () => {
    isAll = true;
    narrow();
    byId("decisions").querySelector("tr:not([hidden]) button")?.focus();
  });
  const table = byId("decisions").parentElement;
  const goOn = () => requestAnimationFrame(() => showDecisions(latest));
  table.addEventListener("pointerleave", goOn);
  table.addEventListener("focusout", goOn);
}

/** Show decisions, the newest first. While somebody points at the table, or is in it, its rows stay where they are. */
export function showDecisions(decisions) {
  latest = decisions;
  const isHeld = shown.length > 0 && byId("decisions").parentElement.matches(":hover, :focus-within");
  if (!isHeld) fill(decisions);
  const waiting = isHeld ? decisions.findIndex((each) => each === shown[0].decision) : 0;
  const more = waiting < 0 ? decisions.length : waiting;
  setText(byId("decisions-held"), more ? `The list stands still while you are in it: ${count(more)} newer.` : "");
}

function fill(decisions) {
  shown = decisions.map((decision) => {
    const key = `${decision.id} ${decision.at}`;
    if (!rows.has(key)) rows.set(key, new DecisionRow(decision, rows.size));
    return rows.get(key);
  });
  const kept = new Set(shown);
  for (const [key, row] of rows) if (!kept.has(row)) rows.delete(key);
  arrange(byId("decisions"), shown.flatMap((row) => [row.line, row.details]));
  const sorted = (read) => [...new Set(decisions.map(read))].filter(Boolean).sort();
  offer(byId("decisions-model"), [[ANY, "All models"], ...sorted(nameOf).map((name) => [name, name])]);
  const outcomes = sorted((each) => each.outcome).map((outcome) => [outcome, wordsOf(outcome)]);
  offer(byId("decisions-outcome"), [[ANY, "All outcomes"], [ERRORS, "All errors"], ...outcomes]);
  narrow();
}

const nameOf = (decision) => decision.model || decision.requested;
const wordsOf = (outcome) => (outcome === "ok" ? "OK" : outcome.replaceAll("_", " "));

/** Offer these options; what is chosen stays so, even if no decision has it any more. */
function offer(select, options) {
  const chosen = select.value;
  if (chosen && !options.some(([value]) => value === chosen)) options.push([chosen, wordsOf(chosen)]);
  if (options.map(([value]) => value).join("\n") === [...select.options].map((each) => each.value).join("\n")) return;
  select.replaceChildren(...options.map(([value, label]) => make("option", { value }, label)));
  select.value = chosen;
}

function narrow() {
  const model = byId("decisions-model").value;
  const outcome = byId("decisions-outcome").value;
  let matching = 0;
  for (const row of shown) {
    const isWanted = (model === ANY || nameOf(row.decision) === model)
      && (outcome === ANY || row.decision.outcome === outcome || (outcome === ERRORS && isError(row.decision)));
    matching += isWanted;
    row.show(isWanted && (isAll || matching <= FEW));
  }
  byId("decisions-all").hidden = isAll || matching <= FEW;
  setText(byId("decisions-all"), `Show all ${count(matching)}`);
  const all = counted(shown.length, "decision");
  setText(byId("decisions-count"), !shown.length ? "No request has come yet." : model || outcome ? `${count(matching)} of ${all}` : "");
}

/** A row that opens to show the attempts of a request. */
class DecisionRow {
  line;
  details;
  #button;
  #isOpen = false;

  constructor(decision, number) {
    this.decision = decision;
    const time = clock(decision.at);
    const id = `decision-${decision.id}-${number}`;
    this.#button = make("button", {
      type: "button", "aria-expanded": "false", "aria-controls": id, click: () => this.#toggle(),
      "aria-label": `${time}, ${nameOf(decision)}`,
    }, time);
    const failed = isError(decision);
    const look = failed ? "bad" : decision.outcome === "ok" ? "good" : "off";
    const tokens = decision.tokens.input + decision.tokens.cache_read + decision.tokens.cache_write + decision.tokens.output;
    const retries = Math.max(0, decision.reasons.length - 1);
    const place = decision.deployment ? `${decision.subaccount}/${decision.deployment}` : UNKNOWN;
    this.line = make("tr", { class: "decision" },
      make("td", {}, this.#button),
      make("td", { class: "name" }, nameOf(decision), make("span", { class: "narrow" }, place)),
      make("td", { class: "name wide" }, place),
      make("td", {}, make("span", { class: "badge", "data-look": look }, icon(look), make("span", {}, wordsOf(decision.outcome))),
        retries === 0 ? null : make("span", { class: "retries" }, counted(retries, "retry").replace("retrys", "retries"))),
      make("td", { class: "wide" }, duration(decision.first_content)),
      make("td", { class: "wide" }, duration(decision.duration)),
      make("td", { class: "wide" }, count(tokens)));
    this.details = make("tr", { class: "details", id, hidden: true });
  }

  show(isWanted) {
    this.line.hidden = !isWanted;
    this.details.hidden = !isWanted || !this.#isOpen;
  }

  #toggle() {
    this.#isOpen = !this.#isOpen;
    this.#button.setAttribute("aria-expanded", this.#isOpen);
    if (!this.details.hasChildNodes()) this.details.append(make("td", { colspan: 7 }, ...this.#contents()));
    this.details.hidden = !this.#isOpen;
  }

  #contents() {
    const { trail, reasons, tokens, ...decision } = this.decision;
    const attempts = trail.split(" → ").filter(Boolean).map((attempt, at) =>
      make("li", {}, make("code", {}, attempt), reasons[at] ? make("span", {}, `selected by ${reasons[at]}`) : null));
    const facts = [
      ["Requested", decision.requested], ["Dialect", decision.client], ["Stream", decision.stream ? "yes" : "no"],
      ["Status", decision.status], ["First word", duration(decision.first_content)], ["Duration", duration(decision.duration)],
      ["Input", count(tokens.input)], ["From the cache", count(tokens.cache_read)], ["To the cache", count(tokens.cache_write)],
      ["Output", count(tokens.output)], ["Caller", decision.caller || UNKNOWN], ["Request id", decision.id],
    ];
    return [
      attempts.length ? make("ol", { class: "attempts", "aria-label": "Attempts" }, ...attempts)
        : make("p", { class: "help" }, "No deployment was asked."),
      make("dl", { class: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    ];
  }
}
