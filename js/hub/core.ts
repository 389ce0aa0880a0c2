// The wasm core of an isolate: loaded once, replaced after a trap.

import module from "./hub.wasm";
import { Settings, __wbg_reset_state, initSync } from "#wasm/hub";
import { readConfig, type HubConfig } from "./config/config.js";
import { count } from "./metrics.js";
import type { FollowedRoom, HubRoom, Provider, User } from "./objects.js";

/** The Worker's bindings; js/hub/cli/workerd-config.ts says what each of them holds. */
export interface Env {
  HUB_ROOM: DurableObjectNamespace<HubRoom>;
  FOLLOWED_ROOM: DurableObjectNamespace<FollowedRoom>;
  USER: DurableObjectNamespace<User>;
  PROVIDER: DurableObjectNamespace<Provider>;
  CONFIG: string;
  HUB_KEYS: string;
  /** JSON: the keys that sign our requests to other providers, as signature.ts has them. */
  PEER_KEYS?: string;
  ADMIN_TOKEN?: string;
  DEV?: string;
  TRACE?: string;
  PEERS?: Record<string, string>;
  /** Reaches the issuer of accounts, where that is not where everything is reached. */
  ACCOUNTS?: Fetcher;
  /** Reaches every other provider, with our certificate: on the edge. */
  PEER_MTLS?: Fetcher;
  [binding: string]: unknown;
}

initSync({ module });

/** Grows with each trap: what an object holds of an older epoch is gone. */
let epoch = 0;
let settings: Settings | undefined;
let config: HubConfig | undefined;
let given: string | undefined;

/** Takes the operator's configuration from the Worker that has it inside, instead of the binding. */
export function configure(text: string): void {
  given = text;
}

/** The operator's configuration, read once per isolate. Throws a ConfigError when it cannot be used. */
export function configOf(env: Env): HubConfig {
  return (config ??= readConfig(given ?? env.CONFIG, env).config);
}

/** The core's settings, parsed once per epoch. */
export function settingsOf(env: Env): Settings {
  return (settings ??= new Settings(env.HUB_KEYS, JSON.stringify(configOf(env))));
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
      count("mimi_traps_total");
      __wbg_reset_state();
      settings = undefined;
      epoch += 1;
    }
    throw error;
  }
}
