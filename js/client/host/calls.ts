import type { ClientCore } from "#wasm/client";

/**
 * How a call is answered. `read` and `step` at once; after a `step`, once what changed is stored. `ask` and
 * `change` with a number once the wish is stored, and again when it is done or given up: `ask` is about the
 * account, `change` about the room that the first argument names.
 */
export type Kind = "read" | "step" | "ask" | "change";

/** What a face may call: methods of the core. */
export const CALLS = {
  history: "read",
  unsent: "read",
  safetyNumber: "read",
  epochCode: "read",
  exportSecret: "read",
  pseudonyms: "read",
  send: "step",
  cancelMessage: "step",
  retryMessage: "step",
  discardMessage: "step",
  markRead: "step",
  cancel: "step",
  syncRooms: "step",
  forgetPseudonym: "step",
  verify: "step",
  forgetVerification: "step",
  requestPseudonym: "ask",
  revokeDevice: "ask",
  deleteUser: "ask",
  replenishKeyPackages: "ask",
  rotateLastResort: "ask",
  requestConsent: "ask",
  cancelConsent: "ask",
  grantConsent: "ask",
  revokeConsent: "ask",
  createRoom: "change",
  joinRoom: "change",
  addUser: "change",
  removeUser: "change",
  setRoles: "change",
  leave: "change",
  removeDevice: "change",
  setPolicy: "change",
  updateKeys: "change",
} as const satisfies { readonly [N in keyof ClientCore]?: Kind };

/** The name of a call. */
export type CallName = keyof typeof CALLS;
/** The names of calls that are answered once. */
export type OnceName = { [N in CallName]: (typeof CALLS)[N] extends "read" | "step" ? N : never }[CallName];
/** The names of calls that are answered, and later settled. */
export type AskName = Exclude<CallName, OnceName>;

type WithoutTime<P extends unknown[]> = P extends [...infer A, number] ? A : never;

/** What a call takes; the host adds the time. */
export type Args<N extends CallName> = (typeof CALLS)[N] extends "read" ? Parameters<ClientCore[N]> : WithoutTime<Parameters<ClientCore[N]>>;
/** What a call is answered with. */
export type Answer<N extends CallName> = ReturnType<ClientCore[N]>;

/** Calls the core's method of this name. */
export function callCore(core: ClientCore, name: CallName, args: readonly unknown[], now: number): unknown {
  const method = core[name] as (...values: unknown[]) => unknown;
  return Reflect.apply(method, core, CALLS[name] === "read" ? args : [...args, now]);
}
