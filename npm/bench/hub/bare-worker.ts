// What a room on Durable Objects costs at the least: the way that a request takes, rows as large as the hub's,
// and what is handed to the devices that are connected. It checks nothing.

import { DurableObject } from "cloudflare:workers";

interface Call { store(rows: readonly Row[], users: readonly string[], frame: Uint8Array): Promise<void> }
/** The key of a row, and its bytes: those of the request, again and again. */
interface Row { readonly key: number; readonly bytes: number }
interface Env { readonly HUB_ROOM: DurableObjectNamespace<HubRoom>; readonly USER: DurableObjectNamespace<User> }

/** Rows of a request: `x-rows: 3:232000,0:900`, where key 0 is a new one each time. */
function rowsOf(request: Request): Row[] {
  return (request.headers.get("x-rows") ?? "").split(",").map((text) => {
    const [key = 0, bytes = 0] = text.split(":").map(Number);
    return { key, bytes };
  });
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const user = env.USER.getByName(request.headers.get("x-user") ?? "");
    if (request.headers.get("upgrade") === "websocket") return await user.fetch(request);
    const users = (request.headers.get("x-users") ?? "").split(",").filter((name) => name !== "");
    await user.pass(rowsOf(request), users, new Uint8Array(await request.arrayBuffer()));
    return new Response();
  },
};

export class HubRoom extends DurableObject<Env> implements Call {
  #position = 100;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS kv(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
  }

  async store(rows: readonly Row[], users: readonly string[], frame: Uint8Array): Promise<void> {
    const { storage } = this.ctx;
    storage.transactionSync(() => {
      for (const { key, bytes } of rows) {
        const name = new Uint8Array(Uint32Array.of(key === 0 ? (this.#position += 1) : key).buffer);
        storage.sql.exec("INSERT OR REPLACE INTO kv VALUES (?, ?)", name, new Uint8Array(bytes));
      }
    });
    for (const user of users) this.ctx.waitUntil(this.env.USER.getByName(user).push(frame));
  }
}

export class User extends DurableObject<Env> {
  /** A device's request goes through its user's object, as there. */
  async pass(rows: readonly Row[], users: readonly string[], frame: Uint8Array): Promise<void> {
    await this.env.HUB_ROOM.getByName("room").store(rows, users, frame);
  }

  async push(frame: Uint8Array): Promise<void> {
    for (const socket of this.ctx.getWebSockets()) socket.send(frame);
  }

  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(): Promise<void> { /* nothing is asked of it */ }
}

export class Provider extends DurableObject<Env> {}
export class FollowedRoom extends DurableObject<Env> {}
