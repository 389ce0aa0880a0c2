// The provider cannot be reached for a while.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../js/story.js";
import { enter, person, stage, write } from "./support.js";

const ROOM = "trip@alpha.example";
const place = await stage();

test("two messages that were written offline survive a reload and arrive once each, in order", async () => {
  const alice = await person(place, "alice@alpha.example");
  const bob = await person(place, "bob@bravo.example");
  await alice.createRoom("trip");
  await alice.add(ROOM, bob.user);
  await enter(bob.tab(), ROOM);

  await place.providers.kill9("bravo.example");
  await bob.tab().getByRole("status").filter({ hasText: /^Offline\.$/ }).waitFor();
  for (const text of ["first", "second"]) await write(bob.tab(), text);
  await bob.tab().getByRole("status").filter({ hasText: "Offline. 2 messages wait on this device." }).waitFor();
  await bob.tab().getByText(/^Next try in \d+ s\.$/).waitFor();

  await bob.tab().reload();
  await bob.tab().getByRole("status").filter({ hasText: "Offline." }).waitFor();
  await place.providers.restart("bravo.example");
  await bob.connected();
  const read = async (): Promise<string[]> => (await alice.received(ROOM)).map(({ text }) => text);
  await until(async () => ((await read()).length >= 2 ? true : undefined), async () => `Alice reads ${JSON.stringify(await read())}`);
  assert.deepEqual(await read(), ["first", "second"]);
  const own = bob.tab().getByRole("list", { name: "Messages in trip" }).locator(".mine");
  await until(async () => ((await own.getByText(/^accepted \d\d:\d\d$/).count()) === 2 ? true : undefined), async () => "Bob's messages are not accepted");
  assert.deepEqual(await own.locator(".text").allTextContents(), ["first", "second"]);
});
