// What bodies say: read out of their fields, which `inspect` of @mimi-edge/client/low gives.

/** A field of a body, as `inspect` gives it. */
export interface Field {
  /** By the standards' names; the index for an item of a list, empty for the whole. */
  readonly name: string;
  /** In the TLS presentation language. */
  readonly type: string;
  /** Where its bytes are in the body. */
  readonly start: number;
  readonly end: number;
  /** Absent when it has parts, or is an `optional` that is not there. */
  readonly value?: string | number | bigint | boolean | Uint8Array;
  readonly fields?: readonly Field[];
}

/** Decodes a body of this endpoint, such as `update`; undefined when it is empty or is not known. */
export type Decoder = (endpoint: string, direction: "request" | "response", body: Uint8Array) => Field | undefined;

/** What is in a body, in a few words: "commit, Welcome"; empty when there is nothing of MLS in it. */
export function contentOf(body: Field | undefined): string {
  return [...new Set(messagesOf(body).map(({ name }) => name))].join(", ");
}

/** The step that a commit makes: "epoch 6 → 7". */
export function epochsOf(body: Field | undefined): string | undefined {
  const epoch = messagesOf(body).find(({ name }) => name === "commit")?.epoch;
  return epoch === undefined ? undefined : `epoch ${String(epoch)} → ${String(epoch + 1n)}`;
}

/** The name of a frame of a socket: "hello", "event". */
export function frameOf(body: Field | undefined): string | undefined {
  const frame = body && member(body, "frame");
  return typeof frame === "string" ? frame.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`) : undefined;
}

/** The MLS messages in a body, from outside in. */
function messagesOf(field: Field | undefined): { readonly name: string; readonly epoch?: bigint }[] {
  switch (field?.type.replace(/^optional<(.*)>$/, "$1")) {
    case undefined: return [];
    case "Welcome": return [{ name: "Welcome" }];
    case "PublicMessage":
    case "PrivateMessage": {
      const contentType = member(field, "contentType");
      return [{ name: contentType === "application" ? "message" : String(contentType), epoch: BigInt(String(member(field, "epoch"))) }];
    }
    default: return (field?.fields ?? []).flatMap(messagesOf);
  }
}

function member({ fields = [] }: Field, name: string): Field["value"] {
  return fields.find((field) => field.name === name)?.value;
}

/** One line of a struct that is shown. */
export interface Line {
  readonly name: string;
  readonly depth: number;
  /** Its length, with what says how long it is. */
  readonly bytes: number;
  /** Absent for what has fields of its own. */
  readonly value?: string;
  /** Why those who pass it on cannot read it; absent when they can. */
  readonly hidden?: string;
}

/** What only members of the group can read, and why it is there. */
const HIDDEN: Readonly<Record<string, string>> = {
  ciphertext: "what was said, encrypted for the room's members",
  encryptedSenderData: "which device said it",
  encryptedGroupSecrets: "the group's secrets, encrypted for the KeyPackage of the new device",
  encryptedGroupInfo: "the group's state, encrypted for the new devices",
  encryptedPathSecret: "new keys, encrypted for the members below this node",
};

/** The lines of a body, from its outside in. */
export function linesOf({ name, start, end, value, fields }: Field, depth = 0, inherited?: string): Line[] {
  const hidden = inherited ?? (Object.hasOwn(HIDDEN, name) ? HIDDEN[name] : undefined);
  const line = { name, depth, bytes: end - start, ...(hidden === undefined ? {} : { hidden }) };
  if (fields === undefined) return [{ ...line, value: value === undefined ? "absent" : valueOf(value) }];
  const isWhole = name === "";
  const lines = fields.flatMap((field) => linesOf(field, isWhole ? depth : depth + 1, hidden));
  if (isWhole) return lines;
  return fields.length === 0 ? [{ ...line, value: "none" }] : [line, ...lines];
}

const READABLE = /^[\x20-\x7e]+$/;
/** As many bytes of an `opaque` are shown. */
const SHOWN_BYTES = 16;

function valueOf(value: NonNullable<Field["value"]>): string {
  if (!(value instanceof Uint8Array)) return String(value);
  if (value.length === 0) return "empty";
  const text = new TextDecoder().decode(value);
  if (READABLE.test(text)) return text;
  const hex = [...value.subarray(0, SHOWN_BYTES)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return value.length > SHOWN_BYTES ? `${hex}… (${String(value.length)} bytes)` : hex;
}
