// Messages of the npm client over time: offline and back, given up and sent again, read and unread,
// against three workerd providers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, uri, type Room, type Sync, type Timeline } from "@mimi-edge/client";
import { keptStore, type Person } from "../js/actors.js";
import { until } from "../js/story.js";
import { has, stage, when } from "./stage.js";

const { open, url } = stage();

/** A network that can be taken away. */
class Network {
  online = true;
  /** What the hub is said to answer to messages, instead of what it does. */
  refusal: Response | undefined;
  readonly fetch: typeof fetch = async (input, options) => {
    if (!this.online) throw new TypeError("no network");
    if (this.refusal !== undefined && String(input).includes("/submitMessage/")) return this.refusal.clone();
    return await fetch(input, options);
  };
}

/** The person's room, once it is there. */
async function roomOf(one: Person, address: Room["uri"]): Promise<Room> {
  return await until(async () => one.client().room(address), async () => `${one.user} is not in the room`);
}

/** Each message as text and state. */
const shown = (timeline: Timeline): readonly (readonly [string | undefined, string])[] => timeline.get().map(({ text, delivery }) => [text, delivery.state]);

test("what is written offline is listed in order over a restart, and has its place in the hub's order when it is sent", async () => {
  const [network, store] = [new Network(), keptStore()];
  const alice = await open("alice1@alpha.example", { fetch: network.fetch, store });
  const bob = await open("bob1@bravo.example");
  const room = await alice.client().createRoom({ id: "offline", users: [{ user: uri.user(bob.user) }] });
  const his = await roomOf(bob, room.uri);
  await (await room.send("before")).accepted;

  network.online = false;
  const first = await room.send("one");
  await room.send("two");
  await when(() => room.state.get().waiting === 2, "nothing waits");
  const theirs = his.timeline();
  await bob.send(room.uri, "meanwhile");
  const timeline = room.timeline();
  await timeline.ready;
  await when(() => timeline.get().some(({ text }) => text === "meanwhile"), "what Bob wrote did not come");
  assert.deepEqual(shown(timeline), [["before", "accepted"], ["meanwhile", "accepted"], ["one", "sending"], ["two", "queued"]]);
  assert.equal(await first.cancel(), false);
  const keys = timeline.get().map(({ key }) => key);
  await alice.close();
  await assert.rejects(first.accepted, has("closed"));

  network.online = true;
  const again = await Client.open({ user: uri.user(alice.user), provider: url("alpha.example"), store });
  const kept = again.room(room.uri);
  assert.ok(kept);
  const whole = kept.timeline();
  await whole.ready;
  assert.deepEqual(whole.get().map(({ key }) => key), keys);
  const all = ["before", "meanwhile", "one", "two"];
  await when(() => whole.get().every(({ position }) => position !== undefined), "not all came back from the log");
  await when(() => theirs.get().length === 4, "Bob does not have all");
  assert.deepEqual(whole.get().map(({ key }) => key), keys);
  assert.deepEqual([shown(whole), shown(theirs)], [all.map((text) => [text, "accepted"]), all.map((text) => [text, "accepted"])]);
  assert.deepEqual([kept.state.get().waiting, kept.state.get().failed], [0, 0]);
  await again.close();
});

test("a message that waits can be taken back: nobody gets it", async () => {
  const network = new Network();
  const alice = await open("alice2@alpha.example", { fetch: network.fetch });
  const room = await alice.client().createRoom({ id: "taken-back" });
  network.online = false;
  await room.send("on its way");
  const { key, accepted, cancel } = await room.send("never mind");
  const timeline = room.timeline();
  await timeline.ready;
  assert.deepEqual(shown(timeline).at(-1), ["never mind", "queued"]);
  const states: string[] = [];
  alice.client().addEventListener("message", ({ detail }) => { if (detail.key === key) states.push(detail.delivery.state); });
  const refused = assert.rejects(accepted, has("aborted"));
  assert.equal(await cancel(), true);
  await refused;
  assert.deepEqual([states, timeline.get().map(({ text }) => text)], [["cancelled"], ["on its way"]]);
  // A message says itself how to take it back.
  await room.send("nor this");
  const last = timeline.get().at(-1);
  assert.ok(last?.delivery.state === "queued");
  assert.equal(await last.delivery.cancel(), true);
  network.online = true;
  await when(() => timeline.get().every(({ position }) => position !== undefined), "the other one does not come back from the log");
  assert.deepEqual((await room.history()).items.map(({ text }) => text), ["on its way"]);
});

