import type { ClientCore } from "#wasm/client";
import type { CoreDelivery, CoreHistoryEntry } from "../message.js";
import { areSame, type CoreReading } from "../reading.js";
import type { CoreRoomState } from "../room-state.js";
import { readRoom } from "./again.js";
import type { CoreEvent } from "./engine.js";
import type { CoreTrust } from "../verification.js";
import type { CoreDevice, CoreStock, Snapshot, State } from "./port.js";

/** How many messages are read at once when a face has missed some. */
const MISSED_PAGE = 200;

/** Events of a room after which its state is what it was. */
const LEAVE_ROOM: ReadonlySet<CoreEvent["type"]> = new Set(["consentRequested", "consentCancelled", "consentGranted"]);
/** Events of a room's messages: its state is what it was, and not what is to be read and to be sent. */
const OF_MESSAGES: ReadonlySet<CoreEvent["type"]> = new Set(["message", "echoed", "delivery", "undecryptable", "read"]);

/** A room as faces show it, and as text, to see whether it is another one. */
interface Shown { readonly state: CoreRoomState; readonly said: string }

/** What the faces of a device show, and what of it is another than before. */
export class View {
  readonly #core: ClientCore;
  readonly #rooms = new Map<string, Shown>();
  readonly #readings = new Map<string, CoreReading>();
  #state: Omit<State, "rooms" | "readings">;

  constructor(core: ClientCore) {
    this.#core = core;
    this.#state = {
      sync: { state: "offline" },
      available: core.availableRooms(),
      devices: core.devices() as CoreDevice[],
      consent: consentOf(core),
      stock: core.keyPackageStock() as CoreStock,
      trust: core.verifiedUsers() as CoreTrust[],
    };
    this.rooms(core.rooms());
  }

  /** Notes that something else is shown than rooms. */
  set(state: Partial<Omit<State, "rooms" | "readings">>): Partial<State> {
    this.#state = { ...this.#state, ...state };
    return state;
  }

  /** What is another than before these events; nothing, mostly. */
  after(event: CoreEvent): Partial<State> | undefined {
    switch (event.type) {
      case "consentChanged": return this.set({ consent: consentOf(this.#core) });
      case "devicesChanged": return this.set({ devices: this.#core.devices() as CoreDevice[] });
      case "roomsAvailable": return this.set({ available: event.rooms });
      case "keyPackages": return this.set({ stock: event });
      case "trustChanged": return { ...this.set({ trust: this.#core.verifiedUsers() as CoreTrust[] }), ...this.rooms(this.#roomsOf(event.user)) };
      default:
        if (!("room" in event) || event.room === undefined || LEAVE_ROOM.has(event.type)) return undefined;
        return OF_MESSAGES.has(event.type) ? this.#read(event.room) : this.rooms([event.room]);
    }
  }

  /** Those of these rooms that are others than before; of all: without an argument. */
  rooms(rooms: readonly string[] = [...this.#rooms.keys()]): Partial<State> | undefined {
    const changed = rooms.flatMap((room): State["rooms"][number][] => {
      const state = readRoom(this.#core, room);
      // Its creation was refused; or this device is about to join, and knows nothing of it yet.
      if (state === undefined) {
        this.#readings.delete(room);
        return this.#rooms.delete(room) ? [[room, null]] : [];
      }
      const said = JSON.stringify(state);
      if (said === this.#rooms.get(room)?.said) return [];
      this.#rooms.set(room, { state, said });
      return [[room, state]];
    });
    const fresh = changed.filter(([room, state]) => state !== null && !this.#readings.has(room));
    const readings = fresh.flatMap(([room]) => this.#read(room)?.readings ?? []);
    return changed.length === 0 ? undefined : { rooms: changed, ...(readings.length === 0 ? {} : { readings }) };
  }

  /** What is to be read and to be sent in a room, if it is another than before. */
  #read(room: string): Pick<State, "readings"> | undefined {
    const reading = this.#core.reading(room) as CoreReading;
    const before = this.#readings.get(room);
    if (!this.#rooms.has(room) || (before !== undefined && areSame(before, reading))) return undefined;
    this.#readings.set(room, reading);
    return { readings: [[room, reading]] };
  }

  /** All of it, for a face that has seen each room's messages up to these positions, or none before. */
  snapshot(thread: Snapshot["thread"], seen: Readonly<Record<string, number>> | undefined): Snapshot {
    const rooms = [...this.#rooms.keys()];
    const newest = rooms.map((room) => [room, this.#page(room, undefined, 1)[0]?.position ?? -1] as const);
    return {
      ...this.#state,
      user: this.#core.user(),
      device: this.#core.device(),
      thread,
      rooms: [...this.#rooms].map(([room, { state }]) => [room, state] as const),
      readings: [...this.#readings],
      positions: Object.fromEntries(newest),
      unsent: seen === undefined ? [] : rooms.flatMap((room) => this.#core.unsent(room) as CoreDelivery[]),
      missed: seen === undefined ? [] : rooms.flatMap((room) => this.#messagesAfter(room, seen[room] ?? -1)),
    };
  }

  #roomsOf(user: string): readonly string[] {
    return [...this.#rooms].filter(([, { state }]) => state.participants.some((participant) => participant.user === user)).map(([room]) => room);
  }

  #messagesAfter(room: string, position: number): readonly CoreHistoryEntry[] {
    const pages: CoreHistoryEntry[][] = [];
    let before: number | undefined;
    for (;;) {
      const missed = this.#page(room, before, MISSED_PAGE).filter((message) => message.position > position);
      pages.unshift(missed);
      if (missed.length < MISSED_PAGE) return pages.flat();
      before = missed[0]?.position;
    }
  }

  #page(room: string, before: number | undefined, limit: number): CoreHistoryEntry[] {
    return this.#core.history(room, before, limit) as CoreHistoryEntry[];
  }
}

function consentOf(core: ClientCore): State["consent"] {
  return { incoming: core.consentIncoming(), granted: core.consentGranted() };
}
