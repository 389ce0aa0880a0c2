// HTTP Message Signatures between providers: what is signed, and everything that is refused.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { Nonces, base, contentDigest, keySet, readKeySet, sign, verify, type PeerKey, type Signable } from "../../js/hub/signature.js";

const NOW = 1_800_000_000_000;
const REQUEST: Signable = { method: "POST", url: "https://bravo.example/v1/notify/club%40alpha.example", from: "mimi@alpha.example", body: new TextEncoder().encode("hello") };
const NONCE = "0123456789abcdef";

function newKey(kid: string): PeerKey {
  const { d = "", x = "" } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return { kid, d, x };
}

const KEY = newKey("one");

async function headersFor(request = REQUEST, key = KEY, created = NOW, nonce = NONCE): Promise<Headers> { return new Headers(await sign(request, key, created, nonce)); }

/** What comes of a request with these headers, where alpha has these keys. */
async function outcome(headers: Headers, { request = REQUEST, keys = [KEY], nonces = new Nonces(), now = NOW } = {}): Promise<string> {
  const result = await verify(request, headers, async (domain) => (domain === "alpha.example" ? readKeySet(keySet(keys)) : new Map()), nonces, now);
  return "domain" in result ? result.domain : result.refused;
}

test("the signature of RFC 9421, appendix B.2.6, is the one that we make of its base", async () => {
  const key = await crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", d: "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU", x: "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs" }, { name: "Ed25519" }, false, ["sign"]);
  const text = ['"date": Tue, 20 Apr 2021 02:07:55 GMT', '"@method": POST', '"@path": /foo', '"@authority": example.com', '"content-type": application/json', '"content-length": 18', '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"'].join("\n");
  const signature = Buffer.from(await crypto.subtle.sign({ name: "Ed25519" }, key, new TextEncoder().encode(text))).toString("base64");
  assert.equal(signature, "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==");
});

test("what is signed is method, authority, target, digest and From, and RFC 9530's digest is the known one", async () => {
  assert.equal(await contentDigest(new TextEncoder().encode('{"hello": "world"}')), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
  assert.equal(new TextDecoder().decode(base(REQUEST, "D", "P")), '"@method": POST\n"@authority": bravo.example\n"@target-uri": https://bravo.example/v1/notify/club%40alpha.example\n"content-digest": D\n"from": mimi@alpha.example\n"@signature-params": P');
});

test("r2_a_request_that_its_provider_signed_is_that_providers", async () => {
  assert.equal(await outcome(await headersFor()), "alpha.example");
});

test("r2_a_signature_that_is_forged_of_another_request_or_of_another_key_is_refused", async () => {
  const good = await headersFor();
  const wrong = "the signature is not of this request";
  assert.equal(await outcome(good, { request: { ...REQUEST, body: new Uint8Array(5) } }), "the digest is of another body");
  for (const change of [{ method: "GET" }, { url: "https://charlie.example/v1/notify/club%40alpha.example" }, { url: "https://bravo.example/v1/update/club%40alpha.example" }]) {
    assert.equal(await outcome(good, { request: { ...REQUEST, ...change } }), wrong, JSON.stringify(change));
  }
  assert.equal(await outcome(await headersFor(REQUEST, newKey("one"))), wrong, "another key of this name");
  assert.equal(await outcome(await headersFor(REQUEST, newKey("two"))), "no key of this provider");
  const as = { ...REQUEST, from: "mimi@charlie.example" };
  assert.equal(await outcome(await headersFor(as), { request: as }), "no key of this provider", "our key is not another domain's");
  const flipped = new Headers(good);
  flipped.set("signature", (good.get("signature") ?? "").replace(/^mimi=:./, (start) => `mimi=:${start.at(-1) === "A" ? "B" : "A"}`));
  assert.equal(await outcome(flipped), wrong);
});

test("d14_a_signature_that_is_old_or_of_the_future_or_was_used_is_refused", async () => {
  const minutes = 60_000;
  for (const created of [NOW - 6 * minutes, NOW + 6 * minutes]) assert.equal(await outcome(await headersFor(REQUEST, KEY, created)), "signed at another time");
  assert.equal(await outcome(await headersFor(REQUEST, KEY, NOW - 4 * minutes)), "alpha.example");
  const nonces = new Nonces();
  assert.equal(await outcome(await headersFor(), { nonces }), "alpha.example");
  assert.equal(await outcome(await headersFor(), { nonces }), "the signature was used before");
  assert.equal(await outcome(await headersFor(REQUEST, KEY, NOW, "another-nonce-0001"), { nonces }), "alpha.example");
});

test("r2_a_signature_that_leaves_something_out_is_refused", async () => {
  const good = await headersFor();
  for (const [part, instead] of [['"@target-uri" ', ""], ["tag=\"mimi\"", "tag=\"other\""], ['alg="ed25519"', 'alg="hmac-sha256"'], [";nonce=\"0123456789abcdef\"", ""], ["mimi=", "sig1="]] as const) {
    const headers = new Headers(good);
    headers.set("signature-input", (good.get("signature-input") ?? "").replace(part, instead));
    assert.equal(await outcome(headers), "a signature of another form", part);
  }
});

test("after a rotation both keys are taken, and one that is published no longer is not", async () => {
  const next = newKey("next");
  for (const key of [KEY, next]) assert.equal(await outcome(await headersFor(REQUEST, key), { keys: [next, KEY] }), "alpha.example");
  assert.equal(await outcome(await headersFor(), { keys: [next] }), "no key of this provider");
});
