// What the browser tests share: providers and page, Chromium, and people who use the page with
// mouse and keyboard.

import { after } from "node:test";
import { chromium, type Browser, type BrowserContext, type Page as Tab, type Route } from "playwright-core";
import { servePage, type Page } from "../../npm/run/serve-page.js";
import { startProviders, type Providers } from "../js/providers.js";
import type { Actor } from "../js/story.js";

/** The root user's Chromium has no sandbox to work in. */
const ROOT = 0;
const FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export interface Stage {
  readonly providers: Providers;
  readonly page: Page;
  readonly browser: Browser;
}

/** Three providers, the page and a browser, until the test file ends. */
export async function stage(): Promise<Stage> {
  const providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  after(() => providers.stop());
  const urls = ["alpha.example", "bravo.example", "charlie.example"].map((domain) => [domain, providers.url(domain)] as const);
  const page = await servePage({ port: 0, providers: Object.fromEntries(urls) });
  after(() => page.stop());
  const browser = await launch();
  // Contexts first: pages let go of their providers before these end.
  after(() => browser.close());
  return { providers, page, browser };
}

/** Chromium. */
export async function launch(): Promise<Browser> {
  const executablePath = process.env["CHROME"];
  return await chromium.launch({
    ...(executablePath === undefined ? { channel: "chromium" } : { executablePath }),
    args: process.getuid?.() === ROOT ? [...FLAGS, "--no-sandbox"] : FLAGS,
  });
}

/** A person at a page of its own. */
export interface Person extends Actor {
  /** The page, while it is open. */
  tab(): Tab;
  readonly context: BrowserContext;
  /** What the browser complained of: exceptions, refused requests, breaches of the policy. */
  readonly complaints: string[];
  /** Until the page shows that it is connected. */
  connected(): Promise<void>;
}

/** Opens the page for one person, in a browser context of its own: a new device. */
export async function person({ browser, page }: Pick<Stage, "browser" | "page">, user: string): Promise<Person> {
  const context = await browser.newContext();
  after(() => context.close());
  const held = await holdSockets(context);
  const complaints: string[] = [];
  const updates: number[] = [];
  context.on("response", (response) => {
    if (response.request().method() === "POST" && response.url().includes("/client/v1/update/")) updates.push(response.status());
  });
  let tab: Tab;
  const connected = (): Promise<void> => tab.getByText("connected", { exact: true }).waitFor();
  const open = async (): Promise<void> => {
    tab = await context.newPage();
    tab.on("pageerror", (error) => { complaints.push(String(error)); });
    tab.on("console", (message) => { if (message.type() === "error" && !isExpected(message.text())) complaints.push(message.text()); });
    await tab.goto(addressOf(page, user));
    await connected();
  };
  await open();
  return {
    ...paneActor(() => tab, user), tab: () => tab, context, complaints, connected, open,
    updates: async () => updates,
    holdBack: held,
    close: () => tab.close(),
  };
}

/** The browser writes every refusal into the console; the story has one that is meant. */
function isExpected(complaint: string): boolean {
  return complaint.includes("status of 401");
}

/** Lets sockets through, and can keep what providers say on them. */
async function holdSockets(context: BrowserContext): Promise<() => Promise<() => Promise<void>>> {
  let kept: (() => void)[] | undefined;
  await context.routeWebSocket(/\/client\/v1\/socket\//, (socket) => {
    const provider = socket.connectToServer();
    provider.onMessage((frame) => {
      const pass = (): void => { socket.send(frame); };
      if (kept === undefined) pass();
      else kept.push(pass);
    });
  });
  return async () => {
    kept = [];
    return async () => {
      const frames = kept ?? [];
      kept = undefined;
      for (const pass of frames) pass();
    };
  };
}

/** Where the page shows this person alone. */
export function addressOf(page: Page, user: string): string {
  return `${page.url}?user=${encodeURIComponent(user)}`;
}

/** What a person does on the page; coming and going is the page's matter. */
type PaneActor = Omit<Actor, "open" | "close" | "updates" | "holdBack">;

/** Uses one pane as a person does. */
export function paneActor(tab: () => Tab, user: string): PaneActor {
  const pane = () => tab().getByRole("region", { name: user, exact: true });
  const nameOf = (room: string): string => room.slice(0, room.indexOf("@"));
  const roomOf = (room: string) => pane().getByRole("region", { name: nameOf(room), exact: true });
  const people = (room: string) => roomOf(room).getByRole("list", { name: "People" }).getByRole("listitem");
  const messages = (room: string) => roomOf(room).getByRole("list", { name: `Messages in ${nameOf(room)}` });
  const menu = async (room: string, name: string): Promise<void> => {
    const details = roomOf(room).locator("details").filter({ has: tab().getByText(name, { exact: true }) });
    if ((await details.getAttribute("open")) === null) await details.locator("summary").click();
  };
  return {
    user,
    async createRoom(id) {
      await pane().getByLabel("New room").fill(id);
      await pane().getByRole("button", { name: "Create" }).click();
      await pane().getByRole("heading", { name: id, exact: true }).waitFor();
    },
    async add(room, whom) {
      await roomOf(room).getByLabel("Add a person").fill(whom);
      await roomOf(room).getByRole("button", { name: "Add" }).click();
      const text = await pane().getByRole("status").filter({ hasText: whom }).textContent();
      return Number(/with (\d+) device/.exec(text ?? "")?.[1]);
    },
    async send(room, text) {
      const box = roomOf(room).getByLabel("Message to");
      await box.click();
      await tab().keyboard.type(text);
      await tab().keyboard.press("Enter");
      await messages(room).getByRole("listitem").filter({ hasText: text }).getByText(/^accepted \d\d:\d\d$/).waitFor();
    },
    async updateKeys(room) {
      await menu(room, "This room");
      await roomOf(room).getByRole("button", { name: "Renew keys" }).click();
      await pane().getByRole("status").filter({ hasText: "new keys" }).waitFor();
    },
    async leave(room) {
      await menu(room, "This room");
      await roomOf(room).getByRole("button", { name: `Leave ${nameOf(room)}` }).click();
    },
    async join(room) {
      await pane().getByRole("button", { name: `Join ${room}` }).click();
      await roomOf(room).waitFor();
    },
    async state(room) {
      if (!(await roomOf(room).isVisible())) return undefined;
      const shown = await people(room).allTextContents();
      return {
        epoch: (await roomOf(room).getByRole("definition").last().textContent()) ?? "",
        participants: await people(room).locator("bdi").allTextContents(),
        devices: shown.reduce((sum, text) => sum + Number(/(\d+) devices/.exec(text)?.[1] ?? 1), 0),
        left: await roomOf(room).getByText("You are no longer in this room.").isVisible(),
      };
    },
    async received(room) {
      const theirs = await messages(room).locator(".theirs").all();
      return await Promise.all(theirs.map(async (message) => ({
        sender: (await message.locator(".sender").textContent()) ?? "",
        text: (await message.locator(".text").textContent()) ?? "",
      })));
    },
  };
}

/**
 * Keeps the next request whose path has `part` in it from reaching the provider. Resolves to when
 * it was made; `end` lets those after it pass.
 */
export async function hold(context: BrowserContext, part: string): Promise<{ readonly made: Promise<void>; readonly end: () => Promise<void> }> {
  const pattern = `**/client/v1/${part}/**`;
  let made: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => { made = resolve; });
  const handler = (route: Route): Promise<void> => (route.request().method() === "OPTIONS" ? route.continue() : Promise.resolve(made()));
  await context.route(pattern, handler);
  return { made: promise, end: () => context.unroute(pattern, handler) };
}
