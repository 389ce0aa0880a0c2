// A room's state as applications see it, and what its methods ask of the core.

import assert from "node:assert/strict";
import { test } from "node:test";
import { MimiError, orAborted } from "../../js/client/errors.js";
import type { Link } from "../../js/client/link.js";
import { deferred } from "../../js/client/live.js";
import { Room } from "../../js/client/room.js";
import { roomState, type CoreRoomState, type Role } from "../../js/client/room-state.js";
import { uri } from "../../js/client/uri.js";

const address = uri.room("clubhouse@alpha.example");
const alice = uri.user("alice@alpha.example");
const bob = uri.user("bob@bravo.example");
const eve = uri.user("eve@charlie.example");

const joined: CoreRoomState = {
  hub: "alpha.example", profile: "B", phase: "joined", epoch: 7, authenticator: Uint8Array.of(7), me: `${alice}/phone`, leaving: false, mayChange: true, maySend: true, pending: [],
  participants: [
    { user: alice, roles: ["owner", "admin"], devices: [`${alice}/phone`], trust: "unverified" },
    { user: bob, roles: ["banned"], devices: [], trust: "unverified" },
  ],
};

/** A room over a link that notes its calls, whose wishes have the number 5 and end as `done` does. */
function room(state: CoreRoomState, done = deferred<void>()) {
  const calls: unknown[][] = [];
  const ask = async (signal: AbortSignal | undefined, ...call: unknown[]) => {
    calls.push(call);
    return { intent: () => 5, done: orAborted(done.promise, signal), release: () => { calls.push(["release"]); } };
  };
  const link = {
    ask,
    fulfil: async (signal: AbortSignal | undefined, ...call: unknown[]) => (await ask(signal, ...call)).done,
    once: async (...call: unknown[]) => { calls.push(call); return true; },
  };
  return { room: new Room(link as unknown as Link, { user: alice, device: uri.client(`${alice}/phone`) }, address, state), calls, done };
}

test("a state has the room's local part as its name, the own roles, and the policy only when there is one", () => {
  const state = roomState(address, { ...joined, policy: new Uint8Array([1]) }, async () => true);
  assert.deepEqual([state.name, state.epoch, state.me, state.policy, state.participants[1]?.domain], ["clubhouse", 7n, ["owner", "admin"], new Uint8Array([1]), "bravo.example"]);
  assert.ok(!("policy" in roomState(address, joined, async () => true)));
  const left = roomState(uri.room("mimi://alpha.example/r/clubhouse"), { ...joined, phase: "left" }, async () => true);
  assert.deepEqual([left.name, left.me], ["clubhouse", "left"]);
});

test("r43_r45_what_may_be_done_is_what_the_core_says_and_whoever_is_in_may_go", () => {
  const can = (state: Partial<CoreRoomState>) => {
    const { can } = roomState(address, { ...joined, ...state }, async () => true);
    return [can("send"), can("add"), can("remove"), can("leave")];
  };
  assert.deepEqual(can({}), [true, true, true, true]);
  assert.deepEqual(can({ maySend: false, mayChange: false }), [false, false, false, true]);
  assert.deepEqual(can({ leaving: true }), [false, false, false, false]);
  assert.deepEqual(can({ phase: "left", maySend: false, mayChange: false }), [false, false, false, false]);
});

test("r38_roles_are_at_least_one_and_distinct_and_of_somebody_on_the_list_unless_they_ban", () => {
  const { can } = roomState(address, joined, async () => true);
  const may = (of: typeof alice, ...roles: Role[]): boolean => can({ setRoles: roles, of });
  assert.deepEqual([may(bob, "visitor"), may(bob), may(bob, "admin", "admin"), may(eve, "visitor"), may(eve, "banned")], [true, false, false, false, true]);
  // R37: whoever is banned is nothing else; nobody bans itself.
  assert.deepEqual([may(bob, "banned", "visitor"), may(alice, "banned"), may(alice, "visitor")], [false, false, true]);
});

