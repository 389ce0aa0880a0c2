// Serves the example pages on loopback, with the built client beside them and a strict policy.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface PageOptions {
  /** 0, or a port that is taken, means a free one. */
  readonly port: number;
  /** Base URLs of the clients' listeners by domain, in the order in which the sign-in lists them. */
  readonly providers: Readonly<Record<string, string>>;
}

export interface Page {
  /** The page's address. */
  readonly url: string;
  stop(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";
const JAVASCRIPT = "text/javascript; charset=utf-8";
const JSON_TYPE = "application/json";

/** The pages' own files, below the repository's folder (`npm run` starts there), and their types. */
const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/": ["examples-web/chat/index.html", "text/html; charset=utf-8"],
  "/three.html": ["examples-web/chat/three.html", "text/html; charset=utf-8"],
  "/style.css": ["examples-web/chat/style.css", "text/css; charset=utf-8"],
  "/inspector.css": ["examples-web/inspector/inspector.css", "text/css; charset=utf-8"],
  "/icon.svg": ["examples-web/chat/icon.svg", "image/svg+xml"],
  "/main.js": ["build/chat/main.js", JAVASCRIPT],
  "/main.js.map": ["build/chat/main.js.map", JSON_TYPE],
  "/three.js": ["build/chat/three.js", JAVASCRIPT],
  "/three.js.map": ["build/chat/three.js.map", JSON_TYPE],
};

/** Folders that are served whole: the built client, and the page of two clients. */
const FOLDERS: ReadonlySet<string> = new Set(["client", "two-clients"]);
const BELOW_FOLDER = /^\/(?<folder>[\w-]+)\/(?<name>(?:[\w-]+\/)*[\w-]+\.(?:[\w-]+\.)*(?<kind>\w+))?$/;
const TYPES: ReadonlyMap<string, string> = new Map([
  ["html", "text/html; charset=utf-8"], ["css", "text/css; charset=utf-8"], ["js", JAVASCRIPT], ["map", JSON_TYPE], ["wasm", "application/wasm"], ["svg", "image/svg+xml"],
]);

function fileOf(path: string): readonly [file: string, type: string] | undefined {
  if (Object.hasOwn(FILES, path)) return FILES[path];
  const { folder = "", name = "index.html", kind = "html" } = BELOW_FOLDER.exec(path)?.groups ?? {};
  const type = TYPES.get(kind);
  return FOLDERS.has(folder) && type !== undefined ? [`build/${folder}/${name}`, type] : undefined;
}

/** Starts the server; the page learns the providers' addresses from `/providers.json`. */
export async function servePage({ port, providers }: PageOptions): Promise<Page> {
  const network = JSON.stringify({ network: randomUUID(), providers });
  const policy = policyFor(Object.values(providers));
  const server = createServer((request, response) => {
    answer(request, response, policy, network).catch(() => { end(response, 500, "the file cannot be read: is everything built?"); });
  });
  await listen(server, port).catch(() => listen(server, 0));
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${String(taken)}/`,
    stop: () => new Promise((resolve) => {
      server.close(() => { resolve(); });
      server.closeAllConnections();
    }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, policy: string, network: string): Promise<void> {
  response.setHeader("content-security-policy", policy);
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("referrer-policy", "no-referrer");
  response.setHeader("cache-control", "no-store");
  // A name that somebody else let point to this machine is no name of ours.
  if (!/^(?:127\.0\.0\.1|localhost):\d+$/.test(request.headers.host ?? "")) { end(response, 403, "not this host"); return; }
  if (request.method !== "GET" && request.method !== "HEAD") { end(response, 405, "GET only"); return; }
  const [path = ""] = (request.url ?? "").split("?");
  const file = fileOf(path);
  if (path === "/providers.json") end(response, 200, network, JSON_TYPE);
  else if (file === undefined) end(response, 404, "there is nothing here");
  else end(response, 200, await readFile(file[0]), file[1]);
}

function end(response: ServerResponse, status: number, body: string | Buffer, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
}

/** Scripts from here alone, connections to here and to the providers alone, markup only through Lit's templates. */
function policyFor(providers: readonly string[]): string {
  const sockets = providers.map((provider) => provider.replace(/^http/, "ws"));
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self'",
    "frame-src 'self'",
    `connect-src ${["'self'", ...providers, ...sockets].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
    "require-trusted-types-for 'script'",
    "trusted-types lit-html mimi-edge",
  ].join("; ");
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, LOOPBACK, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}
