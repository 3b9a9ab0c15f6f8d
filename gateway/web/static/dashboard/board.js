// What is known of the router: its events put together. Nothing here touches the page.

import { STATES } from "./words.js";

const MOST_DECISIONS = 100;
const MOST_RECENT = 20_000;
/** The outcomes for which a caller is responsible, and the one without a fault. */
const NO_ERRORS = [
  "ok", "caller_left", "invalid_request", "content_filtered", "context_length_exceeded", "too_large", "not_found", "unauthenticated",
];
const FAILING = 3; // that many failures since the last answer

/** Whether a decision counts as an error, as in the history: the callers' own mistakes do not. */
export const isError = (decision) => !NO_ERRORS.includes(decision.outcome);
const NOTHING = { requests: 0, errors: 0, firstContent: null, input: 0, output: 0, cacheRead: 0 };
let versions = 0;
const keyOf = (row) => JSON.stringify([row.subaccount, row.deployment, row.model]);

/** The traffic of a model or an endpoint: a bucket for each step of the last hour, of which the last one is running. */
export class Traffic {
  version = ++versions; // another one whenever something has changed
  #running;
  #totals = null;

  constructor(row, buckets) {
    const series = (name, empty) => [...(row?.[name] ?? Array(buckets).fill(empty))];
    this.requests = series("requests", 0);
    this.errors = series("errors", 0);
    this.firstContent = series("first_content", null);
    this.input = series("input", 0);
    this.output = series("output", 0);
    this.cacheRead = series("cache_read", 0);
    this.#running = this.#last();
  }

  /** Set what has happened in the running bucket, beside what the history knew of it where that counts, too. */
  setRunning(counts, withHistory) {
    const last = this.requests.length - 1;
    const before = withHistory ? this.#running : NOTHING;
    const [one, two] = [before, counts].map((each) => (each.firstContent == null ? 0 : Math.max(each.requests - each.errors, 1)));
    const now = Object.fromEntries(Object.keys(NOTHING).map((name) => [name, before[name] + counts[name]]));
    now.firstContent = one + two ? ((before.firstContent ?? 0) * one + (counts.firstContent ?? 0) * two) / (one + two) : null;
    if (Object.entries(now).every(([name, value]) => this[name][last] === value)) return;
    for (const [name, value] of Object.entries(now)) this[name][last] = value;
    this.version = ++versions;
    this.#totals = null;
  }

  #last() {
    return Object.fromEntries(Object.keys(NOTHING).map((name) => [name, this[name].at(-1)]));
  }

  get totals() {
    return this.#totals ??= this.#addUp();
  }

  #addUp() {
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    const answered = this.requests.map((requests, at) =>
      this.firstContent[at] == null ? 0 : Math.max(requests - this.errors[at], 1));
    const waited = this.firstContent.map((seconds, at) => (seconds ?? 0) * answered[at]);
    return {
      requests: sum(this.requests), errors: sum(this.errors), input: sum(this.input), output: sum(this.output),
      cacheRead: sum(this.cacheRead), answered: sum(answered), waited: sum(waited),
    };
  }
}

/** Everything that the dashboard shows. */
export class Board {
  decisions = []; // the newest first
  models = new Map(); // by name: { name, strategy, endpoints, traffic, inFlight, state }
  step = 60; // seconds
  end = 0; // of the running bucket, in seconds since the epoch
  mayChange = false;
  strategies = [];
  #history = null;
  #counts = new Map(); // by endpoint: its counts when the history came
  #recent = []; // the decisions of the running bucket, except those that the history counts
  #streaks = new Map(); // by endpoint: its counts when it last answered
  #isFirst = true; // whether the connection has sent no state yet
  #isBegun = true; // whether the running bucket had begun before the connection was open

  /** Begin anew: a connection that was opened again sends everything again. */
  restart() {
    this.#isFirst = true;
  }

