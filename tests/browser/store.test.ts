// The store in IndexedDB: what lies on disk, keys, formats, and what happens when the database fails.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { bareServer, freshPage } from "./bare-page.js";
import { launch } from "./support.js";

const server = await bareServer("tests/browser/pages/store.ts");
const { url } = server;
let browser: Browser;

before(async () => { browser = await launch(); });
after(async () => {
  await browser.close();
  await server.stop();
});

test("what was written is there when the store is opened again, and what was deleted is not", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const read = await page.evaluate(async () => {
    const { indexedDbStore, rows, bytes, read } = window.storePage;
    const store = await indexedDbStore({ name: "alice" });
    await store.apply(rows({ a: "1", b: "2", c: "" }));
    await store.apply([{ key: bytes("a"), value: bytes("3") }, { key: bytes("b"), value: null }]);
    await store.close();
    const again = await indexedDbStore({ name: "alice" });
    return await read(again);
  });
  assert.deepEqual(read, { a: "3", c: "" });
});

test("nothing of a row can be read in the database, and the keys cannot be exported", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const { content, exports } = await page.evaluate(async () => {
    const { indexedDbStore, rows, content, database, result } = window.storePage;
    const store = await indexedDbStore({ name: "alice" });
    await store.apply(rows({ "room clubhouse": "the secret of the club" }));
    await store.close();
    const db = await database("alice");
    const { keys } = (await result(db.transaction("meta").objectStore("meta").get("about"))) as { keys: { keys: Record<string, CryptoKey> } };
    const exports = await Promise.all(Object.values(keys.keys).map((key) => crypto.subtle.exportKey("raw", key).then(() => "exported", (error: DOMException) => error.name)));
    return { content: await content("alice"), exports };
  });
  assert.deepEqual(exports, ["InvalidAccessError", "InvalidAccessError"]);
  assert.deepEqual(Object.keys(content), ["meta", "records"]);
  const [record, ...others] = content["records"] ?? [];
  assert.deepEqual([record?.key.length, (record?.value as string).length, others.length], [16, 12 + 4 + 14 + 22 + 16, 0]);
  assert.doesNotMatch(JSON.stringify(content), /clubhouse|secret/);
});

test("the same row has another record each time, under the same id", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const contents = await page.evaluate(async () => {
    const { indexedDbStore, rows, content } = window.storePage;
    const store = await indexedDbStore({ name: "alice" });
    await store.apply(rows({ a: "1" }));
    const before = await content("alice");
    await store.apply(rows({ a: "1" }));
    return [before, await content("alice")];
  });
  const [one, other] = contents.map(({ records }) => records?.[0]);
  assert.equal(one?.key, other?.key);
  assert.notEqual(one?.value, other?.value);
});

test("storage-key: a store opens with the key with which it was made, in either form, and with no other", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const results = await page.evaluate(async () => {
    const { indexedDbStore, rows, read, codeOf } = window.storePage;
    const secret = new Uint8Array(32).fill(7);
    const hkdf = (usages: KeyUsage[]): Promise<CryptoKey> => crypto.subtle.importKey("raw", secret, "HKDF", false, usages);
    const made = await indexedDbStore({ name: "given", key: secret });
    await made.apply(rows({ a: "1" }));
    await made.close();
    await (await indexedDbStore({ name: "own" })).close();
    const codes = [
      await codeOf(indexedDbStore({ name: "given" })),
      await codeOf(indexedDbStore({ name: "given", key: new Uint8Array(32).fill(8) })),
      await codeOf(indexedDbStore({ name: "own", key: secret })),
      await codeOf(indexedDbStore({ name: "given", key: secret.subarray(1) })),
      await codeOf(indexedDbStore({ name: "given", key: await hkdf(["deriveBits"]) })),
    ];
    const again = await indexedDbStore({ name: "given", key: await hkdf(["deriveKey"]) });
    const both = [await read(again)];
    await again.close();
    both.push(await read(await indexedDbStore({ name: "given", key: secret })));
    return { codes, both };
  });
  assert.deepEqual(results.codes, ["storage-key", "storage-key", "storage-key", "bad-argument", "bad-argument"]);
  assert.deepEqual(results.both, [{ a: "1" }, { a: "1" }]);
});

