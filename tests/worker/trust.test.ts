// Whether people are who they seem, and the KeyPackages by which they are added: the npm client against
// workerd providers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, uri, type Room, type SafetyNumber, type Trust, type UserUri } from "@mimi-edge/client";
import type { Person } from "../js/actors.js";
import { has, stage, stateOf, when } from "./stage.js";

const { open, url } = stage();

const DAY_MILLIS = 24 * 60 * 60 * 1000;

/** The room in which these people are, the first of them its creator, as that one's client has it. */
async function roomOf(id: string, [creator, ...others]: readonly [Person, ...Person[]]): Promise<Room> {
  const room = await creator.client().createRoom({ id });
  for (const other of others) {
    await room.add(uri.user(other.user));
    await when(() => stateOf(other, room.uri)?.phase === "joined", `${other.user} did not come in`);
  }
  return room;
}

const numberOf = (one: Person, user: UserUri): Promise<SafetyNumber> => one.client().verification.safetyNumber(user);

test("alice_and_bob_see_the_same_safety_number_and_compare_it_aloud_or_by_camera", async () => {
  const [alice, bob, cathy] = [await open("alice1@alpha.example"), await open("bob1@bravo.example"), await open("cathy1@charlie.example")];
  const [a, b, c] = [uri.user(alice.user), uri.user(bob.user), uri.user(cathy.user)];
  await assert.rejects(numberOf(alice, b), has("user-unknown"));
  await assert.rejects(numberOf(alice, a), has("bad-argument"));
  await assert.rejects(numberOf(alice, "bob" as UserUri), has("bad-uri"));
  await roomOf("numbers", [alice, bob, cathy]);
  // Bob learns that Cathy is there after Alice does.
  await when(() => bob.client().rooms.get()[0]?.state.get().participants.length === 3, "Bob does not see Cathy");
  const [ofAlice, ofBob] = [await numberOf(alice, b), await numberOf(bob, a)];
  assert.match(ofAlice.digits, /^\d{5}( \d{5}){11}$/);
  assert.deepEqual([ofAlice.user, ofBob.user], [b, a]);
  assert.equal(ofAlice.digits, ofBob.digits);
  assert.equal(ofAlice.qr.length, 97);
  assert.equal(ofBob.compare(ofAlice.qr), "match");

  const other = Uint8Array.from(ofAlice.qr);
  other[96] = (other[96] ?? 0) ^ 1;
  assert.equal(ofBob.compare(other), "mismatch");
  assert.equal(ofBob.compare((await numberOf(cathy, a)).qr), "other-pair");
  assert.equal(ofBob.compare((await numberOf(bob, c)).qr), "other-pair");
  for (const none of [new Uint8Array(), ofAlice.qr.subarray(1), ofAlice.qr.subarray(0, 96), new TextEncoder().encode("https://alpha.example/".padEnd(97))]) {
    assert.throws(() => ofBob.compare(none), has("bad-argument"));
  }
});

test("a_new_device_of_a_verified_user_is_told_and_makes_trust_changed_also_over_a_restart", async () => {
  const [alice, bob] = [await open("alice2@alpha.example"), await open("bob2@bravo.example")];
  const [a, b] = [uri.user(alice.user), uri.user(bob.user)];
  const room = await roomOf("devices", [alice, bob]);
  const shown = (): Trust | undefined => stateOf(bob, room.uri)?.participants.find(({ user }) => user === a)?.trust;
  const trust = bob.client().verification.trust(a);
  assert.equal(bob.client().verification.trust(a), trust);
  assert.deepEqual([trust.get(), shown()], ["unverified", "unverified"]);
  const number = await numberOf(bob, a);
  await number.confirm();
  assert.deepEqual([trust.get(), shown()], ["verified", "verified"]);

  const told: unknown[] = [];
  bob.client().addEventListener("devices", ({ detail }) => {
    // The state that explains it is there.
    told.push([detail, trust.get(), shown(), stateOf(bob, room.uri)?.participants[0]?.devices.length]);
  });
  const tablet = await open(alice.user);
  await tablet.join(room.uri);
  await when(() => told.length > 0, "Bob is not told of the new device");
  assert.deepEqual(told, [[{ user: a, added: [tablet.client().device], removed: [] }, "changed", "changed", 2]]);
  await assert.rejects(number.confirm(), has("conflict"));
  await when(() => room.state.get().participants[0]?.devices.length === 2, "Alice's first device does not see the second");
  const all = [await numberOf(bob, a), await numberOf(alice, b), await numberOf(tablet, b)];
  assert.equal(new Set(all.map(({ digits }) => digits)).size, 1);
  assert.notEqual(all[0]?.digits, number.digits);

  await bob.close();
  await bob.open();
  const { verification } = bob.client();
  assert.deepEqual([verification.trust(a).get(), shown()], ["changed", "changed"]);
  assert.equal((await numberOf(bob, a)).digits, all[0]?.digits);
  await verification.set(a, true);
  assert.deepEqual([verification.trust(a).get(), shown()], ["verified", "verified"]);
  await verification.set(a, false);
  assert.deepEqual([verification.trust(a).get(), shown()], ["unverified", "unverified"]);
  assert.equal(told.length, 1, "once");
  await assert.rejects(verification.set(b, true), has("bad-argument"));
});

