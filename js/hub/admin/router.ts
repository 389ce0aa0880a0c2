// The operator's requests, `/admin/v1`: who may make them, and which of them is which.

import { configOf, type Env } from "../core.js";

/** What answers one of the operator's requests. */
type Handler = (request: Request, env: Env) => Promise<Response>;

/** By method and path below /admin/v1. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  "GET config": async (_request, env) => Response.json(configOf(env)),
};

/**
 * Answers an operator. Whoever `isTrusted` came by a socket that only the operator can open; others need
 * the secret ADMIN_TOKEN, and where there is none there is nothing here.
 */
export async function administer(request: Request, env: Env, isTrusted: boolean): Promise<Response> {
  if (!isTrusted) {
    if (!env.ADMIN_TOKEN) return new Response(null, { status: 404 });
    if (!(await isToken(request.headers.get("authorization"), env.ADMIN_TOKEN))) {
      return new Response(null, { status: 401, headers: { "www-authenticate": "Bearer" } });
    }
  }
  const path = new URL(request.url).pathname.replace(/^\/admin\/v1\//, "");
  const handler = HANDLERS[`${request.method} ${path}`];
  return handler === undefined ? new Response(null, { status: 404 }) : await handler(request, env);
}

/** Compares digests: how long it takes says nothing about the token. */
async function isToken(authorization: string | null, token: string): Promise<boolean> {
  const [given, wanted] = await Promise.all([authorization ?? "", `Bearer ${token}`].map(sha256));
  let difference = 0;
  for (const [index, byte] of wanted!.entries()) difference |= byte ^ given![index]!;
  return difference === 0;
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
