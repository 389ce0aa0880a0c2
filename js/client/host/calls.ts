import type { ClientCore } from "#wasm/client";
import { MimiError } from "../errors.js";

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

/** Whether a value is what the core takes at its place. Anything else would trap there, or mean something else. */
type Fits = (value: unknown) => boolean;
const text: Fits = (value) => typeof value === "string";
const number: Fits = (value) => typeof value === "number";
const flag: Fits = (value) => typeof value === "boolean";
const bytes: Fits = (value) => Object.prototype.toString.call(value) === "[object Uint8Array]";
const texts: Fits = (value) => Array.isArray(value) && value.every(text);
const members: Fits = (value) => Array.isArray(value) && value.every((member: unknown) => {
  const { user, roles } = (member ?? {}) as { readonly user?: unknown; readonly roles?: unknown };
  return text(user) && texts(roles);
});
const maybe = (fits: Fits): Fits => (value) => value === undefined || value === null || fits(value);

/** What each call takes, but for the time. */
const TAKES: { readonly [N in CallName]: readonly Fits[] } = {
  history: [text, maybe(number), number],
  unsent: [text],
  safetyNumber: [text],
  epochCode: [text],
  exportSecret: [text, text, bytes, number],
  pseudonyms: [],
  send: [text, text, bytes],
  cancelMessage: [text, text],
  retryMessage: [text, text],
  discardMessage: [text, text],
  markRead: [text, number],
  cancel: [text, number],
  syncRooms: [],
  forgetPseudonym: [bytes],
  verify: [text, maybe(bytes)],
  forgetVerification: [text],
  requestPseudonym: [],
  revokeDevice: [text],
  deleteUser: [],
  replenishKeyPackages: [],
  rotateLastResort: [],
  requestConsent: [text, maybe(text)],
  cancelConsent: [text, maybe(text)],
  grantConsent: [text, maybe(text), flag],
  revokeConsent: [text, maybe(text)],
  createRoom: [text, text, flag, members],
  joinRoom: [text],
  addUser: [text, text, texts, flag, flag],
  removeUser: [text, text],
  setRoles: [text, text, texts],
  leave: [text],
  removeDevice: [text, text],
  setPolicy: [text, bytes],
  updateKeys: [text],
};

/** Throws `bad-argument` unless there is a call of this name that takes these arguments. */
export function requireCall(name: string, args: unknown): void {
  const takes = Object.hasOwn(TAKES, name) ? TAKES[name as CallName] : undefined;
  if (takes === undefined) throw new MimiError("bad-argument", "there is no such call");
  if (!Array.isArray(args) || args.length > takes.length || !takes.every((fits, index) => fits(args[index]))) {
    throw new MimiError("bad-argument", `an argument of ${name} is of another type`);
  }
}

/** Calls the core's method of this name. */
export function callCore(core: ClientCore, name: CallName, args: readonly unknown[], now: number): unknown {
  const method = core[name] as (...values: unknown[]) => unknown;
  const all = TAKES[name].map((_, index) => args[index]);
  return Reflect.apply(method, core, CALLS[name] === "read" ? all : [...all, now]);
}
