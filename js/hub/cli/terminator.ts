/**
 * The TLS side of a provider: takes mutual TLS from other providers, lets MIMI's paths through and
 * hands each request to workerd's unix socket, together with what it saw of the peer's certificate
 * in the shape in which Cloudflare's edge reports it (`request.cf.tlsClientAuth`).
 *
 * It judges nothing: a peer without a good certificate reaches the Worker, which answers 403 (WIRE
 * D21) and serves the directory to anybody (R10). What arrives under the names of the headers that
 * it sets itself is dropped. The Worker has to read a body before it answers: workerd closes the
 * connection when much of one is left, and the answer may be lost (502).
 */

import { constants } from "node:crypto";
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { Transform } from "node:stream";
import type { TLSSocket } from "node:tls";

import { KEYS_PATH } from "../signature.js";
import type { CertifiedKey } from "./certificates.js";

/** The header that carries `request.cf` as JSON; workerd reads it on the unix socket alone. */
export const CF_BLOB_HEADER = "Mimi-Cf-Blob";
/** The header by which workerd learns that the peer spoke https. */
export const FORWARDED_PROTO_HEADER = "X-Forwarded-Proto";
/** Larger bodies are refused here with 413; WIRE D18's largest limit (notify). */
export const MAX_REQUEST_BYTES = 8 * 1024 * 1024;

const DIRECTORY_PATH = "/.well-known/mimi-protocol-directory";
const ENDPOINT_PREFIX = "/v1/";
/** The Worker itself gives up on other providers after 30 s (WIRE D18). */
const ANSWER_TIMEOUT_MILLIS = 40_000;
const HEADERS_TIMEOUT_MILLIS = 10_000;
const REQUEST_TIMEOUT_MILLIS = 60_000;
/** As Cloudflare: a larger certificate is reported as too large and left out. */
const MAX_CERTIFICATE_BYTES = 10 * 1024;

/** Meaningful for one connection only (RFC 9110 §7.6.1), or ours to set. */
const DROPPED_HEADERS = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "client-cert",
  "client-cert-chain",
  CF_BLOB_HEADER.toLowerCase(),
  FORWARDED_PROTO_HEADER.toLowerCase(),
]);

/** What the Worker learns of the peer's certificate; strings, as Cloudflare has them. */
export interface TlsClientAuth {
  readonly certPresented: "0" | "1";
  /** `SUCCESS`, `NONE` or `FAILED:` and the reason. */
  readonly certVerified: string;
  readonly certRevoked: "0";
  /** The leaf's DER as an RFC 9440 byte sequence (`:base64:`), also if it was not verified. */
  readonly certRFC9440: string;
  readonly certRFC9440TooLarge: boolean;
}

export interface TerminatorOptions {
  readonly host: string;
  readonly port: number;
  /** The domain's certificate, which peers verify. */
  readonly keypair: CertifiedKey;
  /** The CA of the peers' certificates, in PEM. */
  readonly trustedCertificate: string;
  /** Where workerd listens. */
  readonly socketPath: string;
}

export interface Terminator {
  /** The port on which it listens. */
  readonly port: number;
  /** Takes no more requests, lets those in flight finish for `graceMillis`, then cuts them off. */
  close(graceMillis: number): Promise<void>;
}

/** Listens for other providers. */
export async function startTerminator(options: TerminatorOptions): Promise<Terminator> {
  const server = createServer(
    {
      key: options.keypair.privateKey,
      cert: options.keypair.certificate,
      ca: [options.trustedCertificate],
      requestCert: true,
      rejectUnauthorized: false,
      // A resumed session would answer for a certificate that nobody showed.
      secureOptions: constants.SSL_OP_NO_TICKET,
      headersTimeout: HEADERS_TIMEOUT_MILLIS,
      requestTimeout: REQUEST_TIMEOUT_MILLIS,
    },
    (request, response) => handle(request, response, options.socketPath),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: (graceMillis) => close(server, graceMillis),
  };
}

