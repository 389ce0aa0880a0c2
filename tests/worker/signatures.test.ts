// Providers that prove who they are by signatures alone.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { developmentAuthority, issueCertificate } from "../../js/hub/cli/certificates.js";
import { keySet, sign, type PeerKey } from "../../js/hub/signature.js";
import { person, type Person } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";
import { send } from "./cli-support.js";

const ALPHA = "alpha.example";
const BRAVO = "bravo.example";
const ROOM = `clubhouse@${ALPHA}`;
const PATH = "/v1/keyMaterial/bob%40bravo.example";
const KEYS = "/.well-known/http-message-signatures-directory";
let providers: Providers;
const people: Person[] = [];
/** A provider that is nowhere: its key is in the settings. */
const delta = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }) as { readonly d: string; readonly x: string };
const PINNED: PeerKey = { kid: "delta-1", d: delta.d, x: delta.x };

before(async () => { providers = await startProviders("build/hub/worker.js", { settings: { peers: { auth: ["signature"], deny: ["charlie.example"], keys: { "delta.example": keySet([PINNED]) } } }, onLog: () => undefined }); });
after(async () => {
  await Promise.all(people.map((one) => one.close()));
  await providers.stop();
});

/** Asks Bravo as somebody of this domain's certificate, with these headers more. */
async function ask(domain: string, headers: Record<string, string>): Promise<number> {
  const authority = await developmentAuthority(providers.caDir);
  const as = await issueCertificate(authority, domain);
  const { status } = await send(providers.provider(BRAVO).mimiUrl, BRAVO, PATH, { headers: { from: `mimi@${domain}`, ...headers }, body: Buffer.from("body"), as, trust: authority.certificate });
  return status;
}

async function signedBy(domain: string, nonce: string, claimed = domain): Promise<Record<string, string>> {
  const [key] = JSON.parse(await readFile(join(providers.state(domain), "peer-keys.json"), "utf8")) as PeerKey[];
  assert.ok(key);
  return await signedWith(key, nonce, claimed);
}

async function signedWith(key: PeerKey, nonce: string, claimed: string): Promise<Record<string, string>> {
  return Object.fromEntries(await sign({ method: "POST", url: `https://${BRAVO}${PATH}`, from: `mimi@${claimed}`, body: Buffer.from("body") }, key, Date.now(), nonce));
}

test("r2_providers_federate_by_signatures_alone", async () => {
  const alice = await person(`alice@${ALPHA}`, providers.url(ALPHA));
  const bob = await person(`bob@${BRAVO}`, providers.url(BRAVO));
  people.push(alice, bob);
  await alice.createRoom("clubhouse");
  assert.equal(await alice.add(ROOM, bob.user), 1);
  await until(async () => ((await bob.state(ROOM)) === undefined ? undefined : true), async () => "Bob does not come in");
  await bob.send(ROOM, "signed");
  await until(async () => ((await alice.received(ROOM)).length > 0 ? true : undefined), async () => "Alice has nothing");
});

test("r2_a_certificate_counts_nothing_where_signatures_are_asked_for", async () => {
  assert.equal(await ask(ALPHA, {}), 403);
});

test("r2_a_signature_counts_once_and_for_its_own_domain", async () => {
  const good = await signedBy(ALPHA, "a-nonce-of-the-test-1");
  // Past the door: the body is none.
  assert.equal(await ask(ALPHA, good), 400);
  assert.equal(await ask(ALPHA, good), 403);
  assert.equal(await ask(ALPHA, { ...(await signedBy(ALPHA, "a-nonce-of-the-test-2")), "content-digest": "sha-256=:AAAA:" }), 403);
  assert.equal(await ask("delta.example", await signedBy(ALPHA, "a-nonce-of-the-test-3", "delta.example")), 403);
});

test("r2_a_provider_that_is_denied_is_refused_although_it_signs", async () => {
  assert.equal(await ask("charlie.example", await signedBy("charlie.example", "a-nonce-of-the-test-4")), 403);
});

test("r2_a_key_that_is_in_the_settings_counts_and_is_not_fetched", async () => {
  assert.equal(await ask("delta.example", await signedWith(PINNED, "a-nonce-of-the-test-5", "delta.example")), 400);
  const d = { ...PINNED, ...(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }) as { readonly d: string; readonly x: string }) };
  assert.equal(await ask("delta.example", await signedWith(d, "a-nonce-of-the-test-6", "delta.example")), 403);
});

test("r2_whose_name_is_an_address_or_of_this_machine_alone_is_nobody", async () => {
  for (const [index, name] of ["127.0.0.1", "localhost"].entries()) {
    assert.equal(await ask(name, await signedWith(PINNED, `a-nonce-of-the-test-7${String(index)}`, name)), 403);
  }
});

test("the keys are published to anybody, without their secret halves", async () => {
  const { certificate: trust } = await developmentAuthority(providers.caDir);
  const { status, body } = await send(providers.provider(BRAVO).mimiUrl, BRAVO, KEYS, { method: "GET", body: Buffer.alloc(0), trust });
  assert.equal(status, 200);
  const { keys } = JSON.parse(body.toString()) as { keys: Record<string, string>[] };
  const [own] = JSON.parse(await readFile(join(providers.state(BRAVO), "peer-keys.json"), "utf8")) as PeerKey[];
  assert.deepEqual(keys, [{ kty: "OKP", crv: "Ed25519", use: "sig", kid: own?.kid, x: own?.x }]);
});
