import type { ClientCore } from "#wasm/client";
import type { CoreConsent } from "../consent.js";
import { MimiError, closedError, fromCore, type ErrorCode } from "../errors.js";
import { deferred, type Deferred } from "../live.js";
import type { CoreDelivery, CoreMessage, CoreUndecryptable } from "../message.js";
import type { Change } from "../room-state.js";
import type { RowChange, Store } from "../store.js";
import type { Sync } from "../sync.js";
import type { CoreTrust } from "../verification.js";
import type { Instance } from "./instance.js";
import type { CoreStock } from "./port.js";
import { Socket, type CoreAnswer, type CoreRequest, type Transport } from "./transport.js";

/** What the core says has happened; `intentAsked` is the engine's own word. */
export type CoreEvent =
  | { readonly type: "intentAsked"; readonly room: string }
  | { readonly type: "registered" | "caughtUp" | "revoked" | "consentChanged" }
  | { readonly type: "devicesChanged"; readonly added: readonly string[]; readonly removed: readonly string[] }
  | { readonly type: "pseudonymIssued"; readonly user: string }
  | { readonly type: "pseudonymRefused"; readonly code: ErrorCode }
  | { readonly type: "registrationFailed"; readonly code: ErrorCode }
  | { readonly type: "userDevicesChanged"; readonly user: string; readonly added: readonly string[]; readonly removed: readonly string[] }
  | ({ readonly type: "trustChanged" } & CoreTrust)
  | ({ readonly type: "keyPackages" } & CoreStock)
  | { readonly type: "keyPackagesMade"; readonly id: number; readonly made: number }
  | { readonly type: "roomAdded" | "roomLeft" | "rejoined" | "welcomeFailed" | "gap" | "diverged"; readonly room: string }
  | { readonly type: "roomsAvailable"; readonly rooms: readonly string[] }
  | ({ readonly type: "consentRequested" } & CoreConsent)
  | { readonly type: "consentCancelled" | "consentGranted"; readonly user: string; readonly room?: string }
  | { readonly type: "accountDone" | "consentDone"; readonly id: number }
  | { readonly type: "accountFailed" | "consentFailed"; readonly id: number; readonly code: ErrorCode }
  | { readonly type: "waitingForConsent"; readonly room: string; readonly id: number }
  | { readonly type: "roomChanged"; readonly room: string; readonly epoch: number }
  | ({ readonly type: "message" } & CoreMessage)
  | ({ readonly type: "echoed" } & CoreMessage)
  | ({ readonly type: "undecryptable" } & CoreUndecryptable)
  | { readonly type: "read"; readonly room: string }
  | { readonly type: "catchingUp"; readonly doneThousandths: number; readonly rooms: number }
  | ({ readonly type: "delivery" } & CoreDelivery)
  | { readonly type: "intentDone"; readonly room: string; readonly id: number }
  | { readonly type: "intentFailed"; readonly room: string; readonly id: number; readonly what: Change["what"]; readonly user?: string; readonly code: ErrorCode; readonly retryable: boolean };

/** Why a change of a room was given up, for developers. */
const REASONS: { readonly [C in ErrorCode]?: string } = {
  "no-consent": "the user has not agreed to be added, or there is none of that name",
  "no-key-package": "no device of the user can be added now",
  "conflict": "the address is taken, or others changed the room faster again and again",
  "not-allowed": "the room's policy or the hub forbids it",
  "hub-unresponsive": "the room's hub does not answer",
  "aborted": "it was taken back",
};

/** Timers cannot wait longer than 24.8 days: one that comes too early asks again. */
const LONGEST_TIMER_MILLIS = 0x7fff_ffff;
/** After an error that the core returned, in ms: it may be due again at once. */
const ERROR_WAIT_MILLIS = 1_000;

/** The provider's close code for a socket whose hello it does not believe. */
const NOT_SIGNED_IN = 4401;

