/// <reference lib="esnext.disposable" />
import { ClientCore } from "#wasm/client";
import { Consent, type ConsentRequest } from "./consent.js";
import { Engine, type CoreEvent, type EngineOwner } from "./engine.js";
import { MimiError, fromCore, isFromCore, orAborted } from "./errors.js";
import { init } from "./init.js";
import { LiveValue, TypedEvents, deferred, type Deferred, type Emitter, type Live, type Signal } from "./live.js";
import { currentPlatform, type WasmSource } from "./platform.js";
import { messageOf, ownMessage, type Bytes, type Message, type UnixMillis } from "./message.js";
import { Room } from "./room.js";
import type { Change, CoreRoomState, Profile, Role } from "./room-state.js";
import { memoryStore, type Store } from "./store.js";
import { deleteIndexedDb, indexedDbStore } from "./store/indexeddb.js";
import type { StoreKey } from "./store/keys.js";
import { Transport, type Exchange } from "./transport.js";
import { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";

/** The connection to the own provider. */
export type Sync =
  | { readonly state: "offline"; readonly retryAt?: UnixMillis }
  | { readonly state: "connecting" | "live" };

/** One device of the user. */
export interface Device {
  readonly uri: ClientUri;
  readonly user: UserUri;
  /** Whether it is this one. */
  readonly current: boolean;
  /** When it was registered, by the provider's clock. */
  readonly registeredAt: UnixMillis;
}

/** What the own provider holds of this device's KeyPackages, with which others add it to rooms. */
export interface KeyPackageStock {
  /** How many are there, each for one use. */
  readonly published: number;
  /** Whether there is one for when these are used up. */
  readonly lastResort: boolean;
  /** When the first of them is no longer handed out. */
  readonly nextExpiry?: UnixMillis;
}

/**
 * An address of the user that nobody but the own provider can tell to be its own; for one room. Opens as
 * a client of its own: `Client.open({ ...pseudonym, provider, store })`, with a store of its own.
 */
export interface Pseudonym {
  /** The address. */
  readonly user: UserUri;
  /** Its client's key: whoever has these bytes is the pseudonym. */
  readonly pseudonym: Bytes;
}

/** How the core tells a device. */
interface CoreDevice { readonly uri: string; readonly registeredAt: UnixMillis }

/** What a {@link Client} tells its application; the state that explains an event is there before it. */
export interface ClientEvents {
  /** A room is there: created here, or joined because somebody added this user. */
  room: Room;
  /** A message came, or one of this device is somewhere else (same key); {@link Room.history} has those that came before. */
  message: Message;
  /** Something came that this device cannot read; the room goes on. */
  undecryptable: { readonly room: RoomUri; readonly position: number };
  /**
   * Events of a room are gone, and this device joins it anew by itself; a second time, with
   * `rejoined`, when it is in again. What was sent in between cannot be read.
   */
  gap: { readonly room: RoomUri; readonly rejoined: boolean };
  /** The hub accepted what this device has to reject: nothing is sent there until it has joined anew, as after a gap. */
  diverged: { readonly room: RoomUri; readonly rejoined: boolean };
  /** Somebody asks to be allowed to add this user to rooms. */
  consent: ConsentRequest;
  /** Somebody allows this user to add it, to this room or to any. */
  consentGranted: { readonly user: UserUri; readonly room?: RoomUri };
  /** The own user has other devices than before. */
  devices: { readonly user: UserUri; readonly added: readonly ClientUri[]; readonly removed: readonly ClientUri[] };
  /**
   * A change was given up for which no call waits: it was asked for before a reload, or by
   * {@link Client.createRoom}, or the wait has ended, by a signal or with `waiting-consent`. What the
   * application itself took back is none.
   */
  changeFailed: { readonly room: RoomUri; readonly what: Change["what"]; readonly user?: UserUri; readonly error: MimiError };
  /** Something failed in the background: nothing works any more until this client is closed and opened again. */
  error: MimiError;
}

/** How to open a client. */
export interface ClientOptions extends Signal {
  /** The user whose device this is. */
  readonly user: UserUri;
  /** When `user` is a pseudonym: the bytes of {@link Pseudonym}. Once it was opened, its store has them too. */
  readonly pseudonym?: Uint8Array;
  /** The base URL of the user's provider: `http://127.0.0.1:8801`. */
  readonly provider: string | URL;
  /**
   * Where state is kept. Default: IndexedDB, under the user's address; there one tab at a time has a
   * store open. All in it is encrypted: with a key that the browser keeps and hands out to nobody, or
   * with `key`, which is then needed each time. `"memory"` keeps nothing beyond the page. In Node a
   * store must be given: that, or one's own.
   */
  readonly store?: { readonly name?: string; readonly key?: StoreKey } | "memory" | Store;
  /** Where the wasm comes from; see {@link init}. */
  readonly wasm?: WasmSource;
  /** Instead of the platform's. */
  readonly fetch?: typeof fetch;
  /** Instead of the platform's. */
  readonly WebSocket?: typeof WebSocket;
  /** Called for each exchange with the provider. */
  readonly trace?: (exchange: Exchange) => void;
}

/** How to create a room. */
export interface CreateRoomOptions extends Signal {
  /** The local part of the room's address; default: random. */
  readonly id?: string;
  /** How AppSync proposals travel. Default: `"B"`; `"A"` lets members in that use other MLS implementations. */
  readonly profile?: Profile;
  /** Whether the hub may propose to take out users whom their provider deleted. Default: yes. */
  readonly hubProposals?: boolean;
  /** Who is added once the room is there, as by {@link Room.add}. The call does not wait for them. */
  readonly users?: readonly { readonly user: UserUri; readonly roles?: readonly Role[] }[];
}

/** Events of a room. */
type RoomEvent = Exclude<Extract<CoreEvent, { readonly room: string }>, { readonly type: "consentRequested" }>;

/** Events after which a room's state is what it was. */
const LEAVE_STATE: ReadonlySet<CoreEvent["type"]> = new Set(["message", "delivery", "undecryptable"]);

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
  /** The device's KeyPackages; it makes new ones by itself. */
  readonly keyPackages: { readonly stock: Live<KeyPackageStock> };
  readonly #sync = new LiveValue<Sync>({ state: "offline" });
  readonly #rooms = new LiveValue<readonly Room[]>([]);
  readonly #available = new LiveValue<readonly RoomUri[]>([]);
  readonly #stock = new LiveValue<KeyPackageStock>({ published: 0, lastResort: false });
  readonly #devices: LiveValue<readonly Device[]>;
  /** Who waits for pseudonyms, in the order in which they were asked for. */
  readonly #pseudonyms: Deferred<UserUri>[] = [];
  /** The calls that asked to delete the user and were not refused. */
  readonly #deletions = new Set<number>();
  /** Whether one of them was heard: that the provider then knows this device no more is no error. */
  #isDeleted = false;
  /** Rooms that this device was cut off from, and how. */
  readonly #cutOff = new Map<RoomUri, "gap" | "diverged">();
  readonly #events = new TypedEvents<ClientEvents>();
  readonly #engine: Engine;
  readonly #core: ClientCore;

  private constructor(core: ClientCore, makeEngine: (owner: EngineOwner) => Engine) {
    this.#core = core;
    this.user = core.user() as UserUri;
    this.device = core.device() as ClientUri;
    this.sync = this.#sync;
    this.rooms = this.#rooms;
    this.available = this.#available;
    this.#devices = new LiveValue(this.#listDevices());
    this.devices = this.#devices;
    this.keyPackages = { stock: this.#stock };
    this.#engine = makeEngine({
      happened: (event) => { this.#happened(event); },
      connection: (state) => { this.#sync.set(state); },
      broken: (error) => { this.#broken(error); },
    });
    this.consent = new Consent(this.#engine, core);
  }

  /**
   * Opens this user's device: the stored one, or a new one, which is registered with the provider.
   * Rejects with `bad-argument`, `storage-locked`, `storage-newer`, `storage-key` when `store.key` is
   * not the one with which the store was made, `storage-damaged` when what is stored was changed,
   * `wasm-load`, `wasm-blocked`. No failure deletes anything.
   */
  static async open(options: ClientOptions): Promise<Client> {
    uri.user(options.user);
    const opening = Client.#open(options);
    try {
      return await orAborted(opening, options.signal);
    } catch (error) {
      // Nobody has the client that the aborted call still makes: it would keep the store.
      if (MimiError.is(error, "aborted")) opening.then((client) => client.close(), () => undefined);
      throw error;
    }
  }

  static async #open({ user, pseudonym, provider, store, wasm, fetch, WebSocket, trace }: ClientOptions): Promise<Client> {
    await init(wasm);
    const transport = new Transport(provider, fetch, trace);
    const webSocket = WebSocket ?? (await currentPlatform().webSocket());
    const opened = await openStore(user, store);
    try {
      const core = new ClientCore(user, await opened.rows(), pseudonym, Date.now());
      const client = new Client(core, (owner) => new Engine(core, opened, transport, webSocket, owner));
      client.#loadRooms();
      await client.#engine.start();
      return client;
    } catch (error) {
      await opened.close();
      throw fromCore(error);
    }
  }

  /** Erases what IndexedDB holds of a user's device. The only call that does; one's own store one erases oneself. */
  static async delete({ user, store }: Pick<ClientOptions, "user" | "store">): Promise<void> {
    if (store === undefined || isNamed(store)) await deleteIndexedDb(store?.name ?? user);
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
    const { done } = await this.#engine.ask(address, (core, now) => core.createRoom(address, profile, hubProposals, wishes, now), signal);
    await done;
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
    const { done } = await this.#engine.ask(address, (core, now) => core.joinRoom(address, now), signal);
    await done;
    return this.#mustHave(address);
  }

  /** Asks the own provider for the user's rooms. Resolves when that is on its way; {@link Client.available} has what comes. */
  async findRooms(): Promise<void> {
    await this.#engine.step((core, now) => { core.syncRooms(now); });
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
    const { done } = await this.#engine.ask(undefined, (core, now) => core.revokeDevice(address, now), signal);
    for (const { uri } of this.#rooms.get()) this.#refresh(uri);
    await done;
  }

  /**
   * Deletes the user at its provider, with all its devices and for good: the name is never given out
   * again, and rooms take its devices out. Resolves when that is done, or when the provider says that
   * this device was shut out in the meantime: it can ask for nothing then. In both cases this client is of no use
   * any more; {@link Client.delete} erases what it has stored. Rejects with `not-allowed`, `closed`, or
   * with `aborted` when the signal ended the wait (not the work).
   */
  async deleteUser({ signal }: Signal = {}): Promise<void> {
    const { done } = await this.#engine.ask(undefined, (core, now) => {
      const id = core.deleteUser(now);
      this.#deletions.add(id);
      return id;
    }, signal);
    await done;
  }

  /**
   * Asks the own provider for a pseudonym, to create or to be in one room under it. It is stored with
   * this device until {@link Client.forgetPseudonym}. Rejects with `conflict` when this is itself a
   * pseudonym's client, `rate-limited`, `not-allowed`, or with `aborted` when the signal ended the wait
   * (not the work).
   */
  async pseudonym({ signal }: Signal = {}): Promise<Pseudonym> {
    const issued = deferred<UserUri>();
    await this.#engine.step((core, now) => {
      core.requestPseudonym(now);
      this.#pseudonyms.push(issued);
    });
    const address = await orAborted(issued.promise, signal);
    const pseudonym = this.pseudonyms().find(({ user }) => user === address);
    if (pseudonym === undefined) throw new MimiError("internal", "the pseudonym is not there");
    return pseudonym;
  }

  /** The pseudonyms that were issued to this device and not forgotten. */
  pseudonyms(): readonly Pseudonym[] { return this.#core.pseudonyms() as Pseudonym[]; }

  /** Forgets a pseudonym and its key here: for one that its own client has stored, or that is of no use any more. */
  async forgetPseudonym({ pseudonym }: Pseudonym): Promise<void> {
    await this.#engine.step((core, now) => { core.forgetPseudonym(pseudonym, now); });
  }

  /** A room that this device is in, or was. */
  room(address: RoomUri): Room | undefined {
    return this.#rooms.get().find((room) => room.uri === address);
  }

  addEventListener: Emitter<ClientEvents>["addEventListener"] = (...listener) => { this.#events.addEventListener(...listener); };
  removeEventListener: Emitter<ClientEvents>["removeEventListener"] = (...listener) => { this.#events.removeEventListener(...listener); };
  events: Emitter<ClientEvents>["events"] = (options) => this.#events.events(options);

  #mustHave(address: RoomUri): Room {
    const room = this.room(address);
    if (room === undefined) throw new MimiError("internal", "the room is not there");
    return room;
  }

  /** Stops everything and gives the store free. What was not sent yet goes out after the next open. */
  async close(): Promise<void> {
    await this.#engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.close(); }

  #loadRooms(): void {
    for (const address of this.#core.rooms() as RoomUri[]) {
      try {
        this.#refresh(address);
      } catch {
        // A room whose state cannot be read is left out: the others are not to suffer from it.
      }
    }
    this.#available.set(this.#core.availableRooms() as RoomUri[]);
  }

  /** Takes a room's state from the core; says whether the room is new. */
  #refresh(address: RoomUri): boolean {
    const state = this.#stateOf(address);
    const known = this.room(address);
    if (state === undefined) {
      // Its creation was refused; or this device is about to join, and knows nothing of it yet.
      if (known !== undefined) this.#rooms.set(this.#rooms.get().filter((room) => room !== known));
      return false;
    }
    if (known === undefined) this.#rooms.set([...this.#rooms.get(), new Room(this.#engine, address, state)]);
    else known.changed(state);
    return known === undefined;
  }

  /** A room as the core has it: nothing of one that it cannot read, so that the others go on. */
  #stateOf(address: RoomUri): CoreRoomState | undefined {
    try {
      return this.#core.roomState(address) as CoreRoomState | undefined;
    } catch (error) {
      if (isFromCore(error)) return undefined;
      throw error;
    }
  }

  #listDevices(): readonly Device[] {
    return (this.#core.devices() as CoreDevice[]).map(({ uri, registeredAt }) => ({ uri: uri as ClientUri, user: this.user, current: uri === this.device, registeredAt }));
  }

  #happened(event: CoreEvent): void {
    switch (event.type) {
      case "consentChanged": this.consent.changed(this.#core); return;
      case "consentRequested": this.#events.emit("consent", this.consent.requestOf(event)); return;
      case "consentGranted": {
        const { user, room } = event;
        this.#events.emit("consentGranted", { user: user as UserUri, ...(room === undefined ? {} : { room: room as RoomUri }) });
        return;
      }
      case "consentCancelled": return;
      case "devicesChanged":
        this.#devices.set(this.#listDevices());
        this.#events.emit("devices", { user: this.user, added: event.added as ClientUri[], removed: event.removed as ClientUri[] });
        return;
      case "keyPackages": {
        const { available, lastResort, nextExpiry } = event;
        this.#stock.set({ published: available, lastResort: lastResort > 0, ...(nextExpiry === undefined ? {} : { nextExpiry }) });
        return;
      }
      case "pseudonymIssued": this.#pseudonyms.shift()?.resolve(event.user as UserUri); return;
      case "pseudonymRefused": this.#pseudonyms.shift()?.reject(new MimiError(event.code, "the provider refuses a pseudonym")); return;
      case "roomsAvailable": this.#available.set(event.rooms as RoomUri[]); return;
      case "accountDone": this.#isDeleted ||= this.#deletions.has(event.id); return;
      case "revoked":
        // Another request's answer may say it before the deletion's own does.
        this.#isDeleted ||= this.#deletions.size > 0;
        for (const id of this.#deletions) this.#engine.fulfil(id);
        return;
      case "accountFailed": this.#deletions.delete(event.id); return;
      default: if ("room" in event) this.#happenedIn(event);
    }
  }

  #happenedIn(event: RoomEvent): void {
    const address = event.room as RoomUri;
    const isNew = !LEAVE_STATE.has(event.type) && this.#refresh(address);
    const room = this.room(address);
    switch (event.type) {
      case "intentFailed": this.#changeFailed(event); break;
      case "message": this.#events.emit("message", messageOf(this.#core, event)); break;
      case "undecryptable": this.#events.emit("undecryptable", { room: address, position: event.position }); break;
      case "delivery": {
        const own = ownMessage(this.#core, event);
        room?.delivered(own);
        this.#events.emit("message", own);
        break;
      }
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

  #changeFailed({ id, room, what, user, code, retryable }: Extract<CoreEvent, { readonly type: "intentFailed" }>): void {
    if (code === "aborted" || this.#engine.isAwaited(id)) return;
    const error = new MimiError(code, "a change was given up", { retryable });
    this.#events.emit("changeFailed", { room: room as RoomUri, what, ...(user === undefined ? {} : { user: user as UserUri }), error });
  }

  #broken(error: MimiError): void {
    this.#sync.set({ state: "offline" });
    if (error.code !== "closed" && !this.#isDeleted) this.#events.emit("error", error);
    for (const waiting of this.#pseudonyms.splice(0)) waiting.reject(error);
    for (const room of this.#rooms.get()) room.end(error);
    this.#events.end();
    this.#sync.end();
    this.#rooms.end();
    this.#available.end();
    this.#devices.end();
    this.#stock.end();
    this.consent.end();
  }
}

async function openStore(user: UserUri, store: ClientOptions["store"]): Promise<Store> {
  if (store === "memory") return memoryStore();
  if (store !== undefined && !isNamed(store)) return store;
  if (!currentPlatform().durable) {
    throw new MimiError("bad-argument", 'there is no IndexedDB here: ask for store: "memory", or give one');
  }
  return await indexedDbStore({ name: store?.name ?? user, key: store?.key });
}

function isNamed(store: NonNullable<ClientOptions["store"]>): store is { readonly name?: string; readonly key?: StoreKey } {
  return store !== "memory" && !("apply" in store);
}
