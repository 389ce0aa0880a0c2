/**
 * The hub's signature key (WIRE D2): made at first start, kept in the state folder, never rotated
 * under a room. The Worker gets the file's text as its binding `HUB_KEYS`; no object stores it.
 */

import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";

import { readOrCreate } from "./files.js";

/** The content of `hub-keys.json`: one key per signature scheme; base64 with padding. */
export interface HubKeys {
  /** The 32-byte seed of the Ed25519 key, for MLS cipher suite 1. */
  readonly ed25519: string;
  /** Its 32-byte public key. */
  readonly public: string;
}

/** The file in the state folder that holds the hub's keys. */
export const HUB_KEYS_FILE = "hub-keys.json";

/** The hub's keys of this state folder, made if there are none. */
export async function hubKeys(stateFolder: string): Promise<HubKeys> {
  const path = join(stateFolder, HUB_KEYS_FILE);
  return JSON.parse(await readOrCreate(path, async () => JSON.stringify(generate()))) as HubKeys;
}

function generate(): HubKeys {
  const { d, x } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  if (d === undefined || x === undefined) {
    throw new TypeError("an Ed25519 key without its parts");
  }
  return { ed25519: base64(d), public: base64(x) };
}

function base64(base64url: string): string {
  return Buffer.from(base64url, "base64url").toString("base64");
}
