// Pages that die: in every operation, at every point between storing, sending and the answer. In the end
// nothing is lost, sent twice or unreadable, at any member.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test, type TestContext } from "node:test";
import type { Browser } from "playwright-core";
import { uri } from "@mimi-edge/client";
import { person, type Person } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";
import { bareServer } from "./bare-page.js";
import { Device, profileHome, tabHome, type Home } from "./crash-device.js";
import type { Death, Point } from "./pages/crash.js";
import { viewOf, type View } from "./pages/view.js";
import { launch } from "./support.js";

/** Tables of the core's rows (src/client/tables.rs). */
const [IDENTITY, ROOMS, INTENTS, OUTGOING, HISTORY, OUTBOX] = [0x02, 0x10, 0x11, 0x12, 0x13, 0xf0];
/** The points of what a device asks its provider for. */
const OWN = ["before storing", "stored", "answered"] as const;
/** Those of what comes to it. */
const COMING = ["before storing", "stored"] as const;
/** More than any operation has points. */
const MOST_ROUNDS = 40;

const server = await bareServer("tests/browser/pages/crash.ts", { "/client.wasm": { body: readFileSync("build/client/client.wasm"), type: "application/wasm" } });
let providers: Providers;
let browser: Browser;
let bob: Person;
let cathy: Person;

before(async () => {
  providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  browser = await launch();
  bob = await person("bob@bravo.example", providers.url("bravo.example"));
  cathy = await person("cathy@charlie.example", providers.url("charlie.example"));
});
after(async () => {
  await browser.close();
  await Promise.all([bob.close(), cathy.close()]);
  await providers.stop();
  await server.stop();
});

/** Something that a device does, or that is done to it, round after round. */
interface Operation<S> {
  /** What its first delta writes. */
  first(round: number): Omit<Death, "at">;
  /** Begins it. Its end is not waited for. */
  begin(round: number): Promise<unknown>;
  /** Whether it is the device's own wish: if the page dies before that is stored, it has to wish again. */
  readonly isOwn: boolean;
  /** What those concerned show. */
  shown(round: number): Promise<S>;
  /** Whether all show that it is done, once. */
  isDone(shown: S, round: number): boolean;
  /** Makes the next round possible. */
  again?(round: number): Promise<void>;
}

/**
 * Kills the page at one point of an operation after the other, until the operation is over before and all of
 * `kinds` were among them: answers and frames overtake each other, so rounds differ. Fails when they never are.
 */
async function dieEverywhere<S>(device: Device, operation: Operation<S>, kinds: readonly Point[]): Promise<void> {
  const passed = new Set<Point>();
  const isComplete = (): boolean => kinds.every((kind) => passed.has(kind));
  let at = 0;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const point = await dieAt(device, operation, at, round);
    if (point !== undefined) passed.add(point);
    if (point === undefined && isComplete()) return;
    at = point === undefined ? 1 : at + 1;
    await operation.again?.(round);
  }
  assert.fail(`after ${String(MOST_ROUNDS)} rounds the page has died ${[...passed].join(", ")}`);
}

/** Kills the page at this point of an operation, and sees to it that it is done. Resolves to the point, or nothing when it was over before. */
async function dieAt<S>(device: Device, operation: Operation<S>, at: number, round: number): Promise<Point | undefined> {
  const died = await device.arm({ at, ...operation.first(round) });
  const { tab } = device;
  let isDead = false;
  const begun = operation.begin(round).then(() => done(operation, round, () => isDead)).then(() => tab.evaluate(() => window.crashPage.over()));
  // The page may die under it.
  begun.catch(() => undefined);
  const point = await Promise.race([died.point, begun]);
  if (point === undefined) return undefined;
  isDead = true;
  await device.reopen();
  if (point === "before storing" && operation.isOwn) await operation.begin(round);
  await done(operation, round);
  return point;
}

/** Until the operation is done, or nobody wants to know it. */
async function done<S>({ shown, isDone }: Operation<S>, round: number, isOver = () => false): Promise<void> {
  let last: S | undefined;
  await until(async () => {
    if (isOver()) return true;
    last = await shown(round);
    return isDone(last, round) ? true : undefined;
  }, async () => `round ${String(round)}: ${JSON.stringify(last, undefined, 1)}`);
}

