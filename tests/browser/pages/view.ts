// What a device shows of a room, to compare devices by.

import type { RoomState } from "../../../js/client/entry/web.js";

export interface View {
  readonly phase: string;
  readonly epoch: number;
  /** Hexadecimal. */
  readonly authenticator: string;
  /** With their roles. */
  readonly participants: readonly string[];
  /** The messages of its history, in order. */
  readonly texts: readonly string[];
  /** How many changes wait. */
  readonly pending: number;
}

/** A client, whichever build it is of. */
interface Shown { room(address: string): ShownRoom | undefined }
interface ShownRoom {
  readonly state: { get(): Pick<RoomState, "phase" | "epoch" | "authenticator"> & { readonly participants: readonly ShownParticipant[]; readonly pending: readonly unknown[] } };
  history(options: { readonly limit: number }): Promise<{ readonly items: readonly { readonly text?: string }[] }>;
}

interface ShownParticipant { readonly user: string; readonly roles: readonly string[] }

/** Undefined when the device has no such room. */
export async function viewOf(client: Shown, address: string): Promise<View | undefined> {
  const room = client.room(address);
  if (room === undefined) return undefined;
  const { items } = await room.history({ limit: 1_000 });
  const { phase, epoch, authenticator, participants, pending } = room.state.get();
  return {
    phase,
    epoch: Number(epoch),
    authenticator: Array.from(authenticator, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    participants: participants.map(({ user, roles }) => `${user} ${roles.join(" ")}`),
    texts: items.map(({ text }) => text ?? ""),
    pending: pending.length,
  };
}
