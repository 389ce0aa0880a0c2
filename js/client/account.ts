import type { Bytes, UnixMillis } from "./message.js";
import type { ClientUri, UserUri } from "./uri.js";

/** One device of the user. */
export interface Device {
  readonly uri: ClientUri;
  readonly user: UserUri;
  /** Whether it is this one. */
  readonly current: boolean;
  /** When it was registered, by the provider's clock. */
  readonly registeredAt: UnixMillis;
}

/**
 * An address of the user that nobody but the own provider can tell to be its own; for one room. Opens as
 * a client of its own: `Client.open({ ...pseudonym, provider, store })`, with a store of its own.
 */
export interface Pseudonym {
  /** The address. */
  readonly user: UserUri;
  /** Its client's key: whoever has these bytes is the pseudonym. */
  readonly pseudonym: Bytes;
}
