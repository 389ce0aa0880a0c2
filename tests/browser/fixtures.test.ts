// Databases of every format that there was: the client opens them, with all that is in them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { bareServer, freshPage } from "./bare-page.js";
import { launch } from "./support.js";

/** What `npm run fixtures` wrote (npm/run/fixtures.mjs); bytes are base64. */
interface CoreFixture { readonly devices: readonly { readonly client: string; readonly rows: readonly (readonly [string, string])[] }[] }
interface SealedFixture {
  readonly client: string;
  readonly key: string;
  readonly about: { readonly id: string; readonly salt: string; readonly check: readonly [string, string] };
  readonly records: readonly (readonly [string, string])[];
}

const fixture = (name: string): unknown => JSON.parse(readFileSync(`tests/fixtures/store/${name}.json`, "utf8"));
const ROOM = "clubhouse@alpha.example";

const server = await bareServer("tests/browser/pages/client.ts", { "/client.wasm": { body: readFileSync("build/client/client.wasm"), type: "application/wasm" } });
let browser: Browser;

before(async () => { browser = await launch(); });
after(async () => {
  await browser.close();
  await server.stop();
});

/** What Alice's device shows, offline. */
function shown(page: Page, key: string | undefined) {
  return page.evaluate(async ({ room, key }) => {
    const { Client, uri, viewOf } = window.mimi;
    const store = key === undefined ? {} : { key: Uint8Array.from(atob(key), (char) => char.charCodeAt(0)) };
    const client = await Client.open({ user: uri.user("alice@alpha.example"), provider: "http://127.0.0.1:9", store, fetch: async () => { throw new TypeError("offline"); } });
    const { phase, epoch, participants, texts, pending } = (await viewOf(client, room)) ?? {};
    const shown = { device: client.device, phase, epoch, participants, texts, pending };
    await client.room(uri.room(room))?.send("one more");
    await client.close();
    return shown;
  }, { room: ROOM, key });
}

/** Alice's device as the fixtures have it. */
function assertAlice(found: Awaited<ReturnType<typeof shown>>, device: string): void {
  assert.deepEqual(found, {
    device, phase: "joined", epoch: 2, texts: ["hello", "hi"], pending: 1,
    participants: ["alice@alpha.example owner admin regular_user", "bob@bravo.example regular_user", "cathy@charlie.example regular_user"],
  });
}

test("a database of format 1 opens, twice", async (t) => {
  const [alice] = (fixture("core-1") as CoreFixture).devices;
  assert.ok(alice);
  const page = await freshPage(t, browser, server.url, "mimi");
  await page.evaluate(async (rows) => {
    const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const request = indexedDB.open("mimi-edge alice@alpha.example", 1);
    request.onupgradeneeded = () => { request.result.createObjectStore("rows"); };
    await new Promise((resolve) => { request.onsuccess = resolve; });
    const transaction = request.result.transaction("rows", "readwrite");
    for (const [key, value] of rows) transaction.objectStore("rows").put(bytes(value), bytes(key));
    await new Promise((resolve) => { transaction.oncomplete = resolve; });
    request.result.close();
  }, alice.rows);
  assertAlice(await shown(page, undefined), alice.client);
  assertAlice(await shown(page, undefined), alice.client);
});

test("a database of format 2 opens with its key", async (t) => {
  const { client, key, about, records } = fixture("format-2") as SealedFixture;
  const page = await freshPage(t, browser, server.url, "mimi");
  await page.evaluate(async ({ about, records }) => {
    const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const request = indexedDB.open("mimi-edge alice@alpha.example", 2);
    request.onupgradeneeded = () => { for (const store of ["meta", "records"]) request.result.createObjectStore(store); };
    await new Promise((resolve) => { request.onsuccess = resolve; });
    const transaction = request.result.transaction(["meta", "records"], "readwrite");
    const [id, record] = about.check;
    const keys = { kind: "given", salt: bytes(about.salt), check: { id: bytes(id), record: bytes(record) } };
    transaction.objectStore("meta").put({ id: about.id, keys }, "about");
    for (const [id, record] of records) transaction.objectStore("records").put(bytes(record), bytes(id));
    await new Promise((resolve) => { transaction.oncomplete = resolve; });
    request.result.close();
  }, { about, records });
  assertAlice(await shown(page, key), client);
  assertAlice(await shown(page, key), client);
});
