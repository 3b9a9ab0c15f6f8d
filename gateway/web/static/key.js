// The visitor's key: kept in this tab, and nowhere else.

import { recall, remember } from "./tab.js";

const page = document.documentElement.dataset;

/** Whether the proxy asks for a key at all. */
export const keyIsNeeded = page.keyIsNeeded === "yes";
/** The key of a demo, which is no secret; empty where this is none. */
export const demoKey = page.demoKey;

/** The key that is used now; empty for none. */
export const currentKey = () => recall("key");
export const keepKey = (key) => remember("key", key);

/** What stands for the key in what is copied. */
export const keyToCopy = () => currentKey() || "any-key";
/** Whether the key is one that others should not see. */
export const keyIsSecret = () => keyIsNeeded && currentKey() !== demoKey;
