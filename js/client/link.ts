import { MimiError, abortedError, errorOf, orAborted, plainOf, type PlainError } from "./errors.js";
import { CALLS, type Answer, type Args, type AskName, type CallName, type OnceName } from "./host/calls.js";
import { PORT_VERSION, type FromHost, type Port, type Push, type Snapshot } from "./host/port.js";
import { deferred, type Deferred } from "./live.js";

/** What a host tells its link, for the face behind it. */
export interface Face {
  /** There is a host: the first one, or another one. What calls wait for is settled after it. */
  attached(snapshot: Snapshot): void;
  /** Something is another than before, or has happened. */
  pushed(push: Push): void;
  /** The position up to which each room's messages are known. */
  seen(): Readonly<Record<string, number>>;
}

/** Something that takes its time. */
export interface Asked {
  /** The number by which a room's state lists it; another one when another host goes on with it. */
  readonly intent: () => number;
  /** What comes of it; `aborted` when the wait ended before. Nobody has to wait for it. */
  readonly done: Promise<unknown>;
  /** Nobody waits for it any more: if it is given up, that is an event. */
  readonly release: () => void;
}

/** A call that is not over. */
interface Call {
  readonly name: CallName;
  readonly args: readonly unknown[];
  readonly answered: Deferred<unknown>;
  readonly settled: Deferred<unknown>;
  /** The host that it went to last. */
  host: string | undefined;
  /** What that host answered, if it is one that is settled later. */
  intent: number | undefined;
  isReleased: boolean;
}

/**
 * A face's end of the way to the host of its device. Calls that are not over go to each new host again:
 * there they are done once, whatever the one before had done of them.
 */
export class Link {
  /** The name under which hosts know the face. */
  readonly name = crypto.randomUUID();
  readonly #trace: boolean;
  readonly #calls = new Map<number, Call>();
  readonly #first = deferred<void>();
  readonly #ended = deferred<void>();
  /** Resolves when nothing comes any more. */
  readonly ended = this.#ended.promise;
  #face: Face | undefined;
  #port: Port | undefined;
  #host: string | undefined;
  /** What it has told a host that it has no answer of yet: what it wants of it goes there after that. */
  #attaching: { readonly rests: boolean } | undefined;
  #next = 1;
  #rests = false;
  #failure: MimiError | undefined;