test("an_epoch_has_a_code_and_secrets_that_its_members_have_in_common", async () => {
  const [alice, bob] = [await open("alice3@alpha.example"), await open("bob3@bravo.example")];
  const room = await roomOf("codes", [alice, bob]);
  const bobs = bob.client().room(room.uri);
  assert.ok(bobs !== undefined);
  const context = new Uint8Array([1, 2]);
  const [code, secret] = [await room.epochCode(), await room.exportSecret("call", context, 48)];
  assert.match(code, /^\d{5}( \d{5}){5}$/);
  assert.equal(await bobs.epochCode(), code);
  assert.equal(secret.length, 48);
  assert.deepEqual(await bobs.exportSecret("call", context, 48), secret);
  assert.notDeepEqual(await bobs.exportSecret("file", context, 48), secret);
  for (const length of [0, -1, 1.5, NaN, 8161, 2 ** 32 + 1]) await assert.rejects(room.exportSecret("call", context, length), has("bad-argument"));

  await room.updateKeys();
  await when(() => bobs.state.get().epoch === room.state.get().epoch, "Bob does not follow");
  assert.notEqual(await room.epochCode(), code);
  assert.equal(await bobs.epochCode(), await room.epochCode());
  await room.remove(uri.user(bob.user));
  await when(() => bobs.state.get().me === "left", "Bob is still in");
  await assert.rejects(bobs.exportSecret("call", context, 48), has("conflict"));
});

test("d4_keypackages_are_as_many_and_as_old_as_was_asked_for_and_are_replenished_and_rotated_on_demand", async () => {
  const bob = await open("bob4@bravo.example", { keyPackages: { target: 4, lifetimeDays: 40 } });
  const { keyPackages } = bob.client();
  const { nextExpiry, ...stock } = keyPackages.stock.get();
  assert.deepEqual(stock, { published: 4, target: 4, lastResort: true });
  const left = (nextExpiry ?? 0) - Date.now();
  assert.ok(left > 11.9 * DAY_MILLIS && left <= 12 * DAY_MILLIS, String(left));
  assert.equal(await keyPackages.replenish(), 0);

  const alice = await open("alice4@alpha.example");
  await roomOf("packages", [alice, bob]);
  await when(() => keyPackages.stock.get().published === 3, "the one that was used is still counted");
  assert.equal(await keyPackages.replenish(), 1);
  assert.equal(keyPackages.stock.get().published, 4);
  await keyPackages.rotateLastResort();
  assert.deepEqual([keyPackages.stock.get().published, keyPackages.stock.get().lastResort], [4, true]);

  await bob.close();
  await assert.rejects(keyPackages.replenish(), has("closed"));
  for (const wrong of [{ target: 0 }, { target: 101 }, { target: 1.5 }, { target: 2 ** 32 + 20 }, { lifetimeDays: 29 }, { lifetimeDays: 85 }, { lifetimeDays: NaN }]) {
    const opening = Client.open({ user: uri.user("bob5@bravo.example"), provider: url("bravo.example"), store: "memory", keyPackages: wrong });
    await assert.rejects(opening, has("bad-argument"), JSON.stringify(wrong));
  }
});