test("storage-damaged: records that were changed, cut or exchanged; nothing is deleted for it, and put right they open", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const results = await page.evaluate(async () => {
    const { indexedDbStore, rows, read, codeOf, content, change, database, result } = window.storePage;
    const store = await indexedDbStore({ name: "alice" });
    await store.apply(rows({ a: "1", b: "2" }));
    await store.close();
    const db = await database("alice");
    const records = db.transaction("records").objectStore("records");
    const [ids, values] = await Promise.all([result(records.getAllKeys()), result(records.getAll())]) as [ArrayBuffer[], Uint8Array<ArrayBuffer>[]];
    db.close();
    const [id, other] = ids as [ArrayBuffer, ArrayBuffer];
    const [good, others] = values as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
    const flipped = good.map((byte, index) => (index === 20 ? byte ^ 1 : byte));
    const codes: string[] = [];
    const kept: boolean[] = [];
    const opening = async (): Promise<void> => {
      const opened = await indexedDbStore({ name: "alice" });
      await opened.rows().finally(() => opened.close());
    };
    for (const [first, second] of [[flipped, others], [good.slice(0, 3), others], [new Uint8Array(), others], [others, good], [good, others]] as const) {
      await change("alice", "records", (store) => { store.put(first, id); store.put(second, other); });
      const before = JSON.stringify(await content("alice"));
      codes.push(await codeOf(opening()));
      kept.push(JSON.stringify(await content("alice")) === before);
    }
    const right = await indexedDbStore({ name: "alice" });
    const found = await read(right);
    await right.close();
    await change("alice", "meta", (store) => { store.clear(); });
    codes.push(await codeOf(opening()));
    kept.push((await content("alice"))["records"]?.length === 2);
    return { codes, kept, found };
  });
  assert.deepEqual(results.codes, ["storage-damaged", "storage-damaged", "storage-damaged", "storage-damaged", "none", "storage-damaged"]);
  assert.deepEqual(results.kept, [true, true, true, true, true, true]);
  assert.deepEqual(results.found, { a: "1", b: "2" });
});

test("a store of format 1 is sealed once, with the application's key too; a death in the middle changes nothing", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const results = await page.evaluate(async () => {
    const { indexedDbStore, read, bytes, content, codeOf, database, result } = window.storePage;
    const old = async (name: string): Promise<void> => {
      const db = await database(name, 1, ({ result: fresh }) => { fresh.createObjectStore("rows"); });
      const transaction = db.transaction("rows", "readwrite");
      for (const [key, value] of [["a", "the secret"], ["b", "2"]] as const) transaction.objectStore("rows").put(bytes(value), bytes(key));
      await new Promise<void>((resolve) => { transaction.oncomplete = () => { resolve(); }; });
      db.close();
    };
    await old("own");
    await old("given");
    // The transaction that was to write the sealed rows does not come through.
    const commit = IDBTransaction.prototype.commit;
    IDBTransaction.prototype.commit = function (this: IDBTransaction) { this.abort(); };
    const died = await codeOf(indexedDbStore({ name: "own" }));
    IDBTransaction.prototype.commit = commit;
    const between = await content("own");
    const own = await indexedDbStore({ name: "own" });
    const given = await indexedDbStore({ name: "given", key: new Uint8Array(32) });
    const found = [await read(own), await read(given)];
    await own.close();
    found.push(await read(await indexedDbStore({ name: "own" })));
    const db = await database("given");
    const left = await result(db.transaction("rows").objectStore("rows").count());
    db.close();
    return { died, between, found, left, after: await content("own") };
  });
  assert.equal(results.died, "internal");
  assert.deepEqual(results.between, { meta: [], records: [], rows: [{ key: "a", value: "the secret" }, { key: "b", value: "2" }] });
  const rows = { a: "the secret", b: "2" };
  assert.deepEqual(results.found, [rows, rows, rows]);
  assert.equal(results.left, 0);
  assert.equal(results.after["rows"]?.length, 0);
  assert.doesNotMatch(JSON.stringify(results.after), /secret/);
});