function close(server: Server, graceMillis: number): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), graceMillis);
    server.close(() => {
      clearTimeout(deadline);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function handle(request: IncomingMessage, response: ServerResponse, socketPath: string): void {
  const path = mimiPath(request.url ?? "");
  if (path === undefined) {
    refuse(request, response, 404);
  } else if (Number(request.headers["content-length"] ?? 0) > MAX_REQUEST_BYTES) {
    refuse(request, response, 413);
  } else {
    forward(request, response, { socketPath, path });
  }
}

/** The request target if it is a MIMI path in its normal form, so that it means one thing only. */
function mimiPath(target: string): string | undefined {
  const base = "https://provider.invalid";
  const url = target.startsWith("/") && URL.canParse(base + target) ? new URL(base + target) : null;
  if (url === null || url.pathname + url.search !== target) {
    return undefined;
  }
  const { pathname } = url;
  return pathname === DIRECTORY_PATH || pathname === KEYS_PATH || pathname.startsWith(ENDPOINT_PREFIX) ? target : undefined;
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  to: { readonly socketPath: string; readonly path: string },
): void {
  const upstream = httpRequest({
    socketPath: to.socketPath,
    path: to.path,
    method: request.method,
    headers: forwardedHeaders(request),
    agent: false,
  });
  let over = false;
  const settle = (status?: number): void => {
    if (over) {
      return;
    }
    over = true;
    clearTimeout(deadline);
    if (status !== undefined) {
      upstream.destroy();
      refuse(request, response, status);
    }
  };
  const deadline = setTimeout(() => settle(504), ANSWER_TIMEOUT_MILLIS);
  upstream.on("error", () => settle(502));
  upstream.on("response", (answer) => {
    settle();
    response.writeHead(answer.statusCode ?? 502, endToEndHeaders(answer));
    answer.on("error", () => response.destroy());
    answer.pipe(response);
  });
  response.on("close", () => {
    settle();
    upstream.destroy();
  });
  const cap = bodyCap(() => settle(413));
  request.pipe(cap).pipe(upstream);
}

/** Passes at most MAX_REQUEST_BYTES on; the rest of a larger body goes nowhere. */
function bodyCap(exceeded: () => void): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= MAX_REQUEST_BYTES) {
        done(null, chunk);
      } else {
        exceeded();
        done();
      }
    },
  });
}

/** Answers without the Worker, and reads the rest of the body so that the peer sees the answer. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number): void {
  request.unpipe();
  request.resume();
  response.writeHead(status, { "content-length": "0" });
  response.end();
}

function forwardedHeaders(request: IncomingMessage): string[] {
  const headers = endToEndHeaders(request);
  if (request.headers["transfer-encoding"] !== undefined) {
    headers.push("Transfer-Encoding", "chunked");
  }
  const cf = { tlsClientAuth: tlsClientAuth(request.socket as TLSSocket) };
  // Otherwise workerd closes behind its answer, and what Node still writes there ends in an error
  // that takes the answer along.
  headers.push("Connection", "keep-alive");
  headers.push(FORWARDED_PROTO_HEADER, "https", CF_BLOB_HEADER, JSON.stringify(cf));
  return headers;
}

/** Names and values in turn, repeated ones kept: it is the Worker that decides about them. */
function endToEndHeaders(message: IncomingMessage): string[] {
  const ofConnection = (message.headers.connection ?? "").toLowerCase().split(/\s*,\s*/);
  const kept: string[] = [];
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    const [name = "", value = ""] = message.rawHeaders.slice(at, at + 2);
    const lower = name.toLowerCase();
    if (!ofConnection.includes(lower) && !DROPPED_HEADERS.has(lower)) {
      kept.push(name, value);
    }
  }
  return kept;
}

function tlsClientAuth(socket: TLSSocket): TlsClientAuth {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) {
    return {
      certPresented: "0",
      certVerified: "NONE",
      certRevoked: "0",
      certRFC9440: "",
      certRFC9440TooLarge: false,
    };
  }
  const tooLarge = certificate.raw.length > MAX_CERTIFICATE_BYTES;
  return {
    certPresented: "1",
    certVerified: socket.authorized ? "SUCCESS" : `FAILED:${String(socket.authorizationError)}`,
    certRevoked: "0",
    certRFC9440: tooLarge ? "" : `:${certificate.raw.toString("base64")}:`,
    certRFC9440TooLarge: tooLarge,
  };
}
