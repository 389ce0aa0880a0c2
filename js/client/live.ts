import type { MimiError } from "./errors.js";

/** Something that a wait can be ended by. */
export interface Signal { readonly signal?: AbortSignal }

/**
 * A value that changes. `get` returns the same object until it changes; both members are bound, so
 * that `useSyncExternalStore(x.subscribe, x.get)` works, and it is a Svelte store.
 */
export interface Live<T> extends AsyncIterable<T> {
  /** The newest value. */
  readonly get: () => T;
  /** Calls `listener` at once and after each change; the result ends it. */
  readonly subscribe: (listener: (value: T) => void, options?: Signal) => () => void;
}

/** Part of a list that is too long to have at once. */
export interface Page<T> {
  /** In order. */
  readonly items: readonly T[];
  /** The part that comes after this one; null when there is none. */
  next(): Promise<Page<T> | null>;
}

/** A {@link Live} and the right to change it. */
export class LiveValue<T> implements Live<T> {
  #value: T;
  readonly #listeners = new Set<(value: T) => void>();
  readonly #ends = new Set<() => void>();
  #ended = false;

  constructor(value: T) { this.#value = value; }

  readonly get = (): T => this.#value;

  readonly subscribe = (listener: (value: T) => void, { signal }: Signal = {}): (() => void) => {
    const end = (): void => {
      this.#listeners.delete(listener);
      signal?.removeEventListener("abort", end);
    };
    if (signal?.aborted === true) return end;
    this.#listeners.add(listener);
    signal?.addEventListener("abort", end, { once: true });
    listener(this.#value);
    return end;
  };

  /** A new value. */
  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) guarded(() => { listener(value); });
  }

  /** No more values come: iterations end. */
  end(): void {
    this.#ended = true;
    for (const end of [...this.#ends]) end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let fresh = true;
    let wake: (() => void) | undefined;
    const woken = (): void => { wake?.(); };
    const stop = this.subscribe(() => { fresh = true; woken(); });
    this.#ends.add(woken);
    try {
      for (;;) {
        if (fresh) { fresh = false; yield this.#value; continue; }
        if (this.#ended) return;
        await new Promise<void>((resolve) => { wake = resolve; });
      }
    } finally {
      stop();
      this.#ends.delete(woken);
    }
  }
}

/**
 * Calls a function of the application. What it throws is reported as an event listener's would be, and
 * stops nothing here.
 */
export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

/** A DOM EventTarget with types; `events` is the same stream for `for await`, nothing dropped. */
export interface Emitter<M> {
  /** Calls `listener` at each event of this type; `{ once }` and `{ signal }` end it. */
  addEventListener<K extends keyof M & string>(type: K, listener: (event: CustomEvent<M[K]>) => void, options?: AddEventListenerOptions): void;
  /** Calls it no more. */
  removeEventListener<K extends keyof M & string>(type: K, listener: (event: CustomEvent<M[K]>) => void): void;
  /** Every event from now on, until the signal or until the emitter is closed. */
  events(options?: Signal): AsyncIterable<{ [K in keyof M]: { readonly type: K; readonly detail: M[K] } }[keyof M]>;
}

type AnyEvent<M> = { [K in keyof M]: { readonly type: K; readonly detail: M[K] } }[keyof M];

/** The part of an object that tells its application what happens. */
export class TypedEvents<M> implements Emitter<M> {
  readonly #target = new EventTarget();
  readonly #streams = new Set<(event: AnyEvent<M> | undefined) => void>();
  #ended = false;

  addEventListener<K extends keyof M & string>(type: K, listener: (event: CustomEvent<M[K]>) => void, options?: AddEventListenerOptions): void {
    this.#target.addEventListener(type, listener as EventListener, options);
  }

  removeEventListener<K extends keyof M & string>(type: K, listener: (event: CustomEvent<M[K]>) => void): void {
    this.#target.removeEventListener(type, listener as EventListener);
  }

  /** Every event from now on, until the signal or until the client is closed. */
  events({ signal }: Signal = {}): AsyncGenerator<AnyEvent<M>, void, undefined> {
    const waiting: (AnyEvent<M> | undefined)[] = [];
    let wake: (() => void) | undefined;
    const push = (event: AnyEvent<M> | undefined): void => { waiting.push(event); wake?.(); };
    const abort = (): void => { stop(); push(undefined); };
    const stop = (): void => {
      this.#streams.delete(push);
      signal?.removeEventListener("abort", abort);
    };
    if (this.#ended || signal?.aborted === true) push(undefined);
    else {
      this.#streams.add(push);
      signal?.addEventListener("abort", abort, { once: true });
    }
    // What comes before the first iteration waits for it.
    return (async function* iterate() {
      try {
        for (;;) {
          while (waiting.length > 0) {
            const event = waiting.shift();
            if (event === undefined) return;
            yield event;
          }
          await new Promise<void>((resolve) => { wake = resolve; });
        }
      } finally {
        stop();
      }
    })();
  }

  /** Tells everybody who listens. */
  emit<K extends keyof M & string>(type: K, detail: M[K]): void {
    for (const push of [...this.#streams]) push({ type, detail } as AnyEvent<M>);
    this.#target.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** No more events come. */
  end(): void {
    this.#ended = true;
    for (const push of [...this.#streams]) push(undefined);
  }
}

/** A promise that is settled from outside. */
export interface Deferred<T> { readonly promise: Promise<T>; readonly resolve: (value: T) => void; readonly reject: (error: MimiError) => void }

/** A new promise to be settled from outside; nobody has to wait for it. */
export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: MimiError) => void;
  const promise = new Promise<T>((yes, no) => { resolve = yes; reject = no; });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
