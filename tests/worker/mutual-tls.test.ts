/**
 * Mutual TLS between providers: what the Worker learns of a peer's certificate, and what a peer
 * learns of ours.
 */

import assert from "node:assert/strict";
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";

import {
  createAuthority,
  developmentAuthority,
  issueCertificate,
  type CertifiedKey,
} from "../../js/hub/cli/certificates.js";
import { readOrCreate } from "../../js/hub/cli/files.js";
import { freePortPair, type Provider } from "../../js/hub/cli/provider-process.js";
import { MAX_REQUEST_BYTES } from "../../js/hub/cli/terminator.js";
import { buildStub, echo, folder, provider, send, type Seen } from "./cli-support.js";

const ALPHA = "alpha.example";
const BRAVO = "bravo.example";

let authority: CertifiedKey;
let alpha: Provider;
let bravo: Provider;

before(async () => {
  const worker = await buildStub();
  const [port, bravoPort] = [await freePortPair(), await freePortPair()];
  const stranger = await provider({
    domain: "delta.example",
    worker,
    caDir: join(folder, "other-ca"),
  });
  alpha = await provider({
    domain: ALPHA,
    worker,
    port,
    peers: [
      { domain: BRAVO, address: `127.0.0.1:${bravoPort + 1}` },
      { domain: "not-bravo.example", address: `127.0.0.1:${bravoPort + 1}` },
      { domain: "delta.example", address: new URL(stranger.mimiUrl).host },
      { domain: "down.example", address: `127.0.0.1:${(await freePortPair()) + 1}` },
    ],
  });
  bravo = await provider({ domain: BRAVO, worker, port: bravoPort });
  authority = await developmentAuthority(join(folder, "ca"));
});

/** RFC 9440's form of a certificate. */
function byteSequence(key: CertifiedKey): string {
  return `:${new X509Certificate(key.certificate).raw.toString("base64")}:`;
}

function arrives(as?: CertifiedKey, headers: Record<string, string | string[]> = {}): Promise<Seen> {
  return echo(alpha.mimiUrl, ALPHA, "/v1/echo", {
    headers: { from: `mimi@${BRAVO}`, ...headers },
    trust: authority.certificate,
    ...(as && { as }),
  });
}

test("r2_a_peer_with_a_valid_certificate_is_reported_with_it", async () => {
  const key = await issueCertificate(authority, BRAVO);
  const seen = await arrives(key);
  assert.deepEqual(seen.tlsClientAuth, {
    certPresented: "1",
    certVerified: "SUCCESS",
    certRevoked: "0",
    certRFC9440: byteSequence(key),
    certRFC9440TooLarge: false,
  });
  assert.equal(new X509Certificate(key.certificate).subjectAltName, `DNS:${BRAVO}`);
  assert.equal(seen.listener, "mimi");
  assert.equal(seen.url, `https://${ALPHA}/v1/echo`);
  assert.equal(seen.headers["from"], `mimi@${BRAVO}`);
});

test("r2_a_peer_without_a_certificate_is_reported_so", async () => {
  const { tlsClientAuth } = await arrives();
  assert.deepEqual(tlsClientAuth, {
    certPresented: "0",
    certVerified: "NONE",
    certRevoked: "0",
    certRFC9440: "",
    certRFC9440TooLarge: false,
  });
});

test("r2_a_certificate_of_another_authority_is_reported_as_failed", async () => {
  const key = await issueCertificate(await createAuthority("another CA"), BRAVO);
  const { tlsClientAuth } = await arrives(key);
  assert.equal(tlsClientAuth?.["certPresented"], "1");
  assert.match(String(tlsClientAuth?.["certVerified"]), /^FAILED:./);
  assert.equal(tlsClientAuth?.["certRFC9440"], byteSequence(key));
});

test("r2_an_authority_that_took_the_same_name_does_not_help", async () => {
  const { subject } = new X509Certificate(authority.certificate);
  const namesake = await createAuthority(subject.replace(/^CN=/, ""));
  assert.equal(new X509Certificate(namesake.certificate).subject, subject);
  const { tlsClientAuth } = await arrives(await issueCertificate(namesake, BRAVO));
  assert.match(String(tlsClientAuth?.["certVerified"]), /^FAILED:./);
});

