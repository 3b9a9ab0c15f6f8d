// The models that are served: limits, what they read, when they end.

import { byId, make } from "./dom.js";

const DAY = 86_400_000; // milliseconds
const SOON = 60; // days

/** Show `models`, rows of `/v1/models`; those of `chatModels` have a button that calls `tryOut`. */
export function showModels(models, chatModels, tryOut) {
  const cards = models.map((model) => card(model, chatModels.includes(model.id), tryOut));
  byId("model-list").replaceChildren(...cards);
  byId("models-count").textContent = models.length;
  const filter = byId("filter");
  filter.oninput = () => narrow(cards, models, filter.value.trim().toLowerCase());
  filter.oninput();
}

function narrow(cards, models, wanted) {
  cards.forEach((each, at) => each.hidden = !models[at].id.toLowerCase().includes(wanted));
  const isEmpty = cards.every((each) => each.hidden);
  byId("models-none").textContent = !isEmpty ? "" : wanted ? "No model has that in its name." : "No model is served yet.";
}

function card(model, talks, tryOut) {
  const facts = [
    model.context_window && ["Context", tokens(model.context_window)],
    talks && model.max_output_tokens && ["Answer", tokens(model.max_output_tokens)],
    ["Reads", (model.input_modalities ?? ["text"]).join(", ")],
  ].filter(Boolean);
  return make("li", { class: "model" },
    make("h3", {}, model.id),
    make("dl", {}, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    ending(model),
    talks
      ? make("button", { type: "button", class: "quiet", "aria-label": `Try ${model.id}`, click: () => tryOut(model.id) }, "Try")
      : make("p", { class: "kind" }, "Makes embeddings"),
  );
}

/** Say when a model ends; the sooner, the louder. */
function ending(model) {
  if (!model.shutdown_date) return model.deprecated ? make("p", { class: "ends" }, "Deprecated") : null;
  const days = Math.ceil((Date.parse(model.shutdown_date) - Date.now()) / DAY);
  const state = days <= 0 ? "over" : days <= SOON ? "soon" : "later";
  const words = days <= 0 ? "Ended on" : "Ends on";
  const left = state === "soon" ? `, in ${days} ${days === 1 ? "day" : "days"}` : "";
  return make("p", { class: "ends", "data-state": state }, `${words} ${model.shutdown_date}${left}`);
}

/** Write a number of tokens as people say it: 200k, 1M. */
function tokens(count) {
  const [size, unit] = count >= 1_000_000 ? [1_000_000, "M"] : count >= 1_000 ? [1_000, "k"] : [1, ""];
  return `${(count / size).toFixed(unit === "M" ? 1 : 0).replace(/\.0$/, "")}${unit}`;
}
