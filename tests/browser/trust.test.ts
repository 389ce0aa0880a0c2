// People who compare safety numbers, and what is said when somebody's devices change.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Locator, Page as Tab } from "playwright-core";
import { violations } from "./accessible.js";
import { addressOf, enter, person, stage } from "./support.js";

const ROOM = "vault@alpha.example";
const place = await stage();

const entry = (tab: Tab, whom: string): Locator => tab.getByRole("complementary", { name: "People and security" }).locator(`[data-user="${whom}"]`);

async function compare(tab: Tab, whom: string): Promise<Locator> {
  const menu = entry(tab, whom).locator("details");
  if ((await menu.getAttribute("open")) === null) await menu.locator("summary").click();
  await menu.getByRole("button", { name: `Safety number with ${whom}` }).click();
  const dialog = tab.getByRole("dialog", { name: `Safety number with ${whom}` });
  await dialog.waitFor();
  return dialog;
}

async function groups(dialog: Locator): Promise<string[]> {
  return await dialog.getByRole("list", { name: "Safety number, 12 groups" }).getByRole("listitem").allTextContents();
}

test("two people see the same safety number, say that it matches, and are told when devices have changed", async () => {
  const alice = await person(place, "alice@alpha.example");
  const carol = await person(place, "carol@charlie.example");
  await alice.createRoom("vault");
  await alice.add(ROOM, carol.user);
  await enter(carol.tab(), ROOM);
  const code = (tab: Tab): Locator => tab.locator(".code").filter({ hasText: /^\d{5}( \d{5}){5}$/ });
  await Promise.all([alice, carol].map((one) => code(one.tab()).waitFor()));
  assert.equal(await code(alice.tab()).textContent(), await code(carol.tab()).textContent());

  const hers = await compare(alice.tab(), carol.user);
  const dialog = await compare(carol.tab(), alice.user);
  const number = await groups(dialog);
  assert.equal(number.length, 12);
  for (const group of number) assert.match(group, /^\d{5}$/);
  assert.deepEqual(await groups(hers), number);
  assert.equal(await dialog.getByRole("img").getAttribute("aria-label"), `QR code of the number ${number.join(" ")}`);
  assert.deepEqual(await violations(carol.tab()), []);

  // One group after the other, for somebody who reads aloud.
  await dialog.getByRole("button", { name: "Read slowly" }).click();
  await dialog.getByRole("status").getByText(`Group 1 of 12: ${[...(number[0] ?? "")].join(" ")}`).waitFor();
  await dialog.getByRole("button", { name: "Next" }).click();
  await dialog.getByRole("status").getByText(`Group 2 of 12: ${[...(number[1] ?? "")].join(" ")}`).waitFor();
  await dialog.getByRole("button", { name: "They match" }).click();
  await entry(carol.tab(), alice.user).getByText("verified").waitFor();
  await hers.getByRole("button", { name: "They do not match" }).click();
  await alice.tab().getByRole("alert").filter({ hasText: "The numbers differ" }).waitFor();
  await entry(alice.tab(), carol.user).getByText("not compared yet").waitFor();

  const context = await place.browser.newContext();
  after(() => context.close());
  const second = await context.newPage();
  await second.goto(addressOf(place.page, alice.user));
  await second.getByRole("button", { name: `Join ${ROOM}` }).click();
  const banner = carol.tab().getByRole("alert").filter({ hasText: `The devices of ${alice.user} changed since you compared numbers.` });
  await banner.waitFor();
  await entry(carol.tab(), alice.user).getByText("devices changed").waitFor();
  assert.deepEqual(await violations(carol.tab()), []);

  await carol.tab().getByRole("button", { name: "Compare again" }).click();
  const again = carol.tab().getByRole("dialog", { name: `Safety number with ${alice.user}` });
  await again.waitFor();
  assert.notDeepEqual(await groups(again), number);
  await again.getByRole("button", { name: "They match" }).click();
  await banner.waitFor({ state: "detached" });
  await entry(carol.tab(), alice.user).getByText("verified").waitFor();
  for (const one of [alice, carol]) assert.deepEqual(one.complaints, []);
});

test("KeyPackages are counted, and made anew on demand", async () => {
  const { tab: at, createRoom } = await person(place, "dan@alpha.example");
  await createRoom("cellar");
  const tab = at();
  await tab.getByText(/^KeyPackages: 20 of 20 published, and one of last resort; the first is handed out until /).waitFor();
  await tab.getByRole("button", { name: "Replenish" }).click();
  await tab.getByRole("status").filter({ hasText: "0 KeyPackages made." }).waitFor();
  await tab.getByRole("button", { name: "New last resort" }).click();
  await tab.getByRole("status").filter({ hasText: "There is a new KeyPackage of last resort." }).waitFor();
});
