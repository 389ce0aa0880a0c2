import type { ClientCore } from "#wasm/client";
import { MimiError, fromCore, plainOf } from "../errors.js";
import { deferred, type Deferred } from "../live.js";
import type { Store } from "../store.js";
import { uri, type ClientUri } from "../uri.js";
import { askedBefore } from "./again.js";
import { CALLS, callCore } from "./calls.js";
import { Engine, type CoreEvent } from "./engine.js";
import { PORT_VERSION, type Carrier, type FromFace, type FromHost, type Push, type Snapshot } from "./port.js";
import type { Transport } from "./transport.js";
import { View } from "./view.js";

/** What a host works with. */
export interface HostParts {
  readonly core: ClientCore;
  readonly store: Store;
  readonly transport: Transport;
  readonly webSocket: typeof WebSocket;
  readonly thread: Snapshot["thread"];
}

type Attach = Extract<FromFace, { readonly type: "attach" }>;
type Call = Extract<FromFace, { readonly type: "call" }>;
/** The number of what the core knows no intent of. */
const NO_INTENT = -1;
/** Something that was asked of an earlier host, and was done. */
const DONE = { id: NO_INTENT, done: Promise.resolve() };

type WithoutHost<M> = M extends FromHost ? Omit<M, "host"> : never;

/** A face that is attached. */
interface Attached {
  readonly carrier: Carrier;
  readonly trace: boolean;
  /** The intents that its calls wait for, by call. */
  readonly waits: Map<number, number>;
}

/**
 * One device at work: it does what faces call and tells them, in order, what is another than before and
 * what has happened.
 */
export class Host {
  readonly #id = crypto.randomUUID();
  readonly #core: ClientCore;
  readonly #engine: Engine;
  readonly #view: View;
  readonly #transport: Transport;
  readonly #device: ClientUri;
  readonly #thread: Snapshot["thread"];
  readonly #faces = new Map<string, Attached>();
  /** Who waits for pseudonyms, in the order in which they were asked for. */
  readonly #pseudonyms: Deferred<string>[] = [];
  /** The calls that asked to delete the user and were not refused. */
  readonly #deletions = new Set<number>();
  /** Whether one of them was heard: that the provider then knows this device no more is no error. */
  #isDeleted = false;
  #failure: MimiError | undefined;
  #isClosing = false;

  constructor({ core, store, transport, webSocket, thread }: HostParts) {
    this.#core = core;
    this.#transport = transport;
    this.#device = core.device() as ClientUri;
    this.#thread = thread;
    this.#view = new View(core);
    this.#engine = new Engine(core, store, transport, webSocket, {
      happened: (event) => { this.#happened(event); },
      connection: (sync) => { this.#push({ type: "state", state: this.#view.set({ sync }) }); },
      broken: (error) => { this.#broken(error); },
    });
  }

  /** Starts sending, and connects as soon as the provider knows this device. */
  async start(): Promise<void> { await this.#engine.start(); }

  /** Tells faces on a carrier that this host has begun. */
  announce(carrier: Carrier): void { this.#post(carrier, { type: "hosting" }); }

  /** Takes what came from a face on this carrier. */
  receive(message: FromFace, carrier: Carrier): void {
    if (message.type === "attach") {
      this.#attach(message, carrier);
      return;
    }
    const face = this.#faces.get(message.face);
    if (face === undefined) return;
    if (message.type === "call") void this.#call(face, message);
    else this.#release(face, message.call);
  }

  /** A face is gone: nobody waits for its calls any more, and what it asked for goes on. */
  detach(name: string): void {
    const face = this.#faces.get(name);
    if (face === undefined) return;
    this.#faces.delete(name);
    for (const call of [...face.waits.keys()]) this.#release(face, call);
    this.#traceIfWanted();
  }

  /** Ends everything; what is stored stays. Faces that go on with the next host hear nothing of the end. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#engine.close();
  }

  #attach({ face, version, trace, seen }: Attach, carrier: Carrier): void {
    if (this.#isLeft(carrier)) return;
    try {
      if (version !== PORT_VERSION) throw new MimiError("incompatible", "another version of this package has this device open");
      if (this.#failure !== undefined) throw this.#failure;
      const snapshot = this.#view.snapshot(this.#thread, seen);
      this.#faces.set(face, { carrier, trace, waits: this.#faces.get(face)?.waits ?? new Map() });
      this.#traceIfWanted();
      this.#post(carrier, { type: "snapshot", to: face, snapshot });
    } catch (error) {
      this.#post(carrier, { type: "refused", to: face, error: plainOf(fromCore(error)) });
    }
  }

  async #call(face: Attached, call: Call): Promise<void> {
    const { name, args } = call;
    try {
      switch (CALLS[name]) {
        case "read": case "step": {
          const result = await this.#engine.step((core, now) => callCore(core, name, args, now));
          this.#post(face.carrier, { type: "answer", to: call.face, call: call.call, result });
          break;
        }
        case "ask": await this.#ask(face, call, undefined); break;
        case "change": await this.#ask(face, call, args[0] as string); break;
      }
    } catch (error) {
      this.#fail(face, call, "failure", error);
    }
  }

  /** Asks the core for what takes its time, unless an earlier host has done so. */
  async #ask(face: Attached, call: Call, room: string | undefined): Promise<void> {
    const before = call.again ? askedBefore(this.#core, call) : undefined;
    const asked = before === undefined ? await this.#askCore(call, room) : before === "done" ? DONE : { id: before, done: this.#engine.outcome(before) };
    face.waits.set(call.call, asked.id);
    // A change of each room was asked for with it.
    if (call.name === "revokeDevice") this.#push({ type: "state", state: this.#view.rooms() ?? {} });
    this.#post(face.carrier, { type: "answer", to: call.face, call: call.call, result: asked.id });
    try {
      const result = await asked.done;
      this.#post(face.carrier, { type: "settled", to: call.face, call: call.call, result });
    } catch (error) {
      this.#fail(face, call, "settled", error);
    } finally {
      face.waits.delete(call.call);
    }
  }

  async #askCore(call: Call, room: string | undefined): Promise<{ readonly id: number; readonly done: Promise<unknown> }> {
    if (call.name === "requestPseudonym") return await this.#askForPseudonym(call);
    return await this.#engine.ask(room, (core, now) => {
      const id = callCore(core, call.name, call.args, now) as number;
      if (call.name === "deleteUser") this.#deletions.add(id);
      return id;
    });
  }

