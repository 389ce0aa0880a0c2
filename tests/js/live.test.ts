// Live values and typed events.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveValue, TypedEvents } from "../../js/client/live.js";

test("a live value tells each listener at once and at each change, until the listener ends it", () => {
  const live = new LiveValue(1);
  const seen: number[] = [];
  const end = live.subscribe((value) => { seen.push(value); });
  live.set(2);
  live.set(2);
  end();
  live.set(3);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(live.get(), 3);
});

test("get returns the same object until something changed, and both members are bound", () => {
  const { get, subscribe, set } = ((live) => ({ get: live.get, subscribe: live.subscribe, set: live.set.bind(live) }))(new LiveValue({ n: 1 }));
  const first = get();
  assert.equal(get(), first);
  const seen: object[] = [];
  subscribe((value) => { seen.push(value); });
  const next = { n: 2 };
  set(next);
  assert.equal(seen[0], first);
  assert.equal(seen[1], next);
});

test("a signal ends a subscription, also one that is aborted before", () => {
  const live = new LiveValue(1);
  const abort = new AbortController();
  const seen: number[] = [];
  live.subscribe((value) => { seen.push(value); }, { signal: abort.signal });
  abort.abort();
  live.set(2);
  live.subscribe((value) => { seen.push(value); }, { signal: abort.signal });
  assert.deepEqual(seen, [1]);
});

test("a listener that ends another one in its call is not in the way of a third", () => {
  const live = new LiveValue(0);
  const seen: string[] = [];
  const ends: (() => void)[] = [];
  ends.push(live.subscribe((value) => { if (value === 1) ends.forEach((end) => { end(); }); }));
  live.subscribe((value) => { seen.push(`third ${String(value)}`); });
  live.set(1);
  live.set(2);
  assert.deepEqual(seen, ["third 0", "third 1", "third 2"]);
});

test("iterating yields the newest value, drops what nobody took, and ends with the owner", async () => {
  const live = new LiveValue(1);
  const iterator = live[Symbol.asyncIterator]();
  assert.deepEqual(await iterator.next(), { value: 1, done: false });
  live.set(2);
  live.set(3);
  assert.deepEqual(await iterator.next(), { value: 3, done: false });
  const waiting = iterator.next();
  live.set(4);
  assert.deepEqual(await waiting, { value: 4, done: false });
  const last = iterator.next();
  live.end();
  assert.deepEqual(await last, { value: undefined, done: true });
});

interface Map { one: number; two: string }

test("events reach listeners of their type; `once` and `signal` are the DOM's", () => {
  const events = new TypedEvents<Map>();
  const seen: unknown[] = [];
  const abort = new AbortController();
  events.addEventListener("one", ({ detail }) => { seen.push(detail); }, { once: true });
  events.addEventListener("two", ({ detail }) => { seen.push(detail); }, { signal: abort.signal });
  const removed = (): void => { seen.push("removed"); };
  events.addEventListener("two", removed);
  events.removeEventListener("two", removed);
  events.emit("one", 1);
  events.emit("one", 2);
  events.emit("two", "a");
  abort.abort();
  events.emit("two", "b");
  assert.deepEqual(seen, [1, "a"]);
});

test("the stream drops nothing, and ends with its signal or with the client", async () => {
  const events = new TypedEvents<Map>();
  const collect = async (signal?: AbortSignal): Promise<unknown[]> => {
    const seen: unknown[] = [];
    for await (const { type, detail } of events.events(signal === undefined ? {} : { signal })) seen.push([type, detail]);
    return seen;
  };
  const abort = new AbortController();
  const short = collect(abort.signal);
  const long = collect();
  events.emit("one", 1);
  events.emit("two", "a");
  events.emit("one", 2);
  abort.abort();
  events.emit("one", 3);
  assert.deepEqual(await short, [["one", 1], ["two", "a"], ["one", 2]]);
  events.end();
  assert.deepEqual(await long, [["one", 1], ["two", "a"], ["one", 2], ["one", 3]]);
  assert.deepEqual(await collect(), []);
});

test("a stream has what happened since it was asked for, before anybody took from it", async () => {
  const events = new TypedEvents<Map>();
  const stream = events.events();
  events.emit("one", 1);
  const taken = stream[Symbol.asyncIterator]();
  assert.deepEqual((await taken.next()).value, { type: "one", detail: 1 });
  events.end();
  assert.equal((await taken.next()).done, true);
});
