import type { Host } from "./host.js";
import type { Carrier, FromFace, FromHost } from "./port.js";

/** The lock that a tab holds while it owns a device's state; the others queue for it. */
export function ownerLock(name: string): string { return `mimi-edge ${name} owner`; }
/** The lock that a guest holds while it is there. */
export function guestLock(name: string, face: string): string { return `mimi-edge ${name} guest ${face}`; }
/** The channel between the host of a device and its guests, on which everybody hears all. */
export function guestChannel(name: string): BroadcastChannel { return new BroadcastChannel(`mimi-edge ${name}`); }

/** Whether what came on the channel is for a host. */
export function isFromFace(message: FromFace | FromHost): message is FromFace { return "face" in message; }

/** Serves the guests of a device until the result is called. */
export function serveGuests(host: Host, name: string): () => void {
  const channel = guestChannel(name);
  const stop = new AbortController();
  const carrier: Carrier = { post: (message) => { channel.postMessage(message); }, goesOn: true };
  channel.onmessage = ({ data }: MessageEvent<FromFace | FromHost>) => {
    if (!isFromFace(data)) return;
    host.receive(data, carrier);
    if (data.type === "attach") void whenGone(name, data.face, stop.signal).then(() => { host.detach(data.face); }, () => undefined);
  };
  host.announce(carrier);
  return () => {
    stop.abort();
    channel.close();
  };
}

/** Resolves when a guest's tab is closed, or has crashed. */
async function whenGone(name: string, face: string, signal: AbortSignal): Promise<void> {
  await navigator.locks.request(guestLock(name, face), { signal }, () => undefined);
}
