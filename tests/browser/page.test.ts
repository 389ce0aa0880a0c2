// What three people do on one page beside the story: roles, a ban, consent, a second device.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Locator, Page as Tab } from "playwright-core";
import { stage } from "./support.js";

const ALICE = "alice@alpha.example";
const BOB = "bob@bravo.example";
const CATHY = "cathy@charlie.example";

/** The page with everybody's pane, connected. */
async function everybody(): Promise<{ readonly tab: Tab; readonly pane: (name: string) => Locator }> {
  const { browser, page } = await stage();
  const context = await browser.newContext();
  after(() => context.close());
  const tab = await context.newPage();
  await tab.goto(page.url);
  const pane = (name: string): Locator => tab.getByRole("region", { name, exact: true });
  for (const name of [ALICE, BOB, CATHY]) await pane(name).getByText("connected", { exact: true }).waitFor();
  return { tab, pane };
}

async function create(pane: Locator, room: string): Promise<void> {
  await pane.getByLabel("New room").fill(room);
  await pane.getByRole("button", { name: "Create" }).click();
  await pane.getByRole("heading", { name: room, exact: true }).waitFor();
}

async function add(pane: Locator, whom: string, answer: string): Promise<void> {
  await pane.getByLabel("Add a person").fill(whom);
  await pane.getByRole("button", { name: "Add", exact: true }).click();
  await pane.getByRole("status").filter({ hasText: `${whom} ${answer}` }).waitFor();
}

/** The entry of a person in a pane's room, with its menu open. */
async function entry(pane: Locator, whom: string): Promise<Locator> {
  const item = pane.getByRole("list", { name: "People" }).getByRole("listitem").filter({ hasText: whom });
  const menu = item.locator("details");
  if ((await menu.getAttribute("open")) === null) await item.getByLabel(`Change ${whom}`).click();
  return item;
}

test("a person gets a role, is banned and let in again, all with the page's menus", async () => {
  const { pane } = await everybody();
  await create(pane(ALICE), "weekend");
  await add(pane(ALICE), BOB, "is in the room");

  await (await entry(pane(ALICE), BOB)).getByLabel("Role").selectOption("visitor");
  await pane(ALICE).getByText(`${BOB} is visitor now.`).waitFor();
  await pane(BOB).getByRole("list", { name: "People" }).locator(".quiet").getByText("visitor").waitFor();

  await (await entry(pane(ALICE), BOB)).getByRole("button", { name: "Ban" }).click();
  await pane(BOB).getByText("You are no longer in this room.").waitFor();
  assert.ok(await pane(BOB).getByLabel("Message to weekend").isDisabled());

  await (await entry(pane(ALICE), BOB)).getByRole("button", { name: "Lift the ban" }).click();
  await pane(ALICE).getByText("may be in the room again").waitFor();
  await add(pane(ALICE), BOB, "is in the room");
  await pane(BOB).getByText("You are no longer in this room.").waitFor({ state: "detached" });

  await (await entry(pane(ALICE), BOB)).getByRole("button", { name: "Remove" }).click();
  await pane(BOB).getByText("You are no longer in this room.").waitFor();
});

test("a person who does not allow it is asked, allows it and comes in; a second device joins", async () => {
  const { tab, pane } = await everybody();
  await pane(CATHY).getByText("Permissions", { exact: true }).click();
  await pane(CATHY).getByLabel("Person", { exact: true }).fill(ALICE);
  await pane(CATHY).getByRole("button", { name: "Refuse", exact: true }).click();
  await pane(CATHY).getByText(`${ALICE} may not add you.`).waitFor();

  await create(pane(ALICE), "party");
  await add(pane(ALICE), CATHY, "is asked");
  await pane(ALICE).getByRole("list", { name: "Being done" }).getByText(CATHY).waitFor();
  await pane(CATHY).getByRole("button", { name: `Allow ${ALICE}` }).click();
  await pane(CATHY).getByRole("heading", { name: "party", exact: true }).waitFor();
  assert.equal(await pane(ALICE).getByRole("list", { name: "Being done" }).count(), 0);
  await pane(CATHY).getByRole("button", { name: `Revoke the permission of ${ALICE}` }).waitFor();

  await pane(CATHY).getByText("Devices", { exact: true }).click();
  await pane(CATHY).getByRole("button", { name: "Open a second device" }).click();
  const second = pane(`${CATHY}, second device`);
  await second.getByRole("button", { name: "Join party@alpha.example" }).click();
  await second.getByRole("heading", { name: "party", exact: true }).waitFor();
  await pane(ALICE).getByRole("list", { name: "People" }).getByText("2 devices").waitFor();

  // It is there again after a reload, as the same device.
  await tab.reload();
  await second.getByRole("heading", { name: "party", exact: true }).waitFor();
  await second.getByRole("list", { name: "People" }).getByText("2 devices").waitFor();
});
