import type { Engine } from "./engine.js";
import { MimiError, type ErrorCode } from "./errors.js";
import { LiveValue, deferred, type Deferred, type Live, type Signal } from "./live.js";
import { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";

/** Milliseconds since 1970. */
export type UnixMillis = number;
/** Results are over their own buffer; arguments take any Uint8Array. */
export type Bytes = Uint8Array<ArrayBuffer>;
/** What a participant may be (the draft's Role). */
export type Role = "system" | "owner" | "admin" | "regular_user" | "visitor" | "banned";

/** One entry of the participant list. */
export interface Participant {
  readonly user: UserUri;
  /** In the list's order. */
  readonly roles: readonly Role[];
  /** The domain of the user's provider. */
  readonly domain: string;
  /** The user's devices in the room, in the tree's order. */
  readonly devices: readonly ClientUri[];
}

/** Something that this device still has to do in a room. */
export interface Change { readonly what: "create" | "add"; readonly user?: UserUri; readonly state: "queued" | "retrying"; readonly attempt: number }

/** A room as it stands on this device. */
export interface RoomState {
  /** A local label, never sent: the address' local part. */
  readonly name: string;
  /** The MLS epoch. */
  readonly epoch: bigint;
  /** The domain of the room's hub. */
  readonly hub: string;
  /** Where this device stands. */
  readonly phase: "creating" | "joining" | "joined" | "left" | "gap" | "diverged";
  /** The own user's roles. */
  readonly me: readonly Role[] | "left";
  /** In the list's order, the banned too. */
  readonly participants: readonly Participant[];
  /** What is still to be done, in order. */
  readonly pending: readonly Change[];
}

/** Where a message of this device is. */
export type Delivery =
  | { readonly state: "queued" | "sending" }
  | { readonly state: "accepted"; readonly at: UnixMillis }
  | { readonly state: "failed"; readonly error: MimiError };

/** A message in a room. */
export interface Message {
  /** Never changes, from queued to accepted: the list key. */
  readonly key: string;
  readonly room: RoomUri;
  readonly sender: UserUri;
  readonly device: ClientUri;
  readonly mine: boolean;
  /** The epoch in which it was encrypted; absent while it waits. */
  readonly epoch?: bigint;
  readonly bytes: Bytes;
  /** The content, when it is UTF-8. */
  readonly text?: string;
  readonly delivery: Delivery;
}

/** A message that is on its way. */
export interface Sent {
  /** The message's key. */
  readonly key: string;
  /**
   * The hub's timestamp, once it took the message. Rejects with `not-allowed`, `gap`, `diverged`,
   * `epoch-too-old`, or with `closed` when the client was closed before (the message stays stored).
   */
  readonly accepted: Promise<UnixMillis>;
}

/** What came of {@link Room.add}. */
export interface AddResult { readonly state: "added"; readonly devices: number }

/** How to add a user. */
export interface AddOptions extends Signal {
  /** Default: `regular_user`. */
  readonly roles?: readonly Role[];
  /** Whether a last-resort KeyPackage will do, which others may hold too. Default: no. */
  readonly lastResort?: boolean;
}

/** How the core tells a room's state. */
export interface CoreRoomState {
  readonly hub: string;
  readonly phase: RoomState["phase"];
  readonly epoch: number;
  readonly me: string;
  readonly participants: readonly { readonly user: string; readonly roles: readonly Role[]; readonly devices: readonly string[] }[];
  readonly pending: readonly { readonly user?: string; readonly tries: number }[];
}

/** How the core tells what became of a message. */
export interface CoreDelivery { readonly state: "queued" | "sending" | "accepted" | "failed"; readonly at?: UnixMillis; readonly code?: ErrorCode; readonly retryable?: boolean }

const decoder = new TextDecoder("utf-8", { fatal: true });

/** A room that this device is in. */
export class Room {
  /** The room's address. */
  readonly uri: RoomUri;
  /** The room as it stands. */
  readonly state: Live<RoomState>;
  readonly #state: LiveValue<RoomState>;
  /** What the core said last, to see whether it says something new. */
  #said: string;
  readonly #engine: Engine;
  readonly #sent = new Map<string, { content: Bytes; accepted: Deferred<UnixMillis> }>();

  /** @internal */
  constructor(engine: Engine, address: RoomUri, state: CoreRoomState) {
    this.#engine = engine;
    this.uri = address;
    this.#said = JSON.stringify(state);
    this.#state = new LiveValue(roomState(address, state));
    this.state = this.#state;
  }

  /**
   * Adds a user with all devices that it has. The intent is stored: it goes on after a reload. A user
   * who is in the room already is left as it is.
   *
   * Rejects with `bad-argument` for roles that nobody can have, `no-consent`, `no-key-package`, `user-unknown`, `incompatible`, `not-allowed`,
   * `conflict`, `diverged`; with `aborted` when the signal ended the wait (not the work).
   */
  async add(user: UserUri, { roles = ["regular_user"], lastResort = false, signal }: AddOptions = {}): Promise<AddResult> {
    uri.user(user);
    const names = Array.from(roles, String);
    await this.#engine.fulfil(this.uri, (core, now) => core.addUser(this.uri, user, names, lastResort, now), signal);
    const devices = this.state.get().participants.find((participant) => participant.user === user)?.devices.length ?? 0;
    return { state: "added", devices };
  }

  /**
   * Sends a message. Resolves when it is stored on this device; it goes out as soon as it can. Rejects
   * with `too-large` for more than 252 KiB.
   */
  async send(content: string | Uint8Array): Promise<Sent> {
    const bytes: Bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
    const accepted = deferred<UnixMillis>();
    const key = await this.#engine.step((core, now) => {
      const key = core.send(this.uri, bytes, now);
      this.#sent.set(key, { content: bytes, accepted });
      return key;
    });
    return { key, accepted: accepted.promise };
  }

  /** @internal The state may have changed. */
  changed(state: CoreRoomState): void {
    const said = JSON.stringify(state);
    if (said === this.#said) return;
    this.#said = said;
    this.#state.set(roomState(this.uri, state));
  }

  /** @internal A message of this device is somewhere else now. */
  delivered(key: string, delivery: CoreDelivery, device: ClientUri, user: UserUri): Message | undefined {
    const sent = this.#sent.get(key);
    if (sent === undefined) return undefined;
    const state = deliveryOf(delivery);
    if (state.state === "accepted") sent.accepted.resolve(state.at);
    if (state.state === "failed") sent.accepted.reject(state.error);
    if (state.state === "accepted" || state.state === "failed") this.#sent.delete(key);
    return message({ key, room: this.uri, sender: user, device, mine: true, bytes: sent.content, delivery: state });
  }

  /** @internal Nothing happens any more. */
  end(error: MimiError): void {
    this.#state.end();
    for (const { accepted } of this.#sent.values()) accepted.reject(error);
  }
}

/** A message with its text, when it is one. */
export function message(parts: Omit<Message, "text">): Message {
  try {
    return { ...parts, text: decoder.decode(parts.bytes) };
  } catch {
    return parts;
  }
}

function deliveryOf({ state, at, code, retryable }: CoreDelivery): Delivery {
  switch (state) {
    case "accepted": return { state, at: at ?? 0 };
    case "failed": return { state, error: new MimiError(code ?? "internal", "the message was not accepted", { retryable: retryable ?? false }) };
    default: return { state };
  }
}

function roomState(address: RoomUri, core: CoreRoomState): RoomState {
  const participants = core.participants.map(({ user, roles, devices }): Participant => {
    const parsed = user as UserUri;
    return { user: parsed, roles, domain: uri.domain(parsed), devices: devices as ClientUri[] };
  });
  const me = participants.find(({ devices }) => devices.includes(core.me as ClientUri));
  const pending = core.pending.map(({ user, tries }): Change => ({
    what: user === undefined ? "create" : "add",
    ...(user === undefined ? {} : { user: user as UserUri }),
    state: tries === 0 ? "queued" : "retrying",
    attempt: tries,
  }));
  return {
    name: localPart(address),
    epoch: BigInt(core.epoch),
    hub: core.hub,
    phase: core.phase,
    me: core.phase === "left" ? "left" : (me?.roles ?? []),
    participants,
    pending,
  };
}

function localPart(address: RoomUri): string {
  return address.startsWith("mimi://") ? address.slice(address.lastIndexOf("/") + 1) : address.slice(0, address.indexOf("@"));
}
