// The page about the HTTP API, followed with nothing but what Node has: no code of ours on the device's side.

import assert from "node:assert/strict";
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { startProviders, type Providers } from "../js/providers.js";

const CLIENT = "alice@alpha.example/phone";
let providers: Providers;
before(async () => { providers = await startProviders("build/hub/worker.js", { onLog: () => undefined }); });
after(() => providers.stop());

const u = (bytes: number, value: number | bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
};
/** `opaque x<V>`. */
const opaque = (content: Buffer | string): Buffer => {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes.length < 64 ? u(1, bytes.length) : u(2, 0x4000 | bytes.length), bytes]);
};
const signWithLabel = (key: KeyObject, label: string, content: Buffer): Buffer => sign(null, Buffer.concat([opaque(`MLS 1.0 ${label}`), opaque(content)]), key);

function auth(key: KeyObject, method: string, path: string, body = Buffer.alloc(0), created = Date.now(), nonce = randomBytes(16)): Buffer {
  const head = Buffer.concat([opaque(CLIENT), u(8, created), opaque(nonce)]);
  const hash = createHash("sha256").update(body).digest();
  return Buffer.concat([head, opaque(signWithLabel(key, "MimiDeviceRequest", Buffer.concat([head, opaque(method), opaque(path), opaque(hash)])))]);
}

test("the known answer of the page is what its rules give", () => {
  const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
  const key = createPrivateKey({ key: Buffer.from(`302e020100300506032b657004220420${seed}`, "hex"), format: "der", type: "pkcs8" });
  const header = `Authorization: Mimi-Device ${auth(key, "GET", "/client/v1/rooms", undefined, 1_800_000_000_000, Buffer.alloc(16, 7)).toString("base64url")}`;
  const [, said] = /known answer -->\n```text\n([^]*?)\n```/.exec(readFileSync("npm/hub/docs/http-client-api.md", "utf8")) ?? [];
  assert.equal(said?.replaceAll("\n", ""), header);
});

test("a device is registered, signs requests and opens its socket as the page says", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const tbs = Buffer.concat([opaque(CLIENT), u(2, 0x0807), opaque(Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url"))]);
  const registration = Buffer.concat([tbs, opaque(signWithLabel(privateKey, "MimiDevice", tbs))]);
  const base = providers.url("alpha.example");
  const register = async (): Promise<number> => (await fetch(`${base}/client/v1/devices`, { method: "POST", body: new Uint8Array(registration) })).status;
  assert.deepEqual([await register(), await register()], [201, 200]);

  const ask = async (path: string, proof: Buffer): Promise<Response> => await fetch(base + path, { headers: { authorization: `Mimi-Device ${proof.toString("base64url")}` } });
  const proof = auth(privateKey, "GET", "/client/v1/devices");
  const answer = await ask("/client/v1/devices", proof);
  assert.equal(answer.status, 200);
  const list = Buffer.from(await answer.arrayBuffer());
  assert.deepEqual(list.subarray(0, 1 + 1 + CLIENT.length), Buffer.concat([u(1, CLIENT.length + 9), opaque(CLIENT)]));
  const again = await ask("/client/v1/devices", proof);
  assert.deepEqual([again.status, again.headers.get("www-authenticate")], [401, "Mimi-Device"], "a nonce is used once");
  assert.equal((await ask("/client/v1/rooms", auth(privateKey, "GET", "/client/v1/devices"))).status, 401, "a proof is of its path");

  const path = `/client/v1/socket/${encodeURIComponent(CLIENT)}`;
  const socket = new WebSocket(base.replace("http", "ws") + path);
  const first = await new Promise<Buffer>((resolve, reject) => {
    socket.on("open", () => { socket.send(Buffer.concat([u(1, 1), auth(privateKey, "GET", path), u(1, 0)])); });
    socket.on("message", (data: Buffer) => { resolve(data); });
    socket.on("close", (code) => { reject(new Error(`closed with ${String(code)}`)); });
  });
  assert.deepEqual(first, u(1, 4), "caught up");
  socket.terminate();
});
