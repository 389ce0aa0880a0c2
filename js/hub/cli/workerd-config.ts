/**
 * The generated workerd configuration of one provider in development.
 *
 * Two listeners reach the Worker's default export; `ctx.props.listener` says which one it was:
 *
 * - `"client"`: plain HTTP on loopback, paths `/client/v1` and below only. It passes through a
 *   Worker of its own that answers 404 to any other path, but to `/dev/trace` when the provider
 *   traces (trace-stream.ts). `request.cf.tlsClientAuth` is never there.
 * - `"mimi"`: a unix socket behind the TLS terminator, MIMI's paths only. `request.cf.tlsClientAuth`
 *   is always there (terminator.ts); the URL's scheme is https and its host the `Host` of the peer.
 * - `admin`: a unix socket that only the provider's own user can open, the operator's paths only
 *   (`/admin/v1`): whoever opens it is the operator.
 *
 * The Worker's environment:
 *
 * | binding | |
 * |---|---|
 * | `HUB_ROOM`, `FOLLOWED_ROOM`, `USER`, `PROVIDER` | namespaces of the exported classes HubRoom, FollowedRoom, User, Provider (SQLite) |
 * | `CONFIG` | text: JSON with comments, the settings of ../config/settings.json |
 * | `HUB_KEYS` | text: JSON, see HubKeys in hub-key.ts |
 * | `PEER_KEYS` | text: JSON, see PeerKey in ../signature.ts |
 * | `ACCOUNTS` | fetcher: reaches the issuer of accounts; absent where everything is reached by the global `fetch` |
 * | `DEV` | text `1`: loopback origins; absent when not in development |
 * | `TRACE` | text `1` if exchanges and frames are to be logged, each as one `console.log("mimi-trace " + json)` (trace.ts); else absent |
 * | `PEERS` | JSON object: peer's domain → name of the binding that reaches it |
 * | `PEER_0` … | fetchers: `env[env.PEERS[domain]].fetch(url)`, whatever the URL's scheme and port |
 *
 * A fetcher does mutual TLS with our certificate and verifies that the peer's is valid for its
 * domain; `Host` is the URL's. A domain that PEERS does not have is unreachable, and so is
 * everything by the global `fetch`,
 * unless providers are reached by their domains (`reachesPublic`).
 */

import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import type { CertifiedKey } from "./certificates.js";
import { CliError, systemCode } from "./errors.js";
import { CF_BLOB_HEADER, FORWARDED_PROTO_HEADER } from "./terminator.js";

/** Another provider and where its terminator listens. */
export interface Peer {
  readonly domain: string;
  /** `HOST:PORT`. */
  readonly address: string;
}

export interface WorkerdConfig {
  /** The operator's settings: the text of hub.jsonc. */
  readonly settings: string;
  /** `HOST:PORT` of the clients' listener. */
  readonly clientAddress: string;
  /** The unix socket of the providers' listener. */
  readonly socketPath: string;
  /** The unix socket of the operator's listener. */
  readonly adminSocketPath: string;
  /** The folder of the objects' databases. */
  readonly objectsFolder: string;
  /** The file whose text becomes `HUB_KEYS`, so that no secret of ours is copied. */
  readonly hubKeysFile: string;
  /** The file whose text becomes `PEER_KEYS`. */
  readonly peerKeysFile: string;
  readonly keypair: CertifiedKey;
  /** The CA of the peers' certificates, in PEM. */
  readonly trustedCertificate: string;
  readonly peers: readonly Peer[];
  /** The unix socket of the trace's stream, if exchanges are to be traced. */
  readonly traceSocketPath?: string | undefined;
  /** Loopback origins may use the client API. */
  readonly isDevelopment: boolean;
  /** The key and certificate of the clients' listener; without it, it speaks plain HTTP. */
  readonly clientKeypair?: CertifiedKey | undefined;
  /** Whether providers that are not in `peers` are reached by their domain, at public addresses. */
  readonly reachesPublic: boolean;
  readonly modules: readonly WorkerModule[];
}

/** A file of the Worker; the first one is its main module. */
export interface WorkerModule {
  readonly name: string;
  readonly path: string;
  readonly type: "esModule" | "wasm";
}