  constructor(trace: boolean) { this.#trace = trace; }

  /** Resolves when there is a host, and the face shows what it says. */
  async begin(face: Face): Promise<void> {
    this.#face = face;
    await this.#first.promise;
  }

  /** Attaches to the host at this port: the first one, or the next. */
  attach(port: Port): void {
    if (this.#failure !== undefined) return;
    this.#port = port;
    this.#attaching = { rests: this.#rests };
    port.post({ type: "attach", face: this.name, version: PORT_VERSION, trace: this.#trace, rests: this.#rests, ...(this.#host === undefined ? {} : { seen: this.#face?.seen() ?? {} }) });
  }

  /** Leaves the host; calls wait for the next one. */
  leave(): void { this.#port = undefined; }

  /** Takes what came from a host. */
  receive(message: FromHost): void {
    if (this.#failure !== undefined || this.#port === undefined) return;
    if (message.type === "hosting") {
      if (message.host !== this.#host) this.attach(this.#port);
    } else if (message.type === "push") {
      if (message.host === this.#host) this.#pushed(message.push);
    } else if (message.to === this.name) this.#told(message);
  }

  /** The face needs the host's work no more, or again; the hosts after it hear of that too. */
  rest(rests: boolean): void {
    this.#rests = rests;
    if (this.#attaching === undefined) this.#port?.post({ type: "rest", face: this.name, rests });
  }

  /** A call that is answered at once. */
  async once<N extends OnceName>(name: N, ...args: Args<N>): Promise<Answer<N>> {
    const { answered } = this.#issue(name, args)[1];
    return (await answered.promise) as Answer<N>;
  }

  /**
   * A call that takes its time. Resolves when the wish is stored. `signal` ends the wait, not the work; with
   * one that is aborted already nothing is asked for.
   */
  async ask<N extends AskName>(signal: AbortSignal | undefined, name: N, ...args: Args<N>): Promise<Asked> {
    if (signal?.aborted === true) throw abortedError(signal);
    const [number, call] = this.#issue(name, args);
    const release = (): void => { this.#release(number, call); };
    try {
      await orAborted(call.answered.promise, signal);
    } catch (error) {
      release();
      throw error;
    }
    const done = orAborted(call.settled.promise, signal).finally(release);
    done.catch(() => undefined);
    return { intent: () => call.intent ?? NaN, done, release };
  }

  /** A call that takes its time, to its end. `signal` ends the wait, not the work. */
  async fulfil<N extends AskName>(signal: AbortSignal | undefined, name: N, ...args: Args<N>): Promise<unknown> {
    return await (await this.ask(signal, name, ...args)).done;
  }

  /** Nothing comes any more: the face is told, whoever waits gets this error, and so does whoever calls. */
  fail(error: MimiError): void { this.#pushed({ type: "end", error: plainOf(error), expected: error.code === "closed" }); }

  #issue(name: CallName, args: readonly unknown[]): [number, Call] {
    const call: Call = { name, args, answered: deferred(), settled: deferred(), host: undefined, intent: undefined, isReleased: false };
    const number = this.#next++;
    if (this.#failure === undefined) {
      this.#calls.set(number, call);
      try {
        this.#send(number, call);
      } catch (error) {
        // Structured cloning refuses it.
        this.#calls.delete(number);
        call.answered.reject(new MimiError("bad-argument", `an argument of ${name} is of another type`, { cause: error }));
      }
    } else call.answered.reject(this.#failure);
    return [number, call];
  }

  /** Sends a call to the host, unless there is none yet or it has it. */
  #send(number: number, call: Call): void {
    if (this.#host === undefined || this.#attaching !== undefined || call.host === this.#host) return;
    const again = call.host !== undefined;
    call.host = this.#host;
    const { name, args, intent } = call;
    this.#port?.post({ type: "call", face: this.name, call: number, name, args, again, ...(intent === undefined ? {} : { intent }) });
  }

  #release(number: number, call: Call): void {
    call.isReleased = true;
    // One that may not be stored yet goes to the next host all the same.
    if (call.intent === undefined || !this.#calls.delete(number)) return;
    this.#port?.post({ type: "release", face: this.name, call: number });
  }

  #pushed(push: Push): void {
    if (this.#failure !== undefined) return;
    if (push.type === "end") this.#end(errorOf(push.error));
    this.#face?.pushed(push);
  }

  #end(error: MimiError): void {
    this.#failure = error;
    this.#first.reject(error);
    for (const { answered, settled } of this.#calls.values()) {
      answered.reject(error);
      settled.reject(error);
    }
    this.#calls.clear();
    this.#ended.resolve();
  }

  #told(message: Exclude<FromHost, { readonly type: "hosting" | "push" }>): void {
    if (message.type === "snapshot") {
      this.#attached(message.host, message.snapshot);
      return;
    }
    if (message.type === "refused") {
      this.fail(errorOf(message.error));
      return;
    }
    const call = this.#calls.get(message.call);
    if (call === undefined || message.host !== call.host) return;
    switch (message.type) {
      case "answer": this.#answered(message.call, call, message.result); break;
      case "failure":
        this.#calls.delete(message.call);
        call.answered.reject(errorOf(message.error));
        call.settled.reject(errorOf(message.error));
        break;
      case "settled":
        this.#calls.delete(message.call);
        settle(call.settled, message);
        break;
      default:
    }
  }

  #answered(number: number, call: Call, result: unknown): void {
    const kind = CALLS[call.name];
    if (kind === "read" || kind === "step") this.#calls.delete(number);
    else call.intent = result as number;
    call.answered.resolve(result);
    if (call.isReleased) this.#release(number, call);
  }

  #attached(host: string, snapshot: Snapshot): void {
    const isOther = host !== this.#host;
    const attaching = this.#attaching;
    this.#host = host;
    this.#attaching = undefined;
    if (isOther) this.#face?.attached(snapshot);
    if (attaching !== undefined && attaching.rests !== this.#rests) this.rest(this.#rests);
    for (const [number, call] of this.#calls) this.#send(number, call);
    this.#first.resolve();
  }
}

function settle(waiting: Deferred<unknown>, { result, error }: { readonly result?: unknown; readonly error?: PlainError }): void {
  if (error === undefined) waiting.resolve(result);
  else waiting.reject(errorOf(error));
}
