import { channelOf, type StoreAccess } from "../store/indexeddb.js";
import type { Host } from "./host.js";
import type { Carrier, FromFace, FromHost } from "./port.js";

/** The lock that a tab holds while it owns a device's state; the others queue for it. */
export function ownerLock(name: string): string { return `mimi-edge owner ${name}`; }
/** The lock that a guest holds while it is there. */
export function guestLock(name: string, face: string): string { return `mimi-edge guest ${face} ${name}`; }

/**
 * The channel between the host of a device and its guests, on which everybody hears all: only who has the
 * store's keys knows its name.
 */
function guestChannel(secret: string): BroadcastChannel { return new BroadcastChannel(`mimi-edge guests ${secret}`); }
/** The channel on which a host says that it has begun, and nothing else, to those who may not know the other one yet. */
function bellOf(name: string): BroadcastChannel { return new BroadcastChannel(`mimi-edge bell ${name}`); }

/** Whether what came on the channel is for a host. */
export function isFromFace(message: unknown): message is FromFace { return isTold(message) && "face" in message && typeof message.face === "string"; }
/** Whether what came on the channel is for guests. */
export function isFromHost(message: unknown): message is FromHost { return isTold(message) && "host" in message; }
function isTold(message: unknown): message is object { return typeof message === "object" && message !== null && "type" in message; }

/** Serves the guests of a device until the result is called; nobody when its store is not one that tabs share. */
export function serveGuests(host: Host, name: string): () => void {
  if (host.channel === undefined) return () => undefined;
  const channel = guestChannel(host.channel);
  const stop = new AbortController();
  const carrier: Carrier = { post: (message) => { channel.postMessage(message); }, goesOn: true };
  const watched = new Set<string>();
  const watch = async (face: string): Promise<void> => {
    watched.add(face);
    await whenGone(name, face, stop.signal);
    watched.delete(face);
    host.detach(face);
  };
  channel.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (!isFromFace(data)) return;
    host.receive(data, carrier);
    if (data.type === "attach" && !watched.has(data.face)) watch(data.face).catch(() => undefined);
  };
  host.announce(carrier);
  const bell = bellOf(name);
  bell.postMessage("begun");
  return () => {
    stop.abort();
    bell.close();
    channel.close();
  };
}

/**
 * The channel to a device's host, once its store is there, or nothing when `signal` is aborted before.
 * Rejects as the store's opening would: with `storage-key` for another key than the store's.
 */
export async function findHost(access: StoreAccess, signal: AbortSignal): Promise<BroadcastChannel | undefined> {
  const bell = bellOf(access.name);
  try {
    while (!signal.aborted) {
      const begun = new Promise<void>((resolve) => {
        bell.onmessage = () => { resolve(); };
        signal.addEventListener("abort", () => { resolve(); }, { once: true });
      });
      const secret = await channelOf(access);
      if (signal.aborted) return undefined;
      if (secret !== undefined) return guestChannel(secret);
      await begun;
    }
    return undefined;
  } finally {
    bell.close();
  }
}

/** Resolves when a guest's tab is closed, or has crashed. */
async function whenGone(name: string, face: string, signal: AbortSignal): Promise<void> {
  await navigator.locks.request(guestLock(name, face), { signal }, () => undefined);
}
