import type { UnixMillis } from "./message.js";

/** The connection to the own provider. */
export type Sync =
  | { readonly state: "offline"; readonly retryAt?: UnixMillis }
  | { readonly state: "connecting" | "live" }
  /**
   * What came while this device was away is being read, room by room: `done` of `total` rooms, the one that
   * is being read in part, so `done` is no whole number. It goes only up; when nothing came, this state is
   * left out.
   */
  | { readonly state: "catching-up"; readonly done: number; readonly total: number };

/** Where the work of a client is done. */
export interface Runtime {
  /** The thread that holds the device's state and its connection; of a guest, that of the owner's tab. */
  readonly thread: "worker" | "main";
  /** One tab owns the device's state. The others are its guests: they work through it, and one of them becomes the owner when it goes. */
  readonly tab: "owner" | "guest";
  /** Why it is not a worker although one was asked for, or why not the package's own file; for a developer's eyes. */
  readonly why?: string;
}
