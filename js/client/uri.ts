import { MimiError } from "./errors.js";

// `__uri` is in the types alone: a plain string is no address, and one kind is not another.

/** A user: `alice@alpha.example`, or `mimi://alpha.example/u/alice`. */
export type UserUri = string & { readonly __uri: "user" };
/** One device of a user: `alice@alpha.example/phone`, or `mimi://alpha.example/d/alice/phone`. */
export type ClientUri = string & { readonly __uri: "client" };
/** A room: `clubhouse@alpha.example`, or `mimi://alpha.example/r/clubhouse`. */
export type RoomUri = string & { readonly __uri: "room" };

/** The longest identifier, in bytes of UTF-8. */
const MAX_BYTES = 255;
/** Not empty, without `@`, `/`, space, control characters and halves of characters. */
const LOCAL = String.raw`[^@/ \p{Cc}\p{Cs}]+`;
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const DOMAIN = String.raw`${LABEL}(?:\.${LABEL})*`;

const MAIL = new RegExp(`^${LOCAL}@(?<domain>${DOMAIN})$`, "u");
const MAIL_CLIENT = new RegExp(`^${LOCAL}@(?<domain>${DOMAIN})/${LOCAL}$`, "u");
const MIMI_USER = new RegExp(`^mimi://(?<domain>${DOMAIN})/u/${LOCAL}$`, "u");
const MIMI_ROOM = new RegExp(`^mimi://(?<domain>${DOMAIN})/r/${LOCAL}$`, "u");
const MIMI_CLIENT = new RegExp(`^mimi://(?<domain>${DOMAIN})/d/${LOCAL}/${LOCAL}$`, "u");

function domainIn(text: string, forms: readonly RegExp[]): string | undefined {
  if (new TextEncoder().encode(text).length > MAX_BYTES) return undefined;
  for (const form of forms) {
    const domain = form.exec(text)?.groups?.["domain"];
    if (domain !== undefined && domain.length <= 253) return domain;
  }
  return undefined;
}

function parse<T extends string>(text: string, kind: string, forms: readonly RegExp[]): T {
  if (domainIn(text, forms) === undefined) throw new MimiError("bad-uri", `this is no ${kind} address`);
  return text as T;
}

/** Parses identifiers, once; afterwards they are only compared, byte by byte. Each throws `bad-uri`. */
export const uri = {
  /** A user's address. */
  user: (text: string): UserUri => parse(text, "user", [MAIL, MIMI_USER]),
  /** A room's address. */
  room: (text: string): RoomUri => parse(text, "room", [MAIL, MIMI_ROOM]),
  /** A device's address. */
  client: (text: string): ClientUri => parse(text, "client", [MAIL_CLIENT, MIMI_CLIENT]),
  /** The domain of the provider that the identifier belongs to. */
  domain(of: UserUri | RoomUri | ClientUri): string {
    const domain = domainIn(of, [MAIL, MAIL_CLIENT, MIMI_USER, MIMI_ROOM, MIMI_CLIENT]);
    if (domain === undefined) throw new MimiError("bad-uri", "this is no address");
    return domain;
  },
} as const;
