// A storm of messages and commits between three providers, which are killed at random all the while.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { MimiError, uri, type Room } from "@mimi-edge/client";
import { person, type Person } from "./actors.js";
import { DOMAINS, startProviders, type Providers } from "./providers.js";

/** What a storm is to do. */
export interface StormOptions {
  /** The main module of the hub's Worker. */
  readonly worker: string;
  /** Decides who is killed when; the rest is as fast as it is. */
  readonly seed: number;
  readonly messages: number;
  readonly commits: number;
  /** After this time nothing more is begun, in seconds. */
  readonly seconds: number;
}

/** What happened in a storm that ended well. */
export interface StormResult {
  readonly kills: number;
  /** Messages that hubs took, each of which everybody has once. */
  readonly messages: number;
  readonly commits: number;
  readonly seconds: number;
}

const ROOM = "clubhouse@alpha.example";
const USERS = ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example", "anna@alpha.example"];
/** Messages of one person that are not accepted yet. */
const MOST_WAITING = 16;
/** How long after the storm everybody may need to have everything: longer than the longest wait of a client or an outbox that failed during it. */
const PATIENCE_MILLIS = 90_000;

/** Plays a storm; throws when anything is lost, there twice, or in another order for somebody. */
export async function killStorm({ worker, seed, messages, commits, seconds }: StormOptions): Promise<StormResult> {
  const providers = await startProviders(worker, { onLog: () => undefined });
  const people: Person[] = [];
  const began = Date.now();
  try {
    for (const user of USERS) people.push(await person(user, providers.url(uri.domain(uri.user(user)))));
    const [creator] = people as [Person];
    await creator.createRoom("clubhouse");
    for (const other of people.slice(1)) await creator.add(ROOM, other.user);
    await within("somebody does not come in", () => people.every((one) => roomOf(one) !== undefined));
    const end = Date.now() + seconds * 1_000;
    const storm = new Storm(people, end);
    const killer = new Killer(providers, seed);
    const work = Promise.all([storm.messages(messages), storm.commits(commits)]).finally(() => { killer.stop(); });
    // It ends after the work; before that only when it fails.
    const killing = killer.run();
    const [accepted] = await Promise.race([work, killing.then(() => work)]);
    await killing;
    await assertSame(people, accepted);
    return { kills: killer.kills, messages: accepted.length, commits: storm.committed, seconds: (Date.now() - began) / 1_000 };
  } finally {
    await Promise.all(people.map((one) => one.close()));
    await providers.stop();
  }
}

function roomOf(one: Person): Room | undefined { return one.client().room(uri.room(ROOM)); }

function mustBeIn(one: Person): Room {
  const room = roomOf(one);
  assert.ok(room, `${one.user} is not in the room`);
  return room;
}

/** Who sends and commits. */
class Storm {
  readonly #people: readonly Person[];
  readonly #end: number;
  committed = 0;

  constructor(people: readonly Person[], end: number) {
    this.#people = people;
    this.#end = end;
  }

  /** Each sends a share; resolves to the texts that the hub took. */
  async messages(count: number): Promise<readonly string[]> {
    const share = Math.ceil(count / this.#people.length);
    return (await Promise.all(this.#people.map((one) => this.#send(one, share)))).flat();
  }

  async #send(one: Person, count: number): Promise<readonly string[]> {
    const texts: string[] = [];
    const waiting = new Set<Promise<unknown>>();
    for (let index = 0; index < count && Date.now() < this.#end; index += 1) {
      const text = `${one.user} ${String(index)}`;
      const { accepted } = await mustBeIn(one).send(text);
      texts.push(text);
      const done: Promise<unknown> = accepted.finally(() => waiting.delete(done));
      waiting.add(done);
      if (waiting.size >= MOST_WAITING) await Promise.race(waiting);
    }
    await Promise.all(waiting);
    return texts;
  }

  /** One after the other commits, until there were so many. */
  async commits(count: number): Promise<void> {
    for (let index = 0; this.committed < count && Date.now() < this.#end; index += 1) {
      try {
        await mustBeIn(this.#people[index % this.#people.length]!).updateKeys();
        this.committed += 1;
      } catch (error) {
        // Others' commits came first, again and again.
        if (!(MimiError.is(error) && error.code === "conflict")) throw error;
      }
    }
  }
}

/** Who kills providers, with -9, at times that nobody else knows. */
class Killer {
  readonly #providers: Providers;
  #state: number;
  #isOver = false;
  kills = 0;

  constructor(providers: Providers, seed: number) {
    this.#providers = providers;
    this.#state = seed >>> 0;
  }

  /** Until it is stopped; then all providers run. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      await sleep(this.#random(1_200));
      const domain = DOMAINS[this.#random(DOMAINS.length)]!;
      await this.#providers.kill9(domain);
      this.kills += 1;
      await sleep(this.#random(400));
      await this.#providers.restart(domain);
    }
  }

  stop(): void { this.#isOver = true; }

  /** A whole number below `bound` (Mulberry32). */
  #random(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  }
}

/** Everybody has each message once, in one order, and the same epoch. */
async function assertSame(people: readonly Person[], accepted: readonly string[]): Promise<void> {
  const histories = new Map<string, readonly string[]>();
  await within("somebody lacks a message", async () => {
    for (const one of people) histories.set(one.user, await historyOf(one));
    return [...histories.values()].every((texts) => texts.length >= accepted.length);
  });
  const [first, ...others] = [...histories.values()] as [readonly string[], ...(readonly string[])[]];
  assert.deepEqual([...first].sort(), [...accepted].sort(), "each message is there once");
  for (const other of others) assert.deepEqual(other, first, "in one order");
  const epochs = (): string[] => people.map((one) => String(mustBeIn(one).state.get().authenticator));
  await within("somebody is in another epoch", () => new Set(epochs()).size === 1);
}

async function historyOf(one: Person): Promise<readonly string[]> {
  const texts: string[] = [];
  for (let page = await mustBeIn(one).history({ limit: 1_000 }) as Awaited<ReturnType<Room["history"]>> | null; page !== null; page = await page.next()) {
    texts.unshift(...page.items.map(({ text }) => text ?? ""));
  }
  return texts;
}

async function within(fault: string, is: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MILLIS; !(await is()); await sleep(50)) assert.ok(Date.now() < end, fault);
}