test("storage-newer: a store that a newer version wrote is left as it is", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const results = await page.evaluate(async () => {
    const { indexedDbStore, bytes, content, codeOf, database } = window.storePage;
    const newer = await database("alice", 3, ({ result }) => { result.createObjectStore("future").put(bytes("kept"), "a"); });
    newer.close();
    return { code: await codeOf(indexedDbStore({ name: "alice" })), content: await content("alice") };
  });
  assert.deepEqual(results, { code: "storage-newer", content: { future: [{ key: "a", value: "kept" }] } });
});

test("storage-locked: a store is open once, and free again when it is closed or its opening failed", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const codes = await page.evaluate(async () => {
    const { indexedDbStore, deleteIndexedDb, codeOf } = window.storePage;
    const first = await indexedDbStore({ name: "alice" });
    const codes = [await codeOf(indexedDbStore({ name: "alice" })), await codeOf(deleteIndexedDb("alice"))];
    await first.close();
    codes.push(await codeOf(indexedDbStore({ name: "alice", key: new Uint8Array(32) })));
    codes.push(await codeOf(deleteIndexedDb("alice")));
    codes.push(await codeOf(indexedDbStore({ name: "alice", key: new Uint8Array(32) })));
    return codes;
  });
  assert.deepEqual(codes, ["storage-locked", "storage-locked", "storage-key", "none", "none"]);
});

test("storage-full: nothing of the delta is written, and the same store writes on when there is room", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const devTools = await page.context().newCDPSession(page);
  const { origin } = new URL(url);
  // First of all: Chromium remembers for half a minute that there was room.
  await devTools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_000_000 });
  await page.evaluate(async () => {
    const store = await window.storePage.indexedDbStore({ name: "alice" });
    await store.apply(window.storePage.rows({ a: "1" }));
    (window as unknown as { store: typeof store }).store = store;
  });
  const attempt = () => page.evaluate(async () => {
    const { rows, codeOf, read } = window.storePage;
    const { store } = window as unknown as { store: Awaited<ReturnType<typeof window.storePage.indexedDbStore>> };
    const code = await codeOf(store.apply([...rows({ a: "2" }), ...rows({ b: "x".repeat(3_000_000) })]));
    const lengths = Object.entries(await read(store)).map(([key, value]) => [key, value.length, value.slice(0, 1)]);
    return { code, lengths };
  });
  assert.deepEqual(await attempt(), { code: "storage-full", lengths: [["a", 1, "1"]] });
  await devTools.send("Storage.overrideQuotaForOrigin", { origin });
  assert.deepEqual(await attempt(), { code: "none", lengths: [["a", 1, "2"], ["b", 3_000_000, "x"]] });
});

test("a delta of which one change cannot be written is not written at all", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const result = await page.evaluate(async () => {
    const { indexedDbStore, rows, codeOf, read } = window.storePage;
    const store = await indexedDbStore({ name: "alice" });
    await store.apply(rows({ a: "1" }));
    const { put } = IDBObjectStore.prototype;
    let puts = 0;
    IDBObjectStore.prototype.put = function (this: IDBObjectStore, ...args: Parameters<typeof put>) {
      puts += 1;
      if (puts === 2) throw new DOMException("refused", "DataCloneError");
      return put.apply(this, args);
    };
    const code = await codeOf(store.apply(rows({ a: "2", b: "2" })));
    IDBObjectStore.prototype.put = put;
    const after = await read(store);
    await store.apply(rows({ c: "3" }));
    return { code, after, later: await read(store) };
  });
  assert.deepEqual(result, { code: "internal", after: { a: "1" }, later: { a: "1", c: "3" } });
});