test("r2_a_certificate_for_servers_only_is_reported_as_failed", async () => {
  const { tlsClientAuth } = await arrives(await issueCertificate(authority, BRAVO, ["serverAuth"]));
  assert.match(String(tlsClientAuth?.["certVerified"]), /^FAILED:./);
});

test("r3_a_certificate_of_another_domain_arrives_as_what_it_is", async () => {
  const key = await issueCertificate(authority, "charlie.example");
  const seen = await arrives(key);
  assert.equal(seen.tlsClientAuth?.["certVerified"], "SUCCESS");
  assert.equal(seen.tlsClientAuth?.["certRFC9440"], byteSequence(key));
  assert.equal(seen.headers["from"], `mimi@${BRAVO}`);
});

test("r2_what_a_peer_claims_about_its_certificate_in_headers_is_dropped", async () => {
  const key = await issueCertificate(authority, BRAVO);
  const claimed = { tlsClientAuth: { certPresented: "1", certVerified: "SUCCESS", certRFC9440: byteSequence(key) } };
  const headers = {
    "mImI-cF-bLoB": [JSON.stringify(claimed), JSON.stringify(claimed)],
    "Client-Cert": byteSequence(key),
    "Client-Cert-Chain": byteSequence(key),
    "X-Forwarded-Proto": "http",
  };
  for (const connection of ["close", "close, mimi-cf-blob, x-forwarded-proto"]) {
    const seen = await arrives(undefined, { ...headers, connection });
    assert.equal(seen.tlsClientAuth?.["certPresented"], "0");
    assert.equal(seen.tlsClientAuth?.["certVerified"], "NONE");
    assert.equal(seen.url, `https://${ALPHA}/v1/echo`);
    const left = Object.keys(seen.headers).filter((name) => /cert|blob|forwarded/.test(name));
    assert.deepEqual(left, []);
  }
});

test("r3_a_repeated_from_is_not_reduced_to_one", async () => {
  const { headers } = await arrives(undefined, { from: ["mimi@a.example", "mimi@b.example"] });
  assert.equal(headers["from"], "mimi@a.example, mimi@b.example");
});

test("r2_a_client_cannot_claim_a_certificate", async () => {
  const base = new URL(alpha.clientUrl).origin;
  const claimed = { tlsClientAuth: { certPresented: "1", certVerified: "SUCCESS" } };
  const headers = { "Mimi-Cf-Blob": JSON.stringify(claimed) };
  const seen = await echo(base, "localhost", "/client/v1/echo", { headers });
  assert.equal(seen.listener, "client");
  assert.equal(seen.tlsClientAuth, undefined);
});

test("r10_the_directory_is_served_without_a_certificate", async () => {
  const path = "/.well-known/mimi-protocol-directory";
  const seen = await echo(alpha.mimiUrl, ALPHA, path, { method: "GET" });
  assert.equal(seen.url, `https://${ALPHA}${path}`);
  assert.equal(seen.tlsClientAuth?.["certVerified"], "NONE");
});

test("r4_neither_listener_answers_on_the_paths_of_the_other", async () => {
  const clients = new URL(alpha.clientUrl).origin;
  const refused = [
    [clients, "/v1/echo"],
    [clients, "/client/v1/../../v1/echo"],
    [clients, "/client/v1/%2e%2e/%2E%2E/v1/echo"],
    [clients, "/client/v1x/echo"],
    [clients, "/.well-known/mimi-protocol-directory"],
    [clients, "/"],
    [alpha.mimiUrl, "/client/v1/echo"],
    [alpha.mimiUrl, "/v1/../client/v1/echo"],
    [alpha.mimiUrl, "/client/../v1/echo"],
    [alpha.mimiUrl, "/v1/%2e%2e/client/v1/echo"],
    [alpha.mimiUrl, "/v1\\..\\client/v1/echo"],
    [alpha.mimiUrl, "//alpha.example/v1/echo"],
    [alpha.mimiUrl, "https://alpha.example/v1/echo"],
    [alpha.mimiUrl, "/.well-known/mimi-protocol-directory/x"],
    [alpha.mimiUrl, "/"],
  ] as const;
  for (const [base, path] of refused) {
    const { status, body } = await send(base, ALPHA, path);
    assert.deepEqual([status, body.length], [404, 0], path);
  }
});

