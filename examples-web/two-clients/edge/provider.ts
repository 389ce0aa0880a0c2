// A provider in a page: the hub's Worker, unchanged, on what stands in for its runtime. A page has
// several by importing this module several times, under different URLs: a Worker is one provider.

import worker, { FollowedRoom, HubRoom, Provider as ProviderIndex, User } from "../../../js/hub/worker.js";
import type { Env } from "../../../js/hub/core.js";
import { verifiedPeer } from "./certificate.js";
import { listener } from "./globals.js";
import { namespace } from "./objects.js";
import { webSocketClass, type SocketEnd } from "./sockets.js";

/** A provider, seen from outside. */
export interface Provider {
  readonly domain: string;
  /** How its users' devices reach it. */
  readonly fetch: typeof fetch;
  readonly WebSocket: typeof WebSocket;
  /** How another provider reaches it. */
  fromPeer(domain: string, url: string, init: RequestInit): Promise<Response>;
  /** Lets it reach another provider. */
  meet(peer: Provider): void;
}

/** Starts the provider of this domain; `onTrace` gets each line of its trace. */
export async function startProvider(domain: string, onTrace: (line: string) => void): Promise<Provider> {
  listener.onTrace = onTrace;
  const env = {
    HUB_ROOM: namespace(HubRoom, () => env),
    FOLLOWED_ROOM: namespace(FollowedRoom, () => env),
    USER: namespace(User, () => env),
    PROVIDER: namespace(ProviderIndex, () => env),
    CONFIG: JSON.stringify({ domain, consent: "allow", registration: "open" }),
    HUB_KEYS: await hubKeys(),
    DEV: "1",
    TRACE: "1",
    PEERS: {},
  } as unknown as Env;
  const respond = (through: "client" | "mimi", request: Request): Promise<Response> =>
    worker.fetch(request, env, { props: { listener: through }, waitUntil: () => undefined } as unknown as Parameters<typeof worker.fetch>[2]);
  return {
    domain,
    fetch: (input, init) => respond("client", arriving(String(input), init)),
    WebSocket: webSocketClass(async (url) => {
      const { webSocket } = await respond("client", arriving(url.replace(/^ws/, "http"), { headers: { upgrade: "websocket" } }));
      if (webSocket === null) throw new TypeError("the provider opens no socket");
      return webSocket as unknown as SocketEnd;
    }),
    fromPeer: (peer, url, init) => respond("mimi", arriving(url, init, { tlsClientAuth: verifiedPeer(peer) })),
    meet(peer) {
      const name = `PEER ${peer.domain}`;
      (env.PEERS ??= {})[peer.domain] = name;
      env[name] = { fetch: (url: string, init: RequestInit) => peer.fromPeer(domain, url, init) };
    },
  };
}

/** A request as it arrives at a Worker: with headers that a page may not set, and what the terminator saw. */
function arriving(url: string, init: RequestInit = {}, cf?: object): Request {
  const { method = "GET", headers, body } = init;
  const request = new Request(url, { method, ...(body === null || body === undefined ? {} : { body }) });
  const arrived = new Headers(headers);
  arrived.set("host", new URL(url).host);
  return Object.defineProperties(request, { headers: { value: arrived }, cf: { value: cf } });
}

/** The provider's signature key, as `mimi-hub` keeps it in a file: its seed and its public half. */
async function hubKeys(): Promise<string> {
  const { privateKey } = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"])) as CryptoKeyPair;
  const { d = "", x = "" } = (await crypto.subtle.exportKey("jwk", privateKey)) as JsonWebKey;
  const base64 = (base64url: string): string => base64url.replaceAll("-", "+").replaceAll("_", "/").padEnd(44, "=");
  return JSON.stringify({ ed25519: base64(d), public: base64(x) });
}
