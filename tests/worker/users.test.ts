// What the npm client does for its user beside rooms: consent, devices, pseudonyms, its end; against
// workerd providers that ask for consent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, uri, type ConsentRequest, type MimiError } from "@mimi-edge/client";
import { keptStore } from "../js/actors.js";
import { until } from "../js/story.js";
import { has, stage, stateOf, when } from "./stage.js";

const { open, url } = stage({ consent: "ask" });

test("r31_r96_r102_who_has_not_allowed_it_is_asked_and_comes_in_once_it_does", async () => {
  const alice = await open("alice1@alpha.example");
  const bob = await open("bob1@bravo.example");
  const whom = uri.user(bob.user);
  const room = await alice.client().createRoom({ id: "consent" });
  await assert.rejects(room.add(whom), has("no-consent"));
  assert.deepEqual(bob.client().consent.incoming.get(), []);

  const asked = new Promise<ConsentRequest>((resolve) => { bob.client().addEventListener("consent", ({ detail }) => { resolve(detail); }); });
  const granted = new Promise<string>((resolve) => { alice.client().addEventListener("consentGranted", ({ detail }) => { resolve(detail.user); }); });
  assert.deepEqual(await room.add(whom, { requestConsent: true }), { state: "waiting-consent" });
  assert.deepEqual(room.state.get().pending.map(({ what, user, state }) => [what, user, state]), [["add", whom, "waiting-consent"]]);
  const request = await asked;
  assert.deepEqual([request.from, request.room], [alice.user, room.uri]);
  assert.deepEqual(bob.client().consent.incoming.get().map(({ from }) => from), [alice.user]);

  await request.grant();
  assert.equal(await granted, bob.user);
  await when(() => stateOf(bob, room.uri)?.phase === "joined", "Bob did not come in");
  assert.deepEqual(bob.client().consent.incoming.get(), []);
  assert.deepEqual(bob.client().consent.granted.get().map(({ user, room }) => [user, room]), [[alice.user, room.uri]]);
  await when(() => room.state.get().pending.length === 0, "Alice still waits");

  await bob.client().consent.revoke(uri.user(alice.user), room.uri);
  assert.deepEqual(bob.client().consent.granted.get(), []);
});

test("r100_r103_a_request_is_taken_back_with_its_change_and_one_that_is_refused_goes_on_waiting", async () => {
  const alice = await open("alice2@alpha.example");
  const cathy = await open("cathy2@charlie.example");
  const whom = uri.user(cathy.user);
  const room = await alice.client().createRoom({ id: "requests" });
  await room.add(whom, { requestConsent: true });
  await when(() => cathy.client().consent.incoming.get().length === 1, "Cathy is not asked");
  const [change] = room.state.get().pending;
  assert.equal(await change?.cancel(), true);
  await when(() => cathy.client().consent.incoming.get().length === 0, "the request was not taken back");
  assert.deepEqual(room.state.get().pending, []);

  await alice.client().consent.request(whom);
  await when(() => cathy.client().consent.incoming.get().length === 1, "Cathy is not asked");
  const [request] = cathy.client().consent.incoming.get();
  assert.ok(request && !("room" in request));
  await request.refuse();
  assert.deepEqual(cathy.client().consent.incoming.get(), []);
  await assert.rejects(room.add(whom), has("no-consent"));

  // Unasked, and for any room.
  await cathy.client().consent.grant(uri.user(alice.user), undefined, { keyPackages: true });
  assert.deepEqual(await room.add(whom), { state: "added", devices: 1 });
  await assert.rejects(alice.client().consent.request(uri.user(alice.user)), has("bad-argument"));
});

