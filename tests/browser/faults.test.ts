// Faults in a browser: a trap of the core, over state in IndexedDB, and a database that others close.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { TRAPPING_WASM, trappingCore, trappingWorker } from "../js/trapping.js";
import { startProviders, type Providers } from "../js/providers.js";
import { bareServer, freshPage } from "./bare-page.js";
import { launch } from "./support.js";

const files = {
  "/client.wasm": { body: readFileSync(TRAPPING_WASM), type: "application/wasm" },
  "/worker.js": { body: await trappingWorker(), type: "text/javascript" },
};
const server = await bareServer("tests/browser/pages/client.ts", files, [trappingCore]);
let providers: Providers;
let browser: Browser;

before(async () => {
  providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  browser = await launch();
});
after(async () => {
  await browser.close();
  await providers.stop();
  await server.stop();
});

for (const thread of ["main", "worker"] as const) {
  test(`a trap rejects the call that met it with internal, and the next call works, then and after a reload: ${thread} thread`, async (t) => {
    const page = await freshPage(t, browser, server.url, "mimi");
    const options = { provider: providers.url("alpha.example"), user: `alice-${thread}@alpha.example`, worker: thread === "worker" };
    const first = await page.evaluate(async ({ user, ...options }) => {
      const { Client, uri, codeOf } = window.mimi;
      const client = await Client.open({ user: uri.user(user), ...options });
      const told: string[] = [];
      client.addEventListener("fault", ({ detail }) => { told.push(detail.code); });
      const room = await client.createRoom();
      const code = await codeOf(room.send("trap"));
      await (await room.send("after it")).accepted;
      return { told, code, thread: client.runtime.get().thread, room: room.uri };
    }, options);
    assert.deepEqual({ ...first, room: undefined }, { told: ["internal"], code: "internal", thread, room: undefined });
    await page.reload();
    await page.waitForFunction(() => "mimi" in window);
    const texts = await page.evaluate(async ({ user, room, ...options }) => {
      const { Client, uri, viewOf } = window.mimi;
      const client = await Client.open({ user: uri.user(user), ...options });
      await client.room(uri.room(room))?.send("still here");
      for (;;) {
        const { texts = [] } = (await viewOf(client, room)) ?? {};
        if (texts.length > 1) return texts;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }, { ...options, room: first.room });
    assert.deepEqual(texts, ["after it", "still here"]);
  });
}

test("a device goes on when something else closes its database, and says so when it deletes it", async (t) => {
  const page = await freshPage(t, browser, server.url, "mimi");
  const result = await page.evaluate(async (provider) => {
    const { Client, uri, codeOf } = window.mimi;
    const client = await Client.open({ user: uri.user("anna@alpha.example"), provider });
    const told: string[] = [];
    client.addEventListener("storage", ({ detail }) => { told.push(`storage ${detail.code}`); });
    const room = await client.createRoom({ id: "annas" });
    // An upgrade that comes to nothing.
    const request = indexedDB.open("mimi-edge anna@alpha.example", 3);
    request.onupgradeneeded = () => { request.transaction?.abort(); };
    await new Promise((resolve) => { request.onerror = resolve; });
    await (await room.send("still here")).accepted;
    const ended = new Promise<void>((resolve) => {
      client.addEventListener("error", ({ detail }) => { told.push(`error ${detail.code}`); resolve(); });
    });
    indexedDB.deleteDatabase("mimi-edge anna@alpha.example");
    await ended;
    return { told, code: await codeOf(room.send("lost")) };
  }, providers.url("alpha.example"));
  assert.deepEqual(result, { told: ["storage internal", "storage internal", "error storage-damaged"], code: "storage-damaged" });
});
