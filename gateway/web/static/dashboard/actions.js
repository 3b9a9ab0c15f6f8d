// What may be changed from the dashboard, after a question where something is taken out.

import { ask } from "../api.js";
import { announce, byId } from "../dom.js";

const SHOWN = 6000; // milliseconds

/** What is asked before an action: a title, a text, and the label of the button that goes on. */
const QUESTIONS = {
  "drain": ({ name, model }) => ({
    title: `Drain ${name}?`, label: "Drain",
    text: `It finishes what it works on and gets no new requests for ${model}, until you restore it or the proxy starts again.`,
  }),
  "open-circuit": ({ name, model }) => ({
    title: `Open the circuit of ${name}?`, label: "Open the circuit",
    text: `It gets no requests for ${model} until its open time is over. Then a probe decides whether it gets more.`,
  }),
};
const DONE = {
  "drain": ({ name }) => `${name} is drained.`,
  "restore": ({ name }) => `${name} gets requests again.`,
  "open-circuit": ({ name }) => `The circuit of ${name} is open.`,
  "close-circuit": ({ name }) => `${name} may be selected again: its circuit is closed, and its cooldowns are over.`,
  "strategy": ({ model, strategy }) => `The strategy of ${model} is ${strategy}.`,
};
let timer = 0;

/** Do an action and say how it went; `button` gets the focus back. */
export async function act(action, { subaccount, deployment, model, strategy }, button) {
  const named = { name: `${subaccount}/${deployment}`, model, strategy };
  const question = QUESTIONS[action]?.(named);
  if (question && !(await confirmed(question))) return button.focus();
  button.focus();
  button.setAttribute("aria-busy", "true");
  const body = action === "strategy" ? { action, model, strategy } : { action, subaccount, deployment, model };
  try {
    await ask("router/actions", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    say(DONE[action](named), "good");
  } catch (error) {
    say(error.message, "bad");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

function say(text, look) {
  const result = byId("action-result");
  result.textContent = text;
  result.dataset.look = look;
  result.hidden = false;
  announce(text);
  clearTimeout(timer);
  timer = setTimeout(() => result.hidden = true, SHOWN);
}

/** Ask a question; give whether the answer is yes. Escape and "Cancel" mean no. */
function confirmed({ title, text, label }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = label;
  byId("confirm-yes").onclick = () => dialog.close("yes");
  byId("confirm-no").onclick = () => dialog.close("no");
  dialog.returnValue = "";
  dialog.showModal();
  byId("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
