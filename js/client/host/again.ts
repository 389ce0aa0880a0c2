import type { ClientCore } from "#wasm/client";
import { MimiError, isFromCore } from "../errors.js";
import type { ChangeKind, CorePending, CoreRoomState } from "../room-state.js";
import type { CallName } from "./calls.js";
import type { CoreDevice, FromFace } from "./port.js";

/** Calls that are made at most once in a room at a time, by what they leave to be done there. */
const SINGLE: { readonly [N in CallName]?: ChangeKind } = { createRoom: "create", joinRoom: "join", leave: "leave" };

/**
 * What became of a call that an earlier host of this device may have taken: the number of what is still to
 * be done for it, `done`, or `undefined` when the core has to be asked (again: what is fulfilled already
 * is done at once).
 */
export function askedBefore(core: ClientCore, { name, args, intent }: Extract<FromFace, { readonly type: "call" }>): number | "done" | undefined {
  if (name === "revokeDevice") return (core.devices() as CoreDevice[]).some(({ uri }) => uri === args[0]) ? undefined : "done";
  const [room] = args;
  if (typeof room !== "string" || !core.rooms().includes(room)) return undefined;
  // A room that is about to be created or joined has no state yet.
  const waiting = (core.pending(room) as CorePending[]).find(({ id, what }) => id === intent || what === SINGLE[name]);
  if (waiting !== undefined) return waiting.id;
  const phase = readRoom(core, room)?.phase;
  switch (name) {
    case "createRoom": return phase === undefined ? undefined : "done";
    case "joinRoom": return phase === "joined" ? "done" : undefined;
    case "leave": return phase === "left" ? "done" : undefined;
    default: return undefined;
  }
}

/** A room as the core has it: nothing of one that it cannot read, so that the others go on. */
export function readRoom(core: ClientCore, room: string): CoreRoomState | undefined {
  try {
    return core.roomState(room) as CoreRoomState | undefined;
  } catch (error) {
    if (isFromCore(error) || MimiError.is(error)) return undefined;
    throw error;
  }
}
