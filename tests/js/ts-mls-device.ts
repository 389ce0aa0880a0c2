// A device at its provider, as another implementation of MLS would write it: it signs with ts-mls,
// encodes by itself, and knows of the provider what its client API's documentation says.

import { createHash, randomBytes } from "node:crypto";
import { decodeMlsMessage, type CiphersuiteImpl, type KeyPackage, type MLSMessage } from "ts-mls";
import { signWithLabel } from "ts-mls/crypto/signature.js";
import { decodeKeyPackage } from "ts-mls/keyPackage.js";
import { Reader, concat, text, uint, vector } from "./tls.js";

/** RFC 8446's SignatureScheme ed25519. */
const ED25519 = 0x0807;
const MLS10 = 1;
const FULL = 1;
const KEY_MATERIAL_SUCCESS = 0;
const NOTHING_COMPATIBLE = 3;

export interface Keys { readonly signKey: Uint8Array; readonly publicKey: Uint8Array }

/** An event of a room's log or of the inbox. */
export interface LogEvent {
  readonly room: string;
  readonly position: bigint;
  readonly message: MLSMessage;
  /** The message as it was fanned out. */
  readonly bytes: Uint8Array;
  /** The nodes that come with a Welcome: `optional<Node> ratchet_tree<V>`. */
  readonly tree?: Uint8Array;
}

/** An answer of the provider. */
export interface Answer { readonly status: number; readonly body: Uint8Array }

/** What a room asks of a KeyPackage (RFC 9420's RequiredCapabilities). */
export interface Required { readonly extensions: readonly number[]; readonly proposals: readonly number[]; readonly credentials: readonly number[] }

export class Device {
  /** The client's URI. */
  readonly client: string;
  readonly user: string;
  readonly keys: Keys;
  readonly #provider: string;
  readonly #suite: CiphersuiteImpl;

  private constructor(provider: string, client: string, keys: Keys, suite: CiphersuiteImpl) {
    this.#provider = provider;
    this.client = client;
    this.user = client.slice(0, client.indexOf("/"));
    this.keys = keys;
    this.#suite = suite;
  }

  /** A new device, registered. */
  static async register(provider: string, client: string, suite: CiphersuiteImpl): Promise<Device> {
    const device = new Device(provider, client, await suite.signature.keygen(), suite);
    const tbs = concat(text(client), uint(2, ED25519), vector(device.keys.publicKey));
    const { status } = await device.#fetch("POST", "/client/v1/devices", concat(tbs, vector(await device.#sign("MimiDevice", tbs))), {});
    if (status !== 201) throw new Error(`not registered: ${String(status)}`);
    return device;
  }

  async publish(keyPackages: readonly Uint8Array[]): Promise<void> {
    const { status } = await this.#signed("POST", "keyPackages", vector(...keyPackages));
    if (status !== 200) throw new Error(`KeyPackages not published: ${String(status)}`);
  }

  /** What is after this position in the inbox, or in a room's log. */
  async events(after: bigint, room?: string): Promise<LogEvent[]> {
    const path = room === undefined ? "inbox" : `events/${encodeURIComponent(room)}`;
    const { status, body } = await this.#signed("GET", `${path}?after=${String(after)}`);
    if (status === 404) return [];
    if (status !== 200) throw new Error(`no events: ${String(status)}`);
    return new Reader(body).elements(readEvent);
  }

  /** Claims a KeyPackage of each of a user's devices, for this room. */
  async claim(room: string, user: string, required: Required): Promise<{ readonly client: string; readonly keyPackage: KeyPackage }[]> {
    const numbers = (list: readonly number[]): Uint8Array => vector(...list.map((number) => uint(2, number)));
    const { status, body } = await this.#signed("POST", `keyMaterial/${encodeURIComponent(user)}`, concat(
      uint(1, MLS10), text(this.user), vector(text(user)), text(room), numbers([1]),
      numbers(required.extensions), numbers(required.proposals), numbers(required.credentials), uint(1, 0),
    ));
    if (status !== 200) throw new Error(`not claimed: ${String(status)}`);
    const answer = new Reader(body);
    const [, userStatus, target] = [answer.number(1), answer.number(1), answer.text()];
    if (target !== user) throw new Error(`KeyPackages of ${target}`);
    const clients = answer.elements((reader) => {
      const [clientStatus, client] = [reader.number(1), reader.text()];
      if (clientStatus === KEY_MATERIAL_SUCCESS) return [{ client, keyPackage: reader.with(decodeKeyPackage).value }];
      if (clientStatus === NOTHING_COMPATIBLE && reader.number(1) === 1) throw new Error("a client with other capabilities");
      return [];
    });
    if (userStatus !== KEY_MATERIAL_SUCCESS) throw new Error(`user status ${String(userStatus)}`);
    return clients.flat();
  }

  /** `POST update` and `POST submitMessage`. */
  async post(endpoint: "update" | "submitMessage", room: string, body: Uint8Array): Promise<Answer> {
    return this.#signed("POST", `${endpoint}/${encodeURIComponent(room)}`, body);
  }

  #sign(label: string, content: Uint8Array): Promise<Uint8Array> {
    return signWithLabel(this.keys.signKey, label, content, this.#suite.signature);
  }

  async #signed(method: "GET" | "POST", endpoint: string, body: Uint8Array = new Uint8Array()): Promise<Answer> {
    const path = `/client/v1/${endpoint}`;
    const [created, nonce] = [uint(8, Date.now()), vector(randomBytes(16))];
    const hash = createHash("sha256").update(body).digest();
    const tbs = concat(text(this.client), created, nonce, text(method), text(path), vector(hash));
    const auth = concat(text(this.client), created, nonce, vector(await this.#sign("MimiDeviceRequest", tbs)));
    return this.#fetch(method, path, body, { authorization: `Mimi-Device ${Buffer.from(auth).toString("base64url")}` });
  }

  async #fetch(method: "GET" | "POST", path: string, body: Uint8Array, headers: Record<string, string>): Promise<Answer> {
    const response = await fetch(this.#provider + path, {
      method, headers: { ...headers, "content-type": "application/octet-stream" },
      body: method === "GET" ? null : concat(body),
    });
    return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
  }
}

function readEvent(reader: Reader): LogEvent {
  const [room, position] = [reader.text(), reader.uint(8)];
  // The position of the event before it.
  reader.uint(8);
  const { value: message, bytes } = reader.with(decodeMlsMessage);
  // When the hub accepted it.
  reader.uint(8);
  if (message.wireformat !== "mls_welcome") return { room, position, message, bytes };
  if (reader.number(1) !== FULL) throw new Error("no tree");
  return { room, position, message, bytes, tree: vector(reader.vector()) };
}
