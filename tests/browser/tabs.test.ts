// Workers and tabs: where the host of a device runs, and several tabs that have one device.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { person, type Person } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";
import { bareServer, type PageFile } from "./bare-page.js";
import { launch } from "./support.js";

let providers: Providers;
let browser: Browser;
const files: Record<string, PageFile> = {};

before(async () => {
  providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  browser = await launch();
  files["/client.wasm"] = { body: await readFile("build/client/client.wasm"), type: "application/wasm" };
  for (const script of ["worker.js", "dist/worker-inline.js"]) files[`/${script}`] = { body: await readFile(`build/client/${script}`), type: "text/javascript" };
});
after(async () => {
  await browser.close();
  await providers.stop();
});

/** A page server, and a browser context for its tabs. */
async function origin(served: Record<string, PageFile> = files): Promise<{ readonly context: BrowserContext; readonly visit: () => Promise<Page>; readonly complaints: string[] }> {
  const server = await bareServer("tests/browser/pages/tab.ts", served);
  after(() => server.stop());
  const context = await browser.newContext();
  after(() => context.close());
  const complaints: string[] = [];
  return {
    context,
    complaints,
    async visit() {
      const page = await context.newPage();
      page.on("pageerror", (error) => { complaints.push(String(error)); });
      await page.goto(server.url);
      await page.waitForFunction(() => "tab" in globalThis);
      return page;
    },
  };
}

const provider = (): string => providers.url("alpha.example");
const open = (page: Page, user: string, options: object = {}): Promise<unknown> =>
  page.evaluate(([user, provider, options]) => tab.open(user, provider, options), [user, provider(), options] as const);
const isLive = (page: Page): Promise<void> => when(page, () => tab.isLive() && tab.stock() > 0);
const runtime = (page: Page): Promise<unknown> => page.evaluate(() => tab.runtime());

/** Until it is so in the page. */
async function when(page: Page, is: () => boolean | Promise<boolean>): Promise<void> { await page.waitForFunction(is, undefined, { timeout: 60_000 }); }

/** A user of this test alone. */
let users = 0;
const user = (): string => `alice-${String(users += 1)}@alpha.example`;

/** Closes a tab as a crash does. */
async function crash(page: Page): Promise<void> {
  const crashed = page.waitForEvent("crash");
  const session = await page.context().newCDPSession(page);
  session.send("Page.crash").catch(() => undefined);
  await crashed;
  await page.close();
}

test("a client does its work in a worker, on the page's thread when asked to, and in a copy of the worker's file when that is missing", async () => {
  const { visit } = await origin();
  assert.deepEqual(await open(await visit(), user()), { thread: "worker", tab: "owner" });
  assert.deepEqual(await open(await visit(), user(), { store: "memory" }), { thread: "worker", tab: "owner" });
  assert.deepEqual(await open(await visit(), user(), { worker: false }), { thread: "main", tab: "owner" });

  const { "/worker.js": _, ...without } = files;
  const other = await (await origin(without)).visit();
  const where = (await open(other, user())) as { thread: string; tab: string; why: string };
  assert.deepEqual([where.thread, where.tab], ["worker", "owner"]);
  assert.match(where.why, /worker file did not start/);
  await isLive(other);
});

test("what goes wrong in the worker is the same error on the page", async () => {
  const { visit } = await origin();
  const one = await visit();
  assert.equal(await open(one, "nobody"), "bad-uri");
  assert.equal(await one.evaluate((user) => tab.open(user, "ftp://alpha.example"), user()), "bad-argument");
  const name = user();
  await open(one, name, { store: { key: new Uint8Array(32) } });
  await one.evaluate(() => tab.close());
  assert.equal(await open(one, name), "storage-key");
});

test("a worker that dies is replaced: the tab stays the owner, calls of all tabs go on, and the end of the client does not wait for it", async () => {
  const { visit, complaints } = await origin();
  const name = user();
  const [one, two] = [await visit(), await visit()];
  await open(one, name);
  await open(two, name);
  await isLive(two);
  const id = `clubhouse-${name.slice(0, name.indexOf("@"))}`;
  const room = `clubhouse-${name}`;
  await one.evaluate((id) => tab.create(id), id);
  for (const [text, page] of [["from the owner", one], ["from the guest", two]] as const) {
    assert.equal(await one.evaluate(() => tab.endWorker()), text === "from the owner" ? 1 : 2);
    await page.evaluate(([room, text]) => tab.accepted(room, text), [room, text] as const);
  }
  for (const page of [one, two]) assert.deepEqual(await page.evaluate((room) => tab.history(room), room), ["from the owner", "from the guest"]);
  assert.deepEqual([await runtime(one), await runtime(two)], [{ thread: "worker", tab: "owner" }, { thread: "worker", tab: "guest" }]);

  await one.evaluate(async () => {
    tab.endWorker();
    await tab.close();
  });
  await when(two, () => tab.runtime().tab === "owner");
  await isLive(two);
  assert.deepEqual(complaints, []);

  await open(one, user(), { store: "memory" });
  const created = one.evaluate(async () => {
    tab.endWorker();
    await tab.create("clubhouse");
  });
  await assert.rejects(created, /all that was in its memory with it/);
  await one.evaluate(() => tab.close());
});

