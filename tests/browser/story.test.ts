// The draft's story on the page: three browser contexts, three workerd providers with mutual TLS.

import assert from "node:assert/strict";
import { test } from "node:test";
import { playStory, until, type Actors, type StoryResult } from "../js/story.js";
import { hold, person, stage, type Person } from "./support.js";

const ROOM = "clubhouse@alpha.example";

interface People extends Actors { readonly alice: Person; readonly bob: Person; readonly cathy: Person }

async function people(): Promise<People> {
  const place = await stage();
  return {
    alice: await person(place, "alice@alpha.example"),
    bob: await person(place, "bob@bravo.example"),
    cathy: await person(place, "cathy@charlie.example", { isHeld: true }),
    cathysNewDevice: () => person(place, "cathy@charlie.example"),
  };
}

function assertAllPassed({ error, ...counts }: StoryResult): void {
  assert.equal(error, undefined);
  assert.deepEqual(counts, { passed: 6, total: 6 });
}

async function reads(one: Person, from: Person, text: string): Promise<void> {
  const times = async (): Promise<number> => (await one.received(ROOM)).filter((message) => message.sender === from.user && message.text === text).length;
  await until(async () => ((await times()) > 0 ? true : undefined), async () => `${one.user} does not show “${text}”`);
  assert.equal(await times(), 1);
}

async function reload(one: Person): Promise<void> {
  await one.tab().reload();
  await one.connected();
}

test("the story passes on pages of their own", async () => {
  const { alice, bob, cathy, cathysNewDevice } = await people();
  assertAllPassed(await playStory({ alice, bob, cathy, cathysNewDevice }, () => undefined));
  for (const one of [alice, bob, cathy]) assert.deepEqual(one.complaints, []);
});

test("the story passes when all pages are loaded anew before each step, and goes on after it", async () => {
  const { alice, bob, cathy, cathysNewDevice } = await people();
  assertAllPassed(await playStory({ alice, bob, cathy, cathysNewDevice }, () => undefined, async () => {
    for (const one of [alice, bob, cathy]) await reload(one);
  }));

  await bob.open();
  for (const one of [alice, cathy]) await reload(one);
  for (const one of [alice, cathy]) {
    assert.deepEqual(await one.state(ROOM), { epoch: "4", participants: [alice.user, cathy.user], devices: 3, left: false });
  }
  assert.equal((await bob.state(ROOM))?.left, true);
  for (const one of [alice, bob, cathy]) assert.deepEqual(one.complaints, []);
  await alice.send(ROOM, "still here");
  await reads(cathy, alice, "still here");
});

test("what was begun before a page is loaded anew goes on after it", async () => {
  const { alice, bob } = await people();
  await alice.createRoom("clubhouse");

  const commit = await hold(alice.context, "update");
  void alice.add(ROOM, bob.user).catch(() => undefined);
  await commit.made;
  await commit.end();
  await reload(alice);
  await until(async () => ((await bob.state(ROOM))?.epoch === "1" ? true : undefined), async () => "Bob did not come in");
  await until(async () => ((await alice.state(ROOM))?.epoch === "1" ? true : undefined), async () => "Alice does not see that Bob came in");

  const message = await hold(alice.context, "submitMessage");
  void alice.send(ROOM, "written before").catch(() => undefined);
  await message.made;
  await message.end();
  await reload(alice);
  await reads(bob, alice, "written before");
  await bob.send(ROOM, "read");
  await reads(alice, bob, "read");
  await reads(bob, alice, "written before");
});
