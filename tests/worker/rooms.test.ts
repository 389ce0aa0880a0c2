// What the npm client does in rooms, against three workerd providers with mutual TLS.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, uri, type Message, type MimiError, type Role, type Room, type RoomState } from "@mimi-edge/client";
import { keptStore, type Person } from "../js/actors.js";
import { until } from "../js/story.js";
import { has, stage, when } from "./stage.js";

const { open, url } = stage();

/** The person's room, once it is in this state. */
async function roomOf(one: Person, address: Room["uri"], is: (state: RoomState) => boolean = () => true): Promise<Room> {
  const found = (): Room | undefined => one.client().room(address);
  return await until(
    async () => { const room = found(); return room !== undefined && is(room.state.get()) ? room : undefined; },
    async () => `${one.user} shows ${JSON.stringify(found()?.state.get(), (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`,
  );
}

const rolesOf = (state: RoomState, user: string): readonly Role[] | undefined => state.participants.find((one) => one.user === user)?.roles;

test("a room of profile A is one for all who are in it; its creator names who is added, and messages go both ways", async () => {
  const alice = await open("alice1@alpha.example");
  const bob = await open("bob1@bravo.example");
  const user = uri.user(bob.user);
  const room = await alice.client().createRoom({ id: "profile-a", profile: "A", hubProposals: false, users: [{ user, roles: ["admin"] }] });
  const his = await roomOf(bob, room.uri, (state) => state.participants.length === 2);
  assert.deepEqual([room.state.get().profile, his.state.get().profile], ["A", "A"]);
  assert.deepEqual(his.state.get().me, ["admin"]);
  await alice.send(room.uri, "to bob");
  await bob.send(room.uri, "to alice");
  await until(async () => ((await bob.received(room.uri)).some(({ text }) => text === "to bob") ? true : undefined), async () => "Bob heard nothing");
  await until(async () => ((await alice.received(room.uri)).some(({ text }) => text === "to alice") ? true : undefined), async () => "Alice heard nothing");
  assert.equal((await alice.client().createRoom({ id: "profile-b" })).state.get().profile, "B");
});

test("r41_r42_r45_roles_a_ban_its_end_and_a_removal_are_seen_by_all", async () => {
  const [alice, bob, cathy] = await Promise.all(["alice2@alpha.example", "bob2@bravo.example", "cathy2@charlie.example"].map((name) => open(name)));
  assert.ok(alice && bob && cathy);
  const [whom, third] = [uri.user(bob.user), uri.user(cathy.user)];
  const room = await alice.client().createRoom({ id: "roles" });
  assert.deepEqual(await room.add(whom), { state: "added", devices: 1 });
  await room.add(third);

  await room.setRoles(whom, ["visitor"]);
  await roomOf(bob, room.uri, ({ me }) => me !== "left" && me.join() === "visitor");

  await room.setRoles(whom, ["banned"]);
  assert.deepEqual(rolesOf(room.state.get(), bob.user), ["banned"]);
  const out = await roomOf(bob, room.uri, ({ phase }) => phase === "left");
  assert.deepEqual([out.state.get().me, out.state.get().can("send"), out.state.get().can("leave")], ["left", false, false]);
  await roomOf(cathy, room.uri, (state) => rolesOf(state, bob.user)?.join() === "banned");

  await room.setRoles(whom, ["regular_user"]);
  await room.add(whom);
  await roomOf(bob, room.uri, ({ phase }) => phase === "joined");

  await room.remove(third);
  assert.equal(rolesOf(room.state.get(), cathy.user), undefined);
  await roomOf(cathy, room.uri, ({ phase }) => phase === "left");
  await assert.rejects(room.remove(uri.user(alice.user)), has("bad-argument"));
  await assert.rejects(room.setRoles(whom, ["banned", "admin"]), has("bad-argument"));
});

test("r36_a_policy_that_one_sets_is_the_others_too", async () => {
  const alice = await open("alice3@alpha.example");
  const bob = await open("bob3@bravo.example");
  const room = await alice.client().createRoom({ id: "policy", users: [{ user: uri.user(bob.user) }] });
  const his = await roomOf(bob, room.uri);
  assert.equal(his.state.get().policy, undefined);
  const policy = new TextEncoder().encode("be kind");
  await room.setPolicy(policy);
  assert.deepEqual(room.state.get().policy, policy);
  await roomOf(bob, room.uri, (state) => String(state.policy) === String(policy));
  await assert.rejects(room.setPolicy(new Uint8Array((16 << 10) + 1)), has("too-large"));
});