/** Who is told what the engine learns. */
export interface EngineOwner {
  /** Rooms, messages and the like, after they were stored and before promises resolve. */
  happened(event: CoreEvent): void;
  /** The connection to the own provider. */
  connection(state: Sync): void;
  /** Nothing can be stored or called any more. */
  broken(error: MimiError): void;
  /** The core is of no use any more, and this engine with it: both have to be made anew from what is stored. */
  spoiled(fault?: Fault): void;
}

/** What ended an engine: its store failed, or its core did. */
export interface Fault { readonly what: "storage" | "core"; readonly error: MimiError }

/** What a call rejects with that did not get through because of somebody else's fault: it is made again. */
export const SPOILED = new MimiError("internal", "the core is made anew", { retryable: true });

/**
 * The pump: calls the core, stores what changed, and only then sends and tells. It knows nothing of
 * the protocol.
 */
export class Engine {
  readonly #core: ClientCore;
  readonly #store: Store;
  readonly #transport: Transport;
  readonly #owner: EngineOwner;
  readonly #webSocket: typeof WebSocket;
  readonly #instance: Instance;
  /** The instance's epoch in which the core was made. */
  readonly #epoch: number;
  readonly #stop = new AbortController();
  readonly #intents = new Map<number, Deferred<unknown>>();
  /** The last delta on its way to the store; the next one waits for it. */
  #stored: Promise<void> = Promise.resolve();
  #socket: Socket | undefined;
  #isPaused = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Until then, in ms since 1970, nothing is sent. */
  #restsUntil = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #failure: MimiError | undefined;
  #isDiscarded = false;
  #closed: Promise<void> | undefined;

  constructor(core: ClientCore, store: Store, transport: Transport, webSocket: typeof WebSocket, instance: Instance, owner: EngineOwner) {
    this.#core = core;
    this.#instance = instance;
    this.#epoch = instance.epoch;
    this.#store = store;
    this.#transport = transport;
    this.#webSocket = webSocket;
    this.#owner = owner;
  }

