import { LowIdentity, LowKeyPackages, inspectKeyPackage as inspectInCore } from "#wasm/client";
import type { Bytes, UnixMillis } from "../message.js";
import type { ClientUri, UserUri } from "../uri.js";
import { Held, call, owned } from "./core.js";

/** A change of one row: its new value, or `null` for its deletion. Persist all of one call at once, and only then send. */
export interface Write {
  readonly key: Bytes;
  readonly value: Bytes | null;
}

/** A cipher suite of RFC 9420, 17.1: X25519 with AES-128-GCM (1), P-256 (2), X25519 with ChaCha20-Poly1305 (3). */
export type CipherSuite = 1 | 2 | 3;

/** One device: its address, its signature key and the cipher suite of its groups and KeyPackages. */
export class Identity implements Disposable {
  /** The device. */
  readonly client: ClientUri;
  /** The user whose device it is. */
  readonly user: UserUri;
  readonly suite: CipherSuite;
  /** The public key. */
  readonly signatureKey: Bytes;
  readonly #held: Held<LowIdentity>;

  private constructor(core: LowIdentity) {
    this.#held = new Held(core);
    const { client, user, suite, signatureKey } = core.describe() as Pick<Identity, "client" | "user" | "suite" | "signatureKey">;
    [this.client, this.user, this.suite, this.signatureKey] = [client, user, suite, signatureKey];
  }

  /** Makes a new key for a device. Throws `bad-argument` for another cipher suite. */
  static create(client: ClientUri, suite: CipherSuite = 1): Identity {
    return new Identity(call(() => LowIdentity.create(client, suite)));
  }

  /** The identity that {@link save} gave. Throws `bad-argument` when the bytes are none, `storage-newer` for those of a newer version. */
  static load(saved: Uint8Array): Identity { return new Identity(call(() => LowIdentity.load(saved))); }

  /** @internal */
  get core(): LowIdentity { return this.#held.core; }

  /** The identity with its private key: to be kept as secret as that. */
  save(): Bytes { return call(() => owned(this.core.save())); }

  /** Frees its memory; what was made with it goes on working. */
  [Symbol.dispose](): void { this.#held.free(); }
}

/** A KeyPackage whose private keys are in the store. */
export interface StoredKeyPackage {
  /** Its KeyPackageRef. */
  readonly ref: Bytes;
  /** Whether it may be handed out again and again. */
  readonly lastResort: boolean;
  /** Until when it is valid. */
  readonly expires: UnixMillis;
  /** Whether a Welcome was opened with it. Those for single use are gone then, a last-resort one is to be replaced. */
  readonly used: boolean;
}

/** The KeyPackages of one device, with their private keys. */
export class KeyPackageStore implements Disposable {
  readonly #held: Held<LowKeyPackages>;

  private constructor(core: LowKeyPackages) { this.#held = new Held(core); }

  /** @internal */
  get core(): LowKeyPackages { return this.#held.core; }

  /** The store that these rows are of; a new one without rows. */
  static open(identity: Identity, rows: Iterable<Write> = []): KeyPackageStore {
    return new KeyPackageStore(call(() => LowKeyPackages.open(identity.core, [...rows])));
  }

  /** Makes `count` KeyPackages (1) that are valid for `days` (84, and not more) from an hour before `now` on; gives their bytes, without MLSMessage header. Persist {@link takeWrites} before publishing them. */
  create({ now, count = 1, days = 84, lastResort = false }: {
    readonly now: UnixMillis;
    readonly count?: number;
    readonly days?: number;
    readonly lastResort?: boolean;
  }): readonly Bytes[] {
    return call(() => this.core.create(count, days, lastResort, now) as readonly Bytes[]);
  }

  /** All of them, by ref. */
  list(): readonly StoredKeyPackage[] { return call(() => this.core.list() as readonly StoredKeyPackage[]); }

  /** The refs of those that are not valid any more. A Welcome may be late: keep them for a day, then {@link delete} them. */
  expired(now: UnixMillis): readonly Bytes[] {
    return this.list().filter(({ expires }) => expires <= now).map(({ ref }) => ref);
  }

  /** Deletes one with its private keys, if it is there: a Welcome for it cannot be opened any more. */
  delete(ref: Uint8Array): void { call(() => { this.core.delete(ref); }); }

  /** What changed since the last time. */
  takeWrites(): readonly Write[] { return call(() => this.core.takeWrites() as readonly Write[]); }

  /** Frees its memory. */
  [Symbol.dispose](): void { this.#held.free(); }
}

/** What a KeyPackage of anybody is (bytes without MLSMessage header). Throws `invalid-proposal` when it is not valid at `now`: signatures, lifetime, cipher suite, credential. */
export function inspectKeyPackage(keyPackage: Uint8Array, now: UnixMillis): {
  readonly ref: Bytes;
  readonly client: ClientUri;
  readonly user: UserUri;
  readonly suite: CipherSuite;
  readonly expires: UnixMillis;
  readonly lastResort: boolean;
} {
  return call(() => inspectInCore(keyPackage, now) as ReturnType<typeof inspectKeyPackage>);
}
