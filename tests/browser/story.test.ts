// The draft's story on the page: three browser contexts, three workerd providers with mutual TLS.

import assert from "node:assert/strict";
import { test } from "node:test";
import { playStory, until } from "../js/story.js";
import { hold, person, stage, type Person } from "./support.js";

const ROOM = "clubhouse@alpha.example";

async function people(): Promise<readonly [Person, Person, Person]> {
  const place = await stage();
  return [await person(place, "alice@alpha.example"), await person(place, "bob@bravo.example"), await person(place, "cathy@charlie.example")];
}

async function reads(one: Person, from: Person, text: string): Promise<void> {
  const times = async (): Promise<number> => (await one.received(ROOM)).filter((message) => message.sender === from.user && message.text === text).length;
  await until(async () => ((await times()) > 0 ? true : undefined), async () => `${one.user} does not show “${text}”`);
  assert.equal(await times(), 1);
}

async function reload(one: Person): Promise<void> {
  await one.tab.reload();
  await one.connected();
}

test("the story passes on three pages", async () => {
  const [alice, bob, cathy] = await people();
  const result = await playStory({ alice, bob, cathy }, () => undefined);
  assert.equal(result.error, undefined);
  assert.deepEqual(result, { passed: 4, total: 4 });
  for (const one of [alice, bob, cathy]) assert.deepEqual(one.complaints, []);
});

test("the story passes when all pages are loaded anew before each step, and goes on after it", async () => {
  const [alice, bob, cathy] = await people();
  const result = await playStory({ alice, bob, cathy }, () => undefined, async () => {
    for (const one of [alice, bob, cathy]) await reload(one);
  });
  assert.equal(result.error, undefined);
  assert.deepEqual(result, { passed: 4, total: 4 });

  for (const one of [alice, bob, cathy]) await reload(one);
  for (const one of [alice, bob, cathy]) {
    assert.deepEqual(await one.state(ROOM), { epoch: "2", participants: [alice.user, bob.user, cathy.user] });
    assert.deepEqual(one.complaints, []);
    // The list has one device for each of them: nobody came back as a new one.
    assert.equal(await one.tab.getByText(/devices/).count(), 0);
  }
  await alice.send(ROOM, "still here");
  await reads(bob, alice, "still here");
  await reads(cathy, alice, "still here");
});

test("what was begun before a page is loaded anew goes on after it", async () => {
  const [alice, bob] = await people();
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
