// Devices are registered by who is signed in with the operator's accounts, and by nobody else.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from "jose";
import { Client, uri } from "@mimi-edge/client";
import { startProviders, type Providers } from "../js/providers.js";

const ISSUER = "https://accounts.alpha.example";
const AUDIENCE = "mimi.alpha.example";
let providers: Providers;
let sign: (change?: { readonly sub?: string; readonly iss?: string; readonly aud?: string; readonly exp?: string; readonly nbf?: string; readonly kid?: string }) => Promise<string>;
let publicText: string;

before(async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" };
  publicText = JSON.stringify(jwk);
  sign = async ({ sub = "alice", iss = ISSUER, aud = AUDIENCE, exp = "5m", nbf = "0s", kid = "one" } = {}) =>
    await new SignJWT({}).setProtectedHeader({ alg: "ES256", kid }).setSubject(sub).setIssuer(iss).setAudience(aud).setExpirationTime(exp).setNotBefore(nbf).sign(privateKey);
  const settings = { registration: "jwt", clients: { jwt: { issuer: ISSUER, audience: AUDIENCE, keys: { keys: [jwk] } } } };
  providers = await startProviders("build/hub/worker.js", { settings, onLog: () => undefined });
});
after(() => providers.stop());

/** Tries to register a device of this user with a token; the status of the first answer to it. */
async function register(user: string, token: string | undefined): Promise<number> {
  let status: number | undefined;
  const client = await Client.open({
    user: uri.user(user), provider: providers.url("alpha.example"), store: "memory", ...(token === undefined ? {} : { auth: token }),
    trace: (exchange) => { if (exchange.path === "/client/v1/devices") status ??= exchange.status; },
  });
  for (const end = Date.now() + 10_000; status === undefined && Date.now() < end; await new Promise((resolve) => { setTimeout(resolve, 10); }));
  await client.close();
  return status ?? 0;
}

test("who is signed in registers devices of its own user, and of no other one", async () => {
  assert.equal(await register("alice@alpha.example", await sign()), 201);
  assert.equal(await register("carl@alpha.example", await sign({ sub: "carl@alpha.example" })), 201);
  assert.equal(await register("bob@alpha.example", await sign()), 401);
  assert.equal(await register("alice@alpha.example", undefined), 401);
});

test("a token that is forged, expired, not valid yet, for others or of an unknown key is refused", async () => {
  const { privateKey: other } = await generateKeyPair("ES256");
  const forged = await new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "one" }).setSubject("dora").setIssuer(ISSUER).setAudience(AUDIENCE).setExpirationTime("5m").sign(other);
  const withSecret = await new SignJWT({}).setProtectedHeader({ alg: "HS256", kid: "one" }).setSubject("dora").setIssuer(ISSUER).setAudience(AUDIENCE).setExpirationTime("5m").sign(new TextEncoder().encode(publicText));
  const none = new UnsecuredJWT({}).setSubject("dora").setIssuer(ISSUER).setAudience(AUDIENCE).setExpirationTime("5m").encode();
  for (const [what, token] of [
    ["forged", forged], ["signed with the public key as a secret", withSecret], ["not signed", none],
    ["expired", await sign({ sub: "dora", exp: "-5m" })], ["not valid yet", await sign({ sub: "dora", nbf: "5m", exp: "10m" })],
    ["for another audience", await sign({ sub: "dora", aud: "bravo.example" })], ["of another issuer", await sign({ sub: "dora", iss: "https://evil.example" })],
    ["of a key that is not known", await sign({ sub: "dora", kid: "two" })], ["no token", "hello"],
  ] as const) assert.equal(await register("dora@alpha.example", token), 401, what);
});

test("the token may come from a function", async () => {
  const client = await Client.open({ user: uri.user("erik@alpha.example"), provider: providers.url("alpha.example"), store: "memory", auth: () => sign({ sub: "erik" }) });
  for await (const { published } of client.keyPackages.stock) if (published > 0) break;
  await client.close();
});

test("d21_without_a_token_a_page_is_told_which_scheme_is_wanted", async () => {
  let wanted: string | null | undefined;
  const client = await Client.open({
    user: uri.user("fay@alpha.example"), provider: providers.url("alpha.example"), store: "memory",
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (String(input).endsWith("/client/v1/devices")) wanted ??= response.headers.get("www-authenticate");
      return response;
    },
  });
  for (const end = Date.now() + 10_000; wanted === undefined && Date.now() < end; await new Promise((resolve) => { setTimeout(resolve, 10); }));
  await client.close();
  assert.equal(wanted, "Bearer");
});
