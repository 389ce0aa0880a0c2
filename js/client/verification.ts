import { MimiError } from "./errors.js";
import type { Link } from "./link.js";
import { LiveValue, type Live } from "./live.js";
import type { Bytes } from "./message.js";
import { uri, type UserUri } from "./uri.js";

/**
 * Whether a user's devices were verified. `changed`: they were, and another device, or another key, was
 * seen since; it stays so until somebody compares again, also when that device is gone.
 */
export type Trust = "unverified" | "verified" | "changed";

/** How the core tells whom it trusts: all but the unverified. */
export interface CoreTrust { readonly user: string; readonly trust: Trust }

/** What comes of comparing. `other-pair`: it is the number of other people. */
export type Comparison = "match" | "mismatch" | "other-pair";

/**
 * The safety number of the own user and another one. Both see the same number, on each of their devices
 * that is in the same rooms, as long as nobody stands between them.
 */
export interface SafetyNumber {
  /** The other user. */
  readonly user: UserUri;
  /** To compare aloud: 60 digits, 12 groups of five with a blank between them. */
  readonly digits: string;
  /** To compare by camera: the bytes of a QR code (97, binary). */
  readonly qr: Bytes;
  /**
   * Compares with what was scanned from the other one's screen. Throws `bad-argument` when that is none
   * that this version of the package knows.
   */
  compare(scanned: Uint8Array): Comparison;
  /**
   * The people found it to match: the devices of this number, and no others, are verified. Rejects with
   * `conflict` when they have changed since it was shown, `user-unknown`, `closed`.
   */
  confirm(): Promise<void>;
}

/** The first byte of a QR code. */
const VERSION = 1;
/** Then 32 bytes that name the two users, and two fingerprints of 32 bytes. */
const PAIR_END = 33;
const QR_BYTES = 97;

/**
 * Verification of people: whether the devices that stand for a user are the user's own. It is about the
 * devices in the rooms that both are in and this device is in.
 */
export class Verification {
  readonly #link: Link;
  /** Of users who were asked about, or verified. */
  readonly #trusts = new Map<string, LiveValue<Trust>>();

  /** @internal */
  constructor(link: Link, trusts: readonly CoreTrust[]) {
    this.#link = link;
    this.changed(trusts);
  }

  /**
   * The safety number of the own user and this one, as things stand. Rejects with `bad-argument` for the
   * own user, `user-unknown` for one with whom this device is in no room, `closed`.
   */
  async safetyNumber(user: UserUri): Promise<SafetyNumber> {
    const address = uri.user(user);
    const { digits, qr } = (await this.#link.once("safetyNumber", address)) as { readonly digits: string; readonly qr: Bytes };
    return {
      user: address,
      digits,
      qr,
      compare: (scanned) => compare(qr, scanned),
      confirm: async () => { await this.#link.once("verify", address, qr); },
    };
  }

  /** Whether a user's devices were verified; always the same object for a user. */
  trust(user: UserUri): Live<Trust> { return this.#trustOf(uri.user(user)); }

  /**
   * Takes a user's devices for verified, as they are now, or no longer. What was compared is better
   * confirmed by {@link SafetyNumber.confirm}, which does not take in what has changed meanwhile.
   * Rejects with `bad-argument` for the own user, `user-unknown`, `closed`.
   */
  async set(user: UserUri, verified: boolean): Promise<void> {
    const address = uri.user(user);
    if (verified) await this.#link.once("verify", address, undefined);
    else await this.#link.once("forgetVerification", address);
  }

  /** @internal These are the users who are not unverified. */
  changed(trusts: readonly CoreTrust[]): void {
    const known = new Map(trusts.map(({ user, trust }) => [user, trust]));
    for (const user of new Set([...this.#trusts.keys(), ...known.keys()])) {
      this.#trustOf(user).set(known.get(user) ?? "unverified");
    }
  }

  /** @internal Nothing happens any more. */
  end(): void {
    for (const trust of this.#trusts.values()) trust.end();
  }

  #trustOf(user: string): LiveValue<Trust> {
    const live = this.#trusts.get(user) ?? new LiveValue<Trust>("unverified");
    this.#trusts.set(user, live);
    return live;
  }
}

function compare(own: Uint8Array, scanned: Uint8Array): Comparison {
  if (scanned[0] !== VERSION || scanned.length !== QR_BYTES) throw new MimiError("bad-argument", "no safety number");
  const isSame = (from: number, to: number): boolean => own.subarray(from, to).every((byte, at) => byte === scanned[from + at]);
  if (!isSame(0, PAIR_END)) return "other-pair";
  return isSame(PAIR_END, QR_BYTES) ? "match" : "mismatch";
}
