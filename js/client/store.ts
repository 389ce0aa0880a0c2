import { MimiError } from "./errors.js";

/** One change of a delta: the new value of a key, or `null` for its deletion. */
export interface RowChange { readonly key: Uint8Array; readonly value: Uint8Array | null }
/** One stored row. */
export interface Row { readonly key: Uint8Array; readonly value: Uint8Array }

/**
 * Where a device keeps its state. An application may bring its own, such as a file or a database; one
 * client at a time may use it.
 */
export interface Store {
  /** All rows. */
  rows(): Promise<Row[]>;
  /** Writes one delta: all of it or nothing. Resolves when it is durable. */
  apply(changes: readonly RowChange[]): Promise<void>;
  /** Gives the store free for others. */
  close(): Promise<void>;
}

/** Nothing is kept: for tests and for one-off use. */
export function memoryStore(): Store {
  return { rows: async () => [], apply: async () => undefined, close: async () => undefined };
}

const ROWS = "rows";

/**
 * Rows in IndexedDB, one transaction with strict durability for each delta. One tab at a time: the
 * store is locked while it is open (`storage-locked`).
 */
export async function indexedDbStore(name: string): Promise<Store> {
  const database = `mimi-edge ${name}`;
  const unlock = await lock(database);
  let db: IDBDatabase;
  try {
    db = await openDatabase(database);
  } catch (error) {
    unlock();
    throw storageError(error);
  }
  return {
    async rows() {
      const store = db.transaction(ROWS, "readonly").objectStore(ROWS);
      const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
      return keys.map((key, index) => ({ key: new Uint8Array(key as ArrayBuffer), value: values[index] as Uint8Array }));
    },
    async apply(changes) {
      await new Promise<void>((resolve, reject) => {
        const transaction = db.transaction(ROWS, "readwrite", { durability: "strict" });
        transaction.oncomplete = () => { resolve(); };
        transaction.onabort = () => { reject(storageError(transaction.error)); };
        const store = transaction.objectStore(ROWS);
        for (const { key, value } of changes) {
          if (value === null) store.delete(key as Uint8Array<ArrayBuffer>);
          else store.put(value, key as Uint8Array<ArrayBuffer>);
        }
        transaction.commit();
      });
    },
    async close() {
      db.close();
      unlock();
    },
  };
}

/** Erases what {@link indexedDbStore} of this name has stored. */
export async function deleteIndexedDb(name: string): Promise<void> {
  const database = `mimi-edge ${name}`;
  const unlock = await lock(database);
  try {
    await done(indexedDB.deleteDatabase(database));
  } catch (error) {
    throw storageError(error);
  } finally {
    unlock();
  }
}

async function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => { request.result.createObjectStore(ROWS); };
  return await done(request);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => { resolve(request.result); };
    request.onerror = () => { reject(storageError(request.error)); };
  });
}

/** Takes the store's lock, or fails at once when another tab has it. */
async function lock(name: string): Promise<() => void> {
  return await new Promise((resolve, reject) => {
    void navigator.locks.request(name, { ifAvailable: true }, async (granted) => {
      if (granted === null) {
        reject(new MimiError("storage-locked", "another tab has this device open", { retryable: true }));
        return;
      }
      await new Promise<void>((release) => { resolve(release); });
    });
  });
}

function storageError(error: unknown): MimiError {
  if (MimiError.is(error)) return error;
  const name = error instanceof DOMException ? error.name : "";
  if (name === "QuotaExceededError") return new MimiError("storage-full", "the browser's storage is full", { cause: error });
  if (name === "VersionError") return new MimiError("storage-newer", "a newer version wrote this store", { cause: error });
  return new MimiError("internal", "the browser's storage failed", { cause: error });
}
