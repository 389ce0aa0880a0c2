// What the page looks like to a checker of accessibility, light and dark, and on a phone.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page as Tab } from "playwright-core";
import { violations } from "./accessible.js";
import { enter, person, stage, write } from "./support.js";

const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } as const;
const place = await stage();

/** Nothing is found in this view, in either colour scheme. */
async function clean(tab: Tab, view: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    assert.deepEqual(await violations(tab), [], `${view}, ${colorScheme}`);
  }
}

test("axe finds nothing in any of the views, light and dark", async () => {
  const context = await place.browser.newContext();
  after(() => context.close());
  const tab = await context.newPage();
  await tab.goto(place.page.url);
  await tab.getByRole("heading", { name: "Sign in to mimi" }).waitFor();
  await clean(tab, "sign-in");
  await tab.getByLabel("bravo.example").check();
  await tab.getByLabel("Name").fill("Bob");
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.locator(".sync.live").waitFor();
  assert.equal(new URL(tab.url()).searchParams.get("user"), "bob@bravo.example");
  await clean(tab, "no room");

  const alice = await person(place, "alice@alpha.example");
  await alice.createRoom("terrace");
  await alice.add("terrace@alpha.example", "bob@bravo.example");
  await alice.send("terrace@alpha.example", "hello");
  await enter(tab, "terrace@alpha.example");
  await write(tab, "hello yourself");
  await tab.locator(".mine").getByText(/^accepted/).waitFor();
  await clean(tab, "room");
  await tab.getByLabel("Change alice@alpha.example").click();
  await clean(tab, "a person's menu");
  await tab.getByRole("button", { name: "More about this message" }).last().click();
  await clean(tab, "a message's menu");
  await tab.keyboard.press("Escape");
  await tab.getByRole("link", { name: "Settings" }).click();
  await tab.getByRole("heading", { name: "Pseudonyms" }).waitFor();
  await clean(tab, "settings");
  await tab.goto(`${place.page.url}three.html`);
  await tab.frameLocator("iframe").first().locator(".sync.live").waitFor();
  await clean(tab, "three people");
});

test("a phone shows one pane at a time, with addresses and a way back, and axe finds nothing", async () => {
  const alice = await person(place, "ann@alpha.example");
  const { tab: at } = await person(place, "ben@bravo.example", PHONE);
  const tab = at();
  const shown = (): Promise<readonly string[]> => tab.evaluate(() => [...document.querySelectorAll<HTMLElement>(".pane")].filter((pane) => pane.checkVisibility()).map((pane) => pane.getAttribute("aria-label") ?? pane.querySelector("h1")?.textContent ?? ""));
  assert.deepEqual(await shown(), ["Rooms"]);
  await alice.createRoom("balcony");
  await alice.add("balcony@alpha.example", "ben@bravo.example");
  await alice.send("balcony@alpha.example", "can you read this on a phone?");
  await tab.getByText("1 unread").waitFor();
  assert.equal(await tab.title(), "(1) ben@bravo.example – mimi");
  await clean(tab, "rooms");
  await enter(tab, "balcony@alpha.example");
  assert.deepEqual(await shown(), ["balcony"]);
  await tab.waitForFunction(() => document.title === "balcony – mimi");
  await write(tab, "yes");
  await tab.locator(".mine").getByText(/^accepted/).waitFor();
  await clean(tab, "room");
  await tab.getByRole("link", { name: /and security$/ }).click();
  await tab.getByRole("heading", { name: "Security" }).waitFor();
  assert.deepEqual(await shown(), ["People and security"]);
  await clean(tab, "people");
  await tab.goBack();
  await tab.getByLabel("Message to balcony").waitFor();
  assert.deepEqual(await shown(), ["balcony"]);
  await tab.getByRole("link", { name: "Back to rooms" }).click();
  await tab.getByLabel("New room").waitFor();
  assert.deepEqual(await shown(), ["Rooms"]);

  // Nothing sticks out to the side, and what is touched is large enough.
  assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth), PHONE.viewport.width);
  const small = await tab.evaluate(() => [...document.querySelectorAll<HTMLElement>("button, a, input, select, summary, textarea")]
    .filter((one) => one.checkVisibility() && !one.matches(".skip") && (one.getBoundingClientRect().height < 44 || one.getBoundingClientRect().width < 44))
    .map((one) => one.outerHTML));
  assert.deepEqual(small, []);
});
