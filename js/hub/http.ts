// Requests to other providers.

import { readAtMost } from "./bodies.js";
import type { Env } from "./core.js";
import { endpointOf } from "./endpoint.js";
import { REQUEST_ID, log } from "./log.js";
import { count, observe } from "./metrics.js";
import { peerFetcher, signed } from "./peer-auth.js";
import { traceClock, traceProvider } from "./trace.js";

/** An answer as the core takes and gives it; header names are lower-case. */
export interface Answer { status: number; headers: [string, string][]; body: Uint8Array }
/** A request as the core makes it. */
export interface HttpCall { method: string; url: string; headers: [string, string][]; body: Uint8Array; timeoutMillis: number }

/** A larger answer counts as none: twice the largest that the protocol has. */
const MAX_ANSWER_BYTES = 8 << 20;
/** Answer headers that the core looks at. */
const ANSWER_HEADERS = ["content-type", "cache-control", "retry-after", "www-authenticate"];

/** Sends a request to another provider; `undefined` when there is no answer in time. */
export async function sendHttp(env: Env, call: HttpCall, label: string, id: string): Promise<Answer | undefined> {
  const at = traceClock();
  const began = Date.now();
  const answer = await attempt(env, { ...call, headers: [...call.headers, [REQUEST_ID, id]] });
  const { hostname, pathname } = new URL(call.url);
  const { endpoint } = endpointOf(pathname);
  const millis = Date.now() - began;
  count("mimi_calls_total", { endpoint, status: answer?.status ?? 0 });
  observe("mimi_call_seconds", millis / 1_000);
  log(env, "debug", { event: "call", id, peer: hostname, endpoint, status: answer?.status ?? 0, millis, bytes: call.body.length });
  traceProvider(env, at, hostname, label, { method: call.method, path: pathname, body: call.body }, answer);
  return answer;
}

async function attempt(env: Env, { method, url, headers, body, timeoutMillis }: HttpCall): Promise<Answer | undefined> {
  try {
    const from = headers.find(([name]) => name === "from")?.[1];
    const proof = from === undefined ? [] : await signed(env, method, url, from, body);
    const response = await peerFetcher(env, url).fetch(url, {
      method,
      headers: [...headers, ...proof],
      body: method === "GET" ? null : body,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMillis),
    });
    const received = await readAtMost(MAX_ANSWER_BYTES, response.body);
    if (received === undefined) return undefined;
    const kept = ANSWER_HEADERS.flatMap((name): [string, string][] => {
      const value = response.headers.get(name);
      return value === null ? [] : [[name, value]];
    });
    return { status: response.status, headers: kept, body: received };
  } catch {
    return undefined;
  }
}
