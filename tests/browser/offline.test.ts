// Messages on their way: the provider cannot be reached for a while, one is taken back, one is refused; and those of long ago.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Locator, Page as Tab } from "playwright-core";
import { until } from "../js/story.js";
import { enter, person, stage, write } from "./support.js";

const place = await stage();

const own = (tab: Tab, room: string): Locator => tab.getByRole("list", { name: `Messages in ${room}` }).locator(".mine");
const status = (tab: Tab, text: string): Locator => tab.getByRole("status").filter({ hasText: text });

test("messages that were written offline survive a reload and arrive once each, in order; one is taken back", async () => {
  const alice = await person(place, "alice@alpha.example");
  const bob = await person(place, "bob@bravo.example");
  await alice.createRoom("trip");
  await alice.add("trip@alpha.example", bob.user);
  await enter(bob.tab(), "trip@alpha.example");

  await place.providers.kill9("bravo.example");
  await status(bob.tab(), "Offline.").waitFor();
  for (const text of ["first", "second", "third"]) await write(bob.tab(), text);
  await status(bob.tab(), "Offline. 3 messages wait on this device.").waitFor();
  await bob.tab().getByText(/^(Next try in \d+ s\.|Trying now…)$/).waitFor();
  const second = own(bob.tab(), "trip").filter({ hasText: "second" });
  await second.getByText("queued").waitFor();
  await second.getByRole("button", { name: "More about this message" }).click();
  await bob.tab().getByRole("dialog").getByRole("button", { name: "Take back" }).click();
  await second.waitFor({ state: "detached" });

  await bob.tab().reload();
  await status(bob.tab(), "Offline. 2 messages wait on this device.").waitFor();
  assert.deepEqual(await own(bob.tab(), "trip").locator(".text").allTextContents(), ["first", "third"]);
  await place.providers.restart("bravo.example");
  // The button goes away when the device's own next try is the earlier one.
  const pressed = bob.tab().getByRole("button", { name: "Try now" }).click();
  pressed.catch(() => undefined);
  await Promise.race([pressed, bob.connected()]);
  await bob.connected();
  const read = async (): Promise<string[]> => (await alice.received("trip@alpha.example")).map(({ text }) => text);
  await until(async () => ((await read()).length >= 2 ? true : undefined), async () => `Alice reads ${JSON.stringify(await read())}`);
  assert.deepEqual(await read(), ["first", "third"]);
  const accepted = own(bob.tab(), "trip").getByText(/^accepted \d\d:\d\d$/);
  await until(async () => ((await accepted.count()) === 2 ? true : undefined), async () => "Bob's messages are not accepted");
  assert.deepEqual(await own(bob.tab(), "trip").locator(".text").allTextContents(), ["first", "third"]);
});

test("a message that the hub refuses is said once, kept, and can be discarded", async () => {
  const alice = await person(place, "ann@alpha.example");
  const ben = await person(place, "ben@bravo.example");
  await alice.createRoom("court");
  await alice.add("court@alpha.example", ben.user);
  await enter(ben.tab(), "court@alpha.example");
  await place.providers.kill9("bravo.example");
  await status(ben.tab(), "Offline.").waitFor();
  await write(ben.tab(), "too late");
  const people = alice.tab().getByRole("complementary", { name: "People and security" });
  await people.getByLabel("Ban somebody").fill(ben.user);
  await people.getByRole("button", { name: "Ban", exact: true }).first().click();
  await status(alice.tab(), `${ben.user} is banned.`).waitFor();
  await place.providers.restart("bravo.example");
  await ben.tab().getByRole("alert").filter({ hasText: "Message not sent." }).waitFor();
  const message = own(ben.tab(), "court").filter({ hasText: "too late" });
  await message.getByText(/^not sent: /).waitFor();
  await message.getByRole("button", { name: "Retry" }).waitFor();
  await message.focus();
  await ben.tab().keyboard.press("Enter");
  await ben.tab().getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await message.waitFor({ state: "detached" });
});

test("messages of long ago are read page by page, and what is in sight stays where it is", async () => {
  const { tab: at, createRoom, send } = await person(place, "carl@alpha.example");
  const tab = at();
  await createRoom("diary");
  for (let day = 1; day <= 59; day += 1) await write(tab, `day ${String(day)}`);
  await send("diary@alpha.example", "day 60");
  await tab.reload();
  const texts = own(tab, "diary").locator(".text");
  await texts.getByText("day 60", { exact: true }).waitFor();
  assert.equal(await texts.first().textContent(), "day 11");
  const scroll = tab.locator(".scroll");
  const fromEnd = (): Promise<number> => scroll.evaluate((box) => Math.round(box.scrollHeight - box.scrollTop));
  await scroll.evaluate((box) => { box.scrollTop = 0; });
  const before = await fromEnd();
  await tab.getByRole("button", { name: "Earlier messages" }).click();
  await texts.getByText("day 1", { exact: true }).waitFor();
  assert.equal(await texts.count(), 60);
  await tab.getByRole("button", { name: "Earlier messages" }).waitFor({ state: "detached" });
  const after = await fromEnd();
  assert.ok(Math.abs(after - before) < 80, `${String(before)} and ${String(after)} pixels from the end`);
});
