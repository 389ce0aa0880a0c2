// The page of crash.test.ts: one device whose page can die at any point between storing, sending and the
// answer. From that moment nothing is stored or sent any more, until the test ends the page.

import { Client, MimiError, uri, type ClientOptions, type RowChange, type Store } from "../../../js/client/entry/web.js";
import { indexedDbStore } from "../../../js/client/store/indexeddb.js";
import { viewOf, type View } from "./view.js";

/** Where a page may die: with a delta not stored, stored, or with a request answered and the answer not taken in. */
export type Point = "before storing" | "stored" | "answered";

/** When to die: at the `at`th point, counted from the first delta that has a row of one of these tables with this text in it. */
export interface Death { readonly at: number; readonly tables: readonly number[]; readonly text?: string }

let client: Client | undefined;
let death: Death | undefined;
/** How many points were passed since the count began; undefined before. */
let passed: number | undefined;
let isDead = false;
let wish: Promise<unknown> = Promise.resolve();
/** What is being stored or asked for. */
const busy = new Set<Promise<unknown>>();

const never = new Promise<never>(() => undefined);

/** A point: dies here if it is the one. */
async function at(point: Point): Promise<void> {
  if (isDead) await never;
  if (death === undefined || passed === undefined) return;
  if (passed === death.at) {
    isDead = true;
    await window.died(point);
    await never;
  }
  passed += 1;
}

/** Whether a change is one of the operation that the page is to die in. */
function isOf({ key, value }: RowChange, { tables, text = "" }: Death): boolean {
  const said = new TextDecoder("latin1").decode(key) + new TextDecoder("latin1").decode(value ?? new Uint8Array());
  return tables.includes(key[0] ?? 0) && said.includes(text);
}

/** The store, with its points: that of a later delta being not stored yet is that of what came before it. */
function dying(store: Store): Store {
  return {
    rows: () => store.rows(),
    apply: (changes) => whileBusy(async () => {
      const next = passed === undefined ? death : undefined;
      const isFirst = next !== undefined && changes.some((change) => isOf(change, next));
      if (isFirst) passed = 0;
      if (isFirst) await at("before storing");
      else if (isDead) await never;
      await store.apply(changes);
      await at("stored");
    }),
    close: () => store.close(),
  };
}

const dyingFetch: typeof fetch = (...request) => whileBusy(async () => {
  if (isDead) await never;
  const response = await fetch(...request);
  await at("answered");
  return response;
});

async function whileBusy<T>(act: () => Promise<T>): Promise<T> {
  const acting = act();
  busy.add(acting);
  return await acting.finally(() => { busy.delete(acting); });
}

/** The store, once the page before this one has let go of it. */
async function storeOf(name: string): Promise<Store> {
  for (;;) {
    try {
      return await indexedDbStore({ name });
    } catch (error) {
      if (!MimiError.is(error, "storage-locked")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

const page = {
  /** Opens the user's device; may die while it does. */
  async open(user: string, provider: string, dies?: Death): Promise<void> {
    page.arm(dies);
    const options: ClientOptions = { user: uri.user(user), provider, store: dying(await storeOf(user)), fetch: dyingFetch };
    client = await Client.open(options);
  },
  /** From now on the page may die; without a death, it does not. */
  arm(dies: Death | undefined): void {
    death = dies;
    passed = undefined;
  },
  /** Whether the device is open. */
  isOpen: (): boolean => client !== undefined,
  client(): Client {
    if (client === undefined) throw new Error("no client is open");
    return client;
  },
  /** Remembers what comes of a wish. */
  wish(promise: Promise<unknown> | undefined): void { wish = Promise.resolve(promise).catch(() => undefined); },
  /** Resolves when the last wish is over, and nothing is stored or asked for. */
  async over(): Promise<void> {
    await wish;
    while (busy.size > 0) await Promise.allSettled(busy);
  },
  view: (room: string): Promise<View | undefined> => viewOf(page.client(), room),
  uri,
};

declare global {
  interface Window {
    crashPage: typeof page;
    /** Of the test: this page is dead. */
    died(point: Point): Promise<void>;
  }
}
window.crashPage = page;
