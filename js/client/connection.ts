import { MimiError, closedError, fromCore } from "./errors.js";
import type { Host } from "./host/host.js";
import { openHost } from "./host/open.js";
import type { Carrier } from "./host/port.js";
import { init } from "./init.js";
import { checkedOptions } from "./key-packages.js";
import type { Link } from "./link.js";
import { LiveValue, type Live } from "./live.js";
import { isNamed, type ClientOptions } from "./options.js";
import { currentPlatform } from "./platform.js";
import { memoryStore, type Store } from "./store.js";
import { indexedDbStore } from "./store/indexeddb.js";
import type { Runtime } from "./sync.js";
import type { UserUri } from "./uri.js";

/** What holds a client's host, wherever that is. */
export class Connection {
  readonly runtime: Live<Runtime>;
  readonly #runtime = new LiveValue<Runtime>({ thread: "main", tab: "owner" });
  readonly #link: Link;
  readonly #host: Promise<Host>;
  #closed: Promise<void> | undefined;

  /** Opens a device; the link is attached to its host, or ends with what went wrong. */
  constructor(options: ClientOptions, link: Link) {
    this.runtime = this.#runtime;
    this.#link = link;
    this.#host = hostHere(options, link);
    this.#host.catch((error: unknown) => { link.end(fromCore(error)); });
  }

  /** Ends the host, and the link to it. Another call waits for the same end. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    const host = await this.#host.catch(() => undefined);
    await host?.close();
    this.#link.end(closedError());
    this.#runtime.end();
  }
}

/** Opens a host on this thread, with this link attached. */
async function hostHere(options: ClientOptions, link: Link): Promise<Host> {
  await init(options.wasm);
  const host = await openHost({
    user: options.user,
    provider: String(options.provider),
    pseudonym: options.pseudonym,
    keyPackages: checkedOptions(options.keyPackages),
    fetch: options.fetch,
    webSocket: options.WebSocket ?? (await currentPlatform().webSocket()),
    openStore: () => openStore(options.user, options.store),
    thread: "main",
  });
  const carrier: Carrier = { post: (message) => { link.receive(message); }, goesOn: false };
  link.attach({ post: (message) => { host.receive(message, carrier); } });
  return host;
}

async function openStore(user: UserUri, store: ClientOptions["store"]): Promise<Store> {
  if (store === "memory") return memoryStore();
  if (store !== undefined && !isNamed(store)) return store;
  if (!currentPlatform().durable) {
    throw new MimiError("bad-argument", 'there is no IndexedDB here: ask for store: "memory", or give one');
  }
  return await indexedDbStore({ name: store?.name ?? user, key: store?.key });
}
