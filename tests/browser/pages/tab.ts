// What a tab of the tests for workers and tabs offers to them.

import { Client, MimiError, uri, type ClientOptions, type TimelineItem, type Runtime } from "@mimi-edge/client";

declare global {
  /** The tests have this name in the page. */
  var tab: typeof api;
}

/** The workers of this tab. */
const workers: Worker[] = [];
/** How many of the next ones end as soon as their scripts run, before anybody hears of it. */
let stillborn = 0;
globalThis.Worker = class extends Worker {
  constructor(...args: ConstructorParameters<typeof Worker>) {
    super(...args);
    workers.push(this);
    if (stillborn === 0) return;
    stillborn -= 1;
    this.addEventListener("message", () => { this.terminate(); }, { once: true });
  }
};

let client: Client | undefined;
/** The keys of messages of others as the events told them, by room. */
const told: string[] = [];
const errors: string[] = [];
const heard: unknown[] = [];
let longest = 0;

function current(): Client {
  if (client === undefined) throw new Error("nothing is open");
  return client;
}

const api = {
  /** Opens a device, and resolves to where it runs, or to the code of what went wrong. */
  async open(user: string, provider: string, options: Pick<ClientOptions, "worker" | "store"> = {}): Promise<Runtime | string> {
    try {
      client = await Client.open({ user: uri.user(user), provider, ...options });
    } catch (error) {
      return MimiError.is(error) ? error.code : String(error);
    }
    client.addEventListener("message", ({ detail }) => { if (!detail.mine) told.push(textOf(detail)); });
    client.addEventListener("error", ({ detail }) => { errors.push(detail.code); });
    return client.runtime.get();
  },
  close: (): Promise<void> => current().close(),
  /** Ends the worker as it ends when it has no memory; resolves to how many there were so far. */
  endWorker(): number {
    workers.at(-1)?.terminate();
    return workers.length;
  },
  /** Ends this many of the next workers as soon as their scripts run. */
  endNextWorkers(count: number): void { stillborn = count; },
  /** Erases a device; resolves to the code of what went wrong, if anything did. */
  remove: (user: string): Promise<string | undefined> => Client.delete({ user: uri.user(user) }).then(() => undefined, (error: unknown) => (MimiError.is(error) ? error.code : String(error))),
  runtime: (): Runtime => current().runtime.get(),
  isLive: (): boolean => current().sync.get().state === "live",
  device: (): string => current().device,
  stock: (): number => current().keyPackages.stock.get().published,
  /** Listens on channels of these names. */
  overhear(names: readonly string[]): void {
    for (const name of names) new BroadcastChannel(name).onmessage = ({ data }: MessageEvent<unknown>) => { heard.push(data); };
  },
  /** What came on them. */
  overheard: (): unknown[] => heard,
  rooms: (): string[] => current().rooms.get().map((room) => room.uri),
  told: (): string[] => told,
  errors: (): string[] => errors,
  async create(id: string): Promise<void> { await current().createRoom({ id }); },
  async add(room: string, user: string): Promise<void> { await mustHave(room).add(uri.user(user)); },
  async updateKeys(room: string): Promise<void> { await mustHave(room).updateKeys(); },
  /** Resolves when the message is stored. */
  async send(room: string, text: string): Promise<void> { await mustHave(room).send(text); },
  /** Resolves when the hub has taken the message. */
  async accepted(room: string, text: string): Promise<void> { await (await mustHave(room).send(text)).accepted; },
  members: (room: string): number => mustHave(room).state.get().participants.reduce((sum, { devices }) => sum + devices.length, 0),
  /** From now on, how long the page's thread had no time for anything else. */
  watch(): void {
    const { port1, port2 } = new MessageChannel();
    let last = performance.now();
    longest = 0;
    port1.onmessage = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      port2.postMessage(undefined);
    };
    port2.postMessage(undefined);
  },
  /** The longest such time since then, in ms. */
  longest: (): number => longest,
  epoch: (room: string): string => String(mustHave(room).state.get().epoch),
  authenticator: (room: string): string => String(mustHave(room).state.get().authenticator),
  async history(room: string): Promise<string[]> { return (await mustHave(room).history({ limit: 1_000 })).items.map(textOf); },
};

function mustHave(room: string) {
  const found = current().room(uri.room(room));
  if (found === undefined) throw new Error("no such room");
  return found;
}

function textOf({ text, bytes }: TimelineItem): string { return text ?? `${String(bytes?.length ?? 0)} bytes`; }

globalThis.tab = api;
