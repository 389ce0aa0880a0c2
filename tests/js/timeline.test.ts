// A timeline's order, whatever comes when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { MimiError } from "../../js/client/errors.js";
import { deferred } from "../../js/client/live.js";
import { unreadableOf, type Delivery, type Message, type TimelineItem } from "../../js/client/message.js";
import { RoomTimeline } from "../../js/client/timeline.js";
import { uri } from "../../js/client/uri.js";

const has = (code: string) => (error: unknown): boolean => MimiError.is(error) && error.code === code;

const room = uri.room("clubhouse@alpha.example");
const sender = uri.user("alice@alpha.example");

const DELIVERIES: { readonly [S in Delivery["state"]]: Delivery } = {
  queued: { state: "queued", cancel: async () => true },
  sending: { state: "sending" },
  accepted: { state: "accepted", at: 1 },
  failed: { state: "failed", error: new MimiError("not-allowed", "no"), retry: async () => undefined, discard: async () => undefined },
  cancelled: { state: "cancelled" },
};

function message(key: string, place: number | Delivery["state"]): Message {
  const where = typeof place === "number" ? { position: place, delivery: DELIVERIES.accepted } : { delivery: DELIVERIES[place] };
  return { key, room, sender, device: uri.client(`${sender}/phone`), mine: typeof place !== "number", at: 1, bytes: new Uint8Array(), ...where };
}

const log = (...positions: readonly number[]): Message[] => positions.map((position) => message(`m${String(position)}`, position));

/** A timeline over a log of these positions and these other messages. */
function over(positions: readonly number[], unsent: readonly Message[] = [], limit = 3) {
  const all = log(...positions);
  const source = {
    history: async (before: number | undefined, limit: number) => all.filter(({ position = 0 }) => before === undefined || position < before).slice(-limit),
    unsent: async () => unsent,
    closed: () => undefined,
  };
  return new RoomTimeline(source, limit);
}

const shown = (timeline: RoomTimeline): string => timeline.get().map(({ key, delivery }) => `${key}${delivery.state === "accepted" ? "" : `:${delivery.state}`}`).join(" ");

test("a timeline begins with the newest of the log and what is not in it, and goes back page by page", async () => {
  const timeline = over([1, 2, 3, 4, 5, 6, 7], [message("a", "failed"), message("b", "queued")]);
  assert.deepEqual(timeline.get(), []);
  await timeline.ready;
  assert.equal(shown(timeline), "m5 m6 m7 a:failed b:queued");
  // Two who ask at once get one page.
  assert.deepEqual(await Promise.all([timeline.older(), timeline.older()]), [true, true]);
  assert.equal(shown(timeline), "m2 m3 m4 m5 m6 m7 a:failed b:queued");
  assert.equal(await timeline.older(), false);
  assert.equal(shown(timeline), "m1 m2 m3 m4 m5 m6 m7 a:failed b:queued");
  assert.equal(await timeline.older(), false);
});

test("a message of this device goes its way under one key, and gets its place in the log when that has it", async () => {
  const timeline = over([1]);
  await timeline.ready;
  const lists: string[] = [];
  timeline.subscribe(() => { lists.push(shown(timeline)); });
  for (const item of [message("k", "queued"), message("k", "sending"), message("k", "accepted"), message("m2", 2), message("k", 3), message("m4", 4)]) timeline.told(item);
  assert.deepEqual(lists, ["m1", "m1 k:queued", "m1 k:sending", "m1 k", "m1 m2 k", "m1 m2 k", "m1 m2 k m4"]);
  // What is told late changes nothing.
  timeline.told(message("k", "accepted"));
  timeline.told(message("m2", 2));
  assert.equal(shown(timeline), "m1 m2 k m4");
});

test("a message that was given up stays in its place until it is sent again, after the others, or is not there any more", async () => {
  const timeline = over([], [message("a", "sending"), message("b", "queued")]);
  await timeline.ready;
  timeline.told(message("a", "queued"));
  timeline.told(message("a", "failed"));
  assert.equal(shown(timeline), "a:failed b:queued");
  timeline.told(message("a", "queued"));
  assert.equal(shown(timeline), "b:queued a:queued");
  timeline.told(message("b", "cancelled"));
  assert.equal(shown(timeline), "a:queued");
});

test("what comes while the first page is on its way is in its place after", async () => {
  const [page, unsent] = [deferred<readonly TimelineItem[]>(), deferred<readonly Message[]>()];
  const timeline = new RoomTimeline({ history: () => page.promise, unsent: () => unsent.promise, closed: () => undefined }, 3);
  timeline.told(message("k", "queued"));
  timeline.told(message("m3", 3));
  timeline.told(message("k", 4));
  assert.deepEqual(timeline.get(), []);
  page.resolve(log(1, 2, 3));
  unsent.resolve([message("k", "sending")]);
  await timeline.ready;
  assert.equal(shown(timeline), "m1 m2 m3 k");
});

test("what is older than all that is shown is not put before it: it comes with its page", async () => {
  const timeline = over([3, 4, 5, 6]);
  await timeline.ready;
  timeline.told(message("m2", 2));
  assert.equal(shown(timeline), "m4 m5 m6");
});

test("a message that cannot be read has its place", async () => {
  const timeline = over([1]);
  await timeline.ready;
  timeline.told(unreadableOf({ room, key: "x", epoch: 3, at: 9, position: 2 }));
  timeline.told(message("m3", 3));
  assert.equal(shown(timeline), "m1 x m3");
  const [, lost] = timeline.get();
  assert.equal(lost?.problem?.code, "undecryptable");
  assert.deepEqual([lost?.mine, lost?.text, lost?.at], [false, undefined, 9]);
});

test("with another host the messages that are not in the log are what that says", async () => {
  const unsent = [[message("a", "sending"), message("b", "queued")], [message("b", "sending")]];
  const timeline = new RoomTimeline({ history: async () => log(1), unsent: async () => unsent.shift() ?? [], closed: () => undefined }, 3);
  await timeline.ready;
  timeline.again();
  timeline.told(message("a", 2));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(shown(timeline), "m1 a b:sending");
});

test("a timeline that is closed changes no more, ends its iterations, and says so", async () => {
  let closed = 0;
  const timeline = new RoomTimeline({ history: async () => log(1), unsent: async () => [], closed: () => { closed += 1; } }, 1);
  await timeline.ready;
  const lists: number[] = [];
  const iterated = (async () => { for await (const list of timeline) lists.push(list.length); })();
  await new Promise((resolve) => setTimeout(resolve));
  timeline.close();
  timeline[Symbol.dispose]();
  timeline.told(message("m2", 2));
  await iterated;
  assert.deepEqual([lists, shown(timeline), closed], [[1], "m1", 1]);
  await assert.rejects(timeline.older(), has("closed"));
});

test("a page that cannot be had rejects, and the wait for one can be ended", async () => {
  const failing = new RoomTimeline({ history: () => Promise.reject(new MimiError("closed", "closed")), unsent: async () => [], closed: () => undefined }, 1);
  await assert.rejects(failing.ready, has("closed"));
  await assert.rejects(failing.older(), has("closed"));
  const waiting = new RoomTimeline({ history: () => deferred<readonly TimelineItem[]>().promise, unsent: async () => [], closed: () => undefined }, 1);
  await assert.rejects(waiting.older({ signal: AbortSignal.abort() }), has("aborted"));
});
