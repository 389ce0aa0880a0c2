import type { Device, Pseudonym } from "./account.js";
import { between, type Shown } from "./between.js";
import { Connection, erase } from "./connection.js";
import { Consent } from "./consent.js";
import { MimiError, errorOf, orAborted } from "./errors.js";
import type { ClientEvents } from "./events.js";
import type { CoreEvent } from "./host/engine.js";
import type { CoreDevice, Push, Snapshot, State } from "./host/port.js";
import type { Exchange } from "./host/transport.js";
import { KeyPackages } from "./key-packages.js";
import { Link } from "./link.js";
import { LiveValue, TypedEvents, guarded, type Emitter, type Live, type Signal } from "./live.js";
import { itemOf, messageOf, unreadableOf, type CoreDelivery, type TimelineItem } from "./message.js";
import { isNamed, type ClientOptions, type CreateRoomOptions } from "./options.js";
import { Positions } from "./positions.js";
import { Room } from "./room.js";
import type { Runtime, Sync } from "./sync.js";
import { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";
import { Verification } from "./verification.js";

/** Events of a room. */
type RoomEvent = Exclude<Extract<CoreEvent, { readonly room: string }>, { readonly type: "consentRequested" }>;

/** One device of a user. */
export class Client implements Emitter<ClientEvents>, AsyncDisposable {
  /** The user. */
  readonly user: UserUri;
  /** This device. */
  readonly device: ClientUri;
  /** The connection to the own provider. */
  readonly sync: Live<Sync>;
  /** The rooms of this device: those that were stored by address, then the new ones as they come. */
  readonly rooms: Live<readonly Room[]>;
  /**
   * Rooms of the user that this device is not in, by address: {@link Client.joinRoom} takes it into one.
   * The own provider is asked for them whenever this device has connected, and by {@link Client.findRooms}.
   */
  readonly available: Live<readonly RoomUri[]>;
  /** The user's devices, this one among them, as the own provider said last; by address. */
  readonly devices: Live<readonly Device[]>;
  /** Who may add this user to rooms, and whom it asks. */
  readonly consent: Consent;
  /** The device's KeyPackages; they take care of themselves. */
  readonly keyPackages: KeyPackages;
  /** Whether people are who they seem. */
  readonly verification: Verification;
  /** Where this client's work is done. */
  readonly runtime: Live<Runtime>;
  readonly #sync: LiveValue<Sync>;
  readonly #rooms = new LiveValue<readonly Room[]>([]);
  readonly #available = new LiveValue<readonly RoomUri[]>([]);
  readonly #devices: LiveValue<readonly Device[]>;
  /** Rooms that this device was cut off from, and how. */
  readonly #cutOff = new Map<RoomUri, "gap" | "diverged">();
  /** Up to where each room's messages were told. */
  readonly #positions = new Positions();
  readonly #events = new TypedEvents<ClientEvents>();
  readonly #link: Link;
  readonly #connection: Connection;
  readonly #trace: ((exchange: Exchange) => void) | undefined;

  private constructor(link: Link, connection: Connection, snapshot: Snapshot, trace: ClientOptions["trace"]) {
    this.#link = link;
    this.#connection = connection;
    this.#trace = trace;
    this.user = snapshot.user as UserUri;
    this.device = snapshot.device as ClientUri;
    this.#sync = new LiveValue(snapshot.sync);
    this.#devices = new LiveValue(this.#devicesOf(snapshot.devices));
    this.sync = this.#sync;
    this.rooms = this.#rooms;
    this.available = this.#available;
    this.devices = this.#devices;
    this.keyPackages = new KeyPackages(link, snapshot.stock);
    this.verification = new Verification(link, snapshot.trust);
    this.runtime = connection.runtime;
    this.consent = new Consent(link, snapshot.consent);
    this.#show(snapshot);
    this.#note(snapshot);
  }

  /**
   * Opens this user's device: the stored one, or a new one, which is registered with the provider. A
   * device that another tab has open is worked with through that tab, with the same methods and events;
   * when that tab goes, one of the others takes its place ({@link Client.runtime} tells), and nothing that
   * was asked for is lost. A tab with another version of this package is `incompatible`.
   *
   * Rejects with `bad-argument`, `incompatible`, `storage-newer`, `storage-key` when `store.key` is
   * not the one with which the store was made, `storage-damaged` when what is stored was changed,
   * `wasm-load`, `wasm-blocked`. No failure deletes anything.
   */
  static async open(options: ClientOptions): Promise<Client> {
    uri.user(options.user);
    const link = new Link(options.trace !== undefined);
    const connection = new Connection(options, link);
    let client: Client | undefined;
    const opening = link.begin({
      attached: (snapshot) => {
        connection.attachedTo(snapshot.thread);
        if (client === undefined) client = new Client(link, connection, snapshot, options.trace);
        else client.#attached(snapshot);
      },
      pushed: (push) => { if (client !== undefined) client.#pushed(push); },
      seen: () => (client === undefined ? {} : client.#positions.all()),
    });
    try {
      await orAborted(opening, options.signal);
      if (client?.user === options.user) return client;
      throw new MimiError("bad-argument", "the store holds another user's device");
    } catch (error) {
      // What was opened meanwhile is closed again: nobody has it.
      const closing = connection.close();
      if (!MimiError.is(error, "aborted")) await closing;
      throw error;
    }
  }

  /**
   * Erases what IndexedDB holds of a user's device. The only call that does; one's own store one erases
   * oneself. Rejects with `storage-locked` while the device is open in any tab.
   */
  static async delete({ user, store }: Pick<ClientOptions, "user" | "store">): Promise<void> {
    if (store === undefined || isNamed(store)) await erase(store?.name ?? user);
  }

  /**
   * Creates a room at the own provider; while that does not answer, the wish is kept, over a reload
   * too. Rejects with `conflict` when the address is taken, there or here, with `bad-uri` when `id`
   * is no local part, with `bad-argument` for roles that nobody can have, with `aborted` when the
   * signal ended the wait (not the work).
   */
  async createRoom({ id = crypto.randomUUID(), profile = "B", hubProposals = true, users = [], signal }: CreateRoomOptions = {}): Promise<Room> {
    const address = uri.room(`${id}@${uri.domain(this.user)}`);
    const wishes = users.map(({ user, roles = ["regular_user"] }) => ({ user: uri.user(user), roles: Array.from(roles, String) }));
    await this.#link.fulfil(signal, "createRoom", address, profile, hubProposals, wishes);
    return this.#mustHave(address);
  }

  /**
   * Joins a room of the own user with this device, though nobody else is online: a new device, or one
   * that was cut off. It reads what is sent from then on. Rejects with `not-allowed` when the user is
   * not in the room, `room-unknown`, `hub-unresponsive`, `conflict`, or with `aborted` when the signal
   * ended the wait (not the work).
   */
  async joinRoom(room: RoomUri, { signal }: Signal = {}): Promise<Room> {
    const address = uri.room(room);
    await this.#link.fulfil(signal, "joinRoom", address);
    return this.#mustHave(address);
  }

  /** Asks the own provider for the user's rooms. Resolves when that is on its way; {@link Client.available} has what comes. */
  async findRooms(): Promise<void> {
    await this.#link.once("syncRooms");
  }

  /**
   * Shuts another device of the user out, such as a lost one: the own provider knows it no more, and it
   * is taken out of the rooms that this device is in (a change of each). Resolves when the provider has
   * done its part. Rejects with `bad-argument` for this device, for other users' and for one that the
   * provider does not know, `not-allowed`, `unauthenticated`, `closed`, or with `aborted` when the
   * signal ended the wait (not the work).
   */
  async revokeDevice(device: ClientUri, { signal }: Signal = {}): Promise<void> {
    const address = uri.client(device);
    await this.#link.fulfil(signal, "revokeDevice", address);
  }

  /**
   * Deletes the user at its provider, with all its devices and for good: the name is never given out
   * again, and rooms take its devices out. Resolves when that is done, or when the provider says that
   * this device was shut out in the meantime: it can ask for nothing then. In both cases this client is of no use
   * any more; {@link Client.delete} erases what it has stored. Rejects with `not-allowed`, `closed`, or
   * with `aborted` when the signal ended the wait (not the work).
   */
  async deleteUser({ signal }: Signal = {}): Promise<void> {
    await this.#link.fulfil(signal, "deleteUser");
  }

  /**
   * Asks the own provider for a pseudonym, to create or to be in one room under it. It is stored with
   * this device until {@link Client.forgetPseudonym}. Rejects with `conflict` when this is itself a
   * pseudonym's client, `rate-limited`, `not-allowed`, or with `aborted` when the signal ended the wait
   * (not the work).
   */
  async pseudonym({ signal }: Signal = {}): Promise<Pseudonym> {
    const address = await this.#link.fulfil(signal, "requestPseudonym");
    const pseudonym = (await this.pseudonyms()).find(({ user }) => user === address);
    if (pseudonym === undefined) throw new MimiError("internal", "the pseudonym is not there");
    return pseudonym;
  }

  /** The pseudonyms that were issued to this device and not forgotten. */
  async pseudonyms(): Promise<readonly Pseudonym[]> { return (await this.#link.once("pseudonyms")) as Pseudonym[]; }

  /** Forgets a pseudonym and its key here: for one that its own client has stored, or that is of no use any more. */
  async forgetPseudonym({ pseudonym }: Pseudonym): Promise<void> {
    await this.#link.once("forgetPseudonym", pseudonym);
  }

  /** A room that this device is in, or was. */
  room(address: RoomUri): Room | undefined {
    return this.#rooms.get().find((room) => room.uri === address);
  }

  /**
   * Sends and hears nothing until {@link Client.resume}: for a battery, or an extension that is about to
   * sleep. What is asked for meanwhile is stored, and goes out then. Another tab of this device that does
   * not rest keeps it at work.
   */
  pause(): void { this.#link.rest(true); }

  /** Goes on after {@link Client.pause}. */
  resume(): void { this.#link.rest(false); }

  /** As {@link Emitter} has it. */
  addEventListener: Emitter<ClientEvents>["addEventListener"] = (...listener) => { this.#events.addEventListener(...listener); };
  /** As {@link Emitter} has it. */
  removeEventListener: Emitter<ClientEvents>["removeEventListener"] = (...listener) => { this.#events.removeEventListener(...listener); };
  /** As {@link Emitter} has it. */
  events: Emitter<ClientEvents>["events"] = (options) => this.#events.events(options);

  #mustHave(address: RoomUri): Room {
    const room = this.room(address);
    if (room === undefined) throw new MimiError("internal", "the room is not there");
    return room;
  }

  /**
   * Stops this client and gives the store free; another tab with this device goes on with it. What was
   * not sent yet goes out after the next open.
   */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** {@link Client.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> { await this.close(); }

  /** Another host does the work now, as the one before would have gone on. */
  #attached(snapshot: Snapshot): void {
    const before = this.#shown();
    const fresh = this.#show(snapshot);
    for (const room of this.#rooms.get()) if (!snapshot.rooms.some(([address]) => address === room.uri)) this.#forget(room.uri);
    for (const room of fresh) this.#events.emit("room", room);
    for (const event of between(before, this.#shown())) this.#happened(event, false, []);
    for (const room of this.#rooms.get()) room.attached();
    for (const entry of snapshot.missed) this.#came(itemOf(this, entry));
    for (const event of snapshot.unsent) this.#delivered(event);
    const unsent = new Set(snapshot.unsent.map(({ key }) => key));
    for (const room of this.#rooms.get()) room.onlyUnsent(unsent);
    this.#note(snapshot);
  }

  #shown(): Shown {
    return {
      devices: this.#devices.get().map(({ uri }) => uri),
      requests: this.consent.incoming.get().map(({ from: user, room, at }) => ({ user, at, ...(room === undefined ? {} : { room }) })),
      phases: new Map(this.#rooms.get().map(({ uri, state }) => [uri, state.get().phase])),
    };
  }

  /** Notes where a host was when this client attached. */
  #note({ rooms, positions }: Snapshot): void {
    for (const [address, state] of rooms) {
      if (state?.phase === "gap" || state?.phase === "diverged") this.#cutOff.set(address as RoomUri, state.phase);
    }
    for (const [address, position] of Object.entries(positions)) this.#positions.advance(address, position);
  }

  #pushed(push: Push): void {
    switch (push.type) {
      case "state": this.#show(push.state); break;
      case "event": this.#happened(push.event, push.awaited, this.#show(push.state ?? {})); break;
      case "fault": this.#events.emit(push.what === "storage" ? "storage" : "fault", errorOf(push.error)); break;
      case "exchange": guarded(() => this.#trace?.(push.exchange)); break;
      case "end": this.#ended(errorOf(push.error), push.expected); break;
      default:
    }
  }

  /** Shows what is another than before; the result are the rooms that were not there. */
  #show({ sync, rooms = [], readings = [], available, devices, consent, stock, trust }: Partial<State>): readonly Room[] {
    const fresh = rooms.flatMap(([address, state]) => {
      const room = this.room(address as RoomUri);
      const reading = readings.find(([of]) => of === address)?.[1];
      if (state === null) this.#forget(address as RoomUri);
      else if (room === undefined) return [new Room(this.#link, this, address as RoomUri, state, reading)];
      else room.changed(state);
      return [];
    });
    for (const [address, reading] of readings) this.room(address as RoomUri)?.read(reading);
    if (fresh.length > 0) this.#rooms.set([...this.#rooms.get(), ...fresh]);
    if (available !== undefined) this.#available.set(available as readonly RoomUri[]);
    if (devices !== undefined) this.#devices.set(this.#devicesOf(devices));
    if (consent !== undefined) this.consent.changed(consent);
    if (stock !== undefined) this.keyPackages.changed(stock);
    if (trust !== undefined) this.verification.changed(trust);
    if (sync !== undefined) this.#sync.set(sync);
    return fresh;
  }

  #forget(address: RoomUri): void {
    this.room(address)?.end(new MimiError("room-unknown", "the room is no more"));
    this.#positions.forget(address);
    this.#rooms.set(this.#rooms.get().filter((room) => room.uri !== address));
  }

  #devicesOf(devices: readonly CoreDevice[]): readonly Device[] {
    return devices.map(({ uri, registeredAt }) => ({ uri: uri as ClientUri, user: this.user, current: uri === this.device, registeredAt }));
  }

  #happened(event: CoreEvent, awaited: boolean, fresh: readonly Room[]): void {
    switch (event.type) {
      case "consentRequested": this.#events.emit("consent", this.consent.requestOf(event)); return;
      case "consentGranted": {
        const { user, room } = event;
        this.#events.emit("consentGranted", { user: user as UserUri, ...(room === undefined ? {} : { room: room as RoomUri }) });
        return;
      }
      case "consentCancelled": return;
      case "devicesChanged": case "userDevicesChanged":
        this.#events.emit("devices", { user: event.type === "devicesChanged" ? this.user : (event.user as UserUri), added: event.added as ClientUri[], removed: event.removed as ClientUri[] });
        return;
      default: if ("room" in event) this.#happenedIn(event, awaited, fresh.length > 0);
    }
  }

  #happenedIn(event: RoomEvent, awaited: boolean, isNew: boolean): void {
    const address = event.room as RoomUri;
    const room = this.room(address);
    switch (event.type) {
      case "intentFailed": if (!awaited) this.#changeFailed(event); break;
      case "message": case "echoed": this.#came(messageOf(this, event)); break;
      case "undecryptable": this.#came(unreadableOf(event)); break;
      case "delivery": this.#delivered(event); break;
      default:
    }
    if (room === undefined) return;
    if (isNew || event.type === "roomAdded") this.#events.emit("room", room);
    switch (event.type) {
      case "gap": case "diverged":
        this.#cutOff.set(address, event.type);
        this.#events.emit(event.type, { room: address, rejoined: false });
        break;
      case "rejoined":
        this.#events.emit(this.#cutOff.get(address) ?? "gap", { room: address, rejoined: true });
        this.#cutOff.delete(address);
        break;
      default:
    }
  }

  /** The room's log has something at a place, which may have been told already: by the host before, or with what was missed. */
  #came(item: TimelineItem): void {
    const isNew = item.position === undefined || this.#positions.advance(item.room, item.position);
    this.room(item.room)?.told(item);
    if (isNew) this.#emit(item);
  }

  /** A message of this device is somewhere else. */
  #delivered(event: CoreDelivery): void {
    const own = this.room(event.room as RoomUri)?.delivered(event);
    if (own !== undefined) this.#emit(own);
  }

  #emit(item: TimelineItem): void {
    if (item.problem === undefined) this.#events.emit("message", item);
    else this.#events.emit("undecryptable", item);
  }

  #changeFailed({ room, what, user, code, retryable }: Extract<CoreEvent, { readonly type: "intentFailed" }>): void {
    if (code === "aborted") return;
    const error = new MimiError(code, "a change was given up", { retryable });
    this.#events.emit("changeFailed", { room: room as RoomUri, what, ...(user === undefined ? {} : { user: user as UserUri }), error });
  }

  #ended(error: MimiError, expected: boolean): void {
    this.#sync.set({ state: "offline" });
    if (!expected) this.#events.emit("error", error);
    for (const room of this.#rooms.get()) room.end(error);
    this.#events.end();
    this.#sync.end();
    this.#rooms.end();
    this.#available.end();
    this.#devices.end();
    this.keyPackages.end();
    this.verification.end();
    this.consent.end();
  }
}