/** Names of the listeners in workerd's messages. */
export const LISTENERS = { client: "client", mimi: "mimi", admin: "admin" } as const;

/** The runtime as it was on this day. */
export const COMPATIBILITY_DATE = "2026-11-01";
/** Class and binding; the classes' names are also the names of their folders: never change them. */
export const OBJECTS = [
  ["HubRoom", "HUB_ROOM"],
  ["FollowedRoom", "FOLLOWED_ROOM"],
  ["User", "USER"],
  ["Provider", "PROVIDER"],
] as const;
/** Nobody but root can listen on port 1, and nobody does: connecting fails at once. */
const NOWHERE_ADDRESS = "127.0.0.1:1";
/** Lets the clients' paths through, after the URL parser has resolved dots in them. */
const CLIENT_GATE = `export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    const ours = pathname === "/client/v1" || pathname.startsWith("/client/v1/");
    if (ours || ["/healthz", "/readyz", "/metrics"].includes(pathname)) return env.HUB.fetch(request);
    const traced = pathname === "/dev/trace" && request.method === "GET" && env.TRACE !== undefined;
    return traced ? env.TRACE.fetch(request) : new Response(null, { status: 404 });
  },
};
`;

/** The Worker's main module at `path` and the wasm files beside it that it names. */
export async function workerModules(path: string): Promise<WorkerModule[]> {
  const main = resolve(path);
  let source: string;
  try {
    source = await readFile(main, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") {
      throw new CliError(`the hub's Worker is not built: there is no ${path}`);
    }
    throw error;
  }
  const wasm = (await readdir(dirname(main))).filter(
    (name) => name.endsWith(".wasm") && source.includes(name),
  );
  return [
    { name: basename(main), path: main, type: "esModule" },
    ...wasm.map((name) => ({ name, path: join(dirname(main), name), type: "wasm" }) as const),
  ];
}

