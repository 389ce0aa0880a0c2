import { MimiError, errorOf, fromCore } from "./errors.js";
import { findHost, guestLock, isFromHost, serveGuests } from "./host/guests.js";
import { openHost } from "./host/open.js";
import type { Carrier } from "./host/port.js";
import { begin, type FromWorker, type ToWorker, type WorkerHostOptions } from "./host/thread.js";
import { init, loadModule } from "./init.js";
import { checkedOptions } from "./key-packages.js";
import type { Link } from "./link.js";
import { deferred } from "./live.js";
import { takeLock, type Release } from "./lock.js";
import { isNamed, type ClientOptions } from "./options.js";
import { currentPlatform } from "./platform.js";
import { spawn, type LiveWorker } from "./spawn.js";
import { memoryStore, type Store } from "./store.js";
import { indexedDbStore, type SharedStore, type StoreAccess } from "./store/indexeddb.js";
import type { Runtime } from "./sync.js";

/** A host that runs for this client. */
export interface Opened extends Pick<Runtime, "thread" | "why"> {
  close(): Promise<void>;
  /** Resolves when the worker in which it runs has died. */
  readonly gone?: Promise<void>;
}

/**
 * Opens a host where the options want it, with this link attached, and serves guests if it has a name for
 * them.
 */
export async function openHostFor(options: ClientOptions, name: string | undefined, link: Link): Promise<Opened> {
  const { worker: wanted = true } = options;
  const token = typeof options.auth === "function" ? await options.auth() : options.auth;
  const crossing = wanted === false ? undefined : crossingOf(options, name, token);
  if (wanted === false || crossing === undefined) return await hostHere(options, name, token, link, wanted === false ? undefined : "what the application gave cannot go to a worker");
  const spawning = spawn(wanted);
  const module = await loadModule(options.wasm).catch(async (error: unknown) => {
    (await spawning).live?.worker.terminate();
    throw error;
  });
  const { live, why } = await spawning;
  if (live === undefined) return await hostHere(options, name, token, link, why);
  return { ...(await hostInWorker(live, module, crossing, link)), thread: "worker", ...(why === undefined ? {} : { why }) };
}

/** Attaches a link to the host of another tab, present or to come; it fails without the store's key. The result leaves it. */
export async function visit(access: StoreAccess, link: Link): Promise<Release> {
  const release = await takeLock(guestLock(access.name, link.name), { ifAvailable: true });
  const stop = new AbortController();
  const finding = findHost(access, stop.signal).then((channel) => {
    if (channel === undefined) return undefined;
    channel.onmessage = ({ data }: MessageEvent<unknown>) => { if (isFromHost(data)) link.receive(data); };
    link.attach({ post: (message) => { channel.postMessage(message); } });
    return channel;
  }).catch((error: unknown) => {
    link.fail(fromCore(error));
    return undefined;
  });
  return async () => {
    stop.abort();
    const channel = await finding;
    link.leave();
    channel?.close();
    await release?.();
  };
}

/** What a host in a worker is opened with; nothing when it cannot go there. */
function crossingOf({ user, provider, pseudonym, keyPackages, store, fetch, WebSocket }: ClientOptions, name: string | undefined, token: string | undefined): WorkerHostOptions | undefined {
  if (fetch !== undefined || WebSocket !== undefined) return undefined;
  const parts = { user, provider: String(provider), token, pseudonym, keyPackages: checkedOptions(keyPackages) };
  if (store === "memory") return { ...parts, store };
  if (name === undefined || (store !== undefined && !isNamed(store))) return undefined;
  return { ...parts, store: { name, key: store?.key } };
}

async function hostInWorker({ worker, life }: LiveWorker, module: WebAssembly.Module, options: WorkerHostOptions, link: Link): Promise<Pick<Opened, "close" | "gone">> {
  const { port1: port, port2 } = new MessageChannel();
  const post = (message: ToWorker): void => { port.postMessage(message); };
  const [opened, closed, gone] = [deferred<void>(), deferred<void>(), deferred<void>()];
  const stop = new AbortController();
  const end = (): void => {
    stop.abort();
    port.close();
    worker.terminate();
  };
  const outlive = async (life: string): Promise<void> => {
    const release = await takeLock(life, { signal: stop.signal });
    end();
    opened.reject(new MimiError("internal", "the worker ended", { retryable: true }));
    gone.resolve();
    await release?.();
  };
  port.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    switch (data.type) {
      case "opened":
        link.attach({ post });
        opened.resolve();
        break;
      case "failed": opened.reject(errorOf(data.error)); break;
      case "closed": closed.resolve(); break;
      default: link.receive(data);
    }
  };
  if (life !== undefined) outlive(life).catch(() => undefined);
  try {
    worker.postMessage(begin({ module, options, port: port2 }), [port2]);
    await opened.promise;
  } catch (error) {
    end();
    throw error;
  }
  return {
    gone: gone.promise,
    async close() {
      post({ type: "close" });
      await Promise.race([closed.promise, gone.promise]);
      end();
    },
  };
}

/** A host on this thread. */
async function hostHere(options: ClientOptions, name: string | undefined, token: string | undefined, link: Link, why: string | undefined): Promise<Opened> {
  await init(options.wasm);
  const host = await openHost({
    user: options.user,
    provider: String(options.provider),
    pseudonym: options.pseudonym,
    keyPackages: checkedOptions(options.keyPackages),
    fetch: options.fetch,
    token,
    webSocket: options.WebSocket ?? (await currentPlatform().webSocket()),
    openStore: () => openStore(options.store, name),
    thread: "main",
  });
  const leave = name === undefined ? undefined : serveGuests(host, name);
  const carrier: Carrier = { post: (message) => { link.receive(message); }, goesOn: false };
  link.attach({ post: (message) => { host.receive(message, carrier); } });
  return {
    thread: "main",
    ...(why === undefined ? {} : { why }),
    async close() {
      await host.close();
      leave?.();
    },
  };
}

async function openStore(store: ClientOptions["store"], name: string | undefined): Promise<Store | SharedStore> {
  if (store !== undefined && store !== "memory" && !isNamed(store)) return store;
  return store === "memory" || name === undefined ? memoryStore() : await indexedDbStore({ name, key: store?.key, wait: true });
}