  takeHistory(history) {
    this.step = history.step;
    this.end = history.end;
    this.#history = {
      buckets: history.buckets,
      models: new Map(history.models.map((row) => [row.model, row])),
      endpoints: new Map(history.endpoints.map((row) => [keyOf(row), row])),
    };
    this.#isBegun = this.#isFirst;
    this.#recent = this.#isFirst ? [] : this.#recent.filter((each) => each.at >= this.end - this.step);
    this.#counts.clear(); // the first state after a connection says where counting begins
    for (const model of this.models.values()) {
      model.traffic = this.#traffic("models", model.name);
      for (const each of model.endpoints) {
        each.traffic = this.#traffic("endpoints", each.key);
        if (!this.#isFirst) this.#counts.set(each.key, each.counts);
      }
    }
    if (!this.#isFirst) this.#countRunning();
  }

  /** Take a state; `now` is in seconds, by a clock that countdowns are compared with. */
  takeState(state, now) {
    this.mayChange = state.may_change;
    this.strategies = state.strategies_available;
    const fresh = state.decisions;
    this.decisions = (this.#isFirst ? fresh : [...fresh, ...this.decisions]).slice(0, MOST_DECISIONS);
    if (!this.#isFirst) {
      const running = fresh.filter((each) => each.at >= this.end - this.step);
      this.#recent = [...this.#recent, ...running].slice(-MOST_RECENT);
    }
    this.#isFirst = false;
    this.#takeEndpoints(state, now);
    this.#countRunning();
  }

  #takeEndpoints(state, now) {
    const retiring = new Set((state.workers ?? []).filter((each) => each.retiring).map((each) => each.worker));
    const rows = Map.groupBy(state.endpoints, keyOf);
    const models = new Map();
    for (const [key, same] of rows) {
      const known = this.models.get(same[0].model);
      const model = models.get(same[0].model) ?? { ...(known ?? { traffic: this.#traffic("models", same[0].model) }), endpoints: [] };
      const before = known?.endpoints.find((each) => each.key === key);
      model.endpoints.push(this.#endpoint(key, same, retiring, now, before));
      models.set(same[0].model, model);
    }
    for (const [name, model] of models) {
      model.endpoints.sort((one, two) => two.state.rank - one.state.rank
        || one.subaccount.localeCompare(two.subaccount) || one.deployment.localeCompare(two.deployment));
      Object.assign(model, {
        name, strategy: state.strategies[name] ?? "", state: stateOfModel(model.endpoints),
        inFlight: model.endpoints.reduce((total, each) => total + each.inFlight, 0),
      });
    }
    this.models = models;
  }

  /** See an endpoint as that worker sees it for which it is worst off. */
  #endpoint(key, rows, retiring, now, before) {
    const staying = rows.filter((row) => !retiring.has(row.worker));
    const seen = staying.length ? staying : rows;
    const worst = seen.reduce((one, two) => (rankOf(two) > rankOf(one) ? two : one));
    const alike = seen.filter((row) => row.standing === worst.standing).length;
    const counts = addedUp(rows.map((row) => row.counts));
    const isFailing = worst.standing === "ready" && this.#isFailing(key, counts);
    return {
      key, counts, subaccount: worst.subaccount, deployment: worst.deployment, model: worst.model,
      state: STATES[isFailing ? "failing" : worst.standing] ?? { label: worst.standing, look: "wait", rank: 2, serves: false },
      why: isFailing ? `every request since it last answered has failed; the latest fault is ${worst.last_error}` : worst.why,
      until: worst.seconds ? now + worst.seconds : null,
      workers: alike < seen.length ? `in ${alike} of ${seen.length} workers` : "",
      isInCooldown: seen.some((row) => row.cooldown !== null),
      isCircuitClosed: seen.every((row) => row.circuit === "closed"),
      isDrained: seen.every((row) => row.standing === "drained"),
      isStandby: worst.standby, inFlight: rows.reduce((total, row) => total + row.in_flight, 0),
      traffic: before?.traffic ?? this.#traffic("endpoints", key),
    };
  }

  #isFailing(key, counts) {
    const known = this.#streaks.get(key);
    if (!known || counts.answered !== known.answered) this.#streaks.set(key, counts);
    return counts.failed - this.#streaks.get(key).failed >= FAILING;
  }

  #traffic(kind, key) {
    return new Traffic(this.#history?.[kind].get(key), this.#history?.buckets ?? 60);
  }

  /** Count what has happened in the running bucket: by decisions for a model, by attempts for an endpoint. */
  #countRunning() {
    const byModel = Map.groupBy(this.#recent, (each) => each.model);
    for (const model of this.models.values()) {
      model.traffic.setRunning(countsOf(byModel.get(model.name) ?? []), this.#isBegun);
      for (const each of model.endpoints) {
        if (!this.#counts.has(each.key)) this.#counts.set(each.key, each.counts);
        each.traffic.setRunning(difference(each.counts, this.#counts.get(each.key)), true);
      }
    }
  }
}

const rankOf = (row) => STATES[row.standing]?.rank ?? 2;

function addedUp(rows) {
  const sum = (read) => rows.reduce((total, row) => total + read(row), 0);
  return {
    answered: sum((row) => row.answered), failed: sum((row) => row.failed), refused: sum((row) => row.refused),
    waited: sum((row) => row.first_content_seconds), input: sum((row) => row.tokens.input + row.tokens.cache_write),
    cacheRead: sum((row) => row.tokens.cache_read), output: sum((row) => row.tokens.output),
  };
}

/** Give what was counted since an earlier count; workers that are gone take their counts along. */
function difference(now, then) {
  const since = (name) => Math.max(0, now[name] - then[name]);
  const answered = since("answered");
  return {
    requests: answered + since("failed") + since("refused"), errors: since("failed"),
    firstContent: answered ? since("waited") / answered : null,
    input: since("input"), output: since("output"), cacheRead: since("cacheRead"),
  };
}

function countsOf(decisions) {
  if (!decisions.length) return NOTHING;
  const sum = (read) => decisions.reduce((total, each) => total + read(each), 0);
  const first = decisions.map((each) => each.first_content).filter((seconds) => seconds != null);
  return {
    requests: decisions.length, errors: decisions.filter(isError).length,
    firstContent: first.length ? first.reduce((total, each) => total + each, 0) / first.length : null,
    input: sum((each) => each.tokens.input + each.tokens.cache_write), output: sum((each) => each.tokens.output),
    cacheRead: sum((each) => each.tokens.cache_read),
  };
}

/** Say how a model does: it is unavailable only where none of its endpoints serves. */
function stateOfModel(endpoints) {
  const serving = endpoints.filter((each) => each.state.serves).length;
  const worst = endpoints.reduce((one, two) => (two.state.rank > one.state.rank ? two : one)).state;
  if (serving === 0) {
    const isDrained = endpoints.every((each) => each.isDrained);
    return { label: isDrained ? "Drained" : "Unavailable", look: "bad", rank: 9 };
  }
  if (serving < endpoints.length) {
    return { label: `${serving} of ${endpoints.length} ready`, look: worst.rank > 1 ? "wait" : "off", rank: worst.rank };
  }
  return worst.rank > 1 ? { ...worst, look: "wait" } : worst;
}

/** Sort what is in trouble to the front, then what has most traffic. */
export function inOrder(models) {
  const trouble = (model) => (model.state.rank > 1 ? model.state.rank : 0);
  return [...models].map((model) => ({ model, totals: model.traffic.totals }))
    .sort((one, two) => trouble(two.model) - trouble(one.model)
      || two.totals.requests - one.totals.requests || one.model.name.localeCompare(two.model.name))
    .map(({ model }) => model);
}
