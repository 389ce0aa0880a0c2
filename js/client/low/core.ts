import { MimiError } from "../errors.js";
import { instance } from "../host/wasm.js";
import type { Bytes } from "../message.js";

/** Calls the core; what it throws becomes a MimiError: `bad-argument` for what the core cannot take at all. */
export function call<T>(act: () => T): T {
  return instance.call(() => {
    try {
      return act();
    } catch (error) {
      if (isMisuse(error)) throw new MimiError("bad-argument", "an argument is of another type", { cause: error });
      throw error;
    }
  });
}

/** Whether something of another type was given, which is found before the core is called. */
function isMisuse(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof Error && error.message.startsWith("expected instance of"));
}

/** An object in the core. After a trap, whoever met it, the core is a new one without it. */
export class Held<C extends { free(): void }> {
  readonly #core: C;
  readonly #epoch = instance.epoch;
  #isFree = false;

  constructor(core: C) { this.#core = core; }

  /** The object. Throws `internal` when the core is another one, `bad-argument` when it was given free. */
  get core(): C {
    if (this.#isFree) throw new MimiError("bad-argument", "it was disposed of");
    if (this.#epoch !== instance.epoch) throw new MimiError("internal", "the core failed since this was made: load it again from what is stored");
    return this.#core;
  }

  /** Gives its memory free, if it is still there. */
  free(): void {
    if (!this.#isFree && this.#epoch === instance.epoch) this.#core.free();
    this.#isFree = true;
  }
}

/** Bytes from the core: it copies them into a buffer of their own. */
export function owned(bytes: Uint8Array): Bytes { return bytes as Bytes; }
