// What the hub says of itself: one JSON object per line. Never content or keys; users, rooms and devices as hashes
// that are the same in all lines of a provider and say nothing elsewhere.

import { configOf, type Env } from "./core.js";

type Level = "error" | "warn" | "info" | "debug";
/** What a line has beside its time and level. */
export interface Fields { readonly event: string; readonly [name: string]: string | number | boolean | undefined }

const ORDER: readonly Level[] = ["error", "warn", "info", "debug"];
/** Hexadecimal digits of a hash: enough to tell a provider's users apart. */
const HASH_DIGITS = 12;

/** Whether lines of this level are wanted. */
export function isLogged(env: Env, level: Level): boolean {
  return ORDER.indexOf(level) <= ORDER.indexOf(configOf(env).log.level);
}

/** Writes a line, if its level is wanted. */
export function log(env: Env, level: Level, fields: Fields): void {
  if (!isLogged(env, level)) return;
  const line = JSON.stringify({ at: new Date().toISOString(), level, ...fields });
  if (level === "error") console.error(line);
  else console.log(line);
}

/** The identifier of a user, room or device as logs have it: keyed by the hub's secret, so that nobody can try names out. */
export async function hashed(env: Env, identifier: string): Promise<string> {
  key ??= crypto.subtle.importKey("raw", new TextEncoder().encode(env.HUB_KEYS), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const digest = new Uint8Array(await crypto.subtle.sign("HMAC", await key, new TextEncoder().encode(identifier)));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, HASH_DIGITS);
}

let key: Promise<CryptoKey> | undefined;

/** The header in which a request's id goes from the device to every provider that it reaches, and back. */
export const REQUEST_ID = "mimi-request-id";
const ID = /^[\w-]{8,64}$/;

/** The id that came with a request, or a new one. */
export function requestIdOf(headers: Headers): string {
  const given = headers.get(REQUEST_ID);
  return given !== null && ID.test(given) ? given : newRequestId();
}

/** A new id. */
export function newRequestId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
