// The trace of a provider in development: what it exchanges with other providers and with devices.

import { answerCode, callingDevice } from "#wasm/hub";
import { callCore, configOf, type Env } from "./core.js";
import type { Answer } from "./http.js";

/** A request as it is traced; `path` is the URL's, with its query, percent-encoded. */
export interface TracedRequest { method: string; path: string; body: Uint8Array }

/**
 * One line of the trace. An exchange is told when it is over, by who asked, but for those with devices,
 * which their provider tells; a frame of a socket is told when it passes and has no answer.
 */
interface TraceRecord {
  /** Who speaks: a provider's domain or a device's URI; "" for a device that does not say who it is. */
  from: string;
  to: string;
  via: "provider" | "client" | "socket";
  method: string;
  /** Percent-decoded. */
  path: string;
  /** What it is, in words. */
  what: string;
  /** When it began and when it was over, in ms since 1970. */
  at: number;
  endedAt: number;
  /** Length of the request's body. */
  bytes: number;
  /** The status of the answer; absent when there was none. */
  status?: number | undefined;
  /** What the answer says, in the draft's words. */
  code?: string | undefined;
  /** The bodies, in base64. */
  request: string;
  response?: string | undefined;
}

/** The time in ms since 1970, as fine as the runtime tells it. */
export function traceClock(): number {
  return performance.timeOrigin + performance.now();
}

/** Traces a request to another provider and its answer, if there was one. */
export function traceProvider(env: Env, at: number, to: string, what: string, request: TracedRequest, answer: Answer | undefined): void {
  if (env.TRACE === "1") traceExchange({ from: configOf(env).domain, to, via: "provider", what, at }, request, answer);
}

/** Traces a device's request and our answer. */
export function traceClient(env: Env, at: number, request: TracedRequest & { headers: [string, string][] }, answer: Answer): void {
  if (env.TRACE !== "1") return;
  const { method, path, headers, body } = request;
  const device = callCore(undefined, () => callingDevice(method, path, headers, body));
  // "/client/v1/update/…" is an update.
  const what = path.split(/[/?]/)[3] ?? "";
  traceExchange({ from: device ?? "", to: configOf(env).domain, via: "client", what, at }, request, answer);
}

/** Traces a frame of a device's socket. */
export function traceFrame(env: Env, at: number, direction: "in" | "out", device: string, frame: Uint8Array): void {
  if (env.TRACE !== "1") return;
  const [from, to] = direction === "in" ? [device, configOf(env).domain] : [configOf(env).domain, device];
  write({ from, to, via: "socket", method: "", path: `/client/v1/socket/${device}`, what: "frame", at, endedAt: at, bytes: frame.length, request: base64(frame) });
}

function traceExchange(about: Pick<TraceRecord, "from" | "to" | "via" | "what" | "at">, { method, path, body }: TracedRequest, answer: Answer | undefined): void {
  write({
    ...about,
    method,
    path: readable(path),
    endedAt: traceClock(),
    bytes: body.length,
    status: answer?.status,
    code: answer && callCore(undefined, () => answerCode(path.split("?")[0]!, answer.status, answer.body)),
    request: base64(body),
    response: answer && base64(answer.body),
  });
}

function write(record: TraceRecord): void {
  console.log(`mimi-trace ${JSON.stringify(record)}`);
}

function readable(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}
