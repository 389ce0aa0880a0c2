// People of the story whose clients run in this process.

import { Client, uri, type ClientOptions, type Room, type RoomUri, type Row, type Store } from "@mimi-edge/client";
import Ws from "ws";
import type { Providers } from "./providers.js";
import { until, type Actor, type Actors, type Received } from "./story.js";

/** The story's people at these providers, all of them connected. */
export async function cast(providers: Pick<Providers, "url">): Promise<Actors & { readonly end: () => Promise<void> }> {
  const all: Person[] = [];
  const open = async (user: string): Promise<Person> => {
    const one = await person(user, providers.url(uri.domain(uri.user(user))));
    all.push(one);
    return one;
  };
  return {
    alice: await open("alice@alpha.example"),
    bob: await open("bob@bravo.example"),
    cathy: await open("cathy@charlie.example"),
    cathysNewDevice: () => open("cathy@charlie.example"),
    end: async () => { await Promise.all(all.map((one) => one.close())); },
  };
}

/** A person with one device, which can be closed and opened again. */
export interface Person extends Actor {
  /** The client, while it is open. */
  client(): Client;
}

/** Opens a new device of this user at the provider of this base URL, and waits until it is connected and can be added. */
export async function person(user: string, provider: string, options: Partial<ClientOptions> = {}): Promise<Person> {
  const store = keptStore();
  const valve = new Valve();
  const received: (Received & { readonly room: RoomUri })[] = [];
  const updates: number[] = [];
  let client: Client | undefined;
  const open = async (): Promise<void> => {
    const opened = await Client.open({
      user: uri.user(user), provider, store, WebSocket: valve.WebSocket,
      trace: ({ method, path, status }) => { if (method === "POST" && path.startsWith("/client/v1/update/")) updates.push(status ?? 0); },
      ...options,
    });
    opened.addEventListener("message", ({ detail }) => {
      if (!detail.mine && detail.text !== undefined) received.push({ room: detail.room, sender: detail.sender, text: detail.text });
    });
    client = opened;
    await until(async () => (opened.sync.get().state === "live" ? true : undefined), async () => `${user} does not reach its provider`);
  };
  await open();
  const current = (): Client => {
    if (client === undefined) throw new Error(`${user} is closed`);
    return client;
  };
  await until(async () => (current().keyPackages.stock.get().published > 0 ? true : undefined), async () => `${user} has no KeyPackages at its provider`);
  const roomOf = (text: string): Room => {
    const room = current().room(uri.room(text));
    if (room === undefined) throw new Error(`${user} is not in ${text}`);
    return room;
  };
  return {
    user,
    client: current,
    open,
    async close() {
      await client?.close();
      client = undefined;
    },
    async createRoom(id) { await current().createRoom({ id }); },
    async add(room, whom) {
      const result = await roomOf(room).add(uri.user(whom));
      return result.state === "added" ? result.devices : 0;
    },
    async send(room, text) { await (await roomOf(room).send(text)).accepted; },
    async updateKeys(room) { await roomOf(room).updateKeys(); },
    async leave(room) { void roomOf(room).leave().catch(() => undefined); },
    async join(room) {
      const address = uri.room(room);
      await until(async () => (current().available.get().includes(address) ? true : undefined), async () => `${user} does not see ${room}`);
      await current().joinRoom(address);
    },
    async state(room) {
      const state = current().room(uri.room(room))?.state.get();
      if (state === undefined) return undefined;
      return {
        epoch: String(state.epoch),
        participants: state.participants.map(({ user }) => user),
        devices: state.participants.reduce((sum, { devices }) => sum + devices.length, 0),
        left: state.me === "left",
      };
    },
    async received(room) { return received.filter((message) => message.room === room); },
    async updates() { return updates; },
    async holdBack() { return valve.close(); },
  };
}

/** A store that is there when the device is opened again. */
export function keptStore(): Store {
  const rows = new Map<string, Row>();
  return {
    rows: async () => [...rows.values()],
    async apply(changes) {
      for (const { key, value } of changes) {
        if (value === null) rows.delete(String(key));
        else rows.set(String(key), { key, value });
      }
    },
    close: async () => undefined,
  };
}

/** Lets the provider's frames through, or keeps them in order until it may. */
class Valve {
  #kept: (() => void)[] | undefined;
  readonly WebSocket: typeof WebSocket;

  constructor() {
    const take = (frame: () => void): void => { this.#kept?.push(frame) ?? frame(); };
    class HeldSocket extends Ws {
      override emit(event: string | symbol, ...values: unknown[]): boolean {
        if (event !== "message") return super.emit(event, ...values);
        take(() => { super.emit(event, ...values); });
        return true;
      }
    }
    this.WebSocket = HeldSocket as unknown as typeof WebSocket;
  }

  /** Keeps frames from now on; the result lets them go. */
  close(): () => Promise<void> {
    this.#kept = [];
    return async () => {
      const kept = this.#kept ?? [];
      this.#kept = undefined;
      for (const frame of kept) frame();
    };
  }
}
