// The wasm core of an isolate: loaded once, replaced after a trap.

import module from "./hub.wasm";
import { Settings, __wbg_reset_state, initSync } from "#wasm/hub";
import type { FollowedRoom, HubRoom, User } from "./objects.js";

/** The Worker's bindings; js/hub/cli/workerd-config.ts says what each of them holds. */
export interface Env {
  HUB_ROOM: DurableObjectNamespace<HubRoom>;
  FOLLOWED_ROOM: DurableObjectNamespace<FollowedRoom>;
  USER: DurableObjectNamespace<User>;
  DOMAIN: string;
  HUB_KEYS: string;
  CONSENT: string;
  UNKNOWN_USERS?: string;
  RETENTION?: string;
  DEV?: string;
  TRACE?: string;
  PEERS?: Record<string, string>;
  [binding: string]: unknown;
}

initSync({ module });

/** Grows with each trap: what an object holds of an older epoch is gone. */
let epoch = 0;
let settings: Settings | undefined;

/** The provider's settings, parsed once per epoch. */
export function settingsOf(env: Env): Settings {
  settings ??= new Settings(
    env.DOMAIN,
    env.HUB_KEYS,
    env.CONSENT,
    env.UNKNOWN_USERS ?? "hidden",
    env.DEV === "1" ? "open" : "closed",
    env.RETENTION ?? "",
  );
  return settings;
}

/**
 * Calls the core in one transaction of the object's storage: an exception rolls everything back. A
 * trap also throws the instance away, so that the next call of any object starts from its storage.
 */
export function callCore<T>(storage: DurableObjectStorage | undefined, act: (epoch: number) => T): T {
  try {
    return storage === undefined ? act(epoch) : storage.transactionSync(() => act(epoch));
  } catch (error) {
    // A stack that overflows in wasm is a RangeError; it too leaves the instance half-way.
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
      __wbg_reset_state();
      settings = undefined;
      epoch += 1;
    }
    throw error;
  }
}
