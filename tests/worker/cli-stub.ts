/**
 * Stands in for the hub's Worker in tests of what is around it: reports what it sees, counts in
 * SQLite, and asks other providers.
 *
 * `…/echo` answers with what arrived, `…/count` with how often it was called, `…/hang` never;
 * `…/refuse` refuses without reading the body; `…/socket` opens a WebSocket whose object sends each frame back; `…/ask/DOMAIN` sends the body on to that domain's `/v1/echo` and answers with its answer.
 */

interface Env {
  readonly HUB_ROOM: { getByName(name: string): { fetch: typeof fetch } };
  readonly CONFIG: string;
  readonly HUB_KEYS: string;
  readonly TRACE?: string;
  readonly PEERS: Record<string, string>;
  readonly [binding: string]: unknown;
}

interface Context {
  readonly props: { readonly listener: string };
}

type ArrivedRequest = Request & { readonly cf?: { readonly tlsClientAuth?: unknown } };

interface Sql {
  exec(statement: string): { one(): Record<string, unknown> };
}

interface State {
  readonly storage: { readonly sql: Sql };
  acceptWebSocket(socket: WebSocket): void;
}

declare const WebSocketPair: new () => { readonly 0: WebSocket; readonly 1: WebSocket };

export class HubRoom {
  readonly #sql: Sql;

  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    this.#sql = state.storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS calls(id INTEGER PRIMARY KEY)");
  }

  webSocketMessage(socket: WebSocket, frame: ArrayBuffer): void {
    socket.send(frame);
  }

  fetch(request: Request): Response {
    if (request.headers.get("upgrade") === "websocket") {
      const { 0: client, 1: server } = new WebSocketPair();
      this.#state.acceptWebSocket(server);
      return new Response(null, { status: 101, webSocket: client } as ResponseInit);
    }
    this.#sql.exec("INSERT INTO calls DEFAULT VALUES");
    return Response.json(this.#sql.exec("SELECT count(*) AS calls FROM calls").one()["calls"]);
  }
}
export class Provider {}
export class FollowedRoom {}
export class User {}

export default {
  async fetch(request: ArrivedRequest, env: Env, context: Context): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [what, domain = ""] = pathname.replace(/^(\/client)?\/v1\//, "").split("/");
    switch (what) {
      case "count":
        return env.HUB_ROOM.getByName("room").fetch("https://object/");
      case "socket":
        return env.HUB_ROOM.getByName("room").fetch(request);
      case "ask":
        return ask(env, domain, request);
      case "refuse":
        return new Response(null, { status: 403 });
      case "hang":
        console.log("hanging");
        return new Promise(() => setTimeout(() => {}, 600_000));
      default:
        return echo(request, env, context);
    }
  },
};

async function echo(request: ArrivedRequest, env: Env, context: Context): Promise<Response> {
  const body = await request.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return Response.json({
    listener: context.props.listener,
    tlsClientAuth: request.cf?.tlsClientAuth,
    method: request.method,
    url: request.url,
    headers: Object.fromEntries(request.headers),
    sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    env: { HUB_KEYS: env.HUB_KEYS, TRACE: env.TRACE },
    settings: JSON.parse(env.CONFIG),
  });
}

async function ask(env: Env, domain: string, request: Request): Promise<Response> {
  const { domain: own } = JSON.parse(env.CONFIG) as { domain: string };
  const fetcher = env[env.PEERS[domain] ?? ""] as { fetch: typeof fetch } | undefined;
  const url = `https://${domain}/v1/echo`;
  const headers = { from: `mimi@${own}` };
  const init = { method: "POST", headers, body: await request.arrayBuffer() };
  try {
    const answer = await (fetcher?.fetch(url, init) ?? fetch(url, init));
    if (env.TRACE === "1") {
      const record = { from: own, to: domain, via: "provider", request: "AQID", response: "BAUG" };
      console.log(`mimi-trace ${JSON.stringify({ from: "a device", to: own, via: "client" })}`);
      console.log(`mimi-trace ${JSON.stringify(record)}`);
    }
    console.log("asked");
    return new Response(answer.body, answer);
  } catch {
    return new Response(null, { status: 504 });
  }
}
