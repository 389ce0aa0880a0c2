// Who another provider is: by its certificate, or by its signature; and how we say who we are.

import { readAtMost } from "./bodies.js";
import { isDomain } from "./config/settings.js";
import { configOf, type Env } from "./core.js";
import { log } from "./log.js";
import { KEYS_PATH, Nonces, keySet, readKeySet, sign, verify, type PeerKey } from "./signature.js";

/** What the core is told of a peer: what the TLS layer says, or who signed. */
export type PeerEvidence = Readonly<Record<string, unknown>>;

/** How long a provider's keys are kept at the least and at the most, and when it does not say, in ms. */
const SHORTEST_LIFE_MILLIS = 60_000;
const LONGEST_LIFE_MILLIS = 24 * 60 * 60_000;
const LIFE_MILLIS = 60 * 60_000;
const MOST_KEYS_BYTES = 64 << 10;
const TIMEOUT_MILLIS = 10_000;
/** How many providers' keys are kept, and fetched at a time: who asks for them is not known yet. */
const MOST_KNOWN = 1_000;
const MOST_FETCHES = 16;
const NO_KEYS: ReadonlyMap<string, string> = new Map();

let fetches = 0;
const nonces = new Nonces();
/** Keys of other providers; those that could not be had are asked for again after the shortest life. */
const known = new Map<string, { readonly keys: ReadonlyMap<string, string>; readonly fetched: number; readonly until: number }>();

/** What is known of who makes a request. A signature that is there and not good is refused, whatever else there is. */
export async function evidenceOf(request: Request, body: Uint8Array, env: Env, id: string): Promise<PeerEvidence> {
  const { auth, clientCertHeader } = configOf(env).peers;
  if (auth.includes("signature") && request.headers.has("signature-input")) {
    const signed = { method: request.method, url: request.url, from: request.headers.get("from") ?? "", body };
    const outcome = await verify(signed, request.headers, (domain, fresh) => keysOf(env, domain, fresh), nonces, Date.now());
    if ("domain" in outcome) return { signedBy: outcome.domain };
    log(env, "warn", { event: "peer refused", id, why: outcome.refused });
    return { certPresented: "1", certVerified: "FAILED:signature" };
  }
  if (!auth.includes("mtls")) return {};
  const header = clientCertHeader ? request.headers.get("client-cert") : null;
  // The proxy has verified it, and lets none through that a peer wrote itself.
  if (header !== null) return { certPresented: "1", certVerified: "SUCCESS", certRevoked: "0", certRFC9440: header };
  return (request.cf?.["tlsClientAuth"] ?? {}) as PeerEvidence;
}

/** The headers that sign a request to another provider, if we sign. */
export async function signed(env: Env, method: string, url: string, from: string, body: Uint8Array): Promise<readonly [string, string][]> {
  const [key] = ownKeys(env);
  if (key === undefined || !configOf(env).peers.auth.includes("signature")) return [];
  const nonce = crypto.randomUUID().replaceAll("-", "");
  return await sign({ method, url, from, body }, key, Date.now(), nonce);
}

/** Our public keys, if somebody asks for them and there are some. */
export function tellKeys(request: Request, env: Env): Response | undefined {
  if (new URL(request.url).pathname !== KEYS_PATH || request.method !== "GET") return undefined;
  const keys = ownKeys(env);
  if (keys.length === 0) return new Response(null, { status: 404 });
  return Response.json(keySet(keys), { headers: { "content-type": "application/http-message-signatures-directory+json", "cache-control": "max-age=3600" } });
}

/** The first signs; those after it are still published, for what is on its way. */
function ownKeys(env: Env): readonly PeerKey[] {
  return env.PEER_KEYS === undefined || env.PEER_KEYS === "" ? [] : (JSON.parse(env.PEER_KEYS) as readonly PeerKey[]);
}

async function keysOf(env: Env, domain: string, fresh: boolean): Promise<ReadonlyMap<string, string>> {
  const { allow, deny, keys: pinned } = configOf(env).peers;
  if (Object.hasOwn(pinned, domain)) return readKeySet(pinned[domain]);
  if (deny.includes(domain) || (allow.length > 0 && !allow.includes(domain)) || !isPublicName(domain)) return NO_KEYS;
  const now = Date.now();
  const kept = known.get(domain);
  if (kept !== undefined && now < (fresh ? kept.fetched + SHORTEST_LIFE_MILLIS : kept.until)) return kept.keys;
  if (fetches >= MOST_FETCHES) return NO_KEYS;
  fetches += 1;
  const { keys, life } = await fetchKeys(env, domain).finally(() => { fetches -= 1; });
  known.delete(domain);
  known.set(domain, { keys, fetched: now, until: now + life });
  const [oldest = ""] = known.keys();
  if (known.size > MOST_KNOWN) known.delete(oldest);
  return keys;
}

/** Whether a name is one of the domain name system: not an address, nor a name of this machine alone. */
function isPublicName(domain: string): boolean {
  return isDomain(domain) && /\.[a-z0-9-]*[a-z][a-z0-9-]*$/.test(domain);
}

async function fetchKeys(env: Env, domain: string): Promise<{ readonly keys: ReadonlyMap<string, string>; readonly life: number }> {
  const url = `https://${domain}${KEYS_PATH}`;
  try {
    const response = await peerFetcher(env, url).fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MILLIS) });
    const body = await readAtMost(MOST_KEYS_BYTES, response.body);
    if (!response.ok || body === undefined) return { keys: NO_KEYS, life: SHORTEST_LIFE_MILLIS };
    const seconds = Number(/max-age=(\d+)/.exec(response.headers.get("cache-control") ?? "")?.[1] ?? LIFE_MILLIS / 1_000);
    return { keys: readKeySet(JSON.parse(new TextDecoder().decode(body))), life: Math.min(Math.max(seconds * 1_000, SHORTEST_LIFE_MILLIS), LONGEST_LIFE_MILLIS) };
  } catch {
    return { keys: NO_KEYS, life: SHORTEST_LIFE_MILLIS };
  }
}

/** The way to the URL's provider, with our certificate where there is one (mutual TLS). */
export function peerFetcher(env: Env, url: string): { fetch(url: string, init: RequestInit): Promise<Response> } {
  const binding = env.PEERS?.[new URL(url).hostname];
  return binding === undefined ? (env.PEER_MTLS ?? { fetch }) : (env[binding] as Fetcher);
}
