// Makes a room of many members at a hub, and records what one member asks of it then: the same requests can be
// made again of the same state.

import { setTimeout as sleep } from "node:timers/promises";
import { Client, uri, type Room } from "@mimi-edge/client";

/** A request as the client made it. */
export interface Recorded { readonly path: string; readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array }

/** Everything that is needed to make the requests again. */
export interface Recording {
  /** The body that created the room, and those of the updates that brought the members in. */
  readonly creation: Uint8Array;
  readonly additions: readonly Uint8Array[];
  /** The users of this provider who are in the room. */
  readonly users: readonly string[];
  /** For each device that is to be connected: where its socket is, and the first frame on it. */
  readonly sockets: readonly { readonly path: string; readonly hello: Uint8Array }[];
}

/** Devices of one user: a provider takes 32. */
const DEVICES_PER_USER = 25;
/** Devices that are opened at the same time. */
const LANES = 8;
const ROOM = "bench";
const CREATOR = "alice@alpha.example";

/** Records the requests of a client, and can keep them from the provider. */
export class Recorder {
  requests: Recorded[] = [];
  readonly fetch: typeof fetch = async (input, init) => {
    const { pathname, search } = new URL(String(input));
    const body = new Uint8Array((init?.body as Uint8Array<ArrayBuffer> | null | undefined) ?? []);
    this.requests.push({ path: pathname + search, headers: Object.fromEntries(new Headers(init?.headers)), body: body.slice() });
    return await fetch(input, init);
  };

  /** The bodies that went to this endpoint. */
  bodies(part: string): Uint8Array[] { return this.of(part).map(({ body }) => body); }
  of(part: string): Recorded[] { return this.requests.filter(({ path }) => path.startsWith(`/client/v1/${part}/`)); }
}

/** A member that keeps its device. */
export interface Member { readonly client: Client; readonly room: Room; readonly recorder: Recorder }

/** Brings `members` devices into a room, the creator's included; `connected` of them say what they send first on a socket. */
export async function fill(provider: string, members: number, connected: number): Promise<{ readonly member: Member; readonly recording: Recording }> {
  const recorder = new Recorder();
  const client = await Client.open({ user: uri.user(CREATOR), provider, store: "memory", fetch: recorder.fetch, keyPackages: { target: 1 } });
  const room = await client.createRoom({ id: ROOM });
  const others = members - 1;
  const names = Array.from({ length: Math.ceil(others / DEVICES_PER_USER) }, (_, index) => `crowd${String(index)}@alpha.example`);
  const wanted = names.flatMap((name, index) => Array.from({ length: Math.min(DEVICES_PER_USER, others - index * DEVICES_PER_USER) }, () => name));
  const sockets: { path: string; hello: Uint8Array }[] = [];
  const open = async (): Promise<void> => {
    for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
      const socket = await stockedDevice(provider, name);
      if (sockets.length < connected) sockets.push(socket);
    }
  };
  await Promise.all(Array.from({ length: LANES }, open));
  for (const name of names) await room.add(uri.user(name));
  const [creation = new Uint8Array()] = recorder.bodies("rooms");
  const recording = { creation, additions: recorder.bodies("update"), users: names, sockets };
  recorder.requests = [];
  return { member: { client, room, recorder }, recording };
}

/** A device that has a KeyPackage at its provider and is away; resolves to how it connects. */
async function stockedDevice(provider: string, name: string): Promise<{ path: string; hello: Uint8Array }> {
  let hello: Uint8Array | undefined;
  let path = "";
  class HelloSocket extends WebSocketClass {
    constructor(url: string | URL) {
      super(url);
      path = new URL(url).pathname;
    }
    /** Kept: a provider takes what a device has signed once. */
    override send(data: Parameters<WebSocket["send"]>[0]): void { hello ??= new Uint8Array(data as ArrayBuffer).slice(); }
  }
  const client = await Client.open({ user: uri.user(name), provider, store: "memory", keyPackages: { target: 1 }, WebSocket: HelloSocket as unknown as typeof WebSocket });
  for await (const { published } of client.keyPackages.stock) if (published > 0) break;
  for (const end = Date.now() + 10_000; hello === undefined; await sleep(5)) if (Date.now() > end) throw new Error("a device that says nothing");
  await client.close();
  return { path, hello };
}

const { WebSocket: WebSocketClass } = (await import("ws")) as unknown as { readonly WebSocket: typeof WebSocket };
