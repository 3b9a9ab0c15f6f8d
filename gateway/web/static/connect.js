// How each tool is connected: what the proxy says of it, with the visitor's key put in here.

import { copyButton } from "./copying.js";
import { byId, make } from "./dom.js";
import { keyIsSecret, keyToCopy } from "./key.js";
import { recall, remember } from "./tab.js";

const MASK = "••••••••";
let guide = null;
let isShown = false;

/** Show the tools of `found`, which is what the proxy says at `/web/guide`. */
export function showTools(found) {
  guide = found;
  const tools = guide.groups.flatMap((group) => group.tools);
  const wanted = recall("tool");
  const chosen = tools.find((tool) => tool.name === wanted) ?? tools[0];
  byId("tools").replaceChildren(...guide.groups.map((group) => pickers(group, chosen)));
  if (chosen) showSteps(chosen);
  else byId("steps").replaceChildren(make("p", {}, "No chat model is served, so there is nothing to connect to yet."));
}

/** Take away all that holds the key. */
export function hideTools() {
  byId("tools").replaceChildren();
  byId("steps").replaceChildren();
}

/** Show or hide the key in what is shown; what is copied always holds it. */
export function showKey(shown) {
  isShown = shown;
  for (const code of byId("steps").querySelectorAll("code")) code.dispatchEvent(new Event("key"));
}

function pickers(group, chosen) {
  const choices = group.tools.map((tool) => {
    const radio = make("input", {
      type: "radio", name: "tool", value: tool.name, checked: tool === chosen, change: () => showSteps(tool),
    });
    return make("label", {}, radio, make("span", {}, tool.title));
  });
  return make("fieldset", {}, make("legend", {}, group.title), ...choices);
}

function showSteps(tool) {
  const todo = steps(tool);
  remember("tool", tool.name);
  byId("steps").setAttribute("aria-label", `Steps for ${tool.title}`);
  byId("steps").replaceChildren(
    make("div", { class: "steps-head" },
      make("h3", {}, tool.title),
      make("a", { href: tool.source, target: "_blank", rel: "noreferrer" }, "Its documentation"),
    ),
    make("ol", { class: todo.filter((each) => !each.isAlternative).length > 1 && "numbered" }, ...todo.map(step)),
  );
}

/** List what to do: a title, in words what is copied, and its text in parts. */
function steps(tool) {
  const key = filled(guide.key_line, shellQuoted(keyToCopy()));
  const body = filled(tool.body.trimEnd(), tool.is_shell ? shellQuoted(keyToCopy()) : keyToCopy());
  const found = [];
  if (tool.is_shell) {
    found.push({
      title: `Put this into ${tool.into}`, what: `the commands for ${tool.title}`, parts: [...key, "\n", ...body],
    });
  } else {
    if (tool.takes_variable) {
      found.push({ title: "Set the key, in your shell", what: "the command that sets the key", parts: key });
    }
    found.push({ title: `Put this into ${tool.into}`, what: `the settings for ${tool.title}`, parts: body });
  }
  if (tool.command) {
    found.push({
      title: "Or, where sap-ai-proxy is installed, let it write the settings; --undo restores them",
      what: `the command that writes the settings of ${tool.title}`,
      parts: [...key, "\n", tool.command],
      isAlternative: true,
    });
  }
  return found;
}

function step({ title, what, parts, isAlternative }) {
  const code = make("code");
  const fill = () => code.replaceChildren(...parts.map(seen));
  code.addEventListener("key", fill);
  fill();
  const text = () => parts.map((part) => part.key ?? part).join("");
  return make("li", { class: isAlternative && "or" },
    make("div", { class: "step-head" }, make("h4", {}, title), copyButton(what, text, code)),
    make("pre", { tabindex: "0", role: "region", "aria-label": sentence(what) }, code),
  );
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

/** Cut a text at the placeholders, and put the key there: as an object, so that it can be hidden. */
function filled(text, key) {
  return text.split(guide.placeholder).flatMap((part, at) => (at ? [{ key }, part] : [part]));
}

/** Give what is seen of a part: a secret key only when the visitor wants to. */
function seen(part) {
  return part.key ? make("mark", {}, keyIsSecret() && !isShown ? MASK : part.key) : part;
}

/** Quote as a shell wants it. */
function shellQuoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
