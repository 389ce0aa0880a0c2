import { MimiError, closedError, fromCore } from "./errors.js";
import { ownerLock } from "./host/guests.js";
import { MOST_ATTEMPTS, Rests, pause } from "./host/rests.js";
import type { Link } from "./link.js";
import { LiveValue, type Live } from "./live.js";
import { takeLock, type Release } from "./lock.js";
import { isNamed, type ClientOptions } from "./options.js";
import { currentPlatform } from "./platform.js";
import { openHostFor, visit, type Opened } from "./runtime.js";
import { deleteIndexedDb, requireSecureContext } from "./store/indexeddb.js";
import type { StoreKey } from "./store/keys.js";
import type { Runtime } from "./sync.js";

/**
 * Where a client's host is. State in IndexedDB has one owner at a time: the tab that has its lock runs
 * the host. The others are its guests and queue for the lock; whose turn comes when the owner is gone
 * opens the store and is the host of all from then on.
 */
export class Connection {
  readonly runtime: Live<Runtime>;
  readonly #runtime = new LiveValue<Runtime>({ thread: "main", tab: "owner" });
  readonly #options: ClientOptions;
  readonly #link: Link;
  /** Ends the wait for the owner's lock. */
  readonly #stop = new AbortController();
  readonly #opening: Promise<void>;
  #inheriting: Promise<void> | undefined;
  /** How long to wait before another worker, after others died. */
  readonly #rests = new Rests();
  #reviving: Promise<void> | undefined;
  #owning: Release | undefined;
  #visiting: Release | undefined;
  #host: Opened | undefined;
  #closed: Promise<void> | undefined;

  /** Begins to open a device: the link is attached to its host, or fails with what went wrong. */
  constructor(options: ClientOptions, link: Link) {
    this.runtime = this.#runtime;
    this.#options = options;
    this.#link = link;
    this.#opening = this.#open().catch((error: unknown) => { link.fail(fromCore(error)); });
    void link.ended.then(() => { this.#stop.abort(); });
  }

  /** The link is attached to a host on this thread. */
  attachedTo(thread: Runtime["thread"]): void { this.#runtime.set({ ...this.#runtime.get(), thread }); }

  /** Ends the host if it is this client's, and the link to it. Another call waits for the same end. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    await this.#opening;
    await this.#inheriting;
    await this.#reviving;
    await this.#host?.close();
    this.#link.fail(closedError());
    await this.#visiting?.();
    await this.#owning?.();
    this.#runtime.end();
  }

  async #open(): Promise<void> {
    const name = sharedName(this.#options);
    this.#owning = name === undefined ? undefined : await takeLock(ownerLock(name), { ifAvailable: true });
    if (name === undefined || this.#owning !== undefined) {
      await this.#own(name);
      return;
    }
    this.#runtime.set({ thread: "main", tab: "guest" });
    this.#visiting = await visit({ name, key: keyOf(this.#options) }, this.#link);
    this.#inheriting = this.#inherit(name);
  }

  /** Becomes the owner when the one before is gone. */
  async #inherit(name: string): Promise<void> {
    try {
      this.#owning = await takeLock(ownerLock(name), { signal: this.#stop.signal });
      await this.#visiting?.();
      await this.#own(name);
    } catch (error) {
      if (this.#owning === undefined) return;
      this.#link.fail(fromCore(error));
      // Another guest may be able to.
      await this.#owning();
    }
  }

  async #own(name: string | undefined): Promise<void> {
    this.#host = await openHostFor(this.#options, name, this.#link);
    const { thread, why, gone } = this.#host;
    this.#runtime.set({ thread, tab: "owner", ...(why === undefined ? {} : { why }) });
    void gone?.then(() => { this.#reviving = this.#revive(name); });
  }

  /** Opens another host after the worker of the last one died: what is stored, and each call, goes on there. */
  async #revive(name: string | undefined): Promise<void> {
    try {
      if (name === undefined) throw new MimiError("internal", "the worker ended, and all that was in its memory with it");
      await this.#ownAgain(name);
    } catch (error) {
      this.#link.fail(fromCore(error));
      // A guest may be able to.
      await this.#owning?.();
    }
  }

  /** One that dies while it begins is followed by another, some times. */
  async #ownAgain(name: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      await pause(this.#rests.next(), this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      try {
        await this.#own(name);
        return;
      } catch (error) {
        if (attempt === MOST_ATTEMPTS || !(MimiError.is(error) && error.code === "internal")) throw error;
      }
    }
  }
}

/** The name under which a store is shared with other tabs; none for a store that is nobody else's. */
function sharedName({ user, store }: ClientOptions): string | undefined {
  if (store !== undefined && !isNamed(store)) return undefined;
  if (!currentPlatform().durable) throw new MimiError("bad-argument", 'there is no IndexedDB here: ask for store: "memory", or give one');
  requireSecureContext();
  return store?.name ?? user;
}

/** The application's key to such a store, if it has one. */
function keyOf({ store }: ClientOptions): StoreKey | undefined { return store !== undefined && isNamed(store) ? store.key : undefined; }

/** Erases a store, if no tab has it open. */
export async function erase(name: string): Promise<void> {
  const release = await takeLock(ownerLock(name), { ifAvailable: true });
  if (release === undefined) throw new MimiError("storage-locked", "a tab has this device open", { retryable: true });
  try {
    await deleteIndexedDb(name);
  } finally {
    await release();
  }
}