test("d9_d21_a_device_that_is_shut_out_gets_401_and_is_out_of_the_rooms", async () => {
  const first = await open("alice3@alpha.example");
  const room = await first.client().createRoom({ id: "devices" });
  const second = await open("alice3@alpha.example");
  await second.join(room.uri);
  await when(() => stateOf(first, room.uri)?.participants[0]?.devices.length === 2, "one device only");
  await when(() => first.client().devices.get().length === 2, "the provider tells of one device only");
  const { device } = second.client();
  assert.deepEqual(first.client().devices.get().filter(({ current }) => current).map((one) => one.uri), [first.client().device]);

  const ended = new Promise<MimiError>((resolve) => { second.client().addEventListener("error", ({ detail }) => { resolve(detail); }); });
  await first.client().revokeDevice(device);
  assert.deepEqual(first.client().devices.get().map((one) => one.uri), [first.client().device]);
  await when(() => room.state.get().participants[0]?.devices.join() === first.client().device, "the device is still in the room");
  has("unauthenticated")(await ended);
  await assert.rejects(second.client().room(room.uri)?.send("too late") ?? Promise.resolve(), has("unauthenticated"));
  await assert.rejects(first.client().revokeDevice(first.client().device), has("bad-argument"));
  await assert.rejects(first.client().revokeDevice(uri.client(`${first.user}/never-was`)), has("bad-argument"));

  // One that was away is told when it comes back.
  const store = keptStore();
  const third = await open("alice3@alpha.example", { store });
  const lost = third.client().device;
  await third.close();
  await when(() => first.client().devices.get().length === 2, "the provider tells of one device only");
  await first.client().revokeDevice(lost);
  const statuses: (number | undefined)[] = [];
  const again = await Client.open({ user: uri.user(first.user), provider: url("alpha.example"), store, trace: ({ status }) => { statuses.push(status); } });
  const told = new Promise((resolve) => { again.addEventListener("error", ({ detail }) => { resolve(detail); }); });
  await again.findRooms();
  has("unauthenticated")(await told);
  assert.ok(statuses.includes(401), String(statuses));
  await again.close();
});

test("d19_a_user_that_is_deleted_is_out_for_good", async () => {
  const store = keptStore();
  const alice = await open("alice4@alpha.example", { store });
  let errors = 0;
  alice.client().addEventListener("error", () => { errors += 1; });
  await alice.client().deleteUser();
  await assert.rejects(alice.client().createRoom(), has("unauthenticated"));
  assert.equal(errors, 0, "what was asked for is no error");
  await alice.close();
  const again = await Client.open({ user: uri.user("alice4@alpha.example"), provider: url("alpha.example"), store: "memory" });
  has("conflict", "unauthenticated", "not-allowed")(await new Promise((resolve) => { again.addEventListener("error", ({ detail }) => { resolve(detail); }); }));
  await again.close();
});

test("r91_r92_r93_under_a_pseudonym_one_is_in_one_room_and_nobody_sees_who_it_is", async () => {
  const alice = await open("alice5@alpha.example");
  const bob = await open("bob5@bravo.example");
  const pseudonym = await alice.client().pseudonym();
  assert.match(pseudonym.user, /^[a-z2-7]{16}@alpha\.example$/);
  assert.deepEqual((await alice.client().pseudonyms()).map(({ user }) => user), [pseudonym.user]);
  const masked = await open(pseudonym.user, { pseudonym: pseudonym.pseudonym });
  await bob.client().consent.grant(pseudonym.user);
  const room = await masked.client().createRoom({ id: "masks" });
  await room.add(uri.user(bob.user));
  await when(() => stateOf(bob, room.uri)?.phase === "joined", "Bob did not come in");
  assert.deepEqual(stateOf(bob, room.uri)?.participants.map(({ user }) => user), [pseudonym.user, bob.user]);
  assert.equal(alice.client().room(room.uri), undefined);
  await masked.send(room.uri, "guess who");
  await until(async () => ((await bob.received(room.uri)).some(({ sender, text }) => sender === pseudonym.user && text === "guess who") ? true : undefined), async () => "Bob heard nothing");
  await assert.rejects(masked.client().createRoom({ id: "second" }), has("conflict"));
  await assert.rejects(masked.client().pseudonym(), has("conflict"));

  await alice.client().forgetPseudonym(pseudonym);
  assert.deepEqual(await alice.client().pseudonyms(), []);
  // Its own store has the key.
  await masked.close();
  await masked.open();
  assert.equal(stateOf(masked, room.uri)?.phase, "joined");
  const others = Client.open({ ...pseudonym, user: uri.user(bob.user), provider: url("bravo.example"), store: "memory" });
  await assert.rejects(others, has("bad-argument"));
});
