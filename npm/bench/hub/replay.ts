// Makes requests of a provider one after the other, or some at a time, and says how long each took.

import { Agent, request } from "node:http";
import { WebSocket } from "ws";
import type { Recorded, Recording } from "./record.js";

/** How it went. */
export interface Replayed {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Makes each request once, `lanes` at a time; `headers` are added. Any answer but 200 is an error. */
export async function replay(base: string, requests: readonly Recorded[], lanes: number, headers: Readonly<Record<string, string>> = {}): Promise<Replayed> {
  const agent = new Agent({ keepAlive: true, maxSockets: lanes });
  const times: number[] = [];
  let next = 0;
  const began = performance.now();
  const lane = async (): Promise<void> => {
    for (let recorded = requests[next++]; recorded !== undefined; recorded = requests[next++]) {
      const start = performance.now();
      const status = await send(agent, base, recorded, headers);
      times.push(performance.now() - start);
      if (status !== 200) throw new Error(`${recorded.path} was answered with ${String(status)}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const seconds = (performance.now() - began) / 1_000;
  agent.destroy();
  times.sort((one, other) => one - other);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  return { perSecond: requests.length / seconds, p50: at(0.5), p99: at(0.99) };
}

function send(agent: Agent, base: string, { path, headers, body }: Recorded, more: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(base + path, { agent, method: "POST", headers: { ...headers, ...more, "content-length": body.length } }, (answer) => {
      answer.resume();
      answer.on("end", () => { resolve(answer.statusCode ?? 0); });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Connects devices that only count what comes. */
export async function connect(base: string, sockets: Recording["sockets"], headers: Readonly<Record<string, string>> = {}): Promise<{ readonly received: () => number; readonly close: () => void }> {
  let received = 0;
  const open = await Promise.all(sockets.map(({ path, hello }) => new Promise<WebSocket>((resolve, reject) => {
    const socket = new WebSocket(base.replace("http", "ws") + path, { headers: { ...headers, "x-user": userOf(path) } });
    socket.on("open", () => {
      socket.send(hello);
      resolve(socket);
    });
    socket.on("message", () => { received += 1; });
    socket.on("error", reject);
  })));
  return { received: () => received, close: () => { for (const socket of open) socket.terminate(); } };
}

/** `/client/v1/socket/USER/DEVICE`: the user. */
function userOf(path: string): string { return decodeURIComponent(path.split("/")[4] ?? "").split("/")[0] ?? ""; }
