// The shell around the core of one Durable Object: transactions, alarms, requests, sockets. It moves
// bytes and decides nothing; the protocol is in the wasm core.

import { DurableObject } from "cloudflare:workers";
import { ObjectCore } from "#wasm/hub";
import { callCore, settingsOf, type Env } from "./core.js";
import { sendHttp, type Answer, type HttpCall } from "./http.js";

/** A call to another object of this provider; the envelope is opaque here. */
export interface ObjectCall { class: "HubRoom" | "FollowedRoom" | "User"; name: string; envelope: Uint8Array; body: Uint8Array }
type Outgoing = { object: ObjectCall; http?: undefined } | { http: HttpCall; object?: undefined };
interface Forward { outgoing: Outgoing; label: string; then: Uint8Array }
interface Action { respond?: Answer; forward?: Forward }
interface Effect {
  call?: ObjectCall; ask?: Forward;
  bind?: { socket: number; device: string };
  send?: { device: string; frame: Uint8Array };
  close?: { socket: number; code: number };
}
interface Attachment { socket: number; device?: string }

/** Names the object in the request that opens a socket; the router sets it. */
export const OBJECT_HEADER = "mimi-object";
/** Outgoing connections that one object has open at a time: the runtime's limit for a request. */
const MAX_REQUESTS = 6;
/** A socket that does not say who it is within this time is closed. */
const HELLO_MILLIS = 5_000;
/** WebSocket close code for "not signed in". */
const NOT_SIGNED_IN = 4401;

abstract class ProviderObject extends DurableObject<Env> {
  abstract readonly className: ObjectCall["class"];
  #core: ObjectCore | undefined;
  #epoch = -1;
  #alarmAt = Infinity;
  #sending = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS kv(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS object(name TEXT)");
    // What the outbox held when the object last stopped goes on.
    if (this.#name() !== undefined) this.#schedule();
  }

  /** A request from the router or from another object of this provider. */
  async handle(name: string, envelope: Uint8Array, body: Uint8Array): Promise<Answer> {
    this.#remember(name);
    try {
      return await this.#follow(this.#call((core) => core.handle(envelope, body, Date.now())));
    } catch (error) {
      console.error(`${this.className}: ${String(error)}`);
      return { status: 500, headers: [], body: new Uint8Array() };
    }
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = Infinity;
    this.#fill();
  }

  override async fetch(request: Request): Promise<Response> {
    this.#remember(request.headers.get(OBJECT_HEADER) ?? "");
    const { 0: client, 1: server } = new WebSocketPair();
    const socket = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment({ socket } satisfies Attachment);
    setTimeout(() => {
      if (attachment(server).device === undefined) server.close(NOT_SIGNED_IN, "no hello");
    }, HELLO_MILLIS);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): Promise<void> {
    if (typeof message === "string") { ws.close(1003, "binary frames only"); return; }
    const { socket, device } = attachment(ws);
    try {
      this.#call((core) => core.handleFrame(socket, device, new Uint8Array(message), Date.now()));
    } catch (error) {
      console.error(`${this.className}: ${String(error)}`);
      ws.close(1011, "internal");
    }
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    // 1005 and 1006 say that there was no code; they cannot be sent.
    ws.close(code >= 1000 && code !== 1005 && code !== 1006 && code !== 1015 ? code : 1000);
  }

  /** One call of the core, all or nothing; then what it causes. */
  #call<T>(act: (core: ObjectCore) => T): T {
    const result = callCore(this.ctx.storage, (epoch) => {
      if (this.#core === undefined || this.#epoch !== epoch) {
        const name = this.#name();
        if (name === undefined) throw new Error("an object without a name");
        this.#core = new ObjectCore(this.className, name, settingsOf(this.env), rows(this.ctx.storage.sql));
        this.#epoch = epoch;
      }
      return act(this.#core);
    });
    for (const effect of this.#core!.takeEffects() as Effect[]) this.#do(effect);
    this.#schedule();
    return result;
  }

  /** Sends what a request has to wait for, until there is an answer. */
  async #follow(action: unknown): Promise<Answer> {
    let { respond, forward } = action as Action;
    while (respond === undefined) {
      const { outgoing, label, then } = forward!;
      const outcome = await this.#send(outgoing, label);
      ({ respond, forward } = this.#call((core) => core.resume(then, outcome, Date.now())) as Action);
    }
    return respond;
  }

  async #send(outgoing: Outgoing, label: string): Promise<Answer | undefined> {
    try {
      return outgoing.object === undefined
        ? await sendHttp(this.env, outgoing.http, label)
        : await callObject(this.env, outgoing.object);
    } catch {
      return undefined;
    }
  }

  #do({ call, ask, bind, send, close }: Effect): void {
    if (call !== undefined) this.ctx.waitUntil(callObject(this.env, call).catch(() => undefined));
    if (ask !== undefined) this.ctx.waitUntil(this.#follow({ forward: ask }).catch(() => undefined));
    for (const ws of bind ?? send ?? close ? this.ctx.getWebSockets() : []) {
      const { socket, device } = attachment(ws);
      if (bind?.socket === socket) ws.serializeAttachment({ socket, device: bind.device } satisfies Attachment);
      if (send !== undefined && send.device === device) sendFrame(ws, send.frame);
      if (close?.socket === socket) ws.close(close.code);
    }
  }