test("a worker that dies before anything was said to it is told, or replaced where there was one before", async () => {
  const { visit } = await origin();
  const name = user();
  const one = await visit();
  await one.evaluate(() => { tab.endNextWorkers(1); });
  assert.equal(await open(one, name), "internal");
  assert.deepEqual(await open(one, name), { thread: "worker", tab: "owner" });
  await isLive(one);
  await one.evaluate(() => { tab.endNextWorkers(1); tab.endWorker(); });
  await one.evaluate((id) => tab.create(id), `clubhouse-${name.slice(0, name.indexOf("@"))}`);
  assert.deepEqual(await runtime(one), { thread: "worker", tab: "owner" });
});

test("two clients of one device in one page are owner and guest, as in two tabs", async () => {
  const { visit } = await origin();
  const name = user();
  const one = await visit();
  assert.deepEqual(await open(one, name, { worker: false }), { thread: "main", tab: "owner" });
  assert.deepEqual(await open(one, name), { thread: "main", tab: "guest" });
  await isLive(one);
});

test("a tab without the store's key is no guest, and overhears nothing: with the key it is one", async () => {
  const { visit } = await origin();
  const name = user();
  const [one, two, listener] = [await visit(), await visit(), await visit()];
  const key = new Uint8Array(32).fill(7);
  await listener.evaluate((name) => { tab.overhear([`mimi-edge ${name}`, `mimi-edge bell ${name}`, "mimi-edge guests"]); }, name);
  // Two begin at once: whoever is the guest waits for the store to be made.
  const both = await Promise.all([one, two].map((page) => open(page, name, { store: { key } })));
  assert.deepEqual(both.map((opened) => (opened as { tab: string }).tab).sort(), ["guest", "owner"]);
  const guest = (both[0] as { tab: string }).tab === "guest" ? one : two;
  await isLive(guest);
  const room = `secret-${name}`;
  await guest.evaluate((id) => tab.create(id), room.slice(0, room.indexOf("@")));
  await guest.evaluate((room) => tab.accepted(room, "for members alone"), room);

  assert.equal(await open(listener, name), "storage-key");
  assert.equal(await open(listener, name, { store: { key: new Uint8Array(32).fill(8) } }), "storage-key");
  assert.deepEqual(await listener.evaluate(() => tab.overheard()), ["begun"]);
  assert.deepEqual(await open(listener, name, { store: { key } }), { thread: "worker", tab: "guest" });
  assert.deepEqual(await listener.evaluate((room) => tab.history(room), room), ["for members alone"]);
});

test("a store whose name ends like another one's lock is another store", async () => {
  const { visit } = await origin();
  const [one, two, name] = [await visit(), await visit(), user()];
  assert.deepEqual(await open(one, name, { store: { name: "one" } }), { thread: "worker", tab: "owner" });
  assert.deepEqual(await open(two, name, { store: { name: "one owner" } }), { thread: "worker", tab: "owner" });
});

test("three tabs have one device; when its owner is closed another one is, and nobody has to open anything again", async () => {
  const { visit } = await origin();
  const name = user();
  const [one, two, three] = [await visit(), await visit(), await visit()];
  assert.deepEqual(await open(one, name), { thread: "worker", tab: "owner" });
  for (const guest of [two, three]) assert.deepEqual(await open(guest, name), { thread: "worker", tab: "guest" });
  const devices = await Promise.all([one, two, three].map((page) => page.evaluate(() => tab.device())));
  assert.equal(new Set(devices).size, 1);

  await one.evaluate(() => tab.close());
  await when(two, () => tab.runtime().tab === "owner");
  assert.deepEqual(await runtime(three), { thread: "worker", tab: "guest" });
  await isLive(three);
  await two.close();
  await when(three, () => tab.runtime().tab === "owner");
  await isLive(three);
  // One that was closed can come back.
  assert.deepEqual(await open(one, name), { thread: "worker", tab: "guest" });
  assert.deepEqual([...new Set([...devices, await one.evaluate(() => tab.device())])], [devices[0]]);
  assert.equal(await one.evaluate(([user]) => tab.remove(user), [name] as const), "storage-locked");
});

