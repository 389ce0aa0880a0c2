// HTTP Message Signatures (RFC 9421) between providers: Ed25519 over method, authority, target, digest and From. They
// are for where no certificate of ours can be shown, as between two zones of one edge network.

/** A key of a provider, secret half included. */
export interface PeerKey { readonly kid: string; /** Seed, base64url. */ readonly d: string; /** Public key, base64url. */ readonly x: string }

/** A request as it is signed. */
export interface Signable { readonly method: string; readonly url: string; readonly from: string; readonly body: Uint8Array }

/** Where a provider's public keys are: a JWK set. */
export const KEYS_PATH = "/.well-known/http-message-signatures-directory";
/** What is signed, in this order and nothing else. */
const COMPONENTS = '("@method" "@authority" "@target-uri" "content-digest" "from")';
const LABEL = "mimi";
/** How far the time of a signature may be from ours, in ms (D14). */
const MOST_DIFFERENCE_MILLIS = 5 * 60_000;
/** Nonces are remembered for longer than their requests are taken. */
const NONCE_MILLIS = 2 * MOST_DIFFERENCE_MILLIS;
const PARAMETERS = /^mimi=(\("@method" "@authority" "@target-uri" "content-digest" "from"\);created=(\d{1,15});nonce="([\w-]{16,64})";keyid="([\w-]{1,128})";alg="ed25519";tag="mimi")$/;
const SIGNATURE = /^mimi=:([A-Za-z0-9+/]{86}==):$/;

/** The headers that sign a request. `created` is in ms since 1970. */
export async function sign(request: Signable, { kid, d, x }: PeerKey, created: number, nonce: string): Promise<[string, string][]> {
  const digest = await contentDigest(request.body);
  const parameters = `${COMPONENTS};created=${String(Math.floor(created / 1_000))};nonce="${nonce}";keyid="${kid}";alg="ed25519";tag="mimi"`;
  const key = await crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", d, x }, { name: "Ed25519" }, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign({ name: "Ed25519" }, key, base(request, digest, parameters)));
  return [["content-digest", digest], ["signature-input", `${LABEL}=${parameters}`], ["signature", `${LABEL}=:${base64(signature)}:`]];
}

/** The public keys of a provider by `kid`; `fresh` has them fetched again. */
export type KeysOf = (domain: string, fresh: boolean) => Promise<ReadonlyMap<string, string>>;

/** Which nonces were seen: a signature counts once. */
export class Nonces {
  readonly #seen = new Map<string, number>();

  /** Whether it is a new one; then it is known from now on. */
  take(nonce: string, now: number): boolean {
    for (const [old, at] of this.#seen) {
      if (now - at < NONCE_MILLIS) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(nonce)) return false;
    this.#seen.set(nonce, now);
    return true;
  }
}

/**
 * Who signed a request: the domain in its From, whose key it is; or why that is not so, in words for the log.
 */
export async function verify(request: Signable, headers: Headers, keysOf: KeysOf, nonces: Nonces, now: number): Promise<{ readonly domain: string } | { readonly refused: string }> {
  const domain = /^mimi@([a-z0-9.-]{1,253})$/.exec(request.from)?.[1];
  if (domain === undefined) return { refused: "no From" };
  const [, parameters = "", created = "", nonce = "", kid = ""] = PARAMETERS.exec(headers.get("signature-input") ?? "") ?? [];
  const [, signature = ""] = SIGNATURE.exec(headers.get("signature") ?? "") ?? [];
  if (parameters === "" || signature === "") return { refused: "a signature of another form" };
  if (Math.abs(now - Number(created) * 1_000) > MOST_DIFFERENCE_MILLIS) return { refused: "signed at another time" };
  const digest = await contentDigest(request.body);
  if (headers.get("content-digest") !== digest) return { refused: "the digest is of another body" };
  const x = (await keysOf(domain, false)).get(kid) ?? (await keysOf(domain, true)).get(kid);
  if (x === undefined) return { refused: "no key of this provider" };
  const key = await crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", x }, { name: "Ed25519" }, false, ["verify"]);
  const isGood = await crypto.subtle.verify({ name: "Ed25519" }, key, bytes(signature), base(request, digest, parameters));
  if (!isGood) return { refused: "the signature is not of this request" };
  if (!nonces.take(`${domain} ${nonce}`, now)) return { refused: "the signature was used before" };
  return { domain };
}

/** The signature base (RFC 9421 section 2.5). */
export function base({ method, url, from }: Signable, digest: string, parameters: string): Uint8Array<ArrayBuffer> {
  const { host } = new URL(url);
  const lines = [`"@method": ${method}`, `"@authority": ${host}`, `"@target-uri": ${url}`, `"content-digest": ${digest}`, `"from": ${from}`, `"@signature-params": ${parameters}`];
  return new Uint8Array(new TextEncoder().encode(lines.join("\n")));
}

/** RFC 9530's digest of a body. */
export async function contentDigest(body: Uint8Array): Promise<string> {
  return `sha-256=:${base64(new Uint8Array(await crypto.subtle.digest("SHA-256", body as Uint8Array<ArrayBuffer>)))}:`;
}

/** The document at {@link KEYS_PATH}. */
export function keySet(keys: readonly PeerKey[]): unknown {
  return { keys: keys.map(({ kid, x }) => ({ kty: "OKP", crv: "Ed25519", use: "sig", kid, x })) };
}

/** The Ed25519 keys of such a document, by `kid`. */
export function readKeySet(json: unknown): ReadonlyMap<string, string> {
  const { keys } = (json ?? {}) as { readonly keys?: readonly Readonly<Record<string, unknown>>[] };
  const usable = (Array.isArray(keys) ? keys : []).filter((key) => key["kty"] === "OKP" && key["crv"] === "Ed25519" && typeof key["kid"] === "string" && typeof key["x"] === "string");
  return new Map(usable.map((key) => [key["kid"] as string, key["x"] as string]));
}

function base64(data: Uint8Array): string { return btoa(String.fromCharCode(...data)); }
function bytes(text: string): Uint8Array<ArrayBuffer> { return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)); }