  async #askForPseudonym(call: Call): Promise<{ readonly id: number; readonly done: Promise<unknown> }> {
    const issued = deferred<string>();
    await this.#engine.step((core, now) => {
      callCore(core, call.name, call.args, now);
      this.#pseudonyms.push(issued);
    });
    return { id: NO_INTENT, done: issued.promise };
  }

  #release(face: Attached, call: number): void {
    const intent = face.waits.get(call);
    face.waits.delete(call);
    const isAwaited = [...this.#faces.values()].some(({ waits }) => [...waits.values()].includes(intent ?? NO_INTENT));
    if (intent !== undefined && !isAwaited) this.#engine.release(intent);
  }

  #happened(event: CoreEvent): void {
    switch (event.type) {
      case "pseudonymIssued": this.#pseudonyms.shift()?.resolve(event.user); break;
      case "pseudonymRefused": this.#pseudonyms.shift()?.reject(new MimiError(event.code, "the provider refuses a pseudonym")); break;
      case "accountDone": this.#isDeleted ||= this.#deletions.has(event.id); break;
      case "accountFailed": this.#deletions.delete(event.id); break;
      case "revoked":
        // Another request's answer may say it before the deletion's own does.
        this.#isDeleted ||= this.#deletions.size > 0;
        for (const id of this.#deletions) this.#engine.fulfil(id);
        break;
      default:
    }
    const awaited = event.type === "intentFailed" && this.#engine.isAwaited(event.id);
    const state = this.#view.after(event);
    this.#push({ type: "event", event, awaited, ...(state === undefined ? {} : { state }) });
  }

  #broken(error: MimiError): void {
    this.#failure = error;
    for (const waiting of this.#pseudonyms.splice(0)) waiting.reject(error);
    // Calls that were settled just before are told first.
    queueMicrotask(() => { this.#push({ type: "end", error: plainOf(error), expected: error.code === "closed" || this.#isDeleted }); });
  }

  /** Tells all faces, each carrier once. */
  #push(push: Push, to: (face: Attached) => boolean = () => true): void {
    const carriers = new Set([...this.#faces.values()].filter(to).map(({ carrier }) => carrier));
    for (const carrier of carriers) {
      // What was on its way to the store is still told; the end is not.
      if (this.#failure === undefined || !this.#isLeft(carrier)) this.#post(carrier, { type: "push", push });
    }
  }

  #fail({ carrier }: Attached, { face, call }: Call, type: "failure" | "settled", error: unknown): void {
    const failed = fromCore(error);
    if (failed.code !== "closed" || !this.#isLeft(carrier)) this.#post(carrier, { type, to: face, call, error: plainOf(failed) });
  }

  /** Whether the next host goes on with the faces on a carrier. */
  #isLeft(carrier: Carrier): boolean { return this.#isClosing && carrier.goesOn; }

  #post(carrier: Carrier, message: WithoutHost<FromHost>): void {
    carrier.post({ host: this.#id, ...message });
  }

  /** Exchanges are noted while a face wants to see them. */
  #traceIfWanted(): void {
    const [from, to] = [this.#device, uri.domain(this.#device)];
    const isWanted = [...this.#faces.values()].some(({ trace }) => trace);
    this.#transport.trace = isWanted
      ? (exchange) => { this.#push({ type: "exchange", exchange: { ...exchange, from, to } }, ({ trace }) => trace); }
      : undefined;
  }
}
