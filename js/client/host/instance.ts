import { MimiError, fromCore, isFromCore } from "../errors.js";

/**
 * The wasm instance of this thread, which all its devices share. A trap leaves it half-way through
 * something: it is replaced, and what was made in it is gone.
 */
export class Instance {
  readonly #reset: () => void;
  #epoch = 0;
  #isSpoiled = false;

  /** `reset` replaces the instance by a fresh one of the same module. */
  constructor(reset: () => void) { this.#reset = reset; }

  /** Grows with each trap: what was made in an older epoch must not be called, nor given free. */
  get epoch(): number { return this.#epoch; }

  /**
   * Calls into the instance. Throws what the core returned as an error, as a MimiError. Anything else that is
   * thrown, such as a trap or an overflow of the stack, is `internal`, and begins a new epoch.
   */
  call<T>(act: () => T): T {
    try {
      if (this.#isSpoiled) this.#renew();
      return act();
    } catch (error) {
      if (!isFromCore(error) && !MimiError.is(error)) this.#spoil();
      throw fromCore(error);
    }
  }

  #spoil(): void {
    this.#epoch += 1;
    this.#isSpoiled = true;
    try {
      this.#renew();
    } catch {
      // There is no memory for another one yet: the next call tries again.
    }
  }

  #renew(): void {
    this.#reset();
    this.#isSpoiled = false;
  }
}
