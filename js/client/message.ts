import { MimiError, type ErrorCode } from "./errors.js";
import type { ClientUri, RoomUri, UserUri } from "./uri.js";

/** Milliseconds since 1970. */
export type UnixMillis = number;
/** Results are over their own buffer; arguments take any Uint8Array. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Where a message of this device is. */
export type Delivery =
  | { readonly state: "queued" | "sending" }
  | { readonly state: "accepted"; readonly at: UnixMillis }
  | { readonly state: "failed"; readonly error: MimiError };

/** A message in a room. */
export interface Message {
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
  readonly bytes: Bytes;
  /** The content, when it is UTF-8. */
  readonly text?: string;
  readonly delivery: Delivery;
}

/** How the core tells what became of a message of this device. */
export interface CoreDelivery {
  readonly room: string;
  readonly key: string;
  readonly content: Bytes;
  readonly state: "queued" | "sending" | "accepted" | "failed";
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
    key, position, room: room as RoomUri, sender: user as UserUri, device: sender as ClientUri, mine: user === self.user, epoch: BigInt(epoch), bytes: content,
    delivery: { state: "accepted", at },
  });
}

/** A message of this device, wherever it is. */
export function ownMessage({ user, device }: Self, delivery: CoreDelivery): Message {
  const { room, key, content } = delivery;
  return message({ key, room: room as RoomUri, sender: user, device, mine: true, bytes: content, delivery: deliveryOf(delivery) });
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
function deliveryOf({ state, at, code, retryable }: Pick<CoreDelivery, "state" | "at" | "code" | "retryable">): Delivery {
  switch (state) {
    case "accepted": return { state, at: at ?? 0 };
    case "failed": return { state, error: new MimiError(code ?? "internal", "the message was not accepted", { retryable: retryable ?? false }) };
    default: return { state };
  }
}
