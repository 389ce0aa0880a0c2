import { MimiError, type ErrorCode } from "./errors.js";
import type { ClientUri, RoomUri, UserUri } from "./uri.js";

/** Milliseconds since 1970. */
export type UnixMillis = number;
/** Results are over their own buffer; arguments take any Uint8Array. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Where a message of this device is. */
export type Delivery =
  /** It waits on this device. */
  | {
    readonly state: "queued";
    /** Takes it back. Resolves to false when that comes too late: it is on its way, or over. */
    cancel(): Promise<boolean>;
  }
  /** `sending`: on its way to the hub, again and again while that does not answer. `cancelled`: it is not there any more. */
  | { readonly state: "sending" | "cancelled" }
  /** The hub took it. */
  | { readonly state: "accepted"; readonly at: UnixMillis }
  /** Given up, and kept until one of these is called. */
  | {
    readonly state: "failed";
    readonly error: MimiError;
    /** Sends it again, after the others that wait, under its key. Rejects with `conflict` while this device is leaving the room. */
    retry(): Promise<void>;
    /** Forgets it. When the room was lost before the hub answered, others may have it all the same. */
    discard(): Promise<void>;
  };

/** A message in a room. */
export interface Message {
  /** Absent: it could be read. */
  readonly problem?: never;
  /** Never changes, from queued to accepted: the list key. */
  readonly key: string;
  /** Where it stands in the room's log; absent for one of this device that has not come back from there. */
  readonly position?: number;
  readonly room: RoomUri;
  readonly sender: UserUri;
  readonly device: ClientUri;
  readonly mine: boolean;
  /** The epoch in which it was encrypted; absent while it waits. */
  readonly epoch?: bigint;
  /** The hub's timestamp; of one that the hub has not taken, when it was written, by this device's clock. */
  readonly at: UnixMillis;
  readonly bytes: Bytes;
  /** The content, when it is UTF-8. */
  readonly text?: string;
  readonly delivery: Delivery;
}

/** A message in the room's log that this device cannot read; nobody can say whose it is. */
export interface UnreadableMessage {
  /** Why it cannot be read. */
  readonly problem: MimiError<"undecryptable">;
  /** The list key. */
  readonly key: string;
  /** Where it stands in the room's log. */
  readonly position: number;
  readonly room: RoomUri;
  readonly mine: false;
  /** The epoch in which it was encrypted. */
  readonly epoch: bigint;
  /** The hub's timestamp. */
  readonly at: UnixMillis;
  readonly sender?: never;
  readonly device?: never;
  readonly bytes?: never;
  readonly text?: never;
  readonly delivery: { readonly state: "accepted"; readonly at: UnixMillis };
}

/** What a room's history has: `item.problem === undefined` tells a {@link Message}. */
export type TimelineItem = Message | UnreadableMessage;

/** How the core tells what became of a message of this device. */
export interface CoreDelivery {
  readonly room: string;
  readonly key: string;
  readonly content: Bytes;
  readonly writtenAt: UnixMillis;
  readonly state: Delivery["state"];
  readonly at?: UnixMillis;
  readonly code?: ErrorCode;
  readonly retryable?: boolean;
}

/** How the core tells a message of a room's log. */
export interface CoreMessage {
  readonly room: string;
  readonly key: string;
  /** The user of the device that sent it. */
  readonly user: string;
  readonly sender: string;
  readonly epoch: number;
  readonly at: UnixMillis;
  readonly position: number;
  readonly content: Bytes;
}

/** How the core tells a message of a room's log that it cannot read. */
export interface CoreUndecryptable {
  readonly room: string;
  readonly key: string;
  readonly epoch: number;
  readonly at: UnixMillis;
  readonly position: number;
}

/** How the core tells what there is of a room's history. */
export type CoreHistoryEntry = ({ readonly type: "message" } & CoreMessage) | ({ readonly type: "undecryptable" } & CoreUndecryptable);

/** Random bytes of a message's key. */
const KEY_BYTES = 16;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** A new key for a message: what the core takes. */
export function messageKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The device whose messages are `mine`. */
export interface Self { readonly user: UserUri; readonly device: ClientUri }

/** A message of the log. */
export function messageOf(self: Self, { room, key, user, sender, epoch, at, position, content }: CoreMessage): Message {
  return message({
    key, position, room: room as RoomUri, sender: user as UserUri, device: sender as ClientUri, mine: user === self.user, epoch: BigInt(epoch), at, bytes: content,
    delivery: { state: "accepted", at },
  });
}

/** A message of the log that cannot be read. */
export function unreadableOf({ room, key, epoch, at, position }: CoreUndecryptable): UnreadableMessage {
  const problem = new MimiError("undecryptable", "this device cannot decrypt the message");
  return { problem, key, position, room: room as RoomUri, mine: false, epoch: BigInt(epoch), at, delivery: { state: "accepted", at } };
}

/** What there is of the log at one place. */
export function itemOf(self: Self, entry: CoreHistoryEntry): TimelineItem {
  return entry.type === "message" ? messageOf(self, entry) : unreadableOf(entry);
}

/** What can be done about messages of this device that are not in the log. */
export interface MessageActions {
  cancel(key: string): Promise<boolean>;
  retry(key: string): Promise<void>;
  discard(key: string): Promise<void>;
}

/** A message of this device, wherever it is. */
export function ownMessage({ user, device }: Self, delivery: CoreDelivery, actions: MessageActions): Message {
  const { room, key, content, writtenAt, at = writtenAt } = delivery;
  return message({ key, room: room as RoomUri, sender: user, device, mine: true, at, bytes: content, delivery: deliveryOf(delivery, actions) });
}

/** A message with its text, when it is one. */
function message(parts: Omit<Message, "text">): Message {
  try {
    return { ...parts, text: decoder.decode(parts.bytes) };
  } catch {
    return parts;
  }
}

/** What became of a message, with the error as one. */
function deliveryOf({ key, state, at, code, retryable }: CoreDelivery, { cancel, retry, discard }: MessageActions): Delivery {
  switch (state) {
    case "queued": return { state, cancel: () => cancel(key) };
    case "accepted": return { state, at: at ?? 0 };
    case "failed": {
      const error = new MimiError(code ?? "internal", "the message was not accepted", { retryable: retryable ?? false });
      return { state, error, retry: () => retry(key), discard: () => discard(key) };
    }
    default: return { state };
  }
}
