// The page of two clients and their providers: no server, every step, what is shown of what passes.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { BrowserContextOptions, Locator, Page as Tab } from "playwright-core";
import { servePage } from "../../npm/run/serve-page.js";
import { violations } from "./accessible.js";
import { launch } from "./support.js";

const STEPS = ["Alice creates a room", "Alice adds Bob", "Bob says hello", "Alice answers", "Bob renews his keys", "Bob leaves", "Alice commits"];

// A server of files: there is no provider behind it.
const page = await servePage({ port: 0, providers: {} });
after(() => page.stop());
const browser = await launch();
after(() => browser.close());

interface Shown { readonly tab: Tab; readonly complaints: readonly string[]; readonly requests: readonly string[] }

/** The page with Alice and Bob at hand. */
async function open(options: BrowserContextOptions = {}): Promise<Shown> {
  const context = await browser.newContext(options);
  after(() => context.close());
  const tab = await context.newPage();
  tab.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  const requests: string[] = [];
  tab.on("pageerror", (error) => { complaints.push(String(error)); });
  tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
  tab.on("request", (request) => { requests.push(request.url()); });
  await tab.goto(`${page.url}two-clients/`);
  await tab.getByRole("status").filter({ hasText: "Begin with step 1" }).waitFor();
  return { tab, complaints, requests };
}

async function step(tab: Tab, index: number): Promise<void> {
  const item = tab.getByRole("region", { name: "Steps" }).getByRole("listitem").nth(index);
  await item.getByRole("button", { name: `${String(index + 1)}. ${STEPS[index] ?? ""}` }).click();
  await item.locator(".result").waitFor();
}

const device = (tab: Tab, name: string): Locator => tab.getByRole("article", { name: `${name}'s device` });
const inspector = (tab: Tab): Locator => tab.locator("mimi-inspector");

/** What the rows below a heading say: who, to whom, what. */
async function rowsOf(tab: Tab, heading: string): Promise<string[]> {
  return await inspector(tab).locator(".rows tbody").evaluate((body, title) => {
    const rows = [...body.querySelectorAll("tr")];
    const from = rows.findIndex((row) => row.classList.contains("heading") && row.textContent.trim() === title);
    const to = rows.findIndex((row, index) => index > from && row.classList.contains("heading"));
    return rows.slice(from + 1, to < 0 ? undefined : to).map((row) => {
      const cells = [...row.querySelectorAll("td.word")].map((cell) => cell.textContent.trim());
      return `${cells[1] ?? ""} > ${cells[2] ?? ""}: ${cells[3] ?? ""}`;
    });
  }, heading);
}

test("all steps go through in a page without a server, and what passes is shown", async () => {
  const { tab, complaints, requests } = await open();
  const [alice, bob] = [device(tab, "Alice"), device(tab, "Bob")];
  await step(tab, 0);
  await step(tab, 1);
  await alice.getByText("alice@alpha.example, bob@bravo.example").waitFor();
  const added = await rowsOf(tab, "2. Alice adds Bob");
  for (const row of [
    "alice > alpha.example: keyMaterial",
    "alpha.example > bravo.example: /keyMaterial",
    "bravo.example > alpha.example: Answer: 200",
    "alice > alpha.example: update commit, Welcome, epoch 0 → 1",
    "alpha.example > bravo.example: /notify Welcome",
    "bravo.example > bob: inbox Welcome",
  ]) assert.ok(added.includes(row), `${row}\n${added.join("\n")}`);

  await step(tab, 2);
  await alice.getByRole("list", { name: "What Alice reads" }).getByText("Hello, Alice!").waitFor();
  await step(tab, 3);
  await bob.getByText("Hi Bob, nice room").waitFor();
  await step(tab, 4);
  assert.equal(await alice.locator(".code").textContent(), await bob.locator(".code").textContent());
  await bob.getByLabel("Say something").fill("anybody here?");
  await bob.getByRole("button", { name: "Send" }).click();
  await alice.getByText("anybody here?").waitFor();
  assert.ok((await rowsOf(tab, "Bob says “anybody here?”")).includes("bravo.example > alpha.example: /submitMessage message"));

  await step(tab, 5);
  await step(tab, 6);
  await bob.getByText("No longer in the room.").waitFor();
  assert.deepEqual(await alice.getByRole("definition").nth(1).textContent(), "alice@alpha.example");
  assert.deepEqual(complaints, []);
  assert.deepEqual(requests.filter((url) => !url.startsWith(page.url)), []);
});