/** The configuration as Cap'n Proto text; its constant is the only one. */
export function workerdConfig(config: WorkerdConfig): string {
  const services = [
    struct({ name: text("hub"), worker: hubWorker(config) }),
    struct({ name: text("client-gate"), worker: clientGate(config) }),
    struct({ name: text("objects"), disk: disk(config.objectsFolder) }),
    struct({ name: text("nowhere"), external: nowhere() }),
    ...(config.reachesPublic ? [struct({ name: text("accounts"), network: accountsNetwork() })] : []),
    ...(config.reachesPublic ? [struct({ name: text("public"), network: publicNetwork(config) })] : []),
    ...(config.traceSocketPath === undefined
      ? []
      : [struct({ name: text("trace"), external: unixServer(config.traceSocketPath) })]),
    ...config.peers.map((peer, index) =>
      struct({ name: text(peerBinding(index)), external: peerServer(peer, config) }),
    ),
  ];
  const sockets = [
    struct({
      name: text(LISTENERS.client),
      address: text(config.clientAddress),
      ...clientProtocol(config),
      service: text("client-gate"),
    }),
    struct({
      name: text(LISTENERS.mimi),
      address: text(`unix:${config.socketPath}`),
      http: struct({
        cfBlobHeader: text(CF_BLOB_HEADER),
        forwardedProtoHeader: text(FORWARDED_PROTO_HEADER),
      }),
      service: hub(LISTENERS.mimi),
    }),
    struct({
      name: text(LISTENERS.admin),
      address: text(`unix:${config.adminSocketPath}`),
      http: "()",
      service: hub(LISTENERS.admin),
    }),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    ${services.join(",\n    ")},
  ],
  sockets = [
    ${sockets.join(",\n    ")},
  ],
);
`;
}

function hubWorker(config: WorkerdConfig): string {
  const modules = config.modules.map((module) =>
    struct({ name: text(module.name), [module.type]: embed(module.path) }),
  );
  const peers = Object.fromEntries(
    config.peers.map((peer, index) => [peer.domain, peerBinding(index)]),
  );
  const bindings = [
    ...OBJECTS.map(([className, name]) => binding(name, "durableObjectNamespace", text(className))),
    binding("CONFIG", "text", text(config.settings)),
    binding("HUB_KEYS", "text", embed(config.hubKeysFile)),
    binding("PEER_KEYS", "text", embed(config.peerKeysFile)),
    ...(config.reachesPublic ? [binding("ACCOUNTS", "service", text("accounts"))] : []),
    ...(config.isDevelopment ? [binding("DEV", "text", text("1"))] : []),
    ...(config.traceSocketPath === undefined ? [] : [binding("TRACE", "text", text("1"))]),
    binding("PEERS", "json", text(JSON.stringify(peers))),
    ...config.peers.map((_, index) =>
      binding(peerBinding(index), "service", text(peerBinding(index))),
    ),
  ];
  const namespaces = OBJECTS.map(([className]) =>
    struct({ className: text(className), uniqueKey: text(className), enableSql: "true" }),
  );
  return struct({
    modules: list(modules),
    compatibilityDate: text(COMPATIBILITY_DATE),
    bindings: list(bindings),
    durableObjectNamespaces: list(namespaces),
    durableObjectStorage: struct({ localDisk: text("objects") }),
    globalOutbound: text(config.reachesPublic ? "public" : "nowhere"),
  });
}

function clientGate({ traceSocketPath }: WorkerdConfig): string {
  const module = struct({ name: text("client-gate.js"), esModule: text(CLIENT_GATE) });
  return struct({
    modules: list([module]),
    compatibilityDate: text(COMPATIBILITY_DATE),
    bindings: list([
      binding("HUB", "service", hub(LISTENERS.client)),
      ...(traceSocketPath === undefined ? [] : [binding("TRACE", "service", text("trace"))]),
    ]),
    globalOutbound: text("nowhere"),
  });
}

/** The hub's Worker as one listener reaches it. */
function hub(listener: string): string {
  return struct({
    name: text("hub"),
    props: struct({ json: text(JSON.stringify({ listener })) }),
  });
}

function peerServer(peer: Peer, config: WorkerdConfig): string {
  const https = struct({ tlsOptions: peerTls(config), certificateHost: text(peer.domain) });
  return struct({ address: text(peer.address), https });
}

/** Addresses of machines that anybody reaches: never this one, nor its network. */
function publicNetwork(config: WorkerdConfig): string {
  return struct({ allow: list([text("public")]), tlsOptions: peerTls(config) });
}

/** Where the operator's accounts are, public or not: their certificates are of any authority. */
function accountsNetwork(): string {
  return struct({ allow: list([text("public"), text("private")]), tlsOptions: struct({ trustBrowserCas: "true" }) });
}

/** Our certificate is shown, and the peer's is of the CA that we trust. */
function peerTls({ keypair, trustedCertificate }: WorkerdConfig): string {
  return struct({ keypair: pair(keypair), trustedCertificates: list([text(trustedCertificate)]) });
}

function clientProtocol({ clientKeypair }: WorkerdConfig): Readonly<Record<string, string>> {
  if (clientKeypair === undefined) {
    return { http: "()" };
  }
  return { https: struct({ options: "()", tlsOptions: struct({ keypair: pair(clientKeypair) }) }) };
}

function pair({ privateKey, certificate }: CertifiedKey): string {
  return struct({ privateKey: text(privateKey), certificateChain: text(certificate) });
}

function nowhere(): string {
  return struct({ address: text(NOWHERE_ADDRESS), http: "()" });
}

function unixServer(path: string): string {
  return struct({ address: text(`unix:${path}`), http: "()" });
}

function disk(path: string): string {
  return struct({ path: text(resolve(path)), writable: "true" });
}

function peerBinding(index: number): string {
  return `PEER_${index}`;
}

function binding(name: string, kind: string, value: string): string {
  return struct({ name: text(name), [kind]: value });
}

function struct(fields: Readonly<Record<string, string>>): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name} = ${value}`);
  return `(${parts.join(", ")})`;
}

function list(items: readonly string[]): string {
  return `[${items.join(", ")}]`;
}

/** The content of a file; workerd is started so that absolute paths mean what they say. */
function embed(path: string): string {
  return `embed ${text(resolve(path))}`;
}

/** A Cap'n Proto string: bytes outside of printable ASCII, quotes and backslashes as `\xNN`. */
function text(value: string): string {
  const escaped = [...Buffer.from(value, "utf8")].map((byte) => {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    return plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  });
  return `"${escaped.join("")}"`;
}
