// The shell around the core of one Durable Object: transactions, alarms, requests, sockets. It moves
// bytes and decides nothing; the protocol is in the wasm core.

import { DurableObject } from "cloudflare:workers";
import { ObjectCore } from "#wasm/hub";
import { callCore, configOf, settingsOf, type Env } from "./core.js";
import { log, newRequestId } from "./log.js";
import { count, observe } from "./metrics.js";
import { sendHttp, type Answer, type HttpCall } from "./http.js";
import { ObjectRows } from "./storage.js";
import { traceClock, traceFrame } from "./trace.js";

/** A call to another object of this provider; the envelope is opaque here. */
export interface ObjectCall { class: "HubRoom" | "FollowedRoom" | "User" | "Provider"; name: string; envelope: Uint8Array; body: Uint8Array }
type Outgoing = { object: ObjectCall; http?: undefined } | { http: HttpCall; object?: undefined };
/** For connected devices alone; the core wants to know of one that finds none. */
interface Push { call: ObjectCall; number: number }
interface Forward { outgoing: Outgoing; label: string; then: Uint8Array }
interface Action { respond?: Answer; forward?: Forward }
interface Effect {
  call?: ObjectCall; push?: Push; ask?: Forward;
  bind?: { socket: number; device: string };
  send?: { device: string; frame: Uint8Array };
  disconnect?: { device: string; code: number };
  close?: { socket: number; code: number };
  report?: string;
}
/** `since`: when the first of what it carries was accepted, in ms since 1970. */
interface OutboxRequest { id: number; outgoing: Outgoing; label: string; since?: number }
interface Attachment { socket: number; device?: string; since?: number }

/** Names the object, percent-encoded, in the request that opens a socket; the router sets it. */
export const OBJECT_HEADER = "mimi-object";
/** Outgoing connections that one object has open at a time: the runtime's limit for a request. */
const MAX_REQUESTS = 6;
/** A socket that does not say who it is within this time is closed. */
const HELLO_MILLIS = 5_000;
/** WebSocket close code for a socket of a device that has newer ones, as many as it may have. */
const REPLACED = 4409;
/** WebSocket close code for "not signed in". */
const NOT_SIGNED_IN = 4401;
/** Shortest time to an alarm: what is due earlier is started at once, and may well be done by then. */
const SOONEST_ALARM_MILLIS = 1_000;
/** After an exception the outbox is tried again, but not at once. */
const AFTER_ERROR_MILLIS = 60_000;

abstract class ProviderObject extends DurableObject<Env> {
  abstract readonly className: ObjectCall["class"];
  readonly #rows: ObjectRows;
  #core: ObjectCore | undefined;
  /** The epoch of the wasm instance that the core belongs to. */
  #epoch = -1;
  /** Counts the cores that this object had: each numbers its requests anew. */
  #generation = 0;
  #alarmAt = Infinity;
  /** The outbox rests until then. */
  #restsUntil = 0;
  #sending = 0;
  #filling = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rows = new ObjectRows(ctx.storage);
    // What the outbox held when the object last stopped goes on.
    if (this.#rows.name !== undefined) this.#schedule(this.#wake());
  }

  /** A request from the router or from another object of this provider. */
  async handle(name: string, envelope: Uint8Array, body: Uint8Array, id: string): Promise<Answer> {
    this.#rows.tell(name);
    try {
      return await this.#follow(this.#call((core) => core.handle(envelope, body, Date.now())), id);
    } catch (error) {
      this.#report(error, id);
      return { status: 500, headers: [], body: new Uint8Array() };
    }
  }

  /** A request that is for the devices that are connected, and for nobody else; says whether there is a socket. */
  async push(name: string, envelope: Uint8Array, body: Uint8Array): Promise<boolean> {
    if (this.ctx.getWebSockets().length === 0) return false;
    await this.handle(name, envelope, body, newRequestId());
    return true;
  }