test("d10_a_second_device_joins_by_itself_and_can_be_taken_out_by_the_first", async () => {
  const first = await open("alice4@alpha.example");
  const room = await first.client().createRoom({ id: "devices" });
  const second = await open("alice4@alpha.example");
  const later = await first.client().createRoom({ id: "later" });
  assert.ok(!second.client().available.get().includes(later.uri));
  await second.client().findRooms();
  await when(() => second.client().available.get().includes(later.uri), "the new room is not found");
  await second.join(room.uri);
  const both = await roomOf(first, room.uri, ({ participants }) => participants[0]?.devices.length === 2);
  const { device } = second.client();
  assert.deepEqual(second.client().available.get(), [later.uri]);
  assert.ok(both.state.get().participants[0]?.devices.includes(device));
  await room.removeDevice(device);
  await roomOf(second, room.uri, ({ phase }) => phase === "left");
  assert.equal(room.state.get().participants[0]?.devices.length, 1);
});

test("what cannot be done and nobody waits for is an event; what waits is listed and can be taken back", async () => {
  let online = true;
  const alice = await open("alice5@alpha.example", { fetch: async (...call) => { if (!online) throw new TypeError("no network"); return await fetch(...call); } });
  const bob = await open("bob5@bravo.example");
  const nobody = uri.user("nobody5@bravo.example");
  const failed = new Promise<{ what: string; user?: string; error: MimiError }>((resolve) => { alice.client().addEventListener("changeFailed", ({ detail }) => { resolve(detail); }); });
  const room = await alice.client().createRoom({ id: "pending", users: [{ user: nobody }] });
  const { what, user, error } = await failed;
  assert.deepEqual([what, user], ["add", nobody]);
  // R34: that nobody has this address is not told.
  has("no-consent")(error);

  await room.add(uri.user(bob.user));
  online = false;
  const removal = room.remove(uri.user(bob.user));
  const renewal = room.updateKeys();
  const waiting = await roomOf(alice, room.uri, ({ pending }) => pending.length === 2);
  const [committing, queued] = waiting.state.get().pending;
  assert.deepEqual([committing?.what, committing?.user, committing?.state, queued?.what, queued?.state], ["remove", bob.user, "committing", "update-keys", "queued"]);
  assert.equal(await committing?.cancel(), false);
  const refused = assert.rejects(renewal, has("aborted"));
  assert.equal(await queued?.cancel(), true);
  await refused;
  online = true;
  await removal;
  assert.deepEqual(room.state.get().pending, []);
});

test("what was asked for before a client was closed is told of when it is open again, and what was written is there", async () => {
  let online = true;
  const store = keptStore();
  const alice = await open("alice6@alpha.example", { store, fetch: async (...call) => { if (!online) throw new TypeError("no network"); return await fetch(...call); } });
  const neighbour = await open("neighbour6@alpha.example");
  await neighbour.client().createRoom({ id: "taken" });
  const room = await alice.client().createRoom({ id: "kept" });
  await alice.send(room.uri, "first");
  await alice.send(room.uri, "second");
  online = false;
  const { key, accepted } = await room.send("third");
  await assert.rejects(alice.client().createRoom({ id: "taken", signal: AbortSignal.timeout(10) }), has("aborted"));
  const lost = assert.rejects(accepted, has("closed"));
  await alice.close();
  await lost;

  const again = await Client.open({ user: uri.user(alice.user), provider: url("alpha.example"), store });
  const failed = new Promise<{ what: string; error: MimiError }>((resolve) => { again.addEventListener("changeFailed", ({ detail }) => { resolve(detail); }); });
  const sent = new Promise<Message>((resolve) => { again.addEventListener("message", ({ detail }) => { if (detail.key === key && detail.delivery.state === "accepted") resolve(detail); }); });
  const { what, error } = await failed;
  assert.equal(what, "create");
  has("conflict")(error);
  const { text, mine } = await sent;
  assert.deepEqual([text, mine], ["third", true]);

  const kept = again.room(room.uri);
  assert.ok(kept);
  await until(async () => ((await kept.history()).items.length === 3 ? true : undefined), async () => "the third message did not come back");
  const newest = await kept.history({ limit: 2 });
  assert.deepEqual(newest.items.map(({ text, mine, delivery }) => [text, mine, delivery.state]), [["second", true, "accepted"], ["third", true, "accepted"]]);
  assert.equal(newest.items[1]?.key, key);
  const older = await newest.next();
  assert.deepEqual(older?.items.map(({ text }) => text), ["first"]);
  assert.equal(await older?.next(), null);
  await assert.rejects(kept.history({ limit: 0 }), has("bad-argument"));
  await again.close();
});
