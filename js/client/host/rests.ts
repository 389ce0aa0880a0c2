/** How often something is tried that fails each time. */
export const MOST_ATTEMPTS = 5;
/** The first and the longest rest after faults that follow each other, in ms; it doubles in between. */
const FIRST_REST_MILLIS = 250;
const LONGEST_REST_MILLIS = 60_000;
/** After so long without a fault, in ms, the next one is a first one. */
const CALM_MILLIS = 2 * LONGEST_REST_MILLIS;

/** How long to wait after faults: what is done again may have been the cause. */
export class Rests {
  /** When the last fault was, in ms since 1970, and how long the rest after it, in ms. */
  #last = { fault: 0, rest: 0 };

  /** The rest after a fault now, in ms; none after a first one. */
  next(): number {
    const now = Date.now();
    const isFirst = now - this.#last.fault > CALM_MILLIS;
    const rest = isFirst ? 0 : Math.min(Math.max(2 * this.#last.rest, FIRST_REST_MILLIS), LONGEST_REST_MILLIS);
    this.#last = { fault: now, rest };
    return rest;
  }
}

/** The rest before a next attempt after this many that failed, in ms. */
export function restBeforeAttempt(failed: number): number { return Math.min(FIRST_REST_MILLIS * 2 ** failed, LONGEST_REST_MILLIS); }

/** Waits, until `signal` ends it. */
export async function pause(millis: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || millis === 0) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, millis);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