/** What each member shows of a room; undefined when it has none. */
type Views = readonly (View | undefined)[];

/** All have the room and are in one state, with nothing left to do. */
function agree([first, ...others]: Views): boolean {
  const state = (view: View | undefined): string => JSON.stringify({ ...view, texts: [] });
  return first?.pending === 0 && first.phase === "joined" && others.every((view) => state(view) === state(first));
}

/** Until Bob and the device show the same room. */
async function agreed(room: string, device: Device): Promise<void> {
  await until(async () => (agree(await views(room, device)) ? true : undefined), async () => JSON.stringify(await views(room, device)));
}

/** Until the device shows that it is out of the room. */
async function isOutOf(room: string, device: Device): Promise<void> {
  await until(async () => ((await device.view(room))?.phase === "left" ? true : undefined), async () => JSON.stringify(await views(room, device)));
}

/** A new user's device, in a home that the test ends. */
async function newDevice(t: TestContext, name: string, home: Promise<Home> = tabHome(browser)): Promise<Device> {
  const device = new Device(await home, server.url, `${name}@alpha.example`, providers.url("alpha.example"));
  t.after(() => device.end());
  return device;
}

/** The same, open and ready to be added. */
async function openDevice(t: TestContext, name: string, home?: Promise<Home>): Promise<Device> {
  const device = await newDevice(t, name, home);
  await device.open();
  await ready(device);
  return device;
}

/** Until the device's provider has all of its KeyPackages, each once. */
async function ready(device: Device): Promise<void> {
  const { tab } = device;
  const stock = () => tab.evaluate(() => (window.crashPage.isOpen() ? window.crashPage.client().keyPackages.stock.get() : undefined));
  await until(async () => {
    const { published, lastResort } = (await stock()) ?? {};
    return published === 20 && lastResort === true ? true : undefined;
  }, async () => `${device.user} has ${JSON.stringify(await stock())}`);
}

/** What Bob, the device and others show of a room. */
async function views(room: string, device: Device, ...others: readonly Person[]): Promise<Views> {
  return await Promise.all([viewOf(bob.client(), room), device.view(room), ...others.map((one) => viewOf(one.client(), room))]);
}

/** Bob's room with the device in it, in epoch 1. */
async function bobsRoom(device: Device): Promise<string> {
  const id = `of-${device.user.split("@")[0] ?? ""}`;
  await bob.createRoom(id);
  const room = `${id}@bravo.example`;
  await bob.client().room(uri.room(room))?.add(uri.user(device.user), { roles: ["admin"] });
  await agreed(room, device);
  return room;
}

/** The messages of all rounds so far. */
function texts(round: number): string {
  return Array.from({ length: round + 1 }, (_, index) => `message ${String(index)}`).join();
}

/** Sending a message: each round another one. */
function sending(device: Device, room: string): Operation<Views> {
  return {
    first: () => ({ tables: [OUTGOING] }),
    begin: (round) => device.tab.evaluate(([room, text]) => {
      const { client, uri, wish } = window.crashPage;
      wish(client().room(uri.room(room))?.send(text).then(({ accepted }) => accepted));
    }, [room, `message ${String(round)}`] as const),
    isOwn: true,
    shown: () => views(room, device),
    isDone: (shown, round) => agree(shown) && shown.every((view) => view?.texts.join() === texts(round)),
  };
}

/** A commit of the device's: each round another epoch. */
function renewing(device: Device, room: string): Operation<Views> {
  return {
    first: () => ({ tables: [INTENTS] }),
    begin: () => device.tab.evaluate((room) => {
      const { client, uri, wish } = window.crashPage;
      wish(client().room(uri.room(room))?.updateKeys());
    }, room),
    isOwn: true,
    shown: () => views(room, device),
    isDone: (shown, round) => agree(shown) && shown[0]?.epoch === 2 + round,
  };
}