test("a message that was refused is kept over a restart, until it is sent again or forgotten", async () => {
  const [network, store] = [new Network(), keptStore()];
  const alice = await open("alice3@alpha.example", { fetch: network.fetch, store });
  const room = await alice.client().createRoom({ id: "refused" });
  network.refusal = new Response(null, { status: 413 });
  for (const text of ["one", "two"]) await assert.rejects((await room.send(text)).accepted, has("too-large"));
  assert.deepEqual([room.state.get().failed, room.state.get().waiting], [2, 0]);
  await alice.close();

  network.refusal = undefined;
  const again = await Client.open({ user: uri.user(alice.user), provider: url("alpha.example"), store, fetch: network.fetch });
  const kept = again.room(room.uri);
  assert.ok(kept);
  const timeline = kept.timeline();
  await timeline.ready;
  const [one, two] = timeline.get();
  assert.ok(one?.delivery.state === "failed" && two?.delivery.state === "failed");
  assert.deepEqual([one.delivery.error.code, one.delivery.error.retryable], ["too-large", false]);
  await one.delivery.discard();
  assert.deepEqual(shown(timeline), [["two", "failed"]]);
  await two.delivery.retry();
  await when(() => timeline.get()[0]?.position !== undefined, "it is not sent again");
  assert.deepEqual([timeline.get().length, timeline.get()[0]?.key], [1, two.key]);
  assert.equal(kept.state.get().failed, 0);
  await again.close();
});

test("a room says how much of it is unread and which message is its last, until the user has read it", async () => {
  const alice = await open("alice4@alpha.example");
  const bob = await open("bob4@bravo.example");
  const room = await alice.client().createRoom({ id: "unread", users: [{ user: uri.user(bob.user) }] });
  const his = await roomOf(bob, room.uri);
  const counts: number[] = [];
  const last = (): string | undefined => his.state.get().last?.text;
  bob.client().addEventListener("message", ({ detail }) => {
    if (detail.mine) return;
    // The state is there before the event.
    assert.equal(last(), detail.text);
    counts.push(his.state.get().unread);
  });
  for (const text of ["one", "two", "three"]) await alice.send(room.uri, text);
  await when(() => counts.length === 3, "Bob does not hear all");
  assert.deepEqual([counts, his.state.get().readTo], [[1, 2, 3], 0]);
  const { items } = await his.history();
  assert.ok(items[1]);
  await his.markRead(items[1]);
  assert.deepEqual([his.state.get().unread, his.state.get().readTo], [1, items[1].position]);
  await bob.send(room.uri, "mine");
  await when(() => last() === "mine", "the own message is not the last");
  assert.equal(his.state.get().unread, 1);
  await his.markRead(Infinity).then(() => assert.fail("no position"), has("bad-argument"));
  const newest = his.state.get().last;
  assert.ok(newest);
  await his.markRead(newest);
  assert.equal(his.state.get().unread, 0);
});

test("a device that was away says how far it is with catching up, and lives then", async () => {
  const store = keptStore();
  const alice = await open("alice5@alpha.example");
  const bob = await open("bob5@bravo.example", { store });
  const neighbour = await open("neighbour5@bravo.example");
  const room = await alice.client().createRoom({ id: "away", users: [bob, neighbour].map(({ user }) => ({ user: uri.user(user) })) });
  await roomOf(neighbour, room.uri);
  const his = await roomOf(bob, room.uri);
  await when(() => his.state.get().participants.length === 3, "the neighbour is not in the room");
  await bob.close();
  const texts = Array.from({ length: 8 }, (_, index) => `message ${String(index)}`);
  for (const text of texts) await alice.send(room.uri, text);
  // Then Bob's provider has all of them.
  await until(async () => ((await neighbour.received(room.uri)).length === texts.length ? true : undefined), async () => "the neighbour does not hear all");

  const back = await Client.open({ user: uri.user(bob.user), provider: url("bravo.example"), store });
  const seen: Sync[] = [];
  back.sync.subscribe((sync) => { seen.push(sync); });
  await when(() => back.sync.get().state === "live", "Bob does not connect");
  const progress = seen.flatMap((sync) => (sync.state === "catching-up" ? [sync] : []));
  assert.deepEqual(progress.map(({ total }) => total), texts.map(() => 1).concat(1));
  assert.deepEqual(progress.map(({ done }) => done), [0, ...texts.map((_, index) => (index + 1) / texts.length)]);
  assert.deepEqual(seen.map(({ state }) => state).filter((state, index, all) => state !== all[index - 1]), ["connecting", "catching-up", "live"]);
  assert.deepEqual((await back.room(room.uri)?.history())?.items.map(({ text }) => text), texts);
  await back.close();
});

test("a client that rests sends and hears nothing, and goes on when it is told to", async () => {
  const alice = await open("alice6@alpha.example");
  const bob = await open("bob6@bravo.example");
  const room = await alice.client().createRoom({ id: "rest", users: [{ user: uri.user(bob.user) }] });
  const his = await roomOf(bob, room.uri);
  await room.send("awake");
  await when(() => room.state.get().last?.text === "awake", "it did not come back");
  alice.client().pause();
  await when(() => alice.client().sync.get().state === "offline", "Alice is still connected");
  const { key, accepted } = await room.send("asleep");
  await bob.send(room.uri, "good night");
  await when(() => his.state.get().last?.text === "good night", "Bob's own message did not come back");
  assert.deepEqual([room.state.get().waiting, room.state.get().last?.text], [1, "awake"]);
  alice.client().resume();
  await accepted;
  await when(() => room.state.get().last?.key === key, "it did not come back");
  assert.deepEqual((await room.history()).items.map(({ text }) => text), ["awake", "good night", "asleep"]);
});
