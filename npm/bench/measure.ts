// The measured run: one room of so many members, seen by its creator and by the member who came last.

import type { Stack, Suite } from "./stack.js";

/** What is measured, in the order in which it is shown. */
export const OPERATIONS = ["KeyPackage", "create", "add", "join", "encrypt 1 KiB", "decrypt 1 KiB", "update", "process"] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface Measured {
  /** Medians, in milliseconds. */
  readonly millis: Readonly<Record<Operation, number>>;
  /** Of the commit that adds one member, of its Welcome, of the tree, of the commit that renews keys (median). */
  readonly bytes: { readonly add: number; readonly welcome: number; readonly tree: number; readonly update: number };
}

const CONTENT = new Uint8Array(1024).fill(7);

export async function measure<P, R>(stack: Stack<P, R>, suite: Suite, members: number, repeats: number): Promise<Measured> {
  const creator = await stack.person("d0", suite);
  const millis: Partial<Record<Operation, number>> = {};
  const time = async (operation: Operation, act: () => Promise<unknown>, after: () => Promise<unknown> = async () => undefined): Promise<void> => {
    millis[operation] = await median(repeats, act, after);
  };
  await time("KeyPackage", () => stack.keyPackage(creator));
  await time("create", () => stack.create(creator));

  const room = await stack.create(creator);
  const others: P[] = [];
  for (let index = 1; index < members - 1; index++) others.push(await stack.person(`d${String(index)}`, suite));
  if (others.length > 0) {
    await stack.commit(room, others);
    await stack.accept(room);
  }
  const last = await stack.person("last", suite);
  await time("add", () => stack.commit(room, [last]), () => stack.reject(room));
  const made = await stack.commit(room, [last]);
  await stack.accept(room);
  const { welcome } = made;
  if (welcome === undefined) throw new Error("an Add without a Welcome");
  await time("join", () => stack.join(last, welcome, made.tree));
  const joined = await stack.join(last, welcome, made.tree);

  const messages: Uint8Array[] = [];
  await time("encrypt 1 KiB", async () => messages.push(await stack.encrypt(room, CONTENT)));
  let content: Uint8Array | undefined;
  await time("decrypt 1 KiB", async () => { content = await stack.decrypt(joined, messages.shift() ?? new Uint8Array()); });
  if (content?.length !== CONTENT.length) throw new Error("the content came out differently");

  const commits: Uint8Array[] = [];
  const processing: number[] = [];
  await time("update", async () => commits.push((await stack.commit(room, [])).commit), async () => {
    await stack.accept(room);
    processing.push(await timed(() => stack.process(joined, commits.at(-1) ?? new Uint8Array())));
  });
  millis.process = middle(processing);
  if (String(stack.authenticator(room)) !== String(stack.authenticator(joined))) throw new Error("the two are in different epochs");
  const bytes = { add: made.commit.length, welcome: welcome.length, tree: made.tree.length, update: middle(commits.map(({ length }) => length)) };
  return { millis: millis as Record<Operation, number>, bytes };
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

async function median(repeats: number, act: () => Promise<unknown>, after: () => Promise<unknown>): Promise<number> {
  const all: number[] = [];
  for (let index = 0; index < repeats; index++) {
    all.push(await timed(act));
    await after();
  }
  return middle(all);
}

function middle(numbers: readonly number[]): number {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
