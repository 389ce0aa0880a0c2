// A device in a browser whose page can be killed, and opened again over what it had stored.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContext, type Page as Tab } from "playwright-core";
import { until } from "../js/story.js";
import type { Death, Point } from "./pages/crash.js";
import type { View } from "./pages/view.js";
import { executable, flags } from "./support.js";

/** Where pages run. */
export interface Home {
  context(): Promise<BrowserContext>;
  /** Ends the page as a crash would; what it had stored stays. */
  kill(tab: Tab): Promise<void>;
  /** Removes it all. */
  end(): Promise<void>;
}

/** A context of a browser: the page is closed in the middle of what it does. */
export async function tabHome(browser: Browser): Promise<Home> {
  const context = await browser.newContext();
  return { context: async () => context, kill: (tab) => tab.close(), end: () => context.close() };
}

/** A browser with a profile on disk: all of it is killed. */
export async function profileHome(): Promise<Home> {
  const profile = await mkdtemp(join(tmpdir(), "mimi-edge-profile-"));
  let running: { readonly child: ChildProcess; readonly browser: Browser } | undefined;
  const kill = async (): Promise<void> => {
    if (running === undefined) return;
    const { child } = running;
    running = undefined;
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };
  return {
    async context() {
      running ??= await startOver(profile);
      const [context] = running.browser.contexts();
      if (context === undefined) throw new Error("a browser has a context");
      return context;
    },
    kill,
    async end() {
      await kill();
      // Its last processes may still write while they end.
      await rm(profile, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

async function startOver(profile: string): Promise<{ readonly child: ChildProcess; readonly browser: Browser }> {
  const port = join(profile, "DevToolsActivePort");
  await rm(port, { force: true });
  const child = spawn(executable(), [...flags(), "--headless", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"], { stdio: "ignore" });
  const address = await until(
    async () => (await readFile(port, "utf8").catch(() => "")).split("\n")[0] || undefined,
    async () => "the browser did not start",
  );
  return { child, browser: await chromium.connectOverCDP(`http://127.0.0.1:${address}`) };
}

/** One device of a user: one page at a time. */
export class Device {
  readonly user: string;
  readonly #home: Home;
  readonly #url: string;
  readonly #provider: string;
  #tab: Tab | undefined;
  #died: (point: Point) => void = () => undefined;

  constructor(home: Home, url: string, user: string, provider: string) {
    this.#home = home;
    this.#url = url;
    this.user = user;
    this.#provider = provider;
  }

  /** The page. */
  get tab(): Tab {
    if (this.#tab === undefined) throw new Error("the page is dead");
    return this.#tab;
  }

  /** Opens a page with the device; resolves when it is open. */
  async open(): Promise<void> {
    await this.#load();
    await this.#open();
  }

  /** Opens a page that may die while it opens the device, and after that. `point` is where it does. */
  async openToDie(death: Death): Promise<{ readonly point: Promise<Point> }> {
    await this.#load();
    const point = this.#death();
    // It may die before the device is open.
    this.#open(death).catch(() => undefined);
    return { point };
  }

  /** Lets the page die from now on. `point` is where it does. */
  async arm(death: Death): Promise<{ readonly point: Promise<Point> }> {
    const point = this.#death();
    await this.tab.evaluate((death) => { window.crashPage.arm(death); }, death);
    return { point };
  }

  /** Kills the page, and opens another one. */
  async reopen(): Promise<void> {
    await this.#home.kill(this.tab);
    await this.open();
  }

  async view(room: string): Promise<View | undefined> {
    return await this.tab.evaluate((room) => window.crashPage.view(room), room);
  }

  async end(): Promise<void> { await this.#home.end(); }

  #death(): Promise<Point> {
    return new Promise((resolve) => { this.#died = resolve; });
  }

  async #load(): Promise<void> {
    this.#tab = await (await this.#home.context()).newPage();
    await this.#tab.exposeFunction("died", (point: Point) => { this.#died(point); });
    await this.#tab.goto(this.#url);
    await this.#tab.waitForFunction(() => "crashPage" in window);
  }

  async #open(death?: Death): Promise<void> {
    const { user } = this;
    await this.tab.evaluate(({ user, provider, death }) => window.crashPage.open(user, provider, death), { user, provider: this.#provider, death });
  }
}
