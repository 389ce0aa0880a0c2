import type { ClientCore } from "#wasm/client";
import { MimiError, closedError, fromCore, plainOf } from "../errors.js";
import { deferred, type Deferred } from "../live.js";
import type { Store } from "../store.js";
import type { SharedStore } from "../store/indexeddb.js";
import { uri, type ClientUri } from "../uri.js";
import { askedBefore } from "./again.js";
import { CALLS, callCore, requireCall } from "./calls.js";
import { Engine, SPOILED, type CoreEvent, type Fault } from "./engine.js";
import type { Instance } from "./instance.js";
import { PORT_VERSION, type Carrier, type FromFace, type FromHost, type Push, type Snapshot } from "./port.js";
import { MOST_ATTEMPTS, Rests, pause, restBeforeAttempt } from "./rests.js";
import type { Transport } from "./transport.js";
import { View } from "./view.js";

/** What a host works with. */
export interface HostParts {
  /** Makes the core of what is stored. */
  readonly openCore: () => Promise<ClientCore>;
  /** Where cores are. */
  readonly instance: Instance;
  readonly store: Store | SharedStore;
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
  rests: boolean;
  /** The intents that its calls wait for, by call. */
  readonly waits: Map<number, number>;
}

/** A core at work. After a fault of the core or the store it is made anew. */
interface Work {
  /** The host's name with it: for faces, the next one is another host. */
  readonly id: string;
  readonly engine: Engine;
  readonly view: View;
}

/**
 * One device at work: it does what faces call and tells them, in order, what is another than before and
 * what has happened.
 *
 * No fault is final. When the core traps or a delta cannot be stored, the call that met it is rejected, and
 * the core is made anew from what is stored. For the faces that is another host: they attach to it, and
 * their other calls, waiting or new, are done there.
 */
export class Host {
  readonly #parts: HostParts;
  /** Ends the pauses between attempts to make the core anew. */
  readonly #stop = new AbortController();
  #work: Work;
  /** How long nothing is sent after faults: what is sent, or comes, may have been the cause. */
  readonly #rests = new Rests();
  readonly #device: ClientUri;
  readonly #faces = new Map<string, Attached>();
  /** Who waits for pseudonyms, in the order in which they were asked for. */
  readonly #pseudonyms: Deferred<string>[] = [];
  /** The calls that asked to delete the user and were not refused. */
  readonly #deletions = new Set<number>();
  /** Whether one of them was heard: that the provider then knows this device no more is no error. */
  #isDeleted = false;
  #failure: MimiError | undefined;
  #isOpen = false;
  #restarting: Promise<void> | undefined;
  /** Who attached while the core is made anew. */
  readonly #waiting: (readonly [Attach, Carrier])[] = [];
  #isClosing = false;