test("a room is created once, and others can come in", async (t) => {
  const device = await openDevice(t, "creator");
  const address = (round: number): string => `room-${String(round)}@alpha.example`;
  await dieEverywhere(device, {
    first: (round) => ({ tables: [ROOMS], text: address(round) }),
    begin: (round) => device.tab.evaluate((id) => {
      const { client, wish } = window.crashPage;
      wish(client().createRoom({ id }));
    }, `room-${String(round)}`),
    isOwn: true,
    shown: async (round) => [await device.view(address(round))],
    isDone: agree,
    async again(round) {
      await device.tab.evaluate(async ([room, bob]) => {
        const { client, uri } = window.crashPage;
        await client().room(uri.room(room))?.add(uri.user(bob));
      }, [address(round), bob.user] as const);
      await agreed(address(round), device);
    },
  }, OWN);
});

test("a message is sent once", async (t) => {
  const device = await openDevice(t, "sender");
  await dieEverywhere(device, sending(device, await bobsRoom(device)), OWN);
});

test("keys are renewed once", async (t) => {
  const device = await openDevice(t, "renewer");
  await dieEverywhere(device, renewing(device, await bobsRoom(device)), OWN);
});

test("a user is added once", async (t) => {
  const device = await openDevice(t, "adder");
  const room = await bobsRoom(device);
  await dieEverywhere(device, {
    ...renewing(device, room),
    begin: () => device.tab.evaluate(([room, cathy]) => {
      const { client, uri, wish } = window.crashPage;
      wish(client().room(uri.room(room))?.add(uri.user(cathy)));
    }, [room, cathy.user] as const),
    shown: () => views(room, device, cathy),
    isDone: (shown, round) => agree(shown) && shown[0]?.epoch === 2 + 2 * round,
    async again() { await bob.client().room(uri.room(room))?.remove(uri.user(cathy.user)); },
  }, OWN);
});

test("roles are changed once", async (t) => {
  const device = await openDevice(t, "judge");
  const room = "of-judge@alpha.example";
  await device.tab.evaluate(async ([bob, cathy]) => {
    const { client, uri } = window.crashPage;
    const room = await client().createRoom({ id: "of-judge" });
    for (const user of [bob, cathy]) await room.add(uri.user(user));
  }, [bob.user, cathy.user] as const);
  const roles = (round: number) => (round % 2 === 0 ? "visitor" : "regular_user");
  await dieEverywhere(device, {
    ...renewing(device, room),
    begin: (round) => device.tab.evaluate(([room, cathy, role]) => {
      const { client, uri, wish } = window.crashPage;
      wish(client().room(uri.room(room))?.setRoles(uri.user(cathy), [role]));
    }, [room, cathy.user, roles(round)] as const),
    shown: () => views(room, device, cathy),
    isDone: (shown, round) => agree(shown) && shown[0]?.epoch === 3 + round && shown[0].participants[2] === `${cathy.user} ${roles(round)}`,
  }, OWN);
});

test("a room is left, and its members can have the user in again", async (t) => {
  const device = await openDevice(t, "leaver");
  const room = await bobsRoom(device);
  const isOut = ([bobs, own]: Views): boolean => bobs?.participants.length === 1 && bobs.pending === 0 && own?.phase === "left";
  await dieEverywhere(device, {
    ...renewing(device, room),
    begin: () => device.tab.evaluate((room) => {
      const { client, uri, wish } = window.crashPage;
      wish(client().room(uri.room(room))?.leave());
    }, room),
    async shown() {
      const shown = await views(room, device);
      // Somebody else's commit takes it out.
      if (!isOut(shown)) await bob.updateKeys(room);
      return shown;
    },
    isDone: isOut,
    async again() {
      await bob.client().room(uri.room(room))?.add(uri.user(device.user));
      await agreed(room, device);
    },
  }, OWN);
});