test("r11_an_encoded_path_reaches_the_worker_as_it_was_sent", async () => {
  const path = "/v1/echo/clubhouse%40alpha.example%2Fx?a=%20b";
  const { url } = await echo(alpha.mimiUrl, ALPHA, path);
  assert.equal(url, `https://${ALPHA}${path}`);
});

test("d18_a_body_of_the_largest_size_arrives_whole", async () => {
  const body = randomBytes(MAX_REQUEST_BYTES);
  const { sha256 } = await echo(alpha.mimiUrl, ALPHA, "/v1/echo", { body });
  assert.equal(sha256, createHash("sha256").update(body).digest("hex"));
});

test("d18_a_larger_body_is_refused", async () => {
  const announced = Buffer.alloc(MAX_REQUEST_BYTES + 1);
  const half = Buffer.alloc(MAX_REQUEST_BYTES / 2);
  for (const body of [announced, [half, half, Buffer.alloc(1)]]) {
    const { status } = await send(alpha.mimiUrl, ALPHA, "/v1/echo", { body });
    assert.equal(status, 413);
  }
});

test("d21_a_refusal_arrives_even_if_the_small_body_was_not_read", async () => {
  for (const bytes of [0, 1, 10_000]) {
    for (let repeat = 0; repeat < 50; repeat += 1) {
      const body = Buffer.alloc(bytes);
      assert.equal((await send(alpha.mimiUrl, ALPHA, "/v1/refuse", { body })).status, 403, `${bytes} bytes`);
    }
  }
});

test("r2_our_requests_carry_our_certificate_and_the_domain_of_the_peer", async () => {
  const body = randomBytes(100_000);
  const base = new URL(alpha.clientUrl).origin;
  const seen = await echo(base, "localhost", `/client/v1/ask/${BRAVO}`, { body });
  assert.equal(seen.settings.domain, BRAVO);
  assert.equal(seen.url, `https://${BRAVO}/v1/echo`);
  assert.equal(seen.headers["host"], BRAVO);
  assert.equal(seen.headers["from"], `mimi@${ALPHA}`);
  assert.equal(seen.sha256, createHash("sha256").update(body).digest("hex"));
  assert.equal(seen.tlsClientAuth?.["certVerified"], "SUCCESS");
  const der = Buffer.from(String(seen.tlsClientAuth?.["certRFC9440"]).slice(1, -1), "base64");
  assert.equal(new X509Certificate(der).subjectAltName, `DNS:${ALPHA}`);
});

const unreachable = {
  r2_a_peer_whose_certificate_is_of_another_domain_is_not_talked_to: "not-bravo.example",
  r2_a_peer_of_another_authority_is_not_talked_to: "delta.example",
  d13_a_peer_that_does_not_listen_is_unreachable: "down.example",
  d13_a_domain_that_is_not_listed_is_unreachable: "charlie.example",
};
for (const [name, domain] of Object.entries(unreachable)) {
  test(name, async () => {
    const base = new URL(alpha.clientUrl).origin;
    const { status } = await send(base, "localhost", `/client/v1/ask/${domain}`);
    assert.equal(status, 504);
  });
}

test("r2_providers_that_start_at_once_get_one_authority", async () => {
  const path = join(folder, "contended-ca");
  const all = await Promise.all(Array.from({ length: 8 }, () => developmentAuthority(path)));
  assert.equal(new Set(all.map((each) => JSON.stringify(each))).size, 1);
  assert.deepEqual((await readdir(path)).sort(), ["ca-certificate.pem", "ca.pem"]);
});

test("r2_whoever_makes_the_authority_later_takes_the_one_that_is_there", async () => {
  const path = join(folder, "contended");
  const later = await readOrCreate(path, async () => {
    assert.equal(await readOrCreate(path, async () => "first"), "first");
    return "second";
  });
  assert.equal(later, "first");
});

test("r2_each_side_verifies_the_certificate_of_the_other", async () => {
  const trust = authority.certificate;
  const seen = await echo(bravo.mimiUrl, BRAVO, "/v1/echo", { trust });
  assert.equal(seen.settings.domain, BRAVO);
  await assert.rejects(echo(bravo.mimiUrl, ALPHA, "/v1/echo", { trust }), {
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  });
});
