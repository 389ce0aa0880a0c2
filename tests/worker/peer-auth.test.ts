/**
 * The hub's Worker behind mutual TLS: whom it lets in.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";

import {
  createAuthority,
  developmentAuthority,
  issueCertificate,
  type CertifiedKey,
} from "../../js/hub/cli/certificates.js";
import type { Provider } from "../../js/hub/cli/provider-process.js";
import { folder, provider, send, type Answer } from "./cli-support.js";

const ALPHA = "alpha.example";
const BRAVO = "bravo.example";
const ENDPOINTS = ["keyMaterial/alice", "update/room", "notify/room", "submitMessage/room", "groupInfo/room"];

let authority: CertifiedKey;
let alpha: Provider;

before(async () => {
  alpha = await provider({ domain: ALPHA, worker: "build/hub/worker.js" });
  authority = await developmentAuthority(join(folder, "ca"));
});

function post(endpoint: string, as?: CertifiedKey, host = ALPHA): Promise<Answer> {
  return send(alpha.mimiUrl, host, `/v1/${endpoint}%40${ALPHA}`, {
    headers: { from: `mimi@${BRAVO}`, "content-type": "application/octet-stream" },
    body: Buffer.from([1]),
    ...(as && { as }),
  });
}

/** The databases of all objects: none as long as no object has been asked anything. */
async function databases(): Promise<string[]> {
  const objects = join(folder, ALPHA, "objects");
  const names = existsSync(objects) ? await readdir(objects, { recursive: true }) : [];
  return names.filter((name) => /^(HubRoom|FollowedRoom|User)\/[0-9a-f]{16,}.*sqlite$/.test(name));
}

const strangers: Record<string, () => Promise<CertifiedKey | undefined>> = {
  r2_a_peer_without_a_certificate_is_refused: async () => undefined,
  r2_a_peer_of_another_authority_is_refused: async () =>
    issueCertificate(await createAuthority("another CA"), BRAVO),
  r2_a_peer_with_a_certificate_for_servers_only_is_refused: () =>
    issueCertificate(authority, BRAVO, ["serverAuth"]),
  r3_a_peer_of_another_domain_is_refused: () => issueCertificate(authority, "charlie.example"),
};
for (const [name, certificate] of Object.entries(strangers)) {
  test(name, async () => {
    const as = await certificate();
    for (const endpoint of ENDPOINTS) {
      assert.equal((await post(endpoint, as)).status, 403, endpoint);
    }
    assert.deepEqual(await databases(), []);
  });
}

test("r3_a_host_that_is_not_ours_is_misdirected", async () => {
  const key = await issueCertificate(authority, BRAVO);
  assert.equal((await post("groupInfo/room", key, "other.example")).status, 421);
  assert.deepEqual(await databases(), []);
});

test("r2_a_peer_with_the_certificate_of_its_domain_is_let_in", async () => {
  const key = await issueCertificate(authority, BRAVO);
  // The room's object says that this is no request.
  assert.equal((await post("groupInfo/room", key)).status, 400);
  assert.notDeepEqual(await databases(), []);
});

test("d21_a_page_can_read_why_it_is_not_signed_in", async () => {
  const ask = (origin: string): Promise<Response> => fetch(`${alpha.clientUrl}/rooms`, { headers: { origin } });
  const refused = await ask("http://localhost:8000");
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get("www-authenticate"), "Mimi-Device");
  assert.equal(refused.headers.get("access-control-allow-origin"), "http://localhost:8000");
  assert.equal(refused.headers.get("access-control-expose-headers"), "www-authenticate, retry-after, mimi-request-id");
  const elsewhere = await ask("https://localhost.example");
  assert.equal(elsewhere.status, 401);
  assert.equal(elsewhere.headers.get("access-control-allow-origin"), null);
});
