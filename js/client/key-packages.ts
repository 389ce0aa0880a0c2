import { MimiError } from "./errors.js";
import type { CoreStock } from "./host/port.js";
import type { Link } from "./link.js";
import { LiveValue, type Live, type Signal } from "./live.js";
import type { UnixMillis } from "./message.js";

/** What the own provider holds of this device's KeyPackages, with which others add it to rooms, as it said last. */
export interface KeyPackageStock {
  /** How many are there, each for one use. */
  readonly published: number;
  /** How many there should be: {@link KeyPackageOptions.target}. */
  readonly target: number;
  /** Whether there is one for when these are used up. */
  readonly lastResort: boolean;
  /** When the first of them is no longer handed out. */
  readonly nextExpiry?: UnixMillis;
}

/** Which KeyPackages a device has at its provider. What is given holds for later openings, too; what is not given stays as it was. */
export interface KeyPackageOptions {
  /** How many for one use each: 1 to 100, by default 20. Below half of it they are replenished. */
  readonly target?: number;
  /** For how many days a new one is valid: 30 to 84, by default 84. It is handed out until 28 days before its end. */
  readonly lifetimeDays?: number;
}

/**
 * The device's KeyPackages. They take care of themselves: they are published when the device is new,
 * replenished when too few are left, made anew long before they end, and the one of last resort is
 * replaced when somebody has used it.
 *
 * Each method rejects with `not-allowed`, `invalid-proposal`, `incompatible` or `internal` when the
 * provider does not take what it is given, with `unauthenticated`, `closed`, or with `aborted` when the
 * signal ended the wait (not the work).
 */
export class KeyPackages {
  /** What the provider holds. */
  readonly stock: Live<KeyPackageStock>;
  readonly #stock: LiveValue<KeyPackageStock>;
  readonly #link: Link;

  /** @internal */
  constructor(link: Link, stock: CoreStock) {
    this.#link = link;
    this.#stock = new LiveValue(stockOf(stock));
    this.stock = this.#stock;
  }

  /** Brings the stock up to its target now. Resolves to how many were made, once the provider has them. */
  async replenish({ signal }: Signal = {}): Promise<number> {
    return (await this.#link.fulfil(signal, "replenishKeyPackages")) as number;
  }

  /** Puts a new KeyPackage in the place of the one of last resort. Resolves once the provider has it. */
  async rotateLastResort({ signal }: Signal = {}): Promise<void> {
    await this.#link.fulfil(signal, "rotateLastResort");
  }

  /** @internal The provider said something else. */
  changed(stock: CoreStock): void { this.#stock.set(stockOf(stock)); }

  /** @internal Nothing happens any more. */
  end(): void { this.#stock.end(); }
}

/** The options, if they are numbers that the core takes as they are; it knows their bounds. */
export function checkedOptions(options: KeyPackageOptions | undefined): KeyPackageOptions | undefined {
  for (const value of [options?.target, options?.lifetimeDays]) {
    if (value !== undefined && value >>> 0 !== value) throw new MimiError("bad-argument", "KeyPackages are told by whole numbers");
  }
  return options;
}

function stockOf({ available, target, lastResort, nextExpiry }: CoreStock): KeyPackageStock {
  return { published: available, target, lastResort: lastResort > 0, ...(nextExpiry === undefined ? {} : { nextExpiry }) };
}
