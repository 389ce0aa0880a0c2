// The Worker: reads a request, asks the core which object it is for, and passes it on.

import { routeRequest } from "#wasm/hub";
import { callCore, settingsOf, type Env } from "./core.js";
import { readAtMost, type Answer } from "./http.js";
import { OBJECT_HEADER, callObject, stub, type ObjectCall } from "./objects.js";

export { FollowedRoom, HubRoom, User } from "./objects.js";

/** The listener through which a request came; the configuration sets it. */
interface Props { listener: "client" | "mimi" }
interface Routed { respond?: Answer; call?: ObjectCall; socket?: Pick<ObjectCall, "class" | "name"> }

/** The largest body of all endpoints; the core knows the limit of each. */
const MAX_BODY_BYTES = 8 << 20;

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext<Props>): Promise<Response> {
    const clients = ctx.props.listener === "client";
    if (clients && request.method === "OPTIONS") return withCors(request, env, new Response(null, { status: 204 }));
    const response = await respond(request, env, clients);
    return clients ? withCors(request, env, response) : response;
  },
};

async function respond(request: Request, env: Env, clients: boolean): Promise<Response> {
  const body = await readAtMost(MAX_BODY_BYTES, request.body);
  if (body === undefined) return new Response(null, { status: 413 });
  const { pathname, search } = new URL(request.url);
  let routed: Routed;
  try {
    const auth = clients ? undefined : (request.cf?.["tlsClientAuth"] ?? {});
    routed = callCore(undefined, () =>
      routeRequest(settingsOf(env), request.method, pathname + search, [...request.headers], body, auth as object | undefined)) as Routed;
  } catch (error) {
    console.error(`route: ${String(error)}`);
    return new Response(null, { status: 500 });
  }
  if (routed.respond !== undefined) return toResponse(routed.respond);
  if (routed.call !== undefined) return toResponse(await callObject(env, routed.call));
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return new Response(null, { status: 426 });
  const headers = new Headers(request.headers);
  headers.set(OBJECT_HEADER, encodeURIComponent(routed.socket!.name));
  return await stub(env, routed.socket!).fetch(new Request(request.url, { headers }));
}

function toResponse({ status, headers, body }: Answer): Response {
  return new Response(status === 204 || status === 304 ? null : body, { status, headers });
}

/** In development a page on any loopback origin may use the client API. */
function withCors(request: Request, env: Env, response: Response): Response {
  const origin = request.headers.get("origin");
  if (response.status === 101 || origin === null || env.DEV !== "1" || !isLoopback(origin)) return response;
  const allowed = new Response(response.body, response);
  allowed.headers.set("access-control-allow-origin", origin);
  allowed.headers.set("vary", "origin");
  allowed.headers.set("access-control-allow-methods", "GET, POST");
  allowed.headers.set("access-control-allow-headers", "authorization, content-type");
  allowed.headers.set("access-control-expose-headers", "www-authenticate, retry-after");
  allowed.headers.set("access-control-max-age", "600");
  return allowed;
}

function isLoopback(origin: string): boolean {
  try {
    return ["localhost", "127.0.0.1", "[::1]"].includes(new URL(origin).hostname);
  } catch {
    return false;
  }
}
