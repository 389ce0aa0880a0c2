import { MimiError } from "../errors.js";
import type { Bytes } from "../message.js";
import { Sealer, type SealedRow, type SealKeys } from "./seal.js";

/** A secret of the application: 32 random bytes, or an HKDF key that may derive keys. */
export type StoreKey = Uint8Array | CryptoKey;

/**
 * How a store's keys are kept in it: themselves, and they cannot be exported; or what they are derived
 * with from the application's secret, and a row by which a wrong secret shows.
 */
export type KeptKeys =
  | { readonly kind: "own"; readonly keys: SealKeys }
  | { readonly kind: "given"; readonly salt: Bytes; readonly check: SealedRow };

const SECRET_BYTES = 32;
const SALT_BYTES = 32;
const NAME = { name: "HMAC", hash: "SHA-256", length: 256 } as const;
const SEAL = { name: "AES-GCM", length: 256 } as const;
const EMPTY = new Uint8Array();

/** New keys for a new store. Rejects with `bad-argument` for a secret that is none. */
export async function makeKeys(secret: StoreKey | undefined): Promise<{ readonly kept: KeptKeys; readonly sealer: Sealer }> {
  if (secret === undefined) {
    const keys: SealKeys = {
      name: await crypto.subtle.generateKey(NAME, false, ["sign"]),
      seal: await crypto.subtle.generateKey(SEAL, false, ["encrypt", "decrypt"]),
    };
    return { kept: { kind: "own", keys }, sealer: new Sealer(keys) };
  }
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const sealer = new Sealer(await derive(secret, salt));
  return { kept: { kind: "given", salt, check: await sealer.seal({ key: EMPTY, value: EMPTY }) }, sealer };
}

/** The keys of a store that is there. Rejects with `storage-key` when they are another secret's. */
export async function openKeys(kept: KeptKeys, secret: StoreKey | undefined): Promise<Sealer> {
  if (kept.kind === "own") {
    if (secret !== undefined) throw wrongKey("this store was made without a key of the application");
    return new Sealer(kept.keys);
  }
  if (secret === undefined) throw wrongKey("this store needs the key with which it was made");
  const sealer = new Sealer(await derive(secret, kept.salt));
  await sealer.open(kept.check).catch((error: unknown) => { throw wrongKey("this store was made with another key", error); });
  return sealer;
}

async function derive(secret: StoreKey, salt: Bytes): Promise<SealKeys> {
  const base = await baseOf(secret);
  const from = (info: string): HkdfParams => ({ name: "HKDF", hash: "SHA-256", salt, info: new TextEncoder().encode(`mimi-edge store 2 ${info}`) });
  return {
    name: await crypto.subtle.deriveKey(from("name"), base, NAME, false, ["sign"]),
    seal: await crypto.subtle.deriveKey(from("seal"), base, SEAL, false, ["encrypt", "decrypt"]),
  };
}

async function baseOf(secret: StoreKey): Promise<CryptoKey> {
  if (ArrayBuffer.isView(secret)) {
    if (secret.length !== SECRET_BYTES) throw new MimiError("bad-argument", `a store's key has ${String(SECRET_BYTES)} bytes`);
    return await crypto.subtle.importKey("raw", secret as Bytes, "HKDF", false, ["deriveKey"]);
  }
  if (secret.algorithm.name !== "HKDF" || !secret.usages.includes("deriveKey")) throw new MimiError("bad-argument", "a store's CryptoKey is one of HKDF that may derive keys");
  return secret;
}

function wrongKey(message: string, cause?: unknown): MimiError {
  return new MimiError("storage-key", message, { cause });
}
