import type { ConsentRequest } from "./consent.js";
import type { MimiError } from "./errors.js";
import type { Message, UnreadableMessage } from "./message.js";
import type { Room } from "./room.js";
import type { Change } from "./room-state.js";
import type { ClientUri, RoomUri, UserUri } from "./uri.js";

/** What a {@link Client} tells its application; the state that explains an event is there before it. */
export interface ClientEvents {
  /** A room is there: created here, or joined because somebody added this user. */
  room: Room;
  /** A message came, or one of this device is somewhere else (same key); {@link Room.history} has those that came before. */
  message: Message;
  /** Something came that this device cannot read; the room goes on. */
  undecryptable: UnreadableMessage;
  /**
   * Events of a room are gone, and this device joins it anew by itself; a second time, with
   * `rejoined`, when it is in again. What was sent in between cannot be read.
   */
  gap: { readonly room: RoomUri; readonly rejoined: boolean };
  /** The hub accepted what this device has to reject: nothing is sent there until it has joined anew, as after a gap. */
  diverged: { readonly room: RoomUri; readonly rejoined: boolean };
  /** Somebody asks to be allowed to add this user to rooms. */
  consent: ConsentRequest;
  /** Somebody allows this user to add it, to this room or to any. */
  consentGranted: { readonly user: UserUri; readonly room?: RoomUri };
  /**
   * The own user has other devices than before, or another user has in the rooms that this device is in
   * (each change once, also one from while this device was away). A device with another key is both
   * added and removed. Users whom this device meets or sees no more have not changed, unless one who was
   * verified comes back with other devices. {@link Verification.trust} and the rooms show it already.
   */
  devices: { readonly user: UserUri; readonly added: readonly ClientUri[]; readonly removed: readonly ClientUri[] };
  /**
   * A change was given up for which no call waits: it was asked for before a reload, or by
   * {@link Client.createRoom}, or the wait has ended, by a signal or with `waiting-consent`. What the
   * application itself took back is none.
   */
  changeFailed: { readonly room: RoomUri; readonly what: Change["what"]; readonly user?: UserUri; readonly error: MimiError };
  /**
   * Something could not be stored (`storage-full`), or something else closed the database. The call that it
   * was for is rejected; what was stored before stays, and this client goes on from there.
   */
  storage: MimiError;
  /**
   * This package met a fault of its own (`internal`): something to report. The call that met it is rejected,
   * and this client goes on from what is stored.
   */
  fault: MimiError;
  /** Something failed in the background: nothing works any more until this client is closed and opened again. */
  error: MimiError;
}
