/**
 * The keys that sign our requests to other providers (RFC 9421): the first signs, those after it are still
 * published. The Worker gets the file's text as its binding `PEER_KEYS`.
 */

import { createHash, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";

import type { PeerKey } from "../signature.js";
import { readOrCreate, replaceFile } from "./files.js";

export const PEER_KEYS_FILE = "peer-keys.json";
/** Those that are published beside the new one after a rotation. */
const MOST_OLD = 2;

/** Makes the keys of this folder, if there are none. */
export async function peerKeys(folder: string): Promise<readonly PeerKey[]> {
  const text = await readOrCreate(join(folder, PEER_KEYS_FILE), async () => JSON.stringify([generate()]));
  return JSON.parse(text) as readonly PeerKey[];
}

/** Has a new key sign from the next start on; the one before stays published for what it has signed. */
export async function rotatePeerKeys(folder: string): Promise<void> {
  const keys = [generate(), ...(await peerKeys(folder)).slice(0, MOST_OLD)];
  await replaceFile(join(folder, PEER_KEYS_FILE), JSON.stringify(keys));
}

/** A new key, named by its thumbprint (RFC 7638). */
function generate(): PeerKey {
  const { d = "", x = "" } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const kid = createHash("sha256").update(JSON.stringify({ crv: "Ed25519", kty: "OKP", x })).digest("base64url");
  return { kid, d, x };
}
