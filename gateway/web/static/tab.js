// What this tab remembers until it is closed. Where a browser lets no page store anything, until it is loaded anew.

const PREFIX = "sap-ai-proxy-";
const inMemory = new Map();

/** Give what was remembered under a name; empty for nothing. */
export function recall(name) {
  try {
    return sessionStorage.getItem(PREFIX + name) ?? "";
  } catch {
    return inMemory.get(name) ?? "";
  }
}

export function remember(name, value) {
  try {
    sessionStorage.setItem(PREFIX + name, value);
  } catch {
    inMemory.set(name, value);
  }
}
