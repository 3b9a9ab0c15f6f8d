// Asks the proxy, with the visitor's key in a header.

import { currentKey, keyIsNeeded } from "./key.js";

/** Where the proxy is, as this browser reaches it; without a slash at its end. */
export const base = new URL(".", location.href).href.replace(/\/$/, "");

const ONLY_FROM_HERE = "This proxy has no keys, so this works only on its own machine, or with its IP address in the URL.";

/** An answer that is none; its message is for people, `status` 0 where nobody answered. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Ask for a path; raise `ApiError` unless the answer is good. */
export async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  const key = currentKey();
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(`${base}/${path}`, { cache: "no-store", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (error instanceof TypeError) throw new ApiError("The proxy does not answer. Check that it is running.", 0);
    throw error;
  }
  if (!answer.ok) throw new ApiError(await reason(answer), answer.status);
  return answer;
}

export const askJson = async (path) => (await ask(path)).json();

/** Say in plain words why an answer is an error. */
async function reason(answer) {
  if (answer.status === 401) return keyIsNeeded ? "The proxy does not accept this key. Where it runs, sap-ai-proxy connect key prints one." : ONLY_FROM_HERE;
  let message = "";
  try {
    message = (await answer.json()).error.message;
  } catch {
    // What is no JSON is no text for people either.
  }
  return message || `The proxy answered with status ${answer.status}.`;
}
