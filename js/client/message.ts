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

/** How the core tells what became of a message. */
export interface CoreDelivery { readonly state: "queued" | "sending" | "accepted" | "failed"; readonly at?: UnixMillis; readonly code?: ErrorCode; readonly retryable?: boolean }

const decoder = new TextDecoder("utf-8", { fatal: true });

/** A message with its text, when it is one. */
export function message(parts: Omit<Message, "text">): Message {
  try {
    return { ...parts, text: decoder.decode(parts.bytes) };
  } catch {
    return parts;
  }
}

/** What became of a message, with the error as one. */
export function deliveryOf({ state, at, code, retryable }: CoreDelivery): Delivery {
  switch (state) {
    case "accepted": return { state, at: at ?? 0 };
    case "failed": return { state, error: new MimiError(code ?? "internal", "the message was not accepted", { retryable: retryable ?? false }) };
    default: return { state };
  }
}
