// Elements and their texts. What servers and visitors say becomes text, never HTML.

export const byId = (id) => document.getElementById(id);

/** Make an element; `properties` are attributes, or listeners where they are functions. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

/** Have a screen reader say something that others see elsewhere. */
export function announce(text) {
  const announcer = byId("announcer");
  announcer.textContent = "";
  requestAnimationFrame(() => announcer.textContent = text);
}