  /** Sets the alarm for the outbox and starts at once what is due. */
  #schedule(): void {
    const wake = this.#wake();
    if (wake === undefined) return;
    const now = Date.now();
    const alarm = Math.max(wake, now + 1000);
    if (alarm < this.#alarmAt || this.#alarmAt <= now) {
      this.#alarmAt = alarm;
      void this.ctx.storage.setAlarm(alarm);
    }
    if (wake <= now) this.ctx.waitUntil(Promise.resolve().then(() => this.#fill()));
  }

  #wake(): number | undefined {
    return callCore(this.ctx.storage, (epoch) => (this.#epoch === epoch ? this.#core : undefined)?.nextWake() as number | undefined)
      ?? (this.#core === undefined ? Date.now() : undefined);
  }

  /** Starts requests of the outbox until the limit is reached or nothing is due. */
  #fill(): void {
    while (this.#sending < MAX_REQUESTS) {
      const request = this.#poll();
      if (request === undefined) return;
      this.#sending += 1;
      this.ctx.waitUntil(this.#deliver(request));
    }
  }

  #poll(): { id: number; outgoing: Outgoing; label: string } | undefined {
    try {
      return this.#call((core) => core.pollRequest(Date.now()));
    } catch (error) {
      console.error(`${this.className}: ${String(error)}`);
      return undefined;
    }
  }

  async #deliver({ id, outgoing, label }: { id: number; outgoing: Outgoing; label: string }): Promise<void> {
    const epoch = this.#epoch;
    const outcome = await this.#send(outgoing, label);
    this.#sending -= 1;
    // After a reset of the core the entry is due again by itself.
    if (epoch === this.#epoch) this.#call((core) => core.handleResponse(id, outcome, Date.now()));
    this.#fill();
  }

  #name(): string | undefined {
    return this.ctx.storage.sql.exec<{ name: string }>("SELECT name FROM object").toArray()[0]?.name;
  }

  #remember(name: string): void {
    if (this.#name() === undefined) this.ctx.storage.sql.exec("INSERT INTO object VALUES (?)", name);
  }
}

/** A room that this provider hosts. */
export class HubRoom extends ProviderObject { readonly className = "HubRoom" }
/** A room that another provider hosts. */
export class FollowedRoom extends ProviderObject { readonly className = "FollowedRoom" }
/** A user with its devices. */
export class User extends ProviderObject { readonly className = "User" }

const NAMESPACES = { HubRoom: "HUB_ROOM", FollowedRoom: "FOLLOWED_ROOM", User: "USER" } as const;

/** Calls an object of this provider. */
export async function callObject(env: Env, call: ObjectCall): Promise<Answer> {
  const { status, headers, body } = await stub(env, call).handle(call.name, call.envelope, call.body);
  // The RPC's types know the header pairs as lists of strings only.
  const pairs = headers.map(([name = "", value = ""]): [string, string] => [name, value]);
  return { status, headers: pairs, body };
}

/** The object of this name. */
export function stub(env: Env, object: Pick<ObjectCall, "class" | "name">): DurableObjectStub<ProviderObject> {
  const namespace = env[NAMESPACES[object.class]];
  return namespace.get(namespace.idFromName(object.name));
}

function attachment(ws: WebSocket): Attachment {
  return ws.deserializeAttachment() as Attachment;
}

function sendFrame(ws: WebSocket, frame: Uint8Array): void {
  try { ws.send(frame); } catch { /* the socket is closing: the log has what the frame said */ }
}

/** The four statements that the core's storage is made of. */
function rows(sql: SqlStorage) {
  return {
    read(key: Uint8Array): Uint8Array | undefined {
      const row = sql.exec<{ value: ArrayBuffer }>("SELECT value FROM kv WHERE key = ?", key).toArray()[0];
      return row === undefined ? undefined : new Uint8Array(row.value);
    },
    scan(from: Uint8Array, before: Uint8Array | undefined, limit: number): Uint8Array[] {
      const found = before === undefined
        ? sql.exec<{ key: ArrayBuffer; value: ArrayBuffer }>("SELECT key, value FROM kv WHERE key >= ? ORDER BY key LIMIT ?", from, limit)
        : sql.exec<{ key: ArrayBuffer; value: ArrayBuffer }>("SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", from, before, limit);
      const cells: Uint8Array[] = [];
      for (const { key, value } of found) cells.push(new Uint8Array(key), new Uint8Array(value));
      return cells;
    },
    write(key: Uint8Array, value: Uint8Array): void { sql.exec("INSERT OR REPLACE INTO kv VALUES (?, ?)", key, value); },
    remove(key: Uint8Array): void { sql.exec("DELETE FROM kv WHERE key = ?", key); },
  };
}