  /** Starts sending, and connects as soon as the provider knows this device; both after a rest of so many ms. */
  async start(restMillis: number): Promise<void> {
    this.#restsUntil = Date.now() + restMillis;
    if (await this.step((core) => core.isRegistered())) this.#connect();
    // Windows and workers hear when the network is back; nothing else has such events.
    const network = globalThis as Partial<Pick<EventTarget, "addEventListener">>;
    network.addEventListener?.("online", () => { this.#online(); }, { signal: this.#stop.signal });
  }

  /** Nothing is sent and heard from now on; what is under way is still answered. */
  pause(): void {
    if (this.#isPaused || this.#failure !== undefined) return;
    this.#isPaused = true;
    clearTimeout(this.#timer);
    this.#socket?.stop();
    this.#socket = undefined;
    this.#owner.connection({ state: "offline" });
  }

  /** Goes on after a pause. */
  resume(): void {
    if (!this.#isPaused || this.#failure !== undefined) return;
    this.#isPaused = false;
    this.step((core) => core.isRegistered()).then((isRegistered) => { if (isRegistered) this.#connect(); }, () => undefined);
  }

  /**
   * One call of the core. Resolves when what it changed is stored; then requests go out and events
   * are told, in the order of the calls.
   */
  async step<T>(act: (core: ClientCore, now: number) => T): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed !== undefined) throw closedError();
    let outcome: { readonly result: T } | { readonly refusal: MimiError };
    try {
      outcome = { result: this.#call((core) => act(core, Date.now())) };
    } catch (error) {
      if (this.#failure !== undefined) throw error;
      outcome = { refusal: fromCore(error) };
    }
    const { changes, events, frames } = this.#call((core) => ({
      changes: core.takeChanges() as RowChange[],
      events: core.takeEvents() as CoreEvent[],
      frames: core.takeFrames() as Uint8Array[],
    }));
    const stored = this.#stored.then(() => (changes.length === 0 ? undefined : this.#store.apply(changes)));
    this.#stored = stored;
    try {
      await stored;
    } catch (error) {
      // What was called on top of a delta that is not stored never happened either.
      if (this.#failure !== undefined) throw this.#failure;
      const failed = fromCore(error);
      this.#spoil({ what: "storage", error: failed });
      throw failed;
    }
    for (const frame of frames) this.#socket?.send(frame);
    for (const event of events) this.#tell(event);
    this.#pump("refusal" in outcome ? ERROR_WAIT_MILLIS : 0);
    if ("refusal" in outcome) throw outcome.refusal;
    return outcome.result;
  }

  /**
   * Asks the core for something that takes its time, in a room or not. Resolves when the wish is
   * stored, to its number and to what settles when it is done or given up.
   */
  async ask(room: string | undefined, ask: (core: ClientCore, now: number) => number): Promise<{ readonly id: number; readonly done: Promise<unknown> }> {
    let done!: Promise<unknown>;
    const id = await this.step((core, now) => {
      const id = ask(core, now);
      done = this.outcome(id);
      return id;
    });
    if (room !== undefined) this.#tell({ type: "intentAsked", room });
    return { id, done };
  }

  /** What settles when this intent, of now or from before, is done or given up. */
  outcome(id: number): Promise<unknown> {
    const waiting = this.#intents.get(id) ?? deferred<unknown>();
    this.#intents.set(id, waiting);
    return waiting.promise;
  }

  /** No call waits for this intent any more: what comes of it is told as an event. */
  release(id: number): void { this.#intents.delete(id); }

  /** Whether a call waits for this intent; none does after a reload, or when its wait has ended. */
  isAwaited(id: number): boolean { return this.#intents.has(id); }

  /** What was asked for is done, though the answer is still to come. */
  fulfil(id: number): void { this.#waiting(id)?.resolve(undefined); }

  /** Ends everything; what is stored stays. Another call waits for the same end. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort();
    // What is on its way to the store is told before the end: it does not come again.
    await this.#stored.catch(() => undefined);
    this.#fail(closedError());
    await this.discard();
    await this.#store.close();
  }

  /** Whether the core has to be made anew. */
  get isSpoiled(): boolean { return this.#failure === SPOILED; }

  /** Gives free what a spoiled engine has, once nothing of it is on its way to the store; that stays open. */
  async discard(): Promise<void> {
    await this.#stored.catch(() => undefined);
    const isThere = !this.#isDiscarded && this.#epoch === this.#instance.epoch;
    this.#isDiscarded = true;
    if (isThere) this.#core.free();
  }

  /** The store was closed by others. */
  lost(): void {
    this.#spoil({ what: "storage", error: new MimiError("internal", "something else closed the database", { retryable: true }) });
  }

  /**
   * Calls the core, or what calls it. A trap leaves it in no state to go on, whichever device of this thread
   * met it; an error that it returned leaves it as it was.
   */
  #call<T>(act: (core: ClientCore) => T): T {
    if (this.#epoch !== this.#instance.epoch) {
      this.#spoil();
      throw SPOILED;
    }
    try {
      return this.#instance.call(() => act(this.#core));
    } catch (error) {
      if (this.#epoch !== this.#instance.epoch) this.#spoil({ what: "core", error: fromCore(error) });
      throw error;
    }
  }

  /** Reads the core for the owner. */
  read<T>(act: (core: ClientCore) => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#call(act);
  }

  #tell(event: CoreEvent): void {
    if (this.#failure !== undefined) return;
    try {
      this.#call(() => { this.#owner.happened(event); });
    } catch (error) {
      if (this.#failure === undefined) this.#fail(fromCore(error));
      return;
    }
    switch (event.type) {
      case "registered": this.#connect(); break;
      case "catchingUp": this.#owner.connection({ state: "catching-up", done: event.doneThousandths / 1_000, total: event.rooms }); break;
      case "registrationFailed": this.#fail(new MimiError(event.code, "the provider refuses this device")); break;
      case "revoked": this.#fail(new MimiError("unauthenticated", "the provider knows this device no more")); break;
      case "caughtUp":
        this.#socket?.steady();
        this.#owner.connection({ state: "live" });
        this.step((core, now) => { core.retryNow(now); }).catch(() => undefined);
        break;
      case "intentDone": case "consentDone": case "accountDone": this.fulfil(event.id); break;
      case "keyPackagesMade": this.#waiting(event.id)?.resolve(event.made); break;
      case "intentFailed":
        this.#waiting(event.id)?.reject(new MimiError(event.code, REASONS[event.code] ?? "it could not be done", { retryable: event.retryable }));
        break;
      case "consentFailed": case "accountFailed": this.#waiting(event.id)?.reject(new MimiError(event.code, "the provider did not take it")); break;
      default:
    }
  }

  /** Who waits for an intent that is over, if anybody does. */
  #waiting(id: number): Deferred<unknown> | undefined {
    const waiting = this.#intents.get(id);
    this.#intents.delete(id);
    return waiting;
  }

  /** Sets the timer for what the core wants to send next, in `least` ms or later. */
  #pump(least: number): void {
    if (this.#isPaused || this.#failure !== undefined || this.#closed !== undefined) return;
    clearTimeout(this.#timer);
    let wake: number | undefined;
    try {
      wake = this.#call((core) => core.nextWake());
    } catch (error) {
      if (this.#failure === undefined) this.#fail(fromCore(error));
      return;
    }
    if (wake === undefined) return;
    const due = Math.max(wake, this.#restsUntil) - Date.now();
    this.#timer = setTimeout(() => { void this.#sendNext(); }, Math.min(Math.max(least, due), LONGEST_TIMER_MILLIS));
  }

  async #sendNext(): Promise<void> {
    try {
      const request = await this.step((core, now) => core.pollRequest(now) as CoreRequest | undefined);
      if (request === undefined) return;
      const answer: CoreAnswer | undefined = await this.#transport.send(request, this.#stop.signal);
      await this.step((core, now) => { core.handleResponse(request.id, answer, now); });
    } catch {
      // `step` has told the owner.
    }
  }

  /** The network is back: what waits does not wait for its next turn. */
  #online(): void {
    if (this.#isPaused) return;
    this.#socket?.now();
    this.step((core, now) => { core.retryNow(now); }).catch(() => undefined);
  }

  #connect(): void {
    if (this.#isPaused || this.#socket !== undefined || this.#failure !== undefined || this.#closed !== undefined) return;
    const rest = this.#restsUntil - Date.now();
    if (rest > 0) {
      clearTimeout(this.#rest);
      this.#rest = setTimeout(() => { this.#connect(); }, rest);
      return;
    }
    this.#socket = new Socket(this.#transport.socketUrl(this.#call((core) => core.socketPath())), this.#webSocket, {
      opening: () => { this.#owner.connection({ state: "connecting" }); },
      hello: () => this.step((core, now) => core.hello(now)),
      frame: (frame) => { this.step((core, now) => { core.handleFrame(frame, now); }).catch(() => undefined); },
      closed: (retryAt, code) => {
        this.#owner.connection({ state: "offline", retryAt });
        // The provider may have shut this device out: the answer to a signed request says so.
        if (code === NOT_SIGNED_IN) this.step((core, now) => { core.refreshDevices(now); }).catch(() => undefined);
      },
    });
  }

  #fail(error: MimiError): void {
    if (this.#failure !== undefined && this.#failure !== SPOILED) return;
    this.#halt(error);
    this.#owner.broken(error);
  }

  #spoil(fault?: Fault): void {
    if (this.#failure !== undefined) return;
    this.#halt(SPOILED);
    this.#owner.spoiled(fault);
  }

  #halt(error: MimiError): void {
    this.#failure = error;
    clearTimeout(this.#timer);
    clearTimeout(this.#rest);
    this.#stop.abort();
    this.#socket?.stop();
    for (const waiting of this.#intents.values()) waiting.reject(error);
  }
}
