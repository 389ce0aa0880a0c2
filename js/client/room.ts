import { MimiError } from "./errors.js";
import type { Link } from "./link.js";
import { LiveValue, deferred, type Deferred, type Live, type Page, type Signal } from "./live.js";
import { itemOf, messageKey, ownMessage, type Bytes, type CoreDelivery, type CoreHistoryEntry, type Message, type MessageActions, type Self, type TimelineItem, type UnixMillis } from "./message.js";
import { NOTHING_READ, readingOf, type CoreReading } from "./reading.js";
import { roomState, type CoreRoomState, type Role, type RoomState } from "./room-state.js";
import { RoomTimeline, type Timeline } from "./timeline.js";
import { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";

/** Most messages of one page of the history. */
const MOST_MESSAGES = 1_000;

/** A message that is on its way. */
export interface Sent {
  /** The message's key. */
  readonly key: string;
  /**
   * The hub's timestamp, once it took the message. Rejects when it is given up for now, with
   * `not-allowed`, `gap`, `diverged`, `epoch-too-old`, `room-unknown`, `too-large`, or with `internal`
   * for an answer that is none of the protocol: the message is kept, and its delivery has `retry`. Rejects
   * with `aborted` when it was taken back, also with the room's creation, and with `closed` when the client was closed before (the
   * message stays stored, and the event `message` tells what comes of it when the client is open again).
   */
  readonly accepted: Promise<UnixMillis>;
  /** Takes the message back. Resolves to false when that comes too late: it is on its way, or over. */
  cancel(): Promise<boolean>;
}

/** How much a {@link Timeline} shows. */
export interface TimelineOptions {
  /** How many messages to begin with, and to go further back with: 1 or more. Default: 50. */
  readonly limit?: number;
}

/** Who waits for a message. */
interface Waiting {
  readonly accepted: Deferred<UnixMillis>;
  /** Whether it is known that a host has stored the message. */
  isStored: boolean;
}

/** What came of {@link Room.add}: `devices` is the number of the user's devices in the room. */
export type AddResult = { readonly state: "added"; readonly devices: number } | { readonly state: "waiting-consent" };

/** How to add a user. */
export interface AddOptions extends Signal {
  /** Default: `regular_user`. */
  readonly roles?: readonly Role[];
  /** Whether a last-resort KeyPackage will do, which others may hold too. Default: no. */
  readonly lastResort?: boolean;
  /** Whether to ask a user who has not allowed it, and to go on once it does. Default: no. */
  readonly requestConsent?: boolean;
}

/** Which messages to read. */
export interface HistoryOptions {
  /** Those before this place of the room's log: a {@link Message.position}. Default: the newest. */
  readonly before?: number;
  /** At most so many, 1 or more. Default: 50. */
  readonly limit?: number;
}

/**
 * A room that this device is in, or was.
 *
 * What changes it is stored first: it goes on after a reload and while others change the room, and is
 * listed in {@link RoomState.pending} until it is done. Each such method rejects with `not-allowed` or
 * `invalid-proposal` when the hub refuses it, with `conflict` when others changed the room faster again
 * and again (it may be asked for anew), with `gap` and `diverged` when this device is cut off, with
 * `aborted` when `signal` ended the wait (not the work) or the change was cancelled, with `closed`.
 */
export class Room {
  /** The room's address. */
  readonly uri: RoomUri;
  /** The room as it stands. */
  readonly state: Live<RoomState>;
  readonly #state: LiveValue<RoomState>;
  readonly #link: Link;
  readonly #self: Self;
  /** Who waits for messages, by key. */
  readonly #sent = new Map<string, Waiting>();
  /** Why nothing happens any more. */
  #ended: MimiError | undefined;
  readonly #timelines = new Set<RoomTimeline>();
  readonly #actions: MessageActions = {
    cancel: (key) => this.#link.once("cancelMessage", this.uri, key),
    retry: (key) => this.#link.once("retryMessage", this.uri, key),
    discard: (key) => this.#link.once("discardMessage", this.uri, key),
  };
  /** What the core said last. */
  #core: CoreRoomState;
  #reading: CoreReading;

  /** @internal */
  constructor(link: Link, self: Self, address: RoomUri, state: CoreRoomState, reading: CoreReading = NOTHING_READ) {
    this.#link = link;
    this.#self = self;
    this.uri = address;
    this.#core = state;
    this.#reading = reading;
    this.#state = new LiveValue(this.#stateOf());
    this.state = this.#state;
  }

  /**
   * Adds a user with all devices that it has; of a user who is in already, the devices that are
   * missing. With `requestConsent` it resolves to `waiting-consent` as soon as the user has to be
   * asked, and goes on by itself once the user allows it.
   *
   * Also rejects with `bad-argument` for roles that nobody can have, `no-consent`, `no-key-package`,
   * `user-unknown`, `incompatible`.
   */
  async add(user: UserUri, { roles = ["regular_user"], lastResort = false, requestConsent = false, signal }: AddOptions = {}): Promise<AddResult> {
    uri.user(user);
    const names = Array.from(roles, String);
    const { intent, done, release } = await this.#link.ask(signal, "addUser", this.uri, user, names, lastResort, requestConsent);
    const over = new AbortController();
    try {
      return await Promise.race([done.then(() => this.#added(user)), this.#waiting(intent, over.signal)]);
    } finally {
      over.abort();
      release();
    }
  }

  /** Removes a user with all its devices. A user who is not in the room is left as it is. */
  async remove(user: UserUri, { signal }: Signal = {}): Promise<void> {
    uri.user(user);
    await this.#link.fulfil(signal, "removeUser", this.uri, user);
  }

  /**
   * Gives a user these roles instead of the ones that it has. `["banned"]` bans: the user's devices
   * are taken out, and it cannot be added while it is banned; somebody who is not in the room can be
   * banned too. Other roles for a banned user lift the ban.
   *
   * Also rejects with `bad-argument` for roles that nobody can have together.
   */
  async setRoles(user: UserUri, roles: readonly Role[], { signal }: Signal = {}): Promise<void> {
    uri.user(user);
    const names = Array.from(roles, String);
    await this.#link.fulfil(signal, "setRoles", this.uri, user, names);
  }

  /**
   * Leaves the room with all devices of the own user. Resolves when it is out: nobody can take itself
   * out of an MLS group, so somebody else's next commit does it. Until then {@link RoomState.leaving}
   * is true.
   */
  async leave({ signal }: Signal = {}): Promise<void> {
    await this.#link.fulfil(signal, "leave", this.uri);
  }

  /** Takes one device out of the room, such as a lost one of the own user. */
  async removeDevice(device: ClientUri, { signal }: Signal = {}): Promise<void> {
    uri.client(device);
    await this.#link.fulfil(signal, "removeDevice", this.uri, device);
  }

  /** Sets the room's base policy; `too-large` for more than 16 KiB. The hub keeps it and applies none of it. */
  async setPolicy(policy: Uint8Array, { signal }: Signal = {}): Promise<void> {
    await this.#link.fulfil(signal, "setPolicy", this.uri, policy);
  }

  /** Replaces this device's keys, so that who learned the old ones reads nothing from here on. */
  async updateKeys({ signal }: Signal = {}): Promise<void> {
    await this.#link.fulfil(signal, "updateKeys", this.uri);
  }

  /**
   * Sends a message. Resolves when it is stored on this device; it goes out as soon as it can. Rejects
   * with `too-large` for more than 252 KiB, `conflict` while this device is leaving the room,
   * `room-unknown` for a room that is no more, such as one whose creation was refused.
   */
  async send(content: string | Uint8Array): Promise<Sent> {
    const bytes: Bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
    if (this.#ended !== undefined) throw this.#ended;
    const accepted = deferred<UnixMillis>();
    const key = messageKey();
    const waiting: Waiting = { accepted, isStored: false };
    this.#sent.set(key, waiting);
    try {
      await this.#link.once("send", this.uri, key, bytes);
      waiting.isStored = true;
    } catch (error) {
      this.#sent.delete(key);
      throw error;
    }
    return { key, accepted: accepted.promise, cancel: () => this.#actions.cancel(key) };
  }

  /**
   * What this device has read in the room and what it sent that came back from there, the oldest
   * first; `next` goes further back. All of it is stored on this device, so what came while no
   * listener was there is in it too. Rejects with `bad-argument`, `closed`.
   */
  async history({ before, limit = 50 }: HistoryOptions = {}): Promise<Page<TimelineItem>> {
    checkLimit(limit);
    const items = await this.#page(before, limit);
    const first = items[0]?.position;
    return { items, next: async () => (first === undefined || items.length < limit ? null : await this.history({ before: first, limit })) };
  }

  /**
   * The code of the room's epoch, to compare aloud: 30 digits, 6 groups of five with a blank between
   * them. It is the same on all devices that are in the same state, and another one after each change.
   * Rejects with `room-unknown` while this device has nothing of the room, `closed`.
   */
  async epochCode(): Promise<string> { return await this.#link.once("epochCode", this.uri); }

  /**
   * A secret of `length` bytes (1 to 8160) that the members of this epoch have in common (MLS'
   * exporter), such as for a call; the next epoch has another one. Rejects with `bad-argument`,
   * `conflict` when this device is not in the room, `room-unknown`, `closed`.
   */
  async exportSecret(label: string, context: Uint8Array, length: number): Promise<Bytes> {
    if (length >>> 0 !== length) throw new MimiError("bad-argument", "a length is a number from 1 to 8160");
    return (await this.#link.once("exportSecret", this.uri, label, context, length)) as Bytes;
  }

  /**
   * The room's messages as a list that goes on by itself, those of this device that are still to be
   * accepted, or were given up, among them. Throws `bad-argument` for a limit that is none.
   */
  timeline({ limit = 50 }: TimelineOptions = {}): Timeline {
    checkLimit(limit);
    const timeline = new RoomTimeline({
      history: (before, limit) => this.#page(before, limit),
      unsent: async () => ((await this.#link.once("unsent", this.uri)) as CoreDelivery[]).map((one) => this.#own(one)),
      closed: () => { this.#timelines.delete(timeline); },
    }, limit);
    this.#timelines.add(timeline);
    return timeline;
  }

  /**
   * The user has read the room up to this message, or up to this place of its log: {@link RoomState.unread}
   * counts what comes after. Nothing becomes unread again. Other devices of the user do not hear of it.
   */
  async markRead(upTo: Pick<TimelineItem, "position"> | number): Promise<void> {
    const position = typeof upTo === "number" ? upTo : upTo.position;
    // One that the log does not have stands after all that is in it.
    if (position !== undefined && !Number.isSafeInteger(position)) throw new MimiError("bad-argument", "a position is a whole number");
    await this.#link.once("markRead", this.uri, Math.max(position ?? Number.MAX_SAFE_INTEGER, 0));
  }

  /** @internal The state is another one. */
  changed(state: CoreRoomState): void {
    this.#core = state;
    this.#state.set(this.#stateOf());
  }

  /** @internal The messages, or what is read of them, are others. */
  read(reading: CoreReading): void {
    this.#reading = reading;
    this.#state.set(this.#stateOf());
  }

  /** @internal A message of this device is somewhere else now: one who waits for it is told. */
  delivered(event: CoreDelivery): Message {
    const message = this.#own(event);
    this.told(message);
    return message;
  }

  /** @internal Something came, or is somewhere else. */
  told(item: TimelineItem): void {
    if (item.problem === undefined && item.mine) this.#settle(item);
    for (const timeline of [...this.#timelines]) timeline.told(item);
  }

  /** @internal Another host has the device. */
  attached(): void {
    for (const timeline of [...this.#timelines]) timeline.again();
  }

  /**
   * @internal Another host has told what is in the log, and that no messages of this device but those of
   * these keys are to come there: the others that were stored were taken back.
   */
  onlyUnsent(keys: ReadonlySet<string>): void {
    for (const [key, { accepted, isStored }] of this.#sent) {
      if (!isStored || keys.has(key)) continue;
      accepted.reject(takenBack());
      this.#sent.delete(key);
    }
  }

  /** @internal Nothing happens any more. */
  end(error: MimiError): void {
    this.#ended = error;
    this.#state.end();
    for (const timeline of [...this.#timelines]) timeline.close();
    for (const { accepted } of this.#sent.values()) accepted.reject(error);
    this.#sent.clear();
  }

  /** Tells who waits for a message what came of it, if that is known. */
  #settle({ key, delivery }: Message): void {
    const accepted = this.#sent.get(key)?.accepted;
    switch (delivery.state) {
      case "accepted": accepted?.resolve(delivery.at); break;
      case "failed": accepted?.reject(delivery.error); break;
      case "cancelled": accepted?.reject(takenBack()); break;
      default: return;
    }
    this.#sent.delete(key);
  }

  async #page(before: number | undefined, limit: number): Promise<readonly TimelineItem[]> {
    return ((await this.#link.once("history", this.uri, before, limit)) as CoreHistoryEntry[]).map((entry) => itemOf(this.#self, entry));
  }

  #own(event: CoreDelivery): Message { return ownMessage(this.#self, event, this.#actions); }

  #stateOf(): RoomState {
    return roomState(this.uri, this.#core, (id) => this.#link.once("cancel", this.uri, id), readingOf(this.#self, this.#reading));
  }

  #added(user: UserUri): AddResult {
    const devices = this.state.get().participants.find((participant) => participant.user === user)?.devices.length ?? 0;
    return { state: "added", devices };
  }

  /** Resolves when the intent waits for consent. */
  #waiting(intent: () => number, signal: AbortSignal): Promise<AddResult> {
    return new Promise((resolve) => {
      this.state.subscribe(() => {
        if (this.#core.pending.some((pending) => pending.id === intent() && pending.state === "waiting-consent")) resolve({ state: "waiting-consent" });
      }, { signal });
    });
  }
}

/** What the wait for a message that was taken back ends with. */
function takenBack(): MimiError { return new MimiError("aborted", "the message was taken back"); }

function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_MESSAGES) throw new MimiError("bad-argument", `a limit is a number from 1 to ${String(MOST_MESSAGES)}`);
}
