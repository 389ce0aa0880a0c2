// The Worker: reads a request, asks the core which object it is for, and passes it on.

import { answerCode, routeRequest } from "#wasm/hub";
import { administer } from "./admin/router.js";
import { drained, readAtMost } from "./bodies.js";
import { accountOf } from "./client-auth.js";
import { callCore, configOf, configure, settingsOf, type Env } from "./core.js";
import { originOf, withCors, type Origin } from "./cors.js";
import { endpointOf, type EndpointName } from "./endpoint.js";
import { isHealthPath, tellHealth } from "./health.js";
import type { Answer } from "./http.js";
import { REQUEST_ID, hashed, isLogged, log, requestIdOf } from "./log.js";
import { count, observe } from "./metrics.js";
import { OBJECT_HEADER, callObject, stub, type ObjectCall } from "./objects.js";
import { evidenceOf, tellKeys, type PeerEvidence } from "./peer-auth.js";
import { traceClient, traceClock, type TracedRequest } from "./trace.js";

export { FollowedRoom, HubRoom, Provider, User } from "./objects.js";

/** The listener through which a request came; where there is one socket for each, the runtime says it. */
type Listener = "client" | "mimi" | "admin";
interface Props { listener?: Listener }
interface Routed { respond?: Answer; call?: ObjectCall; socket?: SocketObject }
/** The object that holds a socket. */
type SocketObject = Pick<ObjectCall, "class" | "name">;
/** A request to the core's listeners. */
interface Incoming { readonly request: Request; readonly env: Env; readonly id: string; readonly clients: boolean; readonly endpoint: EndpointName }