test("while the owner is frozen its guests' calls wait, and they are done once when it goes on, or when another tab is the owner", async () => {
  const { visit, context } = await origin();
  const name = user();
  const room = `cellar-${name}`;
  const [one, two] = [await visit(), await visit()];
  await open(one, name, { worker: false });
  await open(two, name);
  await isLive(two);
  await two.evaluate((id) => tab.create(id), room.slice(0, room.indexOf("@")));
  const session = await context.newCDPSession(one);
  const freeze = (state: "frozen" | "active"): Promise<unknown> => session.send("Page.setWebLifecycleState", { state });
  const send = (text: string): Promise<void> => two.evaluate(([room, text]) => tab.accepted(room, text), [room, text] as const);

  await freeze("frozen");
  const first = send("one");
  await freeze("active");
  await first;
  await freeze("frozen");
  const second = send("two");
  await one.close();
  await second;
  await when(two, () => tab.runtime().tab === "owner");
  await until(async () => ((await two.evaluate((room) => tab.history(room), room)).length > 1 ? true : undefined), async () => "the messages do not come back");
  assert.deepEqual(await two.evaluate((room) => tab.history(room), room), ["one", "two"]);
});

for (const [how, end] of [["closed", (page: Page) => page.close()], ["crashed", crash]] as const) {
  test(`three tabs all send and commit while the owner is ${how}: nothing is lost or there twice, and all have one order`, async () => {
    const { visit, complaints } = await origin();
    const bob = await person("bob@bravo.example", providers.url("bravo.example"));
    try {
      await storm(visit, bob, end);
      assert.deepEqual(complaints, []);
    } finally {
      await bob.close();
    }
  });
}

async function storm(visit: () => Promise<Page>, bob: Person, end: (page: Page) => Promise<void>): Promise<void> {
  const name = user();
  const room = `clubhouse-${name}`;
  const [one, two, three] = [await visit(), await visit(), await visit()];
  for (const page of [one, two, three]) await open(page, name);
  await isLive(two);
  await two.evaluate((id) => tab.create(id), room.slice(0, room.indexOf("@")));
  await three.evaluate(([room, bob]) => tab.add(room, bob), [room, bob.user] as const);
  const isIn = async (): Promise<true | undefined> => ((await bob.state(room)) === undefined ? undefined : true);
  await until(isIn, async () => "Bob does not come in");

  // What each tab was told is stored has to arrive; what the one that goes was not told may.
  const kept: string[] = [];
  const sends = (page: Page, tabName: string): Promise<unknown>[] => Array.from({ length: 12 }, async (_, index) => {
    const text = `${tabName} ${String(index)}`;
    await page.evaluate(([room, text]) => tab.send(room, text), [room, text] as const);
    kept.push(text);
  });
  const commits = (page: Page): Promise<void> => page.evaluate((room) => tab.updateKeys(room), room);
  const own = [...sends(one, "one"), commits(one)].map((call) => call.catch(() => undefined));
  const others = [...sends(two, "two"), ...sends(three, "three"), commits(two), commits(three)];
  for (let index = 0; index < 12; index += 1) others.push(bob.send(room, `bob ${String(index)}`));
  others.push(bob.updateKeys(room));
  await Promise.race(own);
  await end(one);
  await Promise.all(others);
  await Promise.all(own);
  await assertSame(room, kept, [two, three], bob);

  const four = await visit();
  await open(four, name);
  await assertSame(room, kept, [two, three, four], bob);
}

/** All have the same room, the same messages in the same order, and each that was kept once. */
async function assertSame(room: string, kept: string[], tabs: readonly Page[], bob: Person): Promise<void> {
  kept.push(`bob, last of ${String(kept.length)}`);
  await bob.send(room, kept.at(-1) ?? "");
  const bobs = async (): Promise<string[]> => (await (await roomOf(bob, room)).history({ limit: 1_000 })).items.map(({ text }) => text ?? "");
  await until(async () => { const all = await bobs(); return kept.every((text) => all.includes(text)) ? true : undefined; }, async () => `Bob lacks some of ${kept.join()}: ${(await bobs()).join()}`);
  const expected = await bobs();
  assert.equal(new Set(expected).size, expected.length, "nothing is there twice");
  const authenticator = String((await roomOf(bob, room)).state.get().authenticator);
  for (const page of tabs) {
    await until(async () => ((await page.evaluate((room) => tab.history(room), room)).length === expected.length ? true : undefined), async () => `a tab has another history: ${(await page.evaluate((room) => tab.history(room), room)).join()}, not ${expected.join()}`);
    assert.deepEqual(await page.evaluate((room) => tab.history(room), room), expected);
    assert.equal(await page.evaluate((room) => tab.authenticator(room), room), authenticator);
    assert.deepEqual(await page.evaluate(() => tab.errors()), []);
  }
  // Those that were there all the time were told each of Bob's messages, in order.
  const theirs = expected.filter((text) => text.startsWith("bob"));
  for (const page of tabs.slice(0, 2)) assert.deepEqual(await page.evaluate(() => tab.told()), theirs);
}

async function roomOf(bob: Person, room: string) {
  const found = bob.client().rooms.get().find(({ uri }) => uri === room);
  assert.ok(found, "Bob is not in the room");
  return found;
}
