// The page of store.test.ts: the store, and the database below it.

import { MimiError } from "../../../js/client/errors.js";
import { deleteIndexedDb, indexedDbStore } from "../../../js/client/store/indexeddb.js";

/** All that a database holds, by object store. */
type Content = Readonly<Record<string, readonly { readonly key: string; readonly value: unknown }[]>>;

const page = {
  indexedDbStore,
  deleteIndexedDb,
  /** Rows with these keys and values. */
  rows: (texts: Readonly<Record<string, string>>) => Object.entries(texts).map(([key, value]) => ({ key: bytes(key), value: bytes(value) })),
  /** The rows of an open store, as text, by key. */
  async read(store: { rows(): Promise<readonly { key: Uint8Array; value: Uint8Array }[]> }): Promise<Record<string, string>> {
    const rows = (await store.rows()).map(({ key, value }) => [text(key), text(value)] as const);
    return Object.fromEntries(rows.sort(([one], [other]) => (one < other ? -1 : 1)));
  },
  /** The code with which this fails; `none` when it does not. */
  async codeOf(attempt: Promise<unknown>): Promise<string> {
    try {
      await attempt;
      return "none";
    } catch (error) {
      return MimiError.is(error) ? error.code : String(error);
    }
  },
  /** A connection of somebody else to a store's database. */
  async database(name: string, version?: number, upgrade: (request: IDBOpenDBRequest) => void = () => undefined): Promise<IDBDatabase> {
    const request = indexedDB.open(`mimi-edge ${name}`, version);
    return await new Promise((resolve, reject) => {
      request.onupgradeneeded = () => { upgrade(request); };
      request.onsuccess = () => { resolve(request.result); };
      request.onerror = () => { reject(request.error ?? new Error("no reason")); };
    });
  },
  /** All bytes of a database; keys that cannot be read are `sealed`. */
  async content(name: string): Promise<Content> {
    const db = await page.database(name);
    const stores = [...db.objectStoreNames];
    const content = await Promise.all(stores.map(async (store) => {
      const transaction = db.transaction(store).objectStore(store);
      const [keys, values] = await Promise.all([result(transaction.getAllKeys()), result(transaction.getAll())]);
      return [store, keys.map((key, index) => ({ key: plain(key) as string, value: plain(values[index]) }))] as const;
    }));
    db.close();
    return Object.fromEntries(content);
  },
  /** Changes a database by one transaction of somebody else. */
  async change(name: string, store: string, act: (store: IDBObjectStore) => void): Promise<void> {
    const db = await page.database(name);
    await new Promise<void>((resolve) => {
      const transaction = db.transaction(store, "readwrite");
      transaction.oncomplete = () => { resolve(); };
      act(transaction.objectStore(store));
    });
    db.close();
  },
  bytes,
  result,
};

function bytes(text: string): Uint8Array<ArrayBuffer> { return new TextEncoder().encode(text); }
function text(bytes: Uint8Array): string { return new TextDecoder().decode(bytes); }

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve) => { request.onsuccess = () => { resolve(request.result); }; });
}

/** Bytes as text with one character each; objects as they are. */
function plain(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return plain(new Uint8Array(value));
  if (value instanceof Uint8Array) return String.fromCharCode(...value);
  if (value instanceof CryptoKey) return "sealed";
  if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
  return value;
}

declare global { interface Window { storePage: typeof page } }
window.storePage = page;
