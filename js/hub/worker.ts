// The Worker: reads a request, asks the core which object it is for, and passes it on.

import { routeRequest } from "#wasm/hub";
import { administer } from "./admin/router.js";
import { callCore, configure, settingsOf, type Env } from "./core.js";
import { readAtMost, type Answer } from "./http.js";
import { OBJECT_HEADER, callObject, stub, type ObjectCall } from "./objects.js";
import { traceClient, traceClock, type TracedRequest } from "./trace.js";

export { FollowedRoom, HubRoom, User } from "./objects.js";

/** The listener through which a request came; where there is one socket for each, the runtime says it. */
type Listener = "client" | "mimi" | "admin";
interface Props { listener?: Listener }
interface Routed { respond?: Answer; call?: ObjectCall; socket?: SocketObject }
/** The object that holds a socket. */
type SocketObject = Pick<ObjectCall, "class" | "name">;

/** The largest body of all endpoints; the core knows the limit of each. */
const MAX_BODY_BYTES = 8 << 20;

const worker = {
  async fetch(request: Request, env: Env, ctx: ExecutionContext<Props>): Promise<Response> {
    const listener = listenerOf(request, ctx.props);
    if (listener === "admin") return await administer(request, env, ctx.props.listener === "admin");
    const clients = listener === "client";
    if (clients && request.method === "OPTIONS") return withCors(request, env, new Response(null, { status: 204 }));
    const response = await respond(request, env, clients);
    return clients ? withCors(request, env, response) : response;
  },
};

export default worker;

/** The Worker with the operator's configuration, the text of hub.jsonc. */
export function provider(config: string): typeof worker {
  configure(config);
  return worker;
}

/** On the edge all come through one: there the path decides. */
function listenerOf(request: Request, props: Props | undefined): Listener {
  if (props?.listener !== undefined) return props.listener;
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/client/v1/")) return "client";
  return pathname.startsWith("/admin/v1/") ? "admin" : "mimi";
}

async function respond(request: Request, env: Env, clients: boolean): Promise<Response> {
  const at = traceClock();
  const body = await readAtMost(MAX_BODY_BYTES, request.body);
  if (body === undefined) return new Response(null, { status: 413 });
  const { pathname, search } = new URL(request.url);
  const asked = { method: request.method, path: pathname + search, headers: [...request.headers] as [string, string][], body };
  const { answer, socket } = await findAnswer(asked, env, clients ? undefined : (request.cf?.["tlsClientAuth"] ?? {}));
  if (answer !== undefined) {
    if (clients) traceClient(env, at, asked, answer);
    return toResponse(answer);
  }
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return new Response(null, { status: 426 });
  const headers = new Headers(request.headers);
  headers.set(OBJECT_HEADER, encodeURIComponent(socket.name));
  return await stub(env, socket).fetch(new Request(request.url, { headers }));
}

/** The answer to a request, or the object that opens a socket for it. `auth` is absent for clients. */
async function findAnswer(
  { method, path, headers, body }: TracedRequest & { headers: [string, string][] },
  env: Env,
  auth: unknown,
): Promise<{ answer: Answer; socket?: undefined } | { answer?: undefined; socket: SocketObject }> {
  let routed: Routed;
  try {
    routed = callCore(undefined, () => routeRequest(settingsOf(env), method, path, headers, body, auth as object | undefined)) as Routed;
  } catch (error) {
    console.error(`route: ${String(error)}`);
    return { answer: { status: 500, headers: [], body: new Uint8Array() } };
  }
  if (routed.call !== undefined) return { answer: await callObject(env, routed.call) };
  return routed.respond === undefined ? { socket: routed.socket! } : { answer: routed.respond };
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