test("a message is opened field by field: the hub sees where it goes, not what it says", async () => {
  const { tab } = await open();
  for (const index of [0, 1, 2]) await step(tab, index);
  await inspector(tab).getByRole("button", { name: "/submitMessage message" }).press("Enter");
  const fields = inspector(tab).locator(".fields tbody tr");
  const field = (name: string): Promise<string[]> => fields.filter({ has: tab.getByRole("rowheader", { name, exact: true }) }).getByRole("cell").allTextContents();
  assert.deepEqual(await field("groupId"), ["clubhouse@alpha.example", "sees this"]);
  assert.deepEqual(await field("epoch"), ["1", "sees this"]);
  assert.equal((await field("ciphertext"))[1], "does not see this: what was said, encrypted for the room's members");
  assert.equal((await field("encryptedSenderData"))[1], "does not see this: which device said it");
  await inspector(tab).getByRole("button", { name: "Close" }).click();
  assert.equal(await fields.count(), 0);
});

test("the figure rests while it is paused, goes on step by step, and is given as text", async () => {
  const { tab } = await open();
  await step(tab, 0);
  const rows = inspector(tab).locator(".rows tbody tr");
  const before = await rows.count();
  await inspector(tab).getByRole("button", { name: "Pause" }).click();
  await step(tab, 1);
  assert.equal(await rows.count(), before);
  await inspector(tab).getByRole("button", { name: /^Step \(\d+ wait\)$/ }).click();
  // Its heading comes with the first exchange.
  assert.ok([2, 3].includes((await rows.count()) - before));
  await inspector(tab).getByRole("button", { name: "Pause" }).click();
  assert.ok((await rows.count()) > before + 10);

  await inspector(tab).getByRole("button", { name: "As text" }).click();
  const figure = await inspector(tab).locator("pre").textContent();
  assert.match(figure ?? "", /^alice +alpha\.example +bravo\.example +bob\n/);
  assert.match(figure ?? "", /\| \/keyMaterial +\|/);
  await inspector(tab).getByRole("button", { name: "For Mermaid" }).click();
  assert.match((await inspector(tab).locator("pre").textContent()) ?? "", /^sequenceDiagram\n {2}actor L0 as alice\n {2}participant L1 as alpha\.example\n/);
  await inspector(tab).getByRole("button", { name: "Clear" }).click();
  await inspector(tab).getByText("Nothing was exchanged yet.").waitFor();
});

for (const [name, options] of [
  ["on a desktop in light colours", { viewport: { width: 1400, height: 950 }, colorScheme: "light" }],
  ["on a phone in dark colours", { viewport: { width: 390, height: 800 }, colorScheme: "dark" }],
] as const) {
  test(`axe finds nothing ${name}, before and after, with a message open`, async () => {
    const { tab } = await open(options);
    assert.deepEqual(await violations(tab), []);
    for (const index of [0, 1, 2]) await step(tab, index);
    await inspector(tab).getByRole("button", { name: "/submitMessage message" }).press("Enter");
    await inspector(tab).getByRole("button", { name: "As text" }).click();
    assert.deepEqual(await violations(tab), []);
    await inspector(tab).getByLabel("as table").check();
    assert.deepEqual(await violations(tab), []);
    const tooWide = await tab.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    assert.equal(tooWide, false);
  });
}
