import type { AskName } from "./host/calls.js";
import type { State } from "./host/port.js";
import type { Link } from "./link.js";
import { LiveValue, type Live, type Signal } from "./live.js";
import type { UnixMillis } from "./message.js";
import { uri, type RoomUri, type UserUri } from "./uri.js";

/** Somebody asks to be allowed to add the user to a room, or to any when `room` is absent. */
export interface ConsentRequest {
  readonly from: UserUri;
  readonly room?: RoomUri;
  /** When the own provider took note of it. */
  readonly at: UnixMillis;
  /** Allows what is asked; see {@link Consent.grant}. */
  grant(): Promise<void>;
  /** Does not allow it. Who asked is not told; see {@link Consent.revoke}. */
  refuse(): Promise<void>;
}

/** Somebody may add the user to a room, or to any when `room` is absent. */
export interface ConsentGrant { readonly user: UserUri; readonly room?: RoomUri; readonly at: UnixMillis }

/** How the core tells one thing that was said about consent. */
export interface CoreConsent { readonly user: string; readonly room?: string; readonly at: UnixMillis }

/** How to allow a user to add this one. */
export interface GrantOptions extends Signal {
  /**
   * Whether to give the user's provider a KeyPackage of this device with it, so that this device can
   * be added without asking the own provider for one. Default: no.
   */
  readonly keyPackages?: boolean;
}

/**
 * Who may add this user to rooms, and whom it asks. Without a room, what is said is about any room. The
 * own provider keeps it, for all devices of the user; what is said while it cannot be reached is stored
 * and goes out later.
 *
 * Each method resolves when the own provider has it, and rejects with `bad-argument` for the own user,
 * `rate-limited`, `unauthenticated`, `closed`, or with `aborted` when the signal ended the wait (not
 * the work).
 */
export class Consent {
  /** Open requests of others, by user and room. */
  readonly incoming: Live<readonly ConsentRequest[]>;
  /** Who was allowed, by user and room. A provider may allow others by default. */
  readonly granted: Live<readonly ConsentGrant[]>;
  readonly #incoming: LiveValue<readonly ConsentRequest[]>;
  readonly #granted: LiveValue<readonly ConsentGrant[]>;
  readonly #link: Link;

  /** @internal */
  constructor(link: Link, state: State["consent"]) {
    this.#link = link;
    this.#incoming = new LiveValue(this.#requestsOf(state));
    this.#granted = new LiveValue(grantsOf(state));
    this.incoming = this.#incoming;
    this.granted = this.#granted;
  }

  /** Asks a user. Whether it sees that, or exists, is never told; once it allows it, what waits for it goes on. */
  async request(user: UserUri, room?: RoomUri, options?: Signal): Promise<void> { await this.#say("requestConsent", user, room, options?.signal); }

  /** Takes a request of the same scope back. */
  async cancel(user: UserUri, room?: RoomUri, options?: Signal): Promise<void> { await this.#say("cancelConsent", user, room, options?.signal); }

  /** Allows a user to add this one, whether it asked or not. */
  async grant(user: UserUri, room?: RoomUri, { keyPackages = false, signal }: GrantOptions = {}): Promise<void> {
    check(user, room);
    await this.#link.fulfil(signal, "grantConsent", user, room, keyPackages);
  }

  /** Does not allow it, or no longer; without a room this ends what was allowed for single rooms too. The user is not told. */
  async revoke(user: UserUri, room?: RoomUri, options?: Signal): Promise<void> { await this.#say("revokeConsent", user, room, options?.signal); }

  /** @internal The state of consent is another one. */
  changed(state: State["consent"]): void {
    this.#incoming.set(this.#requestsOf(state));
    this.#granted.set(grantsOf(state));
  }

  /** @internal A request as applications see it. */
  requestOf({ user, room, at }: CoreConsent): ConsentRequest {
    const from = user as UserUri;
    const scope = room as RoomUri | undefined;
    return {
      from,
      ...(scope === undefined ? {} : { room: scope }),
      at,
      grant: () => this.grant(from, scope),
      refuse: () => this.revoke(from, scope),
    };
  }

  /** @internal Nothing happens any more. */
  end(): void {
    this.#incoming.end();
    this.#granted.end();
  }

  #requestsOf({ incoming }: State["consent"]): readonly ConsentRequest[] {
    return incoming.map((request) => this.requestOf(request));
  }

  async #say(name: Extract<AskName, "requestConsent" | "cancelConsent" | "revokeConsent">, user: UserUri, room: RoomUri | undefined, signal: AbortSignal | undefined): Promise<void> {
    check(user, room);
    await this.#link.fulfil(signal, name, user, room);
  }
}

function check(user: UserUri, room: RoomUri | undefined): void {
  uri.user(user);
  if (room !== undefined) uri.room(room);
}

function grantsOf({ granted }: State["consent"]): readonly ConsentGrant[] {
  return granted.map(({ user, room, at }) => ({ user: user as UserUri, ...(room === undefined ? {} : { room: room as RoomUri }), at }));
}