  /** Writes something and reads it: whether storage works. */
  async touch(): Promise<void> { this.#rows.touch(); }

  /** At most `limit` rows after this key, all of the object at one moment in as many calls as it takes nothing in between. */
  async dump(after: Uint8Array, limit: number): Promise<[Uint8Array, Uint8Array][]> { return this.#rows.page(after, limit); }

  /** Takes rows of a dump; the object must be empty, or have been given rows of this dump alone. */
  async load(name: string, rows: [Uint8Array, Uint8Array][]): Promise<void> {
    this.#rows.tell(name);
    this.#rows.apply(rows);
    this.#core = undefined;
  }

  /** Goes on with what the outbox holds, once all objects have their rows. */
  async wake(): Promise<void> { this.#schedule(this.#wake()); }

  override async alarm(): Promise<void> {
    this.#alarmAt = Infinity;
    this.#fill();
    // Whatever became of that: as long as the outbox holds something, there is an alarm.
    this.#schedule(this.#wake());
  }

  override async fetch(request: Request): Promise<Response> {
    this.#rows.tell(decodeURIComponent(request.headers.get(OBJECT_HEADER) ?? ""));
    if (this.ctx.getWebSockets().length >= configOf(this.env).limits.socketsPerUser) return new Response(null, { status: 429, headers: { "retry-after": "60" } });
    const { 0: client, 1: server } = new WebSocketPair();
    const socket = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.ctx.acceptWebSocket(server);
    count("mimi_sockets");
    server.serializeAttachment({ socket } satisfies Attachment);
    setTimeout(() => {
      if (attachment(server).device === undefined) closeSocket(server, NOT_SIGNED_IN);
    }, HELLO_MILLIS);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): Promise<void> {
    if (typeof message === "string") { closeSocket(ws, 1003); return; }
    const { socket, device } = attachment(ws);
    const frame = new Uint8Array(message);
    const at = traceClock();
    try {
      this.#call((core) => core.handleFrame(socket, device, frame, Date.now()));
      traceFrame(this.env, at, "in", attachment(ws).device ?? "", frame);
    } catch (error) {
      this.#report(error);
      closeSocket(ws, 1011);
    }
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    count("mimi_sockets", {}, -1);
    // 1005 and 1006 say that there was no code; they cannot be sent.
    closeSocket(ws, code === 1005 || code === 1006 ? 1000 : code);
  }

  /** One call of the core, all or nothing; then what it causes. */
  #call<T>(act: (core: ObjectCore) => T): T {
    const { result, effects, wake } = this.#transact((core) => ({ result: act(core), effects: core.takeEffects() as Effect[], wake: core.nextWake() as number | undefined }));
    for (const effect of effects) this.#do(effect);
    this.#schedule(wake);
    return result;
  }

  #transact<T>(act: (core: ObjectCore) => T): T {
    try {
      return callCore(this.ctx.storage, (epoch) => act(this.#coreOf(epoch)));
    } catch (error) {
      // What the core has in memory may be ahead of the storage, which was rolled back.
      this.#core = undefined;
      this.#rows.reload();
      throw error;
    }
  }

  #coreOf(epoch: number): ObjectCore {
    if (this.#core === undefined || this.#epoch !== epoch) {
      const { name } = this.#rows;
      if (name === undefined) throw new Error("an object without a name");
      this.#core = new ObjectCore(this.className, name, settingsOf(this.env), this.#rows);
      this.#epoch = epoch;
      this.#generation += 1;
    }
    return this.#core;
  }

  /** Sends what a request has to wait for, until there is an answer. */
  async #follow(action: unknown, id: string): Promise<Answer> {
    let { respond, forward } = action as Action;
    while (respond === undefined) {
      const { outgoing, label, then } = forward!;
      const outcome = await this.#send(outgoing, label, id);
      ({ respond, forward } = this.#call((core) => core.resume(then, outcome, Date.now())) as Action);
    }
    return respond;
  }

  async #send(outgoing: Outgoing, label: string, id: string): Promise<Answer | undefined> {
    try {
      return outgoing.object === undefined
        ? await sendHttp(this.env, outgoing.http, label, id)
        : await callObject(this.env, outgoing.object, id);
    } catch {
      return undefined;
    }
  }

  #do({ call, push, ask, bind, send, disconnect, close, report }: Effect): void {
    if (report !== undefined) {
      count("mimi_reports_total");
      log(this.env, "warn", { event: "report", class: this.className, what: report });
    }
    if (call !== undefined) this.ctx.waitUntil(callObject(this.env, call, newRequestId()).catch(() => undefined));
    if (push !== undefined) this.ctx.waitUntil(this.#push(push).catch(() => undefined));
    if (ask !== undefined) this.ctx.waitUntil(this.#follow({ forward: ask }, newRequestId()).catch(() => undefined));
    for (const ws of bind ?? send ?? disconnect ?? close ? this.ctx.getWebSockets() : []) {
      const { socket, device } = attachment(ws);
      if (bind?.socket === socket) this.#bind(ws, socket, bind.device);
      if (send !== undefined && send.device === device) sendFrame(this.env, ws, send);
      if (disconnect !== undefined && disconnect.device === device) closeSocket(ws, disconnect.code);
      if (close?.socket === socket) closeSocket(ws, close.code);
    }
  }

  async #push({ call, number }: Push): Promise<void> {
    const core = this.#core;
    const found = await stub(this.env, call).push(call.name, call.envelope, call.body);
    // Another core has numbers of its own.
    if (!found && core !== undefined && core === this.#core) callCore(undefined, (epoch) => { if (epoch === this.#epoch) core.foundNone(call.name, number, Date.now()); });
  }

  /** The socket is the device's; of more than it may have, the oldest is closed. */
  #bind(ws: WebSocket, socket: number, device: string): void {
    const others = this.ctx.getWebSockets().filter((other) => other !== ws && attachment(other).device === device && other.readyState === WebSocket.OPEN);
    const since = (other: WebSocket): number => attachment(other).since ?? 0;
    others.sort((one, other) => since(other) - since(one));
    for (const old of others.slice(configOf(this.env).limits.socketsPerDevice - 1)) closeSocket(old, REPLACED);
    ws.serializeAttachment({ socket, device, since: Date.now() } satisfies Attachment);
  }

  /** Sets the alarm for the outbox and starts at once what is due. */
  #schedule(wake: number | undefined): void {
    if (wake === undefined) return;
    const now = Date.now();
    const alarm = Math.max(wake, this.#restsUntil, now + SOONEST_ALARM_MILLIS);
    if (alarm < this.#alarmAt || this.#alarmAt <= now) {
      this.#alarmAt = alarm;
      void this.ctx.storage.setAlarm(alarm);
    }
    // A pump that runs takes it along; one that found nothing to send leaves it to the alarm.
    if (wake <= now && !this.#filling) this.ctx.waitUntil(Promise.resolve().then(() => this.#fill()));
  }

  /** When the outbox wants something; now, if that is not known. */
  #wake(): number | undefined {
    if (this.#core === undefined) return Date.now();
    try {
      return this.#transact((core) => core.nextWake() as number | undefined);
    } catch (error) {
      this.#rest(error);
      return Date.now();
    }
  }

  /** Starts requests of the outbox until the limit is reached or nothing is due. */
  #fill(): void {
    if (this.#filling || Date.now() < this.#restsUntil) return;
    this.#filling = true;
    try {
      while (this.#sending < MAX_REQUESTS) {
        const request = this.#call((core) => core.pollRequest(Date.now())) as OutboxRequest | undefined;
        if (request === undefined) return;
        this.#sending += 1;
        this.ctx.waitUntil(this.#deliver(request));
      }
    } catch (error) {
      this.#rest(error);
    } finally {
      this.#filling = false;
    }
  }

  async #deliver({ id, outgoing, label, since }: OutboxRequest): Promise<void> {
    const generation = this.#generation;
    const outcome = await this.#send(outgoing, label, newRequestId());
    const arrived = outcome !== undefined && outcome.status < 300;
    if (outgoing.http !== undefined && !arrived) count("mimi_fanout_retries_total", { class: this.className });
    if (since !== undefined && arrived) observe("mimi_fanout_lag_seconds", Math.max(0, Date.now() - since) / 1_000);
    this.#sending -= 1;
    try {
      // Another core knows nothing of it: to that one the entry is due again by itself.
      if (generation === this.#generation) this.#call((core) => core.handleResponse(id, outcome, Date.now()));
    } catch (error) {
      this.#rest(error);
    }
    this.#fill();
    this.#schedule(this.#wake());
  }

  #rest(error: unknown): void {
    this.#report(error);
    this.#restsUntil = Date.now() + AFTER_ERROR_MILLIS;
  }

  #report(error: unknown, id?: string): void {
    log(this.env, "error", { event: "object", class: this.className, id, error: String(error) });
  }
}

/** A room that this provider hosts. */
export class HubRoom extends ProviderObject { readonly className = "HubRoom" }
/** A room that another provider hosts. */
export class FollowedRoom extends ProviderObject { readonly className = "FollowedRoom" }
/** A user with its devices. */
export class User extends ProviderObject { readonly className = "User" }
/** The index of the provider. */
export class Provider extends ProviderObject { readonly className = "Provider" }

const NAMESPACES = { HubRoom: "HUB_ROOM", FollowedRoom: "FOLLOWED_ROOM", User: "USER", Provider: "PROVIDER" } as const;

/** Calls an object of this provider, for the request with this id. */
export async function callObject(env: Env, call: ObjectCall, id: string): Promise<Answer> {
  const { status, headers, body } = await stub(env, call).handle(call.name, call.envelope, call.body, id);
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

function closeSocket(ws: WebSocket, code: number): void {
  try { ws.close(code); } catch { /* it is closed, or closing */ }
}

function sendFrame(env: Env, ws: WebSocket, { device, frame }: { device: string; frame: Uint8Array }): void {
  try { ws.send(frame); } catch { return; /* the socket is closing: the log has what the frame said */ }
  traceFrame(env, traceClock(), "out", device, frame);
}
