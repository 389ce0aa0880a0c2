// Who is signed in with the operator's accounts: a JSON Web Token that their issuer signed for this provider.

import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, jwtVerify, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { configOf, type Env } from "./core.js";
import { log } from "./log.js";

/** Signatures with public keys: never `none`, never a secret that is the public key's text. */
const ALGORITHMS = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** How far the issuer's clock may be from ours, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 60;

let keys: JWTVerifyGetKey | undefined;

/** The account that a request's bearer token is of; nothing when there is no token, or none that counts. */
export async function accountOf(request: Request, env: Env, id: string): Promise<string | undefined> {
  const { registration, clients: { jwt } } = configOf(env);
  const token = /^Bearer ([\w.~+/=-]+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (registration !== "jwt" || token === undefined) return undefined;
  try {
    keys ??= keysOf(env);
    const { payload } = await jwtVerify(token, keys, { issuer: jwt.issuer, audience: jwt.audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_SECONDS, requiredClaims: ["exp", jwt.userClaim] });
    const account = payload[jwt.userClaim];
    return typeof account === "string" ? account : undefined;
  } catch (error) {
    log(env, "warn", { event: "token refused", id, why: error instanceof errors.JOSEError ? error.code : String(error) });
    return undefined;
  }
}

function keysOf(env: Env): JWTVerifyGetKey {
  const { keysUrl, keys: given } = configOf(env).clients.jwt;
  if (keysUrl === "") return createLocalJWKSet(given as JSONWebKeySet);
  return createRemoteJWKSet(new URL(keysUrl), { [customFetch]: (url, init) => (env.ACCOUNTS ?? { fetch }).fetch(url, init) });
}
