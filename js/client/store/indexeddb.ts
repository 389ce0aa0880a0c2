import { MimiError } from "../errors.js";
import { takeLock, type Release } from "../lock.js";
import type { Bytes } from "../message.js";
import { makeKeys, openKeys, type KeptKeys, type StoreKey } from "./keys.js";
import { Sealer, damaged, type SealedChange, type SealedRow } from "./seal.js";
import type { Row, RowChange, Store } from "../store.js";

/**
 * The version of the database is the store's format. 1: the rows as they are, in `rows`. 2: sealed
 * records in `records`, how to open them in `meta`.
 */
export const FORMAT = 2;
const ROWS = "rows";
const RECORDS = "records";
const META = "meta";
const ABOUT = "about";

/** What a store says of itself. */
interface About {
  /** Random: a store that was deleted and made anew is another one. */
  readonly id: string;
  readonly keys: KeptKeys;
}

/** How to get at a store. */
export interface StoreAccess {
  /** The store's name within the origin. */
  readonly name: string;
  /** The application's secret; without one the store has keys of its own, which cannot be exported. */
  readonly key?: StoreKey | undefined;
}

/** Which store to open. */
export interface IndexedDbOptions extends StoreAccess {
  /** Whether to wait while something else has the store open. Default: no, that is `storage-locked`. */
  readonly wait?: boolean;
}

/** A store that the tabs of an origin share: one has it open, and serves the others on a channel. */
export interface SharedStore extends Store {
  /** The channel's name, which nobody finds out without the store's keys. */
  readonly channel: string;
}

/**
 * Rows in IndexedDB, sealed, one transaction with strict durability for each delta. One tab at a time: the
 * store is locked while it is open (`storage-locked`). Also rejects with `bad-argument`, `storage-key`,
 * `storage-damaged`, `storage-newer`; nothing is deleted for any of them.
 */
export async function indexedDbStore({ name, key, wait = false }: IndexedDbOptions): Promise<SharedStore> {
  requireSecureContext();
  const database = databaseOf(name);
  const unlock = await lock(name, wait);
  let db: IDBDatabase | undefined;
  try {
    db = await openDatabase(database);
    const { id, sealer } = await openRecords(db, key);
    return new IndexedDbStore(database, id, sealer, await sealer.channel(), db, unlock);
  } catch (error) {
    db?.close();
    await unlock();
    throw storageError(error);
  }
}

/**
 * The name of the channel of a store's tabs, whether one of them has it open or not; nothing while the store
 * is not made. Rejects as {@link indexedDbStore}.
 */
export async function channelOf({ name, key }: StoreAccess): Promise<string | undefined> {
  let db: IDBDatabase | undefined;
  try {
    db = await openDatabase(databaseOf(name));
    const about = await aboutOf(db);
    return about === undefined ? undefined : await (await openKeys(about.keys, key)).channel();
  } catch (error) {
    throw storageError(error);
  } finally {
    db?.close();
  }
}

/** Erases what {@link indexedDbStore} of this name has stored. */
export async function deleteIndexedDb(name: string): Promise<void> {
  const database = databaseOf(name);
  const unlock = await lock(name, false);
  try {
    await done(indexedDB.deleteDatabase(database));
  } catch (error) {
    throw storageError(error);
  } finally {
    await unlock();
  }
}

/** Throws `bad-argument` where a page has neither WebCrypto nor Web Locks. */
export function requireSecureContext(): void {
  if (!isSecureContext) throw new MimiError("bad-argument", "state is sealed and locked, which needs a secure context: https, or localhost");
}

class IndexedDbStore implements SharedStore {
  readonly channel: string;
  readonly #name: string;
  readonly #id: string;
  readonly #sealer: Sealer;
  readonly #unlock: () => Promise<void>;
  #db: IDBDatabase | undefined;
  #lost: () => void = () => undefined;

  constructor(name: string, id: string, sealer: Sealer, channel: string, db: IDBDatabase, unlock: () => Promise<void>) {
    this.#name = name;
    this.#id = id;
    this.#sealer = sealer;
    this.channel = channel;
    this.#unlock = unlock;
    this.#take(db);
  }

  async rows(): Promise<Row[]> {
    try {
      return await this.#sealer.rows(await recordsOf(await this.#opened()));
    } catch (error) {
      throw storageError(error);
    }
  }

