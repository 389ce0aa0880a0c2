// The protocol inspector in the messenger.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page as Tab } from "playwright-core";
import { violations } from "./accessible.js";
import { person, stage } from "./support.js";

/** Opens the panel with the keyboard, adds somebody, and waits until these providers' exchange is told. */
async function watch(tab: Tab, room: string): Promise<void> {
  await tab.getByRole("link", { name: "Protocol" }).focus();
  await tab.keyboard.press("Enter");
  await tab.getByRole("complementary", { name: "Protocol" }).waitFor();
  await tab.getByLabel("New room").fill(room);
  await tab.getByRole("button", { name: "Create" }).click();
  await tab.getByRole("heading", { name: room, exact: true }).waitFor();
}

test("providers in development tell what passes between all of them; Escape closes the panel and goes back to what opened it", async () => {
  const place = await stage({ trace: true });
  const alice = await person(place, "alice@alpha.example", { viewport: { width: 1440, height: 900 } });
  await person(place, "bob@bravo.example");
  const tab = alice.tab();
  await watch(tab, "lab");
  await alice.add("lab@alpha.example", "bob@bravo.example");
  const rows = tab.getByRole("region", { name: "Exchanges" }).getByRole("row");
  await rows.filter({ hasText: "alpha.example" }).filter({ hasText: "bravo.example" }).filter({ hasText: "notify" }).first().waitFor();
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(tab), []);
  }
  await tab.getByRole("link", { name: "Close the protocol" }).focus();
  await tab.keyboard.press("Escape");
  await tab.getByRole("complementary", { name: "Protocol" }).waitFor({ state: "hidden" });
  assert.equal(await tab.evaluate(() => document.activeElement?.textContent), "Protocol");
  assert.deepEqual(alice.complaints, []);
});

test("of other providers, the panel shows what this device does", async () => {
  const place = await stage();
  const alice = await person(place, "alice@alpha.example");
  await watch(alice.tab(), "den");
  const rows = alice.tab().getByRole("region", { name: "Exchanges" }).getByRole("row");
  await rows.filter({ hasText: "Answer: 201" }).first().waitFor();
});