  private constructor(parts: HostParts, core: ClientCore) {
    this.#parts = parts;
    this.#work = this.#employ(core);
    this.#device = this.#work.engine.read((core) => core.device()) as ClientUri;
    parts.store.watch?.(() => { this.#work.engine.lost(); });
  }

  /** Opens the device, starts sending, and connects as soon as the provider knows this device. */
  static async open(parts: HostParts): Promise<Host> {
    const host = new Host(parts, await parts.openCore());
    await host.#work.engine.start(0);
    host.#isOpen = true;
    return host;
  }

  /** The name of the channel on which guests are served, if the store is one that tabs share. */
  get channel(): string | undefined { return "channel" in this.#parts.store ? this.#parts.store.channel : undefined; }

  /** Tells faces on a carrier that this host has begun. */
  announce(carrier: Carrier): void { this.#post(carrier, { type: "hosting" }); }

  /** Takes what came from a face on this carrier. */
  receive(message: FromFace, carrier: Carrier): void {
    if (message.type === "attach") {
      if (this.#restarting === undefined) this.#attach(message, carrier);
      else this.#waiting.push([message, carrier]);
      return;
    }
    const face = this.#faces.get(message.face);
    // Who is about to attach again sends it again then.
    if (face === undefined || this.#restarting !== undefined) return;
    switch (message.type) {
      case "call": void this.#call(face, message); break;
      case "release": this.#release(face, message.call); break;
      case "rest":
        face.rests = message.rests;
        this.#restIfAllDo();
        break;
      default:
    }
  }

  /** A face is gone: nobody waits for its calls any more, and what it asked for goes on. */
  detach(name: string): void {
    const face = this.#faces.get(name);
    if (face === undefined) return;
    this.#faces.delete(name);
    for (const call of [...face.waits.keys()]) this.#release(face, call);
    this.#traceIfWanted();
    this.#restIfAllDo();
  }

  /** Ends everything; what is stored stays. Faces that go on with the next host hear nothing of the end. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#stop.abort();
    if (this.#restarting !== undefined) await this.#restarting;
    await this.#work.engine.close();
  }

  /** Puts a core to work. */
  #employ(core: ClientCore): Work {
    const { instance, store, transport, webSocket } = this.#parts;
    const engine = new Engine(core, store, transport, webSocket, instance, {
      happened: (event) => { this.#happened(event); },
      connection: (sync) => { this.#push({ type: "state", state: this.#work.view.set({ sync }) }); },
      broken: (error) => { this.#broken(error); },
      spoiled: (fault) => { if (this.#isOpen && !this.#isClosing && this.#restarting === undefined) this.#restarting = this.#restart(fault); },
    });
    return { id: crypto.randomUUID(), engine, view: engine.read((core) => new View(core)) };
  }

  /** Makes the core anew, and is another host for the faces from then on. */
  async #restart(fault: Fault | undefined): Promise<void> {
    if (fault !== undefined) this.#push({ type: "fault", what: fault.what, error: plainOf(fault.error) });
    for (const waiting of this.#pseudonyms.splice(0)) waiting.reject(SPOILED);
    const rest = fault === undefined ? 0 : this.#rests.next();
    const isBack = await this.#makeAnew(rest);
    this.#restarting = undefined;
    if (isBack) {
      const carriers = new Set([...this.#faces.values()].map(({ carrier }) => carrier));
      this.#faces.clear();
      for (const carrier of carriers) this.announce(carrier);
    }
    for (const [attach, carrier] of this.#waiting.splice(0)) this.#attach(attach, carrier);
  }

  /** Says whether it could be done. */
  async #makeAnew(restMillis: number): Promise<boolean> {
    for (let attempt = 0; !this.#isClosing; attempt += 1) {
      try {
        await this.#work.engine.discard();
        this.#work = this.#employ(await this.#parts.openCore());
        await this.#work.engine.start(restMillis);
        if (!this.#work.engine.isSpoiled) return true;
      } catch (error) {
        const failed = fromCore(error);
        if (failed.code !== "storage-full" && (failed.code !== "internal" || attempt === MOST_ATTEMPTS)) {
          this.#broken(failed);
          return false;
        }
      }
      await pause(restBeforeAttempt(attempt), this.#stop.signal);
    }
    return false;
  }

  #attach(attach: Attach, carrier: Carrier): void {
    const { face, version, trace, rests, seen } = attach;
    if (this.#isLeft(carrier)) return;
    try {
      if (version !== PORT_VERSION) throw new MimiError("incompatible", "another version of this package has this device open");
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isClosing) throw closedError();
      const { engine, view } = this.#work;
      const snapshot = engine.read(() => view.snapshot(this.#parts.thread, seen));
      this.#faces.set(face, { carrier, trace, rests, waits: this.#faces.get(face)?.waits ?? new Map() });
      this.#traceIfWanted();
      this.#post(carrier, { type: "snapshot", to: face, snapshot });
      this.#restIfAllDo();
    } catch (error) {
      // Another device of this thread has trapped: the core is made anew now.
      if (error === SPOILED && this.#restarting !== undefined) this.#waiting.push([attach, carrier]);
      else this.#post(carrier, { type: "refused", to: face, error: plainOf(fromCore(error)) });
    }
  }

  /** Does a call. Its answers are those of the work that it was done by: a face that waits for the next one's does not take them. */
  async #call(face: Attached, call: Call): Promise<void> {
    const work = this.#work;
    const { name, args } = call;
    try {
      requireCall(name, args);
      switch (CALLS[name]) {
        case "read": case "step": {
          const result = await work.engine.step((core, now) => callCore(core, name, args, now));
          this.#post(face.carrier, { type: "answer", to: call.face, call: call.call, result }, work);
          break;
        }
        case "ask": await this.#ask(work, face, call, undefined); break;
        case "change": await this.#ask(work, face, call, args[0] as string); break;
      }
    } catch (error) {
      this.#fail(work, face, call, "failure", error);
    }
  }

  /** Asks the core for what takes its time, unless an earlier host has done so. */
  async #ask(work: Work, face: Attached, call: Call, room: string | undefined): Promise<void> {
    const { engine, view } = work;
    const before = call.again ? engine.read((core) => askedBefore(core, call)) : undefined;
    const asked = before === undefined ? await this.#askCore(engine, call, room) : before === "done" ? DONE : { id: before, done: engine.outcome(before) };
    face.waits.set(call.call, asked.id);
    // A change of each room was asked for with it.
    if (call.name === "revokeDevice") this.#push({ type: "state", state: engine.read(() => view.rooms()) ?? {} });
    this.#post(face.carrier, { type: "answer", to: call.face, call: call.call, result: asked.id }, work);
    try {
      const result = await asked.done;
      this.#post(face.carrier, { type: "settled", to: call.face, call: call.call, result }, work);
    } catch (error) {
      this.#fail(work, face, call, "settled", error);
    } finally {
      face.waits.delete(call.call);
    }
  }

  async #askCore(engine: Engine, call: Call, room: string | undefined): Promise<{ readonly id: number; readonly done: Promise<unknown> }> {
    if (call.name === "requestPseudonym") return await this.#askForPseudonym(engine, call);
    return await engine.ask(room, (core, now) => {
      const id = callCore(core, call.name, call.args, now) as number;
      if (call.name === "deleteUser") this.#deletions.add(id);
      return id;
    });
  }

  async #askForPseudonym(engine: Engine, call: Call): Promise<{ readonly id: number; readonly done: Promise<unknown> }> {
    const issued = deferred<string>();
    await engine.step((core, now) => {
      callCore(core, call.name, call.args, now);
      this.#pseudonyms.push(issued);
    });
    return { id: NO_INTENT, done: issued.promise };
  }

  #release(face: Attached, call: number): void {
    const intent = face.waits.get(call);
    face.waits.delete(call);
    const isAwaited = [...this.#faces.values()].some(({ waits }) => [...waits.values()].includes(intent ?? NO_INTENT));
    if (intent !== undefined && !isAwaited) this.#work.engine.release(intent);
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
        for (const id of this.#deletions) this.#work.engine.fulfil(id);
        break;
      default:
    }
    const awaited = event.type === "intentFailed" && this.#work.engine.isAwaited(event.id);
    const state = this.#work.view.after(event);
    this.#push({ type: "event", event, awaited, ...(state === undefined ? {} : { state }) });
  }

  #broken(error: MimiError): void {
    if (this.#failure !== undefined) return;
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

  #fail(work: Work, { carrier }: Attached, { face, call }: Call, type: "failure" | "settled", error: unknown): void {
    // It comes again.
    if (error === SPOILED) return;
    const failed = fromCore(error);
    if (failed.code !== "closed" || !this.#isLeft(carrier)) this.#post(carrier, { type, to: face, call, error: plainOf(failed) }, work);
  }

  /** Whether the next host goes on with the faces on a carrier. */
  #isLeft(carrier: Carrier): boolean { return this.#isClosing && carrier.goesOn; }

  #post(carrier: Carrier, message: WithoutHost<FromHost>, { id }: Work = this.#work): void {
    carrier.post({ host: id, ...message });
  }

  /** The engine rests while all faces do. */
  #restIfAllDo(): void {
    const faces = [...this.#faces.values()];
    if (faces.length > 0 && faces.every(({ rests }) => rests)) this.#work.engine.pause();
    else this.#work.engine.resume();
  }

  /** Exchanges are noted while a face wants to see them. */
  #traceIfWanted(): void {
    const [from, to] = [this.#device, uri.domain(this.#device)];
    const isWanted = [...this.#faces.values()].some(({ trace }) => trace);
    this.#parts.transport.trace = isWanted
      ? (exchange) => { this.#push({ type: "exchange", exchange: { ...exchange, from, to } }, ({ trace }) => trace); }
      : undefined;
  }
}
