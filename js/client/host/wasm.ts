import { __wbg_reset_state } from "#wasm/client";
import { Instance } from "./instance.js";

/** The wasm instance of this thread. */
export const instance = new Instance(__wbg_reset_state);
