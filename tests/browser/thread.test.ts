// How long the page's thread is busy while its device joins a large room: with the work in a worker, and on
// the page's own thread. The figures are printed; how long it takes is nothing to pass or fail by.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { Client, uri } from "@mimi-edge/client";
import { person } from "../js/actors.js";
import { startProviders } from "../js/providers.js";
import { until } from "../js/story.js";
import { bareServer } from "./bare-page.js";
import { launch } from "./support.js";

/** As many devices as a provider takes of one user, and so many users: a room of some hundred members. */
const DEVICES = 30;
const USERS = 6;
const AT_ONCE = 6;
const ROOM = "hall@alpha.example";

/** Registers a device that can be added, and is gone. */
async function device(user: string, provider: string): Promise<void> {
  const client = await Client.open({ user: uri.user(user), provider, store: "memory", keyPackages: { target: 1 } });
  await until(async () => (client.keyPackages.stock.get().published > 0 ? true : undefined), async () => `${user} has no KeyPackages`);
  await client.close();
}

async function crowd(provider: string): Promise<string[]> {
  const users = Array.from({ length: USERS }, (_, index) => `guest-${String(index)}@alpha.example`);
  const devices = users.flatMap((user) => Array.from({ length: DEVICES }, () => user));
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let user = devices.pop(); user !== undefined; user = devices.pop()) await device(user, provider);
  }));
  return users;
}

test("a large room is joined in the worker, while the page goes on", async (t) => {
  const providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  after(() => providers.stop());
  const browser = await launch();
  after(() => browser.close());
  const server = await bareServer("tests/browser/pages/tab.ts", {
    "/client.wasm": { body: await readFile("build/client/client.wasm"), type: "application/wasm" },
    "/worker.js": { body: await readFile("build/client/worker.js"), type: "text/javascript" },
  });
  after(() => server.stop());
  const provider = providers.url("alpha.example");
  const alice = await person("alice@alpha.example", provider);
  after(() => alice.close());
  await alice.createRoom("hall");
  for (const user of await crowd(provider)) assert.equal(await alice.add(ROOM, user), DEVICES);

  const join = async (user: string, worker: boolean): Promise<{ readonly page: Page; readonly longest: number }> => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(server.url);
    await page.waitForFunction(() => "tab" in globalThis);
    const where = await page.evaluate(([user, provider, worker]) => tab.open(user, provider, { worker }), [user, provider, worker] as const);
    assert.deepEqual(where, { thread: worker ? "worker" : "main", tab: "owner" });
    await page.waitForFunction(() => tab.isLive() && tab.stock() > 0);
    await page.evaluate(() => { tab.watch(); });
    await alice.add(ROOM, user);
    await page.waitForFunction((room) => tab.rooms().includes(room), ROOM, { timeout: 60_000 });
    return { page, longest: await page.evaluate(() => tab.longest()) };
  };
  for (const [index, worker] of [true, false].entries()) {
    const { page, longest } = await join(`bob-${String(index)}@alpha.example`, worker);
    const members = USERS * DEVICES + index + 2;
    assert.equal(await page.evaluate((room) => tab.members(room), ROOM), members);
    t.diagnostic(`join of a room of ${String(members)} members, ${worker ? "in a worker" : "on the page's thread"}: the page waited for ${longest.toFixed(0)} ms at most`);
  }
});