const worker = {
  async fetch(request: Request, env: Env, ctx: ExecutionContext<Props>): Promise<Response> {
    const listener = listenerOf(request, ctx.props);
    if (listener === "admin") return await administer(request, env, ctx.props?.listener === "admin");
    const keys = listener === "mimi" ? tellKeys(request, env) : undefined;
    if (keys !== undefined) return keys;
    if (listener === "client" && isHealthPath(request)) return await tellHealth(request, env);
    const began = Date.now();
    const { pathname } = new URL(request.url);
    const { endpoint, identifier } = endpointOf(pathname);
    const incoming = { request, env, id: requestIdOf(request.headers), clients: listener === "client", endpoint };
    const { response, code } = incoming.clients ? await respondToClient(incoming) : await respond(incoming);
    const line = { id: incoming.id, listener, method: request.method, endpoint, status: response.status, code, millis: Date.now() - began };
    measure(line);
    if (isLogged(env, "info")) ctx.waitUntil(tell(env, line, identifier, incoming.clients ? undefined : (request.headers.get("from") ?? undefined)));
    return response;
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
  if (pathname.startsWith("/client/v1/") || isHealthPath(request)) return "client";
  return pathname.startsWith("/admin/v1/") ? "admin" : "mimi";
}

interface Responded { readonly response: Response; readonly code?: string | undefined }

async function respondToClient(incoming: Incoming): Promise<Responded> {
  const { request, env } = incoming;
  const origin = originOf(request, env);
  if (request.method === "OPTIONS") return { response: withCors(origin, new Response(null, { status: 204 })) };
  if (isSocket(request) && origin === "refused") return { response: new Response(null, { status: 403 }) };
  const { response, code } = await respond(incoming);
  return { response: withCors(origin satisfies Origin, response), code };
}

async function respond(incoming: Incoming): Promise<Responded> {
  const { request, env, id, clients } = incoming;
  const at = traceClock();
  const { pathname, search } = new URL(request.url);
  const body = await bodyOf(incoming);
  if (body === undefined) return { response: new Response(null, { status: 413, headers: { [REQUEST_ID]: id } }) };
  const asked = { method: request.method, path: pathname + search, headers: [...request.headers] as [string, string][], body };
  const who = clients ? { account: await accountOf(request, env, id) } : { evidence: await evidenceOf(request, body, env, id) };
  const { answer, socket } = await findAnswer(asked, incoming, who);
  if (answer !== undefined) {
    if (clients) traceClient(env, at, asked, answer);
    return { response: toResponse(answer, id), code: codeOf(incoming.endpoint, pathname, answer) };
  }
  if (!isSocket(request)) return { response: new Response(null, { status: 426, headers: { [REQUEST_ID]: id } }) };
  const headers = new Headers(request.headers);
  headers.set(OBJECT_HEADER, encodeURIComponent(socket.name));
  return { response: await stub(env, socket).fetch(new Request(request.url, { headers })) };
}

/** The body, unless it is longer than its endpoint allows: then the rest is not read. */
async function bodyOf({ request, env, endpoint }: Incoming): Promise<Uint8Array | undefined> {
  const { updateBytes, notifyBytes, bodyBytes } = configOf(env).limits;
  const most = endpoint === "update" ? updateBytes : endpoint === "notify" ? notifyBytes : bodyBytes;
  const length = request.headers.get("content-length");
  if (length === null) return await readAtMost(most, request.body);
  // A request that says how long it is is not longer.
  if (Number(length) <= most) return new Uint8Array(await request.arrayBuffer());
  await drained(request.body);
  return undefined;
}

/** The answer to a request, or the object that opens a socket for it; clients have no evidence. */
async function findAnswer(
  { method, path, headers, body }: TracedRequest & { headers: [string, string][] },
  { env, id }: Incoming,
  { evidence, account }: { readonly evidence?: PeerEvidence; readonly account?: string | undefined },
): Promise<{ answer: Answer; socket?: undefined } | { answer?: undefined; socket: SocketObject }> {
  let routed: Routed;
  try {
    routed = callCore(undefined, () => routeRequest(settingsOf(env), method, path, headers, body, evidence, account, Date.now())) as Routed;
  } catch (error) {
    log(env, "error", { event: "route", id, error: String(error) });
    return { answer: { status: 500, headers: [], body: new Uint8Array() } };
  }
  if (routed.call !== undefined) return { answer: await callObject(env, routed.call, id) };
  return routed.respond === undefined ? { socket: routed.socket! } : { answer: routed.respond };
}

function isSocket(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** What an answer says, in the draft's words, where it says more than its status. */
function codeOf(endpoint: EndpointName, pathname: string, { status, body }: Answer): string | undefined {
  if (endpoint !== "update" && endpoint !== "submitMessage" && endpoint !== "groupInfo") return undefined;
  return callCore(undefined, () => answerCode(pathname, status, body));
}

function toResponse({ status, headers, body }: Answer, id: string): Response {
  const response = new Response(status === 204 || status === 304 ? null : body, { status, headers });
  response.headers.set(REQUEST_ID, id);
  return response;
}

interface Line { readonly id: string; readonly listener: "client" | "mimi"; readonly method: string; readonly endpoint: EndpointName; readonly status: number; readonly code: string | undefined; readonly millis: number }

function measure({ listener, endpoint, status, code, millis }: Line): void {
  count("mimi_requests_total", { listener, endpoint, status });
  observe("mimi_request_seconds", millis / 1_000, { listener });
  if (code !== undefined && endpoint === "update") count("mimi_commits_total", { code });
  if (code !== undefined && endpoint === "submitMessage") count("mimi_messages_total", { code });
  const isRefused = listener === "client" ? status === 401 && code === undefined : status === 403 && code === undefined;
  if (isRefused) count("mimi_auth_failures_total", { listener });
}

/** The line of a request. `from` is what another provider says that it is. */
async function tell(env: Env, line: Line, identifier: string | undefined, from: string | undefined): Promise<void> {
  const peer = from === undefined ? undefined : /^mimi@([a-z0-9.-]{1,253})$/.exec(from)?.[1];
  const about = identifier === undefined ? undefined : await hashed(env, identifier);
  log(env, "info", { event: "request", ...line, ...(peer === undefined ? {} : { peer }), ...(about === undefined ? {} : { about }) });
}