test("a room is joined once by a user's further device", async (t) => {
  const first = await person("joiner@alpha.example", providers.url("alpha.example"));
  t.after(() => first.close());
  await first.createRoom("of-joiner");
  const room = "of-joiner@alpha.example";
  await first.add(room, bob.user);
  const device = await openDevice(t, "joiner");
  await dieEverywhere(device, {
    ...renewing(device, room),
    begin: () => device.tab.evaluate((room) => {
      const { client, uri, wish } = window.crashPage;
      wish(client().joinRoom(uri.room(room)));
    }, room),
    shown: () => views(room, device, first),
    isDone: (shown, round) => agree(shown) && shown[0]?.epoch === 2 + 2 * round,
    async again() {
      await first.client().room(uri.room(room))?.removeDevice(uri.client(await device.tab.evaluate(() => window.crashPage.client().device)));
      await isOutOf(room, device);
    },
  }, OWN);
});

test("consent is granted once", async (t) => {
  const device = await openDevice(t, "granter");
  const friend = (round: number): string => `friend${String(round)}@bravo.example`;
  await dieEverywhere(device, {
    first: (round) => ({ tables: [OUTBOX], text: friend(round) }),
    begin: (round) => device.tab.evaluate((friend) => {
      const { client, uri, wish } = window.crashPage;
      wish(client().consent.grant(uri.user(friend)));
    }, friend(round)),
    isOwn: true,
    shown: () => device.tab.evaluate(() => window.crashPage.client().consent.granted.get().map(({ user }): string => user)),
    isDone: (granted, round) => [...granted].sort().join() === Array.from({ length: round + 1 }, (_, index) => friend(index)).sort().join(),
  }, OWN);
});

test("a message that comes is read once", async (t) => {
  const device = await openDevice(t, "reader");
  const room = await bobsRoom(device);
  await dieEverywhere(device, {
    ...sending(device, room),
    first: () => ({ tables: [HISTORY] }),
    begin: (round) => bob.send(room, `message ${String(round)}`),
    isOwn: false,
  }, COMING);
});

test("a commit that comes is taken in once", async (t) => {
  const device = await openDevice(t, "follower");
  const room = await bobsRoom(device);
  await dieEverywhere(device, {
    ...renewing(device, room),
    first: () => ({ tables: [ROOMS] }),
    begin: () => bob.updateKeys(room),
    isOwn: false,
  }, COMING);
});

test("a Welcome that comes is used once", async (t) => {
  const device = await openDevice(t, "guest");
  const room = await bobsRoom(device);
  const remove = async (): Promise<void> => {
    await bob.client().room(uri.room(room))?.remove(uri.user(device.user));
    await isOutOf(room, device);
  };
  await remove();
  await dieEverywhere(device, {
    ...renewing(device, room),
    first: () => ({ tables: [ROOMS] }),
    begin: () => bob.add(room, device.user),
    isOwn: false,
    isDone: (shown, round) => agree(shown) && shown[0]?.epoch === 3 + 2 * round,
    again: remove,
  }, COMING);
});

test("a device is registered and its KeyPackages are published once, wherever its first page dies", async (t) => {
  await bob.createRoom("newcomers");
  const room = "newcomers@bravo.example";
  const points: Point[] = [];
  for (let round = 0; ; round += 1) {
    const device = await newDevice(t, `newcomer${String(round)}`);
    const died = await device.openToDie({ at: round, tables: [IDENTITY] });
    const isReady = ready(device);
    // The page may die under it.
    isReady.catch(() => undefined);
    const point = await Promise.race([died.point, isReady]);
    await device.reopen();
    let last: unknown;
    const devices = await until(
      () => bob.add(room, device.user).catch((error: unknown) => { last = error; }).then((count) => count ?? undefined),
      async () => `${device.user} cannot be added: ${String(last)}`,
    );
    assert.equal(devices, 1);
    await agreed(room, device);
    if (point === undefined) break;
    points.push(point);
  }
  for (const kind of OWN) assert.ok(points.includes(kind), kind);
});

test("a browser that is killed has lost nothing either", async (t) => {
  const device = await openDevice(t, "victim", profileHome());
  const room = await bobsRoom(device);
  for (const [round, at] of [1, 3].entries()) await dieAt(device, sending(device, room), at, round);
  for (const [round, at] of [1, 2].entries()) assert.ok(await dieAt(device, renewing(device, room), at, round));
});
