// The page: opens with a key, where the proxy asks for one, and then shows what that key may see.

import { askJson, base } from "./api.js";
import { hideTools, showKey, showTools } from "./connect.js";
import { copyButton } from "./copying.js";
import { announce, byId } from "./dom.js";
import { watchHealth } from "./health.js";
import { currentKey, demoKey, keepKey, keyIsNeeded } from "./key.js";
import { showModels } from "./models.js";
import { offerModels, preparePlayground, stopAsking, tryModel } from "./playground.js";
import { followAddress } from "./views.js";

const field = byId("key");
let latest = 0; // of several keys that are tried, the last one counts
let isDashboard = false; // whether the dashboard is seen
let dashboard = null; // a promise of it, once somebody has wanted to see it

for (const [id, url, what] of [
  ["url-openai", `${base}/v1`, "the base URL for OpenAI's API"],
  ["url-plain", base, "the base URL for Anthropic's and Google's APIs"],
]) {
  byId(id).textContent = url;
  byId(id).after(copyButton(what, () => url, byId(id)));
}
byId("demo").hidden = !demoKey;
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  open(field.value.trim());
});
byId("key-forget").addEventListener("click", forget);
byId("key-show").addEventListener("click", () => {
  const isShown = field.type === "password";
  field.type = isShown ? "text" : "password";
  byId("key-show").textContent = isShown ? "Hide" : "Show";
  byId("key-show").setAttribute("aria-pressed", isShown);
  showKey(isShown);
});
preparePlayground();
watchHealth();
if (!keyIsNeeded) {
  byId("key-form").replaceChildren(byId("key-title"));
  byId("key-title").textContent = "No key is needed here";
}
followAddress((isSeen) => {
  isDashboard = isSeen;
  showDashboard();
});
const known = currentKey() || demoKey;
if (known || !keyIsNeeded) open(known, { isQuiet: true });

/** Show all that a key opens; say so, unless the visitor has just come. */
async function open(key, { isQuiet = false } = {}) {
  const mine = ++latest;
  complain("");
  if (!key && keyIsNeeded) return complain("Type a key first.");
  if (!/^[ -~]*$/.test(key)) return complain("A key has letters without accents, digits and signs only.");
  field.value = key;
  const before = currentKey();
  keepKey(key);
  try {
    const [guide, listed] = await Promise.all([
      askJson(`web/guide?url=${encodeURIComponent(base)}`),
      askJson("v1/models"),
    ]);
    if (mine !== latest) return;
    show(guide, listed.data);
    const count = listed.data.length;
    if (!isQuiet) announce(`The key is good. ${count} ${count === 1 ? "model is" : "models are"} served.`);
  } catch (error) {
    if (mine !== latest) return;
    keepKey(error.status === 401 ? "" : before);
    lock(true);
    complain(error.message);
  }
}

function show(guide, models) {
  byId("version").textContent = guide.version;
  showTools(guide);
  offerModels(guide.chat_models, guide.best_model);
  showModels(models, guide.chat_models, tryModel);
  lock(false);
}

function forget() {
  latest++;
  keepKey("");
  field.value = "";
  lock(true);
  field.focus();
  announce("The key is deleted from this tab.");
}

/** Hide what only a key shows, or show it; what is hidden holds no key, and asks nothing with it any more. */
function lock(isLocked) {
  if (isLocked) {
    stopAsking();
    hideTools();
  }
  for (const part of document.querySelectorAll(".locked")) part.hidden = !isLocked;
  for (const part of document.querySelectorAll(".keyed")) part.hidden = isLocked;
  byId("key-forget")?.toggleAttribute("hidden", isLocked);
  showDashboard();
}

/** Connect the dashboard where it is seen and a key is known; its modules are loaded when they are first needed. */
async function showDashboard() {
  const isWanted = () => isDashboard && !byId("dashboard-content").hidden;
  if (isWanted()) dashboard ??= import("./dashboard/view.js").then(({ Dashboard }) => new Dashboard(refuse));
  (await dashboard)?.show(isWanted());
}

/** Ask for another key where the dashboard is refused, and forget one that the proxy does not accept any more. */
function refuse(message, status) {
  if (status !== 401) return byId("key-place-of-dashboard").hidden = false;
  latest++;
  keepKey("");
  lock(true);
  complain(message);
}

function complain(text) {
  const error = byId("key-error");
  if (error) error.textContent = text;
  else if (text) for (const part of document.querySelectorAll(".locked p, p.locked")) part.textContent = text;
  field.setAttribute("aria-invalid", Boolean(text));
  if (text) field.focus();
}
