// What people do on the page beside the story: roles, a ban, consent, a second device, pseudonyms, an account's end.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Locator, Page as Tab } from "playwright-core";
import { until } from "../js/story.js";
import { enter, person, stage, write } from "./support.js";

const place = await stage();

const panel = (tab: Tab): Locator => tab.getByRole("complementary", { name: "People and security" });
const entry = (tab: Tab, whom: string): Locator => panel(tab).locator(`[data-user="${whom}"]`);

async function openMenu(tab: Tab, whom: string): Promise<Locator> {
  const menu = entry(tab, whom).locator("details");
  if ((await menu.getAttribute("open")) === null) await menu.locator("summary").click();
  return menu;
}

async function sure(tab: Tab, button: string): Promise<void> {
  await tab.getByRole("dialog").getByRole("button", { name: button }).click();
}

async function said(tab: Tab, text: string): Promise<void> {
  await tab.getByRole("status").filter({ hasText: text }).waitFor();
}

test("a person gets a role, is banned and told why nothing can be changed, and is let in again", async () => {
  const alice = await person(place, "alice@alpha.example");
  const bob = await person(place, "bob@bravo.example");
  await alice.createRoom("weekend");
  await alice.add("weekend@alpha.example", bob.user);

  await (await openMenu(alice.tab(), bob.user)).getByLabel("Role").selectOption("visitor");
  await said(alice.tab(), `${bob.user} is visitor now.`);
  await enter(bob.tab(), "weekend@alpha.example");
  await entry(bob.tab(), bob.user).locator(".roles").getByText("visitor").waitFor();
  await (await openMenu(alice.tab(), bob.user)).getByRole("button", { name: `Ban ${bob.user}` }).click();
  await sure(alice.tab(), "Ban");
  const why = "You are no longer in this room.";
  await bob.tab().getByRole("main").getByText(why).waitFor();
  assert.ok(await bob.tab().getByLabel("Message to weekend").isDisabled());
  const remove = (await openMenu(bob.tab(), alice.user)).getByRole("button", { name: `Remove ${alice.user}` });
  assert.equal(await remove.getAttribute("aria-disabled"), "true");
  assert.equal(await remove.evaluate((button) => document.getElementById(button.getAttribute("aria-describedby") ?? "")?.textContent), why);

  await (await openMenu(alice.tab(), bob.user)).getByRole("button", { name: "Lift the ban" }).click();
  await said(alice.tab(), "may be in the room again");
  await alice.add("weekend@alpha.example", bob.user);
  await bob.tab().getByRole("main").getByText("You are no longer in this room.").waitFor({ state: "detached" });

  await (await openMenu(alice.tab(), bob.user)).getByRole("button", { name: `Remove ${bob.user}` }).click();
  await sure(alice.tab(), "Not now");
  assert.equal(await entry(alice.tab(), bob.user).count(), 1);
  await (await openMenu(alice.tab(), bob.user)).getByRole("button", { name: `Remove ${bob.user}` }).click();
  await sure(alice.tab(), "Remove");
  await bob.tab().getByRole("main").getByText("You are no longer in this room.").waitFor();
  for (const one of [alice, bob]) assert.deepEqual(one.complaints, []);
});

test("a person who is asked first allows it and comes in; a second device finds the room and joins it", async () => {
  const alice = await person(place, "ann@alpha.example");
  const cathy = await person(place, "cathy@charlie.example");
  await cathy.tab().getByRole("link", { name: "Settings" }).click();
  await cathy.tab().getByLabel("Person", { exact: true }).fill(alice.user);
  await cathy.tab().getByRole("button", { name: "Refuse", exact: true }).click();
  await said(cathy.tab(), `${alice.user} may not add you.`);

  await alice.createRoom("party");
  await panel(alice.tab()).getByLabel("Add a person").fill(cathy.user);
  await panel(alice.tab()).getByRole("button", { name: "Add", exact: true }).click();
  await panel(alice.tab()).getByText("asked, waiting").waitFor();
  await cathy.tab().getByRole("button", { name: `Allow ${alice.user}`, exact: true }).click();
  await enter(cathy.tab(), "party@alpha.example");
  assert.equal(await panel(alice.tab()).getByText("asked, waiting").count(), 0);

  await cathy.tab().getByRole("link", { name: "Settings" }).click();
  const code = cathy.tab().getByRole("img", { name: /^QR code of the address http/ });
  const opened = cathy.context.waitForEvent("page");
  await cathy.tab().getByRole("link", { name: "Open a second device here" }).click();
  const second = await opened;
  assert.equal(await code.getAttribute("aria-label"), `QR code of the address ${second.url()}`);
  await second.getByRole("button", { name: "Join party@alpha.example" }).click();
  await second.getByRole("main").getByRole("heading", { name: "party", exact: true }).waitFor();
  await entry(alice.tab(), cathy.user).getByText("2 devices").waitFor();
  await write(second, "from my other device");
  await alice.tab().getByRole("list", { name: "Messages in party" }).getByText("from my other device").waitFor();

  // It is there again after a reload, as the same device.
  await second.reload();
  await second.getByRole("main").getByRole("heading", { name: "party", exact: true }).waitFor();
  await entry(second, cathy.user).getByText("2 devices").waitFor();
  for (const one of [alice, cathy]) assert.deepEqual(one.complaints, []);
});

test("two tabs show the same device; when the first is closed the other goes on", async () => {
  const alice = await person(place, "alma@alpha.example");
  const runtime = (tab: Tab, words: string): Promise<void> => tab.getByText(words, { exact: true }).waitFor();
  await runtime(alice.tab(), "tab: owner, worker");
  const other = await alice.context.newPage();
  await other.goto(alice.tab().url());
  await runtime(other, "tab: guest, worker");
  await alice.createRoom("hall");
  await enter(other, "hall@alpha.example");
  await write(other, "from the second tab");
  await alice.tab().locator(".mine").getByText("from the second tab").waitFor();
  await alice.close();
  await runtime(other, "tab: owner, worker");
  await write(other, "and still");
  await other.locator(".mine").filter({ hasText: "and still" }).getByText(/^accepted/).waitFor();
  assert.deepEqual(await other.locator(".mine .text").allTextContents(), ["from the second tab", "and still"]);
});

test("a pseudonym gets a page of its own; a deleted account is signed out and is out of the room", async () => {
  const alice = await person(place, "anna@alpha.example");
  const bob = await person(place, "ben@alpha.example");
  await bob.tab().getByRole("link", { name: "Settings" }).click();
  await bob.tab().getByRole("button", { name: "New pseudonym" }).click();
  await bob.tab().getByRole("list", { name: "Your pseudonyms" }).getByRole("button", { name: "Use" }).click();
  const opened = bob.context.waitForEvent("page");
  await bob.tab().getByRole("list", { name: "Your pseudonyms" }).getByRole("link", { name: "Open" }).click();
  const hidden = await opened;
  await hidden.locator(".sync.live").waitFor();
  assert.notEqual(await hidden.locator(".me bdi").textContent(), "ben");

  await alice.createRoom("end");
  await alice.add("end@alpha.example", bob.user);
  await bob.tab().getByRole("button", { name: "Delete my account" }).click();
  await sure(bob.tab(), "Delete");
  await bob.tab().getByRole("heading", { name: "Sign in to mimi" }).waitFor();
  // The hub proposes to take it out; somebody's next commit does.
  await until(async () => {
    await alice.updateKeys("end@alpha.example");
    return (await entry(alice.tab(), bob.user).count()) === 0 ? true : undefined;
  }, async () => "Bob is still in the room");
});
