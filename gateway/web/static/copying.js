// Buttons that copy, and say so.

import { announce, make } from "./dom.js";

const SHOWN = 2000; // milliseconds

/** Make a button that copies what `text()` gives; `what` says it to screen readers, `source` shows it. */
export function copyButton(what, text, source) {
  const label = make("span", {}, "Copy");
  const button = make("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, label);
  let timer = 0;
  button.addEventListener("click", async () => {
    const copied = await copy(text());
    if (!copied) select(source, text());
    label.textContent = copied ? "Copied" : "Press Ctrl+C";
    button.dataset.state = copied ? "done" : "manual";
    announce(copied ? `Copied ${what}.` : `The browser does not let pages copy. The text is selected: press Ctrl+C.`);
    clearTimeout(timer);
    timer = setTimeout(() => {
      label.textContent = "Copy";
      delete button.dataset.state;
    }, SHOWN);
  });
  return button;
}

/** Copy a text; give whether that went well. By plain http from another machine, browsers have the old way only. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByCommand(text);
  }
}

function copyByCommand(text) {
  const focused = document.activeElement;
  const field = make("textarea", { class: "unseen", "aria-hidden": "true", tabindex: "-1" });
  field.value = text;
  document.body.append(field);
  field.select();
  let copied = false;
  try {
    copied = document.execCommand("copy");
  } catch {
    // Not allowed.
  }
  field.remove();
  focused?.focus();
  return copied;
}

/** Show the whole text and select it, so that it can be copied by hand. */
function select(element, text) {
  element.textContent = text;
  getSelection().selectAllChildren(element);
}
