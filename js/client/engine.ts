import type { ClientCore } from "#wasm/client";
import { MimiError, fromCore, type ErrorCode } from "./errors.js";
import { deferred, type Deferred } from "./live.js";
import type { CoreDelivery } from "./room.js";
import type { Change, Store } from "./store.js";
import { Socket, type CoreAnswer, type CoreRequest, type Transport } from "./transport.js";

/** What the core says has happened. */
export type CoreEvent =
  | { readonly type: "registered" | "caughtUp" }
  | { readonly type: "registrationFailed"; readonly code: ErrorCode }
  | { readonly type: "keyPackages"; readonly available: number; readonly lastResort: number; readonly nextExpiry?: number }
  | { readonly type: "roomAdded" | "roomLeft" | "welcomeFailed" | "gap" | "diverged"; readonly room: string }
  | { readonly type: "roomChanged"; readonly room: string; readonly epoch: number }
  | { readonly type: "message"; readonly room: string; readonly key: string; readonly sender: string; readonly epoch: number; readonly at: number; readonly content: Uint8Array<ArrayBuffer> }
  | { readonly type: "undecryptable"; readonly room: string; readonly position: number }
  | ({ readonly type: "delivery"; readonly room: string; readonly key: string } & CoreDelivery)
  | { readonly type: "intentDone"; readonly room: string; readonly id: number }
  | { readonly type: "intentFailed"; readonly room: string; readonly id: number; readonly code: ErrorCode; readonly retryable: boolean };

/** Timers cannot wait longer than 24.8 days: one that comes too early asks again. */
const LONGEST_TIMER_MILLIS = 0x7fff_ffff;

/** Who is told what the engine learns. */
export interface EngineOwner {
  /** Rooms, messages and the like, after they were stored and before promises resolve. */
  happened(event: CoreEvent): void;
  /** The connection to the own provider. */
  connection(state: { readonly state: "connecting" | "live" } | { readonly state: "offline"; readonly retryAt: number }): void;
  /** Nothing can be stored or called any more. */
  broken(error: MimiError): void;
}

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
  readonly #stop = new AbortController();
  readonly #intents = new Map<number, Deferred<void>>();
  /** The last delta on its way to the store; the next one waits for it. */
  #stored: Promise<void> = Promise.resolve();
  #socket: Socket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failure: MimiError | undefined;

  constructor(core: ClientCore, store: Store, transport: Transport, webSocket: typeof WebSocket, owner: EngineOwner) {
    this.#core = core;
    this.#store = store;
    this.#transport = transport;
    this.#webSocket = webSocket;
    this.#owner = owner;
  }

  /** Starts sending, and connects as soon as the provider knows this device. */
  async start(): Promise<void> {
    await this.step(() => undefined);
    if (this.#core.isRegistered()) this.#connect();
  }

  /**
   * One call of the core. Resolves when what it changed is stored; then requests go out and events
   * are told, in the order of the calls.
   */
  async step<T>(act: (core: ClientCore, now: number) => T): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    let result: T;
    try {
      result = act(this.#core, Date.now());
    } catch (error) {
      // A trap leaves the core in no state to go on; an error that it returned leaves it as it was.
      if (error instanceof WebAssembly.RuntimeError) this.#fail(fromCore(error));
      this.#pump();
      throw fromCore(error);
    }
    const changes = this.#core.takeChanges() as Change[];
    const events = this.#core.takeEvents() as CoreEvent[];
    const frames = this.#core.takeFrames() as Uint8Array[];
    const stored = this.#stored.then(() => (changes.length === 0 ? undefined : this.#store.apply(changes)));
    this.#stored = stored;
    try {
      await stored;
    } catch (error) {
      this.#fail(fromCore(error));
      throw this.#failure ?? error;
    }
    for (const frame of frames) this.#socket?.send(frame);
    for (const event of events) this.#tell(event);
    this.#pump();
    return result;
  }

  /** Resolves when an intent is fulfilled. */
  intent(id: number): Promise<void> {
    let waiting = this.#intents.get(id);
    if (waiting === undefined) {
      waiting = deferred();
      this.#intents.set(id, waiting);
    }
    return waiting.promise;
  }

  /** Ends everything; what is stored stays. */
  async close(): Promise<void> {
    this.#fail(new MimiError("closed", "the client was closed"));
    await this.#stored.catch(() => undefined);
    await this.#store.close();
    this.#core.free();
  }

  #tell(event: CoreEvent): void {
    this.#owner.happened(event);
    switch (event.type) {
      case "registered": this.#connect(); break;
      case "caughtUp": this.#socket?.calm(); this.#owner.connection({ state: "live" }); break;
      case "intentDone": this.#settle(event.id)?.resolve(); break;
      case "intentFailed":
        this.#settle(event.id)?.reject(new MimiError(event.code, "it could not be done", { retryable: event.retryable }));
        break;
      default:
    }
  }

  /** The promise of an intent that is over; nobody may have asked for it yet. */
  #settle(id: number): Deferred<void> {
    const waiting = this.#intents.get(id) ?? deferred<void>();
    this.#intents.set(id, waiting);
    return waiting;
  }

  /** Sends what the core wants sent and sets the timer for what it wants later. */
  #pump(): void {
    if (this.#failure !== undefined) return;
    clearTimeout(this.#timer);
    const wake = this.#core.nextWake();
    if (wake === undefined) return;
    this.#timer = setTimeout(() => { void this.#sendNext(); }, Math.min(Math.max(0, wake - Date.now()), LONGEST_TIMER_MILLIS));
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

  #connect(): void {
    if (this.#socket !== undefined || this.#failure !== undefined) return;
    this.#owner.connection({ state: "connecting" });
    this.#socket = new Socket(this.#transport.socketUrl(this.#core.socketPath()), this.#webSocket, {
      hello: () => this.step((core, now) => core.hello(now)),
      frame: (frame) => { this.step((core, now) => { core.handleFrame(frame, now); }).catch(() => undefined); },
      closed: (retryAt) => { this.#owner.connection({ state: "offline", retryAt }); },
    });
  }

  #fail(error: MimiError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#stop.abort();
    this.#socket?.stop();
    for (const waiting of this.#intents.values()) waiting.reject(error);
    this.#owner.broken(error);
  }
}