  async apply(changes: readonly RowChange[]): Promise<void> {
    try {
      // A transaction does not wait for promises of others: everything is sealed before it begins.
      const sealed = await this.#sealer.changes(changes);
      await write(await this.#opened(), [RECORDS], (transaction) => { putRecords(transaction, sealed); });
    } catch (error) {
      throw storageError(error);
    }
  }

  async close(): Promise<void> {
    this.#db?.close();
    await this.#unlock();
  }

  watch(lost: () => void): void { this.#lost = lost; }

  /** The database, opened again when others had it closed; not one that was made since. */
  async #opened(): Promise<IDBDatabase> {
    if (this.#db !== undefined) return this.#db;
    const db = await openDatabase(this.#name);
    if ((await aboutOf(db))?.id !== this.#id) {
      db.close();
      throw damaged();
    }
    this.#take(db);
    return db;
  }

  #take(db: IDBDatabase): void {
    const lost = (): void => {
      db.close();
      this.#db = undefined;
      this.#lost();
    };
    db.onversionchange = lost;
    db.onclose = lost;
    this.#db = db;
  }
}

function databaseOf(name: string): string { return `mimi-edge ${name}`; }

async function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, FORMAT);
  return await new Promise((resolve, reject) => {
    let given = false;
    request.onupgradeneeded = () => {
      for (const store of [META, RECORDS]) request.result.createObjectStore(store);
    };
    request.onblocked = () => {
      given = true;
      reject(new MimiError("storage-locked", "something else has this device's database open", { retryable: true }));
    };
    request.onsuccess = () => {
      // Nobody waits for it any more.
      if (given) request.result.close();
      else resolve(request.result);
    };
    request.onerror = () => { reject(storageError(request.error)); };
  });
}

/** Opens a store's records: those of an older format are sealed first, in one transaction. */
async function openRecords(db: IDBDatabase, key: StoreKey | undefined): Promise<{ readonly id: string; readonly sealer: Sealer }> {
  const about = await aboutOf(db);
  if (about !== undefined) return { id: about.id, sealer: await openKeys(about.keys, key) };
  if ((await done(db.transaction(RECORDS).objectStore(RECORDS).count())) > 0) throw damaged();
  const { kept, sealer } = await makeKeys(key);
  const id = crypto.randomUUID();
  const old = db.objectStoreNames.contains(ROWS) ? [ROWS] : [];
  const sealed = await sealer.changes(old.length > 0 ? await plainRowsOf(db) : []);
  await write(db, [META, RECORDS, ...old], (transaction) => {
    transaction.objectStore(META).put({ id, keys: kept } satisfies About, ABOUT);
    putRecords(transaction, sealed);
    for (const store of old) transaction.objectStore(store).clear();
  });
  return { id, sealer };
}

async function aboutOf(db: IDBDatabase): Promise<About | undefined> {
  return (await done(db.transaction(META).objectStore(META).get(ABOUT))) as About | undefined;
}

async function recordsOf(db: IDBDatabase): Promise<SealedRow[]> {
  const { keys, values } = await allOf(db, RECORDS);
  return keys.map((id, index) => ({ id: new Uint8Array(id), record: values[index] ?? new Uint8Array() }));
}

/** The rows of format 1. */
async function plainRowsOf(db: IDBDatabase): Promise<Row[]> {
  const { keys, values } = await allOf(db, ROWS);
  return keys.map((key, index) => ({ key: new Uint8Array(key), value: values[index] ?? new Uint8Array() }));
}

async function allOf(db: IDBDatabase, name: string): Promise<{ readonly keys: readonly ArrayBuffer[]; readonly values: readonly Bytes[] }> {
  const store = db.transaction(name).objectStore(name);
  const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
  return { keys: keys as ArrayBuffer[], values: values as Bytes[] };
}

function putRecords(transaction: IDBTransaction, changes: readonly SealedChange[]): void {
  const store = transaction.objectStore(RECORDS);
  for (const { id, record } of changes) {
    if (record === null) store.delete(id);
    else store.put(record, id);
  }
}

/** One transaction: all of it or nothing. Resolves when it is on disk. */
async function write(db: IDBDatabase, stores: readonly string[], act: (transaction: IDBTransaction) => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const transaction = db.transaction(stores, "readwrite", { durability: "strict" });
    transaction.oncomplete = () => { resolve(); };
    transaction.onabort = () => { reject(storageError(transaction.error)); };
    try {
      act(transaction);
      transaction.commit();
    } catch (error) {
      // What was put already would be committed.
      reject(storageError(error));
      transaction.abort();
    }
  });
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => { resolve(request.result); };
    request.onerror = () => { reject(storageError(request.error)); };
  });
}

/** Takes the store's lock: when its turn comes, or at once or not at all. The result gives it free. */
async function lock(name: string, wait: boolean): Promise<Release> {
  const release = await takeLock(`mimi-edge store ${name}`, wait ? {} : { ifAvailable: true });
  if (release === undefined) throw new MimiError("storage-locked", "something else has this device open", { retryable: true });
  return release;
}

function storageError(error: unknown): MimiError {
  if (MimiError.is(error)) return error;
  const name = error instanceof DOMException ? error.name : "";
  if (name === "QuotaExceededError") return new MimiError("storage-full", "the browser's storage is full", { retryable: true, cause: error });
  if (name === "VersionError") return new MimiError("storage-newer", "a newer version wrote this store", { cause: error });
  return new MimiError("internal", "the browser's storage failed", { cause: error });
}
