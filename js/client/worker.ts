/**
 * The script of the worker in which a client does its work. An application that has its own worker file
 * (for a Content Security Policy, or a bundler that leaves this one out) imports it there:
 * `import "@mimi-edge/client/worker"`, and opens with `worker: () => new Worker(…)`.
 */

import { initSync } from "#wasm/client";
import { fromCore, plainOf } from "./errors.js";
import { serveGuests } from "./host/guests.js";
import { openHost } from "./host/open.js";
import type { Carrier, FromHost } from "./host/port.js";
import { isBegin, ready, type Begin, type FromWorker, type ToWorker, type WorkerHostOptions } from "./host/thread.js";
import { takeLock } from "./lock.js";
import { memoryStore, type Store } from "./store.js";
import { indexedDbStore, type SharedStore } from "./store/indexeddb.js";

/** What this script uses of a worker's scope. */
interface Scope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

async function openStore(store: WorkerHostOptions["store"]): Promise<Store | SharedStore> {
  return store === "memory" ? memoryStore() : await indexedDbStore({ ...store, wait: true });
}

async function run({ module, options, port }: Begin): Promise<void> {
  const post = (message: FromWorker): void => { port.postMessage(message); };
  try {
    initSync({ module });
    const { store } = options;
    const host = await openHost({ ...options, openStore: () => openStore(store), webSocket: WebSocket, thread: "worker" });
    const carrier: Carrier = { post: (message: FromHost) => { post(message); }, goesOn: false };
    const close = async (): Promise<void> => {
      await host.close();
      leave?.();
      post({ type: "closed" });
    };
    const leave = store === "memory" ? undefined : serveGuests(host, store.name);
    port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
      if (data.type === "close") void close();
      else host.receive(data, carrier);
    };
    post({ type: "opened" });
  } catch (error) {
    post({ type: "failed", error: plainOf(fromCore(error)) });
  }
}

const scope = globalThis as unknown as Scope;
scope.addEventListener("message", ({ data }) => { if (isBegin(data)) void run(data); });
/** Says that the script runs, and from then on by a lock that it still does. */
async function live(): Promise<void> {
  const life = "locks" in navigator ? `mimi-edge worker ${crypto.randomUUID()}` : undefined;
  if (life !== undefined) await takeLock(life, {});
  scope.postMessage(ready(life));
}

void live();
