/// <reference lib="esnext.disposable" />
import { ClientCore } from "#wasm/client";
import { Engine, type CoreEvent, type EngineOwner } from "./engine.js";
import { MimiError, fromCore, orAborted } from "./errors.js";
import { init } from "./init.js";
import { LiveValue, TypedEvents, type Emitter, type Live, type Signal } from "./live.js";
import { currentPlatform, type WasmSource } from "./platform.js";
import { Room, message, type CoreRoomState, type Message, type UnixMillis } from "./room.js";
import { deleteIndexedDb, indexedDbStore, memoryStore, type Store } from "./store.js";
import { Transport, type Exchange } from "./transport.js";
import { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";

/** The connection to the own provider. */
export type Sync =
  | { readonly state: "offline"; readonly retryAt?: UnixMillis }
  | { readonly state: "connecting" | "live" };

/** What a {@link Client} tells its application; the state that explains an event is there before it. */
export interface ClientEvents {
  /** A room is there: created here, or joined because somebody added this user. */
  room: Room;
  /** A message came, or one sent since the client was opened is somewhere else (same key). */
  message: Message;
  /** Events of a room are gone; this device has to join it anew. */
  gap: { readonly room: RoomUri };
  /** The hub accepted what this device has to reject; nothing is sent there any more. */
  diverged: { readonly room: RoomUri };
  /** Something failed in the background: nothing works any more until this client is closed and opened again. */
  error: MimiError;
}

/** How to open a client. */
export interface ClientOptions extends Signal {
  /** The user whose device this is. */
  readonly user: UserUri;
  /** The base URL of the user's provider: `http://127.0.0.1:8801`. */
  readonly provider: string | URL;
  /**
   * Where state is kept. Default: IndexedDB, under the user's address; there one tab at a time has a
   * store open. `"memory"` keeps nothing. In Node a store must be named.
   */
  readonly store?: { readonly name?: string } | "memory";
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
}

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
  readonly #sync = new LiveValue<Sync>({ state: "offline" });
  readonly #rooms = new LiveValue<readonly Room[]>([]);
  readonly #events = new TypedEvents<ClientEvents>();
  readonly #engine: Engine;
  readonly #core: ClientCore;

  private constructor(core: ClientCore, makeEngine: (owner: EngineOwner) => Engine) {
    this.#core = core;
    this.user = core.user() as UserUri;
    this.device = core.device() as ClientUri;
    this.sync = this.#sync;
    this.rooms = this.#rooms;
    this.#engine = makeEngine({
      happened: (event) => { this.#happened(event); },
      connection: (state) => { this.#sync.set(state); },
      broken: (error) => { this.#broken(error); },
    });
  }

  /**
   * Opens this user's device: the stored one, or a new one, which is registered with the provider.
   * Rejects with `bad-argument`, `storage-locked`, `storage-newer`, `wasm-load`, `wasm-blocked`.
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

  static async #open({ user, provider, store, wasm, fetch, WebSocket, trace }: ClientOptions): Promise<Client> {
    await init(wasm);
    const transport = new Transport(provider, fetch, trace);
    const webSocket = WebSocket ?? (await currentPlatform().webSocket());
    const opened = await openStore(user, store);
    try {
      const core = new ClientCore(user, await opened.rows(), Date.now());
      const client = new Client(core, (owner) => new Engine(core, opened, transport, webSocket, owner));
      client.#loadRooms();
      await client.#engine.start();
      return client;
    } catch (error) {
      await opened.close();
      throw fromCore(error);
    }
  }

  /** Erases what is stored of a user's device. The only call that does. */
  static async delete({ user, store }: Pick<ClientOptions, "user" | "store">): Promise<void> {
    if (store !== "memory") await deleteIndexedDb(store?.name ?? user);
  }

  /**
   * Creates a room at the own provider; while that does not answer, the wish is kept, over a reload
   * too. Rejects with `conflict` when the address is taken, there or here, with `bad-uri` when `id`
   * is no local part, with `aborted` when the signal ended the wait (not the work).
   */
  async createRoom({ id = crypto.randomUUID(), signal }: CreateRoomOptions = {}): Promise<Room> {
    const address = uri.room(`${id}@${uri.domain(this.user)}`);
    await this.#engine.fulfil(address, (core, now) => core.createRoom(address, now), signal);
    const room = this.room(address);
    if (room === undefined) throw new MimiError("internal", "the room is not there");
    return room;
  }

  /** A room that this device is in. */
  room(address: RoomUri): Room | undefined {
    return this.#rooms.get().find((room) => room.uri === address);
  }

  addEventListener: Emitter<ClientEvents>["addEventListener"] = (...listener) => { this.#events.addEventListener(...listener); };
  removeEventListener: Emitter<ClientEvents>["removeEventListener"] = (...listener) => { this.#events.removeEventListener(...listener); };
  events: Emitter<ClientEvents>["events"] = (options) => this.#events.events(options);

  /** Stops everything and gives the store free. What was not sent yet goes out after the next open. */
  async close(): Promise<void> {
    await this.#engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.close(); }

  #loadRooms(): void {
    for (const address of this.#core.rooms() as RoomUri[]) this.#refresh(address);
  }

  /** Takes a room's state from the core; says whether the room is new. */
  #refresh(address: RoomUri): boolean {
    const state = this.#core.roomState(address) as CoreRoomState | undefined;
    const known = this.room(address);
    if (state === undefined) {
      // Its creation was refused.
      if (known !== undefined) this.#rooms.set(this.#rooms.get().filter((room) => room !== known));
      return false;
    }
    if (known === undefined) this.#rooms.set([...this.#rooms.get(), new Room(this.#engine, address, state)]);
    else known.changed(state);
    return known === undefined;
  }

  #happened(event: CoreEvent): void {
    if (!("room" in event)) return;
    const address = event.room as RoomUri;
    const isNew = !LEAVE_STATE.has(event.type) && this.#refresh(address);
    const room = this.room(address);
    if (room === undefined) return;
    if (isNew || event.type === "roomAdded") this.#events.emit("room", room);
    switch (event.type) {
      case "gap": case "diverged": this.#events.emit(event.type, { room: address }); break;
      case "message": {
        const device = event.sender as ClientUri;
        const sender = this.#core.userOf(device) as UserUri;
        this.#events.emit("message", message({
          key: event.key, room: address, sender, device, mine: sender === this.user, epoch: BigInt(event.epoch), bytes: event.content,
          delivery: { state: "accepted", at: event.at },
        }));
        break;
      }
      case "delivery": {
        const own = room.delivered(event.key, event, this.device, this.user);
        if (own !== undefined) this.#events.emit("message", own);
        break;
      }
      default:
    }
  }

  #broken(error: MimiError): void {
    this.#sync.set({ state: "offline" });
    if (error.code !== "closed") this.#events.emit("error", error);
    for (const room of this.#rooms.get()) room.end(error);
    this.#events.end();
    this.#sync.end();
    this.#rooms.end();
  }
}

async function openStore(user: UserUri, store: ClientOptions["store"]): Promise<Store> {
  if (store === "memory") return memoryStore();
  if (!currentPlatform().durable) {
    throw new MimiError("bad-argument", 'there is no IndexedDB here: ask for store: "memory"');
  }
  return await indexedDbStore(store?.name ?? user);
}
