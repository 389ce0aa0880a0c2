// What the browser tests share: providers and page, Chromium, and people who use the page with
// mouse and keyboard.

import { after } from "node:test";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Locator, type Page as Tab, type Route } from "playwright-core";
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

/** Three providers, the page and a browser, until the test file ends; with `trace` the providers tell what they exchange. */
export async function stage({ trace = false }: { readonly trace?: boolean } = {}): Promise<Stage> {
  const providers = await startProviders("build/hub/worker.js", { trace, onLog: () => undefined });
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
  return await chromium.launch({ executablePath: executable(), args: flags() });
}

/** Where Chromium is. */
export function executable(): string { return process.env["CHROME"] ?? chromium.executablePath(); }

/** What Chromium is started with. */
export function flags(): string[] {
  return process.getuid?.() === ROOT ? [...FLAGS, "--no-sandbox"] : FLAGS;
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
export async function person({ browser, page }: Pick<Stage, "browser" | "page">, user: string, { isHeld = false, ...options }: BrowserContextOptions & { readonly isHeld?: boolean } = {}): Promise<Person> {
  const context = await browser.newContext(options);
  after(() => context.close());
  const held = isHeld ? await holdSockets(context) : async (): Promise<never> => { throw new Error("this person's sockets are not held"); };
  const complaints: string[] = [];
  const updates: number[] = [];
  context.on("response", (response) => {
    if (response.request().method() === "POST" && response.url().includes("/client/v1/update/")) updates.push(response.status());
  });
  let tab: Tab;
  const connected = (): Promise<void> => tab.locator(".sync.live").waitFor();
  const open = async (): Promise<void> => {
    tab = await context.newPage();
    tab.on("pageerror", (error) => { complaints.push(String(error)); });
    tab.on("console", (message) => { if (message.type() === "error" && !isExpected(message.text())) complaints.push(message.text()); });
    await tab.goto(addressOf(page, user));
    await connected();
  };
  await open();
  return {
    ...pageActor(() => tab, user), tab: () => tab, context, complaints, connected, open,
    updates: async () => updates,
    holdBack: held,
    close: () => tab.close(),
  };
}

/** The browser writes every refusal into the console; the story has one that is meant. */
function isExpected(complaint: string): boolean {
  return complaint.includes("status of 401");
}

/**
 * Lets sockets through, and can keep what providers say on them: on the page's thread, as sockets of a
 * worker are out of reach.
 */
async function holdSockets(context: BrowserContext): Promise<() => Promise<() => Promise<void>>> {
  let kept: (() => void)[] | undefined;
  await context.addInitScript(() => { Reflect.deleteProperty(globalThis, "Worker"); });
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
type PageActor = Omit<Actor, "open" | "close" | "updates" | "holdBack">;

/** Uses the page as a person does, on a screen that shows people beside the room. */
export function pageActor(tab: () => Tab, user: string): PageActor {
  const main = () => tab().getByRole("main");
  const people = () => tab().getByRole("complementary", { name: "People and security" });
  const participants = () => people().getByRole("list", { name: "People" }).locator("[data-user]");
  const messages = (room: string) => main().getByRole("list", { name: `Messages in ${nameOf(room)}` });
  return {
    user,
    async createRoom(id) {
      await tab().getByLabel("New room").fill(id);
      await tab().getByRole("button", { name: "Create" }).click();
      await main().getByRole("heading", { name: id, exact: true }).waitFor();
    },
    async add(room, whom) {
      await enter(tab(), room);
      await people().getByLabel("Add a person").fill(whom);
      await people().getByRole("button", { name: "Add", exact: true }).click();
      const text = await tab().getByRole("status").filter({ hasText: `${whom} was added` }).textContent();
      return Number(/with (\d+) device/.exec(text ?? "")?.[1]);
    },
    async send(room, text) {
      await enter(tab(), room);
      await write(tab(), text);
      await messages(room).getByRole("listitem").filter({ hasText: text }).getByText(/^accepted \d\d:\d\d$/).waitFor();
    },
    async updateKeys(room) {
      await enter(tab(), room);
      await people().getByRole("button", { name: "Renew keys" }).click();
      await tab().getByRole("status").filter({ hasText: "new keys" }).waitFor();
    },
    async leave(room) {
      await enter(tab(), room);
      await people().getByRole("button", { name: `Leave ${nameOf(room)}` }).click();
      await tab().getByRole("dialog").getByRole("button", { name: "Leave" }).click();
    },
    async join(room) {
      await tab().getByRole("button", { name: `Join ${room}` }).click();
      await main().getByRole("heading", { name: nameOf(room), exact: true }).waitFor();
    },
    async state(room) {
      if (!(await roomLink(tab(), room).isVisible())) return undefined;
      await enter(tab(), room);
      const devices = await participants().locator(".devices").allTextContents();
      return {
        epoch: (await main().locator(".epoch").textContent()) ?? "",
        participants: await participants().evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset["user"] ?? "")),
        devices: devices.reduce((sum, text) => sum + Number.parseInt(text, 10), 0),
        left: await main().getByText("You are no longer in this room.").isVisible(),
      };
    },
    async received(room) {
      await enter(tab(), room);
      const theirs = await messages(room).locator(".theirs").all();
      return await Promise.all(theirs.map(async (message) => ({
        sender: `${(await message.locator(".sender").textContent()) ?? ""}@${(await message.locator(".domain").textContent()) ?? ""}`,
        text: (await message.locator(".text").textContent()) ?? "",
      })));
    },
  };
}

/** Opens a room that is in the page's list, if it is not open. */
export async function enter(tab: Tab, room: string): Promise<void> {
  if ((await roomLink(tab, room).getAttribute("aria-current")) !== "page") await roomLink(tab, room).click();
  await tab.getByRole("main").getByRole("heading", { name: nameOf(room), exact: true }).waitFor();
}

/** Writes a message into the room that is open and sends it, with the keyboard. */
export async function write(tab: Tab, text: string): Promise<void> {
  await tab.getByLabel("Message to").click();
  await tab.keyboard.type(text);
  await tab.keyboard.press("Enter");
}

function roomLink(tab: Tab, room: string): Locator {
  return tab.getByRole("list", { name: "Rooms" }).locator(`a[href^="#/room/${encodeURIComponent(room)}"]`);
}

function nameOf(room: string): string {
  return room.slice(0, room.indexOf("@"));
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
