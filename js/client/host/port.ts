// What passes between a face (what an application holds) and the host of its device, on whatever carries it:
// plain data that structured cloning keeps.

import type { CoreConsent } from "../consent.js";
import type { PlainError } from "../errors.js";
import type { CoreDelivery, CoreHistoryEntry } from "../message.js";
import type { CoreReading } from "../reading.js";
import type { CoreRoomState } from "../room-state.js";
import type { Sync } from "../sync.js";
import type { CoreTrust } from "../verification.js";
import type { CallName } from "./calls.js";
import type { CoreEvent } from "./engine.js";
import type { Exchange } from "./transport.js";

/** The version of these messages. A face and a host of different ones do not work together. */
export const PORT_VERSION = 1;

/** How the core tells a device. */
export interface CoreDevice { readonly uri: string; readonly registeredAt: number }
/** How the core tells what the own provider holds of this device's KeyPackages. */
export interface CoreStock { readonly available: number; readonly target: number; readonly lastResort: number; readonly nextExpiry?: number }

/** What a face shows. A push has what is another than before; `rooms` then those that are, `null` for one that is no more. */
export interface State {
  readonly sync: Sync;
  readonly rooms: readonly (readonly [room: string, state: CoreRoomState | null])[];
  /** What is to be read and to be sent, by room. */
  readonly readings: readonly (readonly [room: string, reading: CoreReading])[];
  /** Rooms that this device is not in and the user is. */
  readonly available: readonly string[];
  readonly devices: readonly CoreDevice[];
  readonly consent: { readonly incoming: readonly CoreConsent[]; readonly granted: readonly CoreConsent[] };
  readonly stock: CoreStock;
  /** The users who are not unverified. */
  readonly trust: readonly CoreTrust[];
}

/** All that a face needs to begin with. */
export interface Snapshot extends State {
  readonly user: string;
  readonly device: string;
  /** Where the host runs. */
  readonly thread: "worker" | "main";
  /** The newest position of each room's history. */
  readonly positions: Readonly<Record<string, number>>;
  /** What came after the positions that the face had seen. */
  readonly missed: readonly CoreHistoryEntry[];
  /** For a face that had another host before: where this device's messages are that are not in the log. */
  readonly unsent: readonly CoreDelivery[];
}

/** What a host tells its faces, in order. */
export type Push =
  | { readonly type: "state"; readonly state: Partial<State> }
  /** With the state that explains it. `awaited`: a call waits for what the event is about. */
  | { readonly type: "event"; readonly event: CoreEvent; readonly awaited: boolean; readonly state?: Partial<State> }
  | { readonly type: "exchange"; readonly exchange: Exchange }
  /** The store or the core failed; the host goes on from what is stored, as another one. */
  | { readonly type: "fault"; readonly what: "storage" | "core"; readonly error: PlainError }
  /** Nothing works any more. `expected`: the application asked for it. */
  | { readonly type: "end"; readonly error: PlainError; readonly expected: boolean };

/** From a face to its host. */
export type FromFace =
  /** It needs the host's work no more, or again. */
  | { readonly type: "rest"; readonly face: string; readonly rests: boolean }
  /** It begins, or goes on with another host: then `seen` has the position up to which it knows each room's messages. */
  | { readonly type: "attach"; readonly face: string; readonly version: number; readonly trace: boolean; readonly rests: boolean; readonly seen?: Readonly<Record<string, number>> }
  /** `again`: an earlier host may have taken it already; `intent` is then the number that it gave, if it did. */
  | { readonly type: "call"; readonly face: string; readonly call: number; readonly name: CallName; readonly args: readonly unknown[]; readonly again: boolean; readonly intent?: number }
  /** Nobody waits for this call any more. */
  | { readonly type: "release"; readonly face: string; readonly call: number };

/** From a host to one face (`to`) or to all; `host` tells it from the ones before it. */
export type FromHost = { readonly host: string } & (
  /** It has begun: faces attach. */
  | { readonly type: "hosting" }
  | { readonly type: "snapshot"; readonly to: string; readonly snapshot: Snapshot }
  /** The face cannot work with it. */
  | { readonly type: "refused"; readonly to: string; readonly error: PlainError }
  | { readonly type: "push"; readonly push: Push }
  | { readonly type: "answer"; readonly to: string; readonly call: number; readonly result: unknown }
  | { readonly type: "failure"; readonly to: string; readonly call: number; readonly error: PlainError }
  | { readonly type: "settled"; readonly to: string; readonly call: number; readonly result?: unknown; readonly error?: PlainError }
);

/** The way to a host, as a face has it. */
export interface Port { post(message: FromFace): void }

/** The way to faces, as a host has it. */
export interface Carrier {
  post(message: FromHost): void;
  /** Whether the faces on it go on with the next host when this one is closed. */
  readonly goesOn: boolean;
}