test("each wish reaches the core with the room's address", async () => {
  const done = deferred<void>();
  done.resolve();
  const { room: one, calls } = room(joined, done);
  const device = uri.client(`${alice}/tablet`);
  await one.remove(bob);
  await one.setRoles(bob, ["visitor"]);
  await one.leave();
  await one.removeDevice(device);
  await one.setPolicy(new Uint8Array([9]));
  await one.updateKeys();
  assert.deepEqual(calls, [
    ["removeUser", address, bob],
    ["setRoles", address, bob, ["visitor"]],
    ["leave", address],
    ["removeDevice", address, device],
    ["setPolicy", address, new Uint8Array([9])],
    ["updateKeys", address],
  ]);
});

test("to add resolves when the user is in, and with requestConsent as soon as it is asked", async () => {
  const { room: one, calls, done } = room(joined);
  const adding = one.add(eve, { requestConsent: true });
  await Promise.resolve();
  one.changed({ ...joined, pending: [{ id: 5, what: "add", user: eve, state: "waiting-consent", tries: 0 }] });
  assert.deepEqual(await adding, { state: "waiting-consent" });
  // Nobody waits for the rest: if it fails, that is an event.
  assert.deepEqual(calls, [["addUser", address, eve, ["regular_user"], false, true], ["release"]]);

  const again = one.add(eve);
  one.changed({ ...joined, participants: [...joined.participants, { user: eve, roles: ["visitor"], devices: [`${eve}/a`, `${eve}/b`], trust: "unverified" }] });
  done.resolve();
  assert.deepEqual(await again, { state: "added", devices: 2 });
});

test("a wish that is given up rejects, an aborted wait rejects with aborted and the wish stays", async () => {
  const { room: one, done } = room(joined);
  const waits = one.remove(bob, { signal: AbortSignal.abort() });
  await assert.rejects(waits, (error) => MimiError.is(error, "aborted"));
  const removing = one.remove(bob);
  done.reject(new MimiError("not-allowed", "no"));
  await assert.rejects(removing, (error) => MimiError.is(error, "not-allowed"));
});

test("a message is accepted when the hub says so, and when it is found in the log after a change of the host", async () => {
  const { room: one } = room(joined);
  const [told, found] = [await one.send("told"), await one.send("found")];
  one.delivered({ room: address, key: told.key, content: new Uint8Array(), writtenAt: 6, state: "accepted", at: 7 });
  one.told({ key: found.key, position: 3, room: address, sender: alice, device: uri.client(`${alice}/phone`), mine: true, at: 8, bytes: new Uint8Array(), delivery: { state: "accepted", at: 8 } });
  assert.deepEqual([await told.accepted, await found.accepted], [7, 8]);
});

test("another host that has a stored message neither to be sent nor in the log had it taken back", async () => {
  const { room: one } = room(joined);
  const [kept, gone] = [await one.send("kept"), await one.send("gone")];
  const sending = one.send("on its way to the host");
  one.onlyUnsent(new Set([kept.key]));
  await assert.rejects(gone.accepted, (error) => MimiError.is(error, "aborted"));
  const sent = await sending;
  for (const { key } of [kept, sent]) one.delivered({ room: address, key, content: new Uint8Array(), writtenAt: 6, state: "accepted", at: 7 });
  assert.deepEqual([await kept.accepted, await sent.accepted], [7, 7]);
});

test("with the room end the waits for its messages, its iterations, and the right to send", async () => {
  const { room: one, calls } = room(joined);
  const { accepted } = await one.send("in time");
  const states = (async () => { for await (const _ of one.state) { /* until it ends */ } })();
  one.end(new MimiError("room-unknown", "the room is no more"));
  await states;
  const isUnknown = (error: unknown): boolean => MimiError.is(error, "room-unknown");
  await assert.rejects(accepted, isUnknown);
  await assert.rejects(one.send("too late"), isUnknown);
  assert.equal(calls.length, 1);
});

test("what is to be done is listed, and can be taken back by its number", async () => {
  const { room: one, calls } = room({ ...joined, pending: [{ id: 9, what: "remove", user: bob, state: "retrying", tries: 2 }] });
  const [change] = one.state.get().pending;
  assert.ok(change);
  assert.deepEqual([change.what, change.user, change.state, change.attempt], ["remove", bob, "retrying", 2]);
  assert.equal(await change.cancel(), true);
  assert.deepEqual(calls, [["cancel", address, 9]]);
});
