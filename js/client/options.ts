import type { Exchange } from "./host/transport.js";
import type { KeyPackageOptions } from "./key-packages.js";
import type { Signal } from "./live.js";
import type { WasmSource } from "./platform.js";
import type { Profile, Role } from "./room-state.js";
import type { Store } from "./store.js";
import type { StoreKey } from "./store/keys.js";
import type { UserUri } from "./uri.js";

/** How to open a client. */
export interface ClientOptions extends Signal {
  /** The user whose device this is. */
  readonly user: UserUri;
  /** When `user` is a pseudonym: the bytes of {@link Pseudonym}. Once it was opened, its store has them too. */
  readonly pseudonym?: Uint8Array;
  /** The base URL of the user's provider: `http://127.0.0.1:8801`. */
  readonly provider: string | URL;
  /**
   * Where state is kept. Default: IndexedDB, under the user's address, for all tabs of the origin. All in it is encrypted: with a key that the browser keeps and hands out to nobody, or
   * with `key`, which is then needed each time. `"memory"` keeps nothing beyond the page. In Node a
   * store must be given: that, or one's own.
   */
  readonly store?: { readonly name?: string; readonly key?: StoreKey } | "memory" | Store;
  /** Which KeyPackages the device has at its provider. Default: as before, at first 20 that are valid for 84 days. */
  readonly keyPackages?: KeyPackageOptions;
  /**
   * Whether the work is done in a worker, so that the page never waits for it. Default: yes, where there
   * are workers and neither `fetch`, `WebSocket` nor a store of the application's own is given, which
   * cannot go there; {@link Client.runtime} tells what came of it. A function makes a worker of a file
   * of the application's that imports `@mimi-edge/client/worker`, where a bundler or a Content Security
   * Policy needs that.
   */
  readonly worker?: boolean | (() => Worker);
  /**
   * A token of the provider's accounts (a JWT), or what gives one: asked for when the client is opened, for
   * a provider that registers devices of those alone who are signed in. It goes to the provider with the
   * registration, and nowhere else; once the device is registered it is not needed.
   */
  readonly auth?: string | (() => string | Promise<string>);
  /** Where the wasm comes from; see {@link init}. */
  readonly wasm?: WasmSource;
  /** Instead of the platform's. */
  readonly fetch?: typeof fetch;
  /** Instead of the platform's. */
  readonly WebSocket?: typeof WebSocket;
  /** Called for each exchange with the provider, of all tabs that have this device. */
  readonly trace?: (exchange: Exchange) => void;
}

/** How to create a room. */
export interface CreateRoomOptions extends Signal {
  /** The local part of the room's address; default: random. */
  readonly id?: string;
  /** How AppSync proposals travel. Default: `"B"`; `"A"` lets members in that use other MLS implementations. */
  readonly profile?: Profile;
  /** Whether the hub may propose to take out users whom their provider deleted. Default: yes. */
  readonly hubProposals?: boolean;
  /** Who is added once the room is there, as by {@link Room.add}. The call does not wait for them. */
  readonly users?: readonly { readonly user: UserUri; readonly roles?: readonly Role[] }[];
}

/** Whether a store is one of IndexedDB. */
export function isNamed(store: NonNullable<ClientOptions["store"]>): store is { readonly name?: string; readonly key?: StoreKey } {
  return store !== "memory" && !("apply" in store);
}
