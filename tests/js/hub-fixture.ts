// What a version of the hub stores, with devices that know it: written once for each version of the rows
// (`npm run fixtures`), opened by the tests of this and every later version.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { uri, type Store } from "@mimi-edge/client";
import { keptStore, person, type Person } from "./actors.js";
import { DOMAINS, startProviders, type Providers } from "./providers.js";
import { until } from "./story.js";

/** The room, and who is in it with one device each. */
export const ROOM = "clubhouse@alpha.example";
const USERS = ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example"] as const;
/** What everybody but Cathy has read, whose provider is gone by then. */
export const UNREAD = "for Cathy";
/** For years, the time at which the fixture is opened makes no difference. */
const SETTINGS = { retention: { logDays: 3650, giveUpDays: 365 } };

interface Content {
  readonly providers: readonly { readonly domain: string; /** Its keys, which are no secret. */ readonly keys: string; /** The lines of its export. */ readonly export: readonly string[] }[];
  readonly devices: readonly { readonly user: string; readonly rows: readonly (readonly [key: string, value: string])[] }[];
}

/** The people of the fixture at their providers. */
export interface Opened { readonly alice: Person; readonly bob: Person; readonly cathy: Person; readonly providers: Providers; readonly close: () => Promise<void> }

/** Plays a story and writes what is stored then. Expects the hub to be built. */
export async function writeHubFixture(worker: string, file: string): Promise<void> {
  const providers = await startProviders(worker, { onLog: () => undefined, settings: SETTINGS });
  const stores = USERS.map(() => keptStore());
  const people: Person[] = [];
  try {
    for (const [index, user] of USERS.entries()) people.push(await open(providers, user, stores[index]!));
    const [alice, bob, cathy] = people as [Person, Person, Person];
    await alice.createRoom("clubhouse");
    for (const other of [bob, cathy]) {
      await alice.add(ROOM, other.user);
      await until(async () => ((await other.state(ROOM)) === undefined ? undefined : true), async () => `${other.user} does not come in`);
    }
    // A leaf that a Commit made has no end.
    for (const one of people) await one.updateKeys(ROOM);
    await bob.send(ROOM, "for all");
    for (const other of [alice, cathy]) await reads(other, ["for all"]);
    await cathy.close();
    const atCharlie = await exported(providers, "charlie.example");
    await providers.kill9("charlie.example");
    await alice.send(ROOM, UNREAD);
    await reads(bob, [UNREAD]);
    for (const one of [alice, bob]) await one.close();
    const others = await Promise.all(["alpha.example", "bravo.example"].map((domain) => exported(providers, domain)));
    const devices = await Promise.all(USERS.map(async (user, index) => ({ user, rows: (await stores[index]!.rows()).map(({ key, value }): [string, string] => [base64(key), base64(value)]) })));
    const content: Content = { providers: [...others, atCharlie], devices };
    await writeFile(file, `${JSON.stringify(content, undefined, 1)}\n`);
  } finally {
    await Promise.all(people.map((one) => one.close()));
    await providers.stop();
  }
}

/** Starts providers and devices of today over what a fixture holds. */
export async function openHubFixture(worker: string, file: string): Promise<Opened> {
  const content = JSON.parse(await readFile(file, "utf8")) as Content;
  const providers = await startProviders(worker, { onLog: () => undefined, settings: SETTINGS });
  const people: Person[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(people.map((one) => one.close()));
    await providers.stop();
  };
  try {
    for (const domain of DOMAINS) await providers.kill9(domain);
    // Hubs come last: whoever they send to is there.
    for (const { domain, keys, export: lines } of content.providers.toReversed()) {
      const state = providers.state(domain);
      await rm(join(state, "objects"), { recursive: true, force: true });
      await writeFile(join(state, "hub-keys.json"), keys);
      await providers.restart(domain);
      await withFile(async (path) => {
        await writeFile(path, lines.map((line) => `${line}\n`).join(""));
        await mimiHub("import", path, "--state", state);
      });
    }
    for (const { user, rows } of content.devices) {
      const store = keptStore();
      await store.apply(rows.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })));
      people.push(await open(providers, user, store));
    }
    const [alice, bob, cathy] = people as [Person, Person, Person];
    return { alice, bob, cathy, providers, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function open(providers: Providers, user: string, store: Store): Promise<Person> {
  return person(user, providers.url(uri.domain(uri.user(user))), { store });
}

/** Until these are the last texts that somebody has read. */
export async function reads(one: Person, wanted: readonly string[]): Promise<void> {
  const texts = async (): Promise<readonly string[]> => (await one.received(ROOM)).map(({ text }) => text).slice(-wanted.length);
  await until(async () => (JSON.stringify(await texts()) === JSON.stringify(wanted) ? true : undefined), async () => `${one.user} reads ${JSON.stringify(await texts())}`);
}

async function exported(providers: Providers, domain: string): Promise<Content["providers"][number]> {
  const state = providers.state(domain);
  const lines = await withFile(async (path) => {
    await mimiHub("export", path, "--state", state);
    return (await readFile(path, "utf8")).trimEnd().split("\n");
  });
  return { domain, keys: await readFile(join(state, "hub-keys.json"), "utf8"), export: lines };
}

async function mimiHub(...args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [resolve("build/hub/cli.js"), ...args]);
}

async function withFile<T>(act: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "mimi-edge-"));
  try {
    return await act(join(folder, "export.jsonl"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function base64(data: Uint8Array): string { return Buffer.from(data).toString("base64"); }
function bytes(text: string): Uint8Array { return new Uint8Array(Buffer.from(text, "base64")); }