test("a database that somebody else deletes or upgrades is let go at once, told, and never written to as if it were the same", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const results = await page.evaluate(async () => {
    const { indexedDbStore, rows, read, codeOf, content, database } = window.storePage;
    const told: string[] = [];
    const open = async (name: string) => {
      const store = await indexedDbStore({ name });
      store.watch?.(() => { told.push(name); });
      await store.apply(rows({ a: "1" }));
      return store;
    };
    const deleted = await open("deleted");
    await new Promise<void>((resolve) => { indexedDB.deleteDatabase("mimi-edge deleted").onsuccess = () => { resolve(); }; });
    const upgraded = await open("upgraded");
    (await database("upgraded", 3)).close();
    const kept = await open("kept");
    // An upgrade that comes to nothing: the store is as it was.
    await codeOf(database("kept", 3, ({ transaction }) => { transaction?.abort(); }));
    const codes = [await codeOf(deleted.apply(rows({ b: "2" }))), await codeOf(deleted.rows()), await codeOf(upgraded.apply(rows({ b: "2" }))), await codeOf(kept.apply(rows({ b: "2" })))];
    return { told, codes, kept: await read(kept), deleted: await content("deleted") };
  });
  assert.deepEqual(results.told, ["deleted", "upgraded", "kept"]);
  assert.deepEqual(results.codes, ["storage-damaged", "storage-damaged", "storage-newer", "none"]);
  assert.deepEqual(results.kept, { a: "1", b: "2" });
  assert.deepEqual(results.deleted, { meta: [], records: [] });
});

test("a database that the browser closes, as when the site's data are cleared, is told", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const devTools = await page.context().newCDPSession(page);
  await page.evaluate(async () => {
    const store = await window.storePage.indexedDbStore({ name: "alice" });
    const state = { store, told: 0 };
    store.watch?.(() => { state.told += 1; });
    await store.apply(window.storePage.rows({ a: "1" }));
    (window as unknown as { state: typeof state }).state = state;
  });
  await devTools.send("Storage.clearDataForOrigin", { origin: new URL(url).origin, storageTypes: "indexeddb" });
  await page.waitForFunction(() => (window as unknown as { state: { told: number } }).state.told === 1);
  const code = await page.evaluate(() => window.storePage.codeOf((window as unknown as { state: { store: { rows(): Promise<unknown> } } }).state.store.rows()));
  assert.equal(code, "storage-damaged");
});

test("a store of 5,000 rows: how long opening and a delta of 20 rows take", async (t) => {
  const page = await freshPage(t, browser, url, "storePage");
  const figures = await page.evaluate(async () => {
    const { indexedDbStore } = window.storePage;
    const row = (index: number, length: number) => ({ key: crypto.getRandomValues(new Uint8Array(40)), value: crypto.getRandomValues(new Uint8Array(length)).fill(index % 251) });
    const store = await indexedDbStore({ name: "alice" });
    await store.apply(Array.from({ length: 5_000 }, (_, index) => row(index, 600)));
    const deltas = performance.now();
    for (let round = 0; round < 20; round += 1) await store.apply(Array.from({ length: 20 }, (_, index) => row(index, 2_000)));
    const delta = (performance.now() - deltas) / 20;
    await store.close();
    const opening = performance.now();
    const rows = await (await indexedDbStore({ name: "alice" })).rows();
    return { rows: rows.length, opening: performance.now() - opening, delta };
  });
  assert.equal(figures.rows, 5_400);
  t.diagnostic(`opened in ${figures.opening.toFixed(0)} ms, a delta of 20 rows stored in ${figures.delta.toFixed(1)} ms`);
});
