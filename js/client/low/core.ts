import { fromCore } from "../errors.js";
import type { Bytes } from "../message.js";

/** Calls the core; what it throws becomes a MimiError. */
export function call<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw fromCore(error);
  }
}

/** Bytes from the core: it copies them into a buffer of their own. */
export function owned(bytes: Uint8Array): Bytes { return bytes as Bytes; }
