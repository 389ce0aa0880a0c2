// The page without a mouse: landmarks, short cuts, lists, and what a screen reader hears.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page as Tab } from "playwright-core";
import { person, stage, write } from "./support.js";

const place = await stage();

/** What has the focus: its name, or its text. */
async function focused(tab: Tab): Promise<string> {
  return await tab.evaluate(() => {
    const one = document.activeElement;
    return (one?.getAttribute("aria-label") ?? one?.getAttribute("placeholder") ?? one?.textContent ?? "").replaceAll(/\s+/g, " ").trim();
  });
}

async function press(tab: Tab, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await tab.keyboard.press(key);
}

/** Waits until what has the focus is called like this. */
async function focusIs(tab: Tab, name: string): Promise<void> {
  await tab.waitForFunction((name) => {
    const one = document.activeElement;
    return (one?.getAttribute("aria-label") ?? one?.getAttribute("placeholder") ?? one?.textContent ?? "").replaceAll(/\s+/g, " ").trim() === name;
  }, name).catch(async () => { assert.equal(await focused(tab), name); });
}

test("a room is created, a person added and a message sent with the keyboard alone", async () => {
  const alice = await person(place, "alice@alpha.example");
  const bob = await person(place, "bob@bravo.example");
  const tab = alice.tab();
  await press(tab, "Tab");
  await focusIs(tab, "Skip to messages");
  for (let steps = 0; (await focused(tab)) !== "clubhouse" && steps < 20; steps += 1) await press(tab, "Tab");
  await tab.keyboard.type("garden");
  await press(tab, "Enter");
  await focusIs(tab, "garden");
  await press(tab, "F6");
  await focusIs(tab, "People and security");
  for (let steps = 0; (await focused(tab)) !== "bob@bravo.example" && steps < 20; steps += 1) await press(tab, "Tab");
  await tab.keyboard.type(bob.user);
  await press(tab, "Enter");
  await tab.getByRole("status").filter({ hasText: `${bob.user} was added` }).waitFor();
  await press(tab, "Shift+F6");
  for (let steps = 0; (await focused(tab)) !== "Message garden" && steps < 20; steps += 1) await press(tab, "Tab");
  await tab.keyboard.type("one line");
  await press(tab, "Shift+Enter");
  await tab.keyboard.type("and another");
  await press(tab, "Enter");
  await tab.getByRole("list", { name: "Messages in garden" }).getByText(/^accepted \d\d:\d\d$/).waitFor();
  assert.equal(await focused(tab), "Message garden");
  assert.deepEqual(await tab.locator(".mine .text").allTextContents(), ["one line\nand another"]);
});

test("F6 goes through the landmarks, Ctrl+K finds a room, Alt and arrows go from room to room", async () => {
  const { tab: at, createRoom } = await person(place, "carl@alpha.example");
  const tab = at();
  for (const room of ["attic", "cellar"]) await createRoom(room);
  await focusIs(tab, "cellar");
  await press(tab, "F6");
  const names: string[] = [];
  for (let steps = 0; steps < 4; steps += 1) {
    names.push(await tab.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.tagName ?? ""));
    await press(tab, "F6");
  }
  assert.deepEqual(names, ["People and security", "HEADER", "Rooms", "MAIN"]);

  await press(tab, "Control+k");
  await focusIs(tab, "Find a room (Ctrl+K)");
  await tab.keyboard.type("att");
  assert.equal(await tab.getByRole("list", { name: "Rooms" }).getByRole("listitem").count(), 1);
  await press(tab, "Enter");
  await focusIs(tab, "attic");
  await press(tab, "Alt+ArrowDown");
  await focusIs(tab, "cellar");
  await press(tab, "Alt+ArrowDown");
  await focusIs(tab, "attic");
  await press(tab, "Alt+ArrowUp");
  await focusIs(tab, "cellar");
  await tab.goBack();
  await focusIs(tab, "attic");
});

test("arrows move in the list of messages, Enter opens one's menu, Escape goes back to it; Tab leaves the list for the composer", async () => {
  const { tab: at, createRoom, send } = await person(place, "dora@alpha.example");
  const tab = at();
  await createRoom("shed");
  for (const text of ["first", "second", "third"]) await send("shed@alpha.example", text);
  const text = (): Promise<string | undefined> => tab.evaluate(() => document.activeElement?.querySelector(".text")?.textContent ?? undefined);
  await tab.getByRole("heading", { name: "shed" }).focus();
  for (let steps = 0; (await text()) === undefined && steps < 20; steps += 1) await press(tab, "Tab");
  assert.equal(await text(), "third");
  await press(tab, "ArrowUp");
  assert.equal(await text(), "second");
  await press(tab, "Enter");
  await tab.getByRole("dialog", { name: "Message of dora@alpha.example" }).waitFor();
  await press(tab, "Escape");
  await tab.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await text(), "second");
  await press(tab, "End");
  assert.equal(await text(), "third");
  await press(tab, "Tab");
  assert.equal(await focused(tab), "Message shed");
  await tab.keyboard.type("x");
  await press(tab, "Tab");
  assert.equal(await focused(tab), "Send");
});

test("the log reads what comes in and nothing else", async () => {
  const alice = await person(place, "emma@alpha.example");
  const bob = await person(place, "finn@bravo.example");
  await alice.createRoom("yard");
  await alice.add("yard@alpha.example", bob.user);
  await alice.send("yard@alpha.example", "before");
  await bob.received("yard@alpha.example");
  await bob.tab().locator(".theirs").waitFor();
  const log = (): Promise<string[]> => bob.tab().getByRole("log").locator("p").allTextContents();
  assert.deepEqual(await log(), []);
  await write(bob.tab(), "mine");
  await alice.send("yard@alpha.example", "after");
  await bob.tab().locator(".theirs").getByText("after").waitFor();
  assert.deepEqual(await log(), ["emma, alpha.example: after"]);
});
