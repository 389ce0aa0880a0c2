// The operator's requests, `/admin/v1`: who may make them, and which of them is which.

import { storageVersion } from "#wasm/hub";
import { version } from "../../../npm/hub/package.json";
import { configOf, type Env } from "../core.js";
import { prometheus } from "../health.js";
import { log } from "../log.js";
import { metricsText } from "../metrics.js";
import { onPeer, peersOf } from "./peers.js";
import { CLASSES, ImportError, ask, countOf, exported, imported, objectsOf, type ClassName, type Question } from "./state.js";

/** What answers one of the operator's requests; `name` is what comes behind the path's first part. */
type Handler = (env: Env, name: string, request: Request) => Promise<Response>;

/** By method and first part of the path below /admin/v1. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  "GET config": async (env) => Response.json(configOf(env)),
  "GET status": async (env) => Response.json({ domain: configOf(env).domain, version, storage: storageVersion(), ...(await counts(env)) }),
  "GET rooms": (env, name) => (name === "" ? list(env, "HubRoom") : one(env, "describe", name)),
  "GET followed": (env) => list(env, "FollowedRoom"),
  "GET users": (env, name) => (name === "" ? list(env, "User") : one(env, "describe-user", name)),
  "DELETE users": (env, name) => one(env, "delete", name),
  "DELETE devices": (env, name) => one(env, "revoke", userOf(name), name),
  "GET peers": async (env) => Response.json(await peersOf(env)),
  "POST peers": (env, name) => act(env, "retry", name),
  "DELETE peers": (env, name) => act(env, "drop", name),
  "GET reports": (env) => one(env, "reports", ""),
  "GET metrics": async (env) => prometheus(metricsText(gauges(await counts(env)))),
  "GET export": async (env) => new Response(exported(env), { headers: { "content-type": "application/jsonl" } }),
  "POST import": takeIn,
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
  const [first = "", ...rest] = path.split("/");
  const handler = HANDLERS[`${request.method} ${first}`];
  if (handler === undefined) return new Response(null, { status: 404 });
  const response = await handler(env, decodeURIComponent(rest.join("/")), request);
  // What changes something leaves a line, whatever came of it.
  if (request.method !== "GET") log(env, "warn", { event: "operator", method: request.method, what: first, status: response.status });
  return response;
}

async function counts(env: Env): Promise<{ readonly rooms: number; readonly followedRooms: number; readonly users: number }> {
  const [rooms = 0, followedRooms = 0, users = 0] = await Promise.all(CLASSES.map((className) => countOf(env, className)));
  return { rooms, followedRooms, users };
}

function gauges({ rooms, followedRooms, users }: Awaited<ReturnType<typeof counts>>): Parameters<typeof metricsText>[0] {
  return {
    mimi_rooms: { help: "Rooms that this provider hosts.", value: rooms },
    mimi_followed_rooms: { help: "Rooms of other providers that users of this one take part in.", value: followedRooms },
    mimi_users: { help: "Users of this provider, pseudonyms included.", value: users },
  };
}

async function list(env: Env, className: ClassName): Promise<Response> {
  const listed = [];
  for await (const each of objectsOf(env, className)) listed.push(each);
  return Response.json(listed);
}

/** The user whose device this is. */
function userOf(device: string): string {
  return device.slice(0, device.lastIndexOf("/"));
}

async function act(env: Env, what: "retry" | "drop", peer: string): Promise<Response> {
  return (await onPeer(env, what, peer)) ? Response.json({}) : new Response(null, { status: 400 });
}

async function one(env: Env, what: Question, name: string, more?: string): Promise<Response> {
  const { status, json } = await ask(env, what, name, more);
  return status === 200 ? Response.json(json ?? {}) : new Response(null, { status });
}

async function takeIn(env: Env, _name: string, request: Request): Promise<Response> {
  try {
    return Response.json(await imported(env, request.body));
  } catch (error) {
    if (error instanceof ImportError) return new Response(error.message, { status: 409 });
    throw error;
  }
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
