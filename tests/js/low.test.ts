// The low layer: identities, groups, AppSyncs and KeyPackages, without a client around them.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  AppSync, Group, Identity, KeyPackageStore, MimiError, init, inspect, inspectKeyPackage, uri, wire,
  type Bytes, type CipherSuite, type ErrorCode, type Incoming, type Pending, type Profile, type Role, type UserUri, type Write,
} from "@mimi-edge/client/low";

before(() => init());

const ROOM = uri.room("clubhouse@alpha.example");
const ALICE = uri.user("alice@alpha.example");
const BOB = uri.user("bob@bravo.example");
const EVE = uri.user("eve@bravo.example");

function device(user: UserUri, name = "phone", suite: CipherSuite = 1): Identity {
  return Identity.create(uri.client(`${user}/${name}`), suite);
}

function refuses(code: ErrorCode, act: () => unknown): void {
  assert.throws(act, (error) => MimiError.is(error, code), code);
}

/** What an application has stored. */
class Stored {
  readonly #rows = new Map<string, Write>();

  /** Persists the writes of one call. */
  keep(writes: readonly Write[]): void {
    for (const write of writes) {
      const key = Buffer.from(write.key).toString("hex");
      if (write.value === null) this.#rows.delete(key);
      else this.#rows.set(key, write);
    }
  }

  get rows(): readonly Write[] { return [...this.#rows.values()]; }
}

function treeOf(pending: Pending): Bytes {
  const request = wire.UpdateRequest.decode(pending.update);
  assert.ok("ratchetTreeOption" in request && request.ratchetTreeOption.representation === "full");
  return request.ratchetTreeOption.ratchetTree;
}

interface Pair { readonly alice: Identity; readonly bob: Identity; readonly ofAlice: Group; readonly ofBob: Group }

/** Alice has made a group and added Bob. */
function pair(profile: Profile = "B", suite: CipherSuite = 1): Pair {
  const [alice, bob] = [device(ALICE, "phone", suite), device(BOB, "phone", suite)];
  const ofAlice = Group.create(alice, ROOM, { now: Date.now(), profile });
  const keys = KeyPackageStore.open(bob);
  const add = keys.create({ now: Date.now() });
  const pending = ofAlice.commit({ add, appSync: AppSync.empty.add(BOB, "regular_user") }, { now: Date.now() });
  const tree = treeOf(pending);
  assert.ok(pending.welcome);
  assert.equal(ofAlice.epoch, 0n);
  assert.ok(pending.accept().length > 0);
  const ofBob = Group.join(bob, keys, pending.welcome, tree);
  assert.deepEqual(keys.list(), []);
  return { alice, bob, ofAlice, ofBob };
}

function assertSame(one: Group, other: Group): void {
  assert.equal(one.epoch, other.epoch);
  assert.deepEqual(one.authenticator, other.authenticator);
  assert.deepEqual(one.participants, other.participants);
}

/** Takes a message in, and accepts it when it is a commit. */
function follow(group: Group, message: Uint8Array): Incoming {
  const incoming = group.process(message);
  if (incoming.kind === "commit") incoming.accept();
  return incoming;
}

test("two devices make a group with AppSync in profiles A and B, and talk", () => {
  for (const [profile, suite] of [["B", 1], ["A", 1], ["B", 3]] as const) {
    const { bob, ofAlice, ofBob } = pair(profile, suite);
    assertSame(ofAlice, ofBob);
    assert.equal(ofBob.room, ROOM);
    assert.equal(ofBob.profile, profile);
    assert.deepEqual([...ofBob.participants], [[ALICE, ["owner", "admin", "regular_user"]], [BOB, ["regular_user"]]]);
    assert.deepEqual(ofBob.members().map(({ index, client, user }) => [index, client, user]), [
      [0, `${ALICE}/phone`, ALICE], [1, `${BOB}/phone`, BOB],
    ]);
    assert.deepEqual(ofAlice.members()[1]?.signatureKey, bob.signatureKey);
    const message = ofBob.encrypt(new TextEncoder().encode("hello"), { aad: new Uint8Array([7]) });
    const incoming = ofAlice.process(message);
    assert.ok(incoming.kind === "application");
    assert.equal(new TextDecoder().decode(incoming.content), "hello");
    assert.deepEqual([incoming.from, [...incoming.aad]], [bob.client, [7]]);
    assert.deepEqual(ofAlice.process(message), { kind: "undecryptable" });
    assert.deepEqual(ofBob.process(message), { kind: "own-message" });
    const secret = ofAlice.exportSecret("label", new Uint8Array([1]), 32);
    assert.deepEqual(ofBob.exportSecret("label", new Uint8Array([1]), 32), secret);
    assert.equal(secret.length, 32);
  }
});

test("a commit is applied when it is accepted, and only then", () => {
  const { ofAlice, ofBob } = pair();
  const before = ofAlice.authenticator;
  const pending = ofAlice.commit({}, { now: Date.now(), update: true });
  assert.equal(ofAlice.pending, pending);
  assert.deepEqual([pending.kind, pending.epoch, "welcome" in pending], ["commit", 1n, false]);
  assert.deepEqual(ofAlice.authenticator, before);
  refuses("conflict", () => ofAlice.commit({}, { now: Date.now() }));
  assert.ok(pending.reject().length > 0);
  assert.equal(ofAlice.pending, undefined);
  refuses("conflict", () => pending.accept());

  const next = ofAlice.commit({}, { now: Date.now(), update: true });
  refuses("conflict", () => pending.reject());
  assert.deepEqual(ofAlice.process(next.commit), { kind: "own-commit" });
  next.accept();
  const incoming = ofBob.process(next.commit);
  assert.ok(incoming.kind === "commit");
  assert.deepEqual([incoming.from, incoming.added, incoming.removed, incoming.appSyncs], [`${ALICE}/phone`, [], [], []]);
  assert.equal(ofBob.epoch, 1n);
  ofBob.process(next.commit);
  refuses("conflict", () => incoming.accept());
  follow(ofBob, next.commit);
  assertSame(ofAlice, ofBob);
  refuses("wrong-epoch", () => ofBob.process(next.commit));
});

test("a crash between commit and accept loses nothing", () => {
  const [alice, bob] = [device(ALICE), device(BOB)];
  const [stored, storedKeys] = [new Stored(), new Stored()];
  const keys = KeyPackageStore.open(bob);
  const add = keys.create({ now: Date.now() });
  storedKeys.keep(keys.takeWrites());
  let update: Bytes;
  {
    using group = Group.create(alice, ROOM, { now: Date.now() });
    const pending = group.commit({ add, appSync: AppSync.empty.add(BOB, "regular_user") }, { now: Date.now() });
    stored.keep(group.takeWrites());
    assert.deepEqual(group.takeWrites(), []);
    ({ update } = pending);
  }
  const again = Identity.load(alice.save());
  assert.deepEqual(again.signatureKey, alice.signatureKey);
  const group = Group.load(again, stored.rows);
  assert.equal(group.epoch, 0n);
  const { pending } = group;
  assert.ok(pending?.welcome);
  assert.deepEqual(pending.update, update);
  stored.keep(pending.accept());
  assert.equal(Group.load(again, stored.rows).epoch, 1n);

  const restored = KeyPackageStore.open(bob, storedKeys.rows);
  const ofBob = Group.join(bob, restored, pending.welcome, treeOf(pending));
  assertSame(ofBob, Group.load(again, stored.rows));
  storedKeys.keep(restored.takeWrites());
  assert.deepEqual(storedKeys.rows, []);
  refuses("bad-argument", () => Group.load(again, []));
});

test("a member is removed, and knows it", () => {
  const { ofAlice, ofBob } = pair();
  const pending = ofAlice.commit({ remove: [1], appSync: AppSync.empty.remove(BOB) }, { now: Date.now() });
  const incoming = follow(ofBob, pending.commit);
  pending.accept();
  assert.ok(incoming.kind === "commit");
  assert.deepEqual(incoming.removed.map(({ client }) => client), [`${BOB}/phone`]);
  assert.deepEqual(incoming.appSyncs[0]?.struct.removeUsers, [BOB]);
  assert.equal(ofBob.active, false);
  assert.deepEqual([...ofAlice.participants.keys()], [ALICE]);
  refuses("conflict", () => ofBob.encrypt(new Uint8Array()));
});

test("proposals are committed by somebody else", () => {
  for (const profile of ["B", "A"] as const) {
    const { ofAlice, ofBob } = pair(profile);
    const update = ofBob.propose({ remove: [ofBob.index], appSync: AppSync.empty.remove(BOB) }, { now: Date.now() });
    assert.deepEqual(ofBob.proposals(), []);
    const request = wire.UpdateRequest.decode(update);
    assert.ok("moreProposals" in request);
    for (const bare of [request.proposalOrCommit, ...request.moreProposals]) {
      const message = new Uint8Array([0, 1, 0, 1, ...bare]);
      const incoming = ofAlice.process(message);
      assert.ok(incoming.kind === "proposal");
      assert.deepEqual([incoming.from, ofAlice.proposals().at(-1)], [`${BOB}/phone`, incoming.ref]);
      ofBob.process(message);
    }
    refuses("conflict", () => ofAlice.encrypt(new Uint8Array()));
    const pending = ofAlice.commit({}, { now: Date.now() });
    pending.accept();
    follow(ofBob, pending.commit);
    assert.deepEqual([ofBob.active, [...ofAlice.participants.keys()]], [false, [ALICE]]);
  }
});

test("a device joins by an external commit", () => {
  const { ofAlice, ofBob } = pair();
  const tablet = device(ALICE, "tablet");
  const [info, tree] = [ofBob.groupInfo(), ofBob.tree()];
  const joining = Group.joinExternal(tablet, info, tree);
  const stored = new Stored();
  stored.keep(joining.takeWrites());
  refuses("conflict", () => joining.encrypt(new Uint8Array()));
  const again = Group.load(tablet, stored.rows);
  assert.ok(again.pending);
  const { commit } = again.pending;
  assert.equal(again.pending.kind, "join");
  stored.keep(again.pending.accept());
  for (const group of [ofAlice, ofBob]) {
    const incoming = follow(group, commit);
    assert.ok(incoming.kind === "commit");
    assert.deepEqual([incoming.from, incoming.added], [tablet.client, [tablet.client]]);
    assertSame(group, again);
  }
  const pending = joining.pending;
  assert.ok(pending?.reject().every(({ value }) => value === null));
  refuses("conflict", () => joining.epoch);
  refuses("not-allowed", () => Group.joinExternal(device(EVE), info, tree));
});

test("what fails changes nothing", () => {
  const { ofAlice, ofBob } = pair();
  const before = ofAlice.authenticator;
  ofAlice.takeWrites();
  const now = Date.now();
  refuses("invalid-proposal", () => ofAlice.commit({ appSync: AppSync.empty.add(BOB, "visitor") }, { now }));
  refuses("invalid-proposal", () => ofAlice.commit({ appSync: AppSync.empty }, { now }));
  refuses("invalid-proposal", () => ofAlice.commit({ remove: [9] }, { now }));
  for (const index of [-1, 0.5, 2 ** 32]) refuses("bad-argument", () => ofAlice.commit({ remove: [index] }, { now }));
  refuses("bad-argument", () => ofAlice.commit({ add: [new Uint8Array([1])] }, { now }));
  refuses("bad-argument", () => ofAlice.propose({}, { now }));
  refuses("bad-argument", () => ofAlice.process(new Uint8Array([1])));
  const keys = KeyPackageStore.open(device(EVE));
  const [late] = keys.create({ now: now - 100 * 24 * 60 * 60 * 1000 });
  assert.ok(late);
  refuses("invalid-proposal", () => ofAlice.commit({ add: [late], appSync: AppSync.empty.add(EVE, "visitor") }, { now }));
  assert.deepEqual([ofAlice.pending, ofAlice.takeWrites(), ofAlice.authenticator], [undefined, [], before]);
  assert.equal(ofBob.process(ofAlice.encrypt(new Uint8Array([1]))).kind, "application");
});

test("AppSyncs are built, applied, compared and put into proposals", () => {
  const patch = AppSync.empty.add(BOB, "regular_user");
  assert.deepEqual([AppSync.empty.isEmpty, patch.isEmpty], [true, false]);
  const known = uri.user("bob@bravo.com");
  const added = AppSync.empty.add(known, "regular_user");
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  assert.equal(hex(added.encode()), "100d626f6240627261766f2e636f6d01040000");
  assert.equal(hex(AppSync.empty.remove(known).encode()), "00000e0d626f6240627261766f2e636f6d");
  assert.equal(hex(added.proposal("B")), "0008f0220113100d626f6240627261766f2e636f6d01040000");
  assert.equal(hex(added.proposal("A")), "f0a513100d626f6240627261766f2e636f6d01040000");
  assert.deepEqual(AppSync.decode(added.encode()).struct, added.struct);

  const list = new Map<UserUri, readonly Role[]>([[ALICE, ["owner"]], [EVE, ["visitor"]]]);
  const after = AppSync.empty.update(ALICE, "owner", "admin").remove(EVE).add(BOB, "regular_user").apply(list);
  assert.deepEqual([...after], [[ALICE, ["owner", "admin"]], [BOB, ["regular_user"]]]);
  assert.deepEqual([...AppSync.diff(list, after).apply(list)], [...after]);
  assert.equal(AppSync.diff(list, list).isEmpty, true);
  refuses("invalid-proposal", () => AppSync.empty.apply(list));
  refuses("invalid-proposal", () => AppSync.empty.add(ALICE, "admin").apply(list));
  refuses("invalid-proposal", () => AppSync.empty.update(BOB, "admin").apply(list));
  refuses("invalid-proposal", () => AppSync.empty.add(BOB, "banned", "owner").apply(list));
  refuses("invalid-proposal", () => AppSync.empty.add(BOB).apply(list));
  refuses("bad-argument", () => AppSync.decode(new Uint8Array([0, 0, 0, 0])));
});

test("KeyPackages are made, listed, inspected, expired and deleted", () => {
  const bob = device(BOB);
  const keys = KeyPackageStore.open(bob);
  const now = Date.now();
  const [lastResort] = keys.create({ now, lastResort: true });
  assert.ok(lastResort);
  assert.equal(keys.create({ now, count: 3, days: 7 }).length, 3);
  for (const days of [0, 85]) refuses("bad-argument", () => keys.create({ now, days }));
  const shown = inspectKeyPackage(lastResort, now);
  const days = 84 * 24 * 60 * 60 * 1000;
  assert.deepEqual({ ...shown, ref: 0, expires: 0 }, { ref: 0, client: bob.client, user: BOB, suite: 1, expires: 0, lastResort: true });
  assert.ok(Math.abs(shown.expires - now - days) <= 1000);
  refuses("invalid-proposal", () => inspectKeyPackage(lastResort, shown.expires));
  refuses("bad-argument", () => inspectKeyPackage(new Uint8Array(9), now));
  assert.equal(keys.list().length, 4);
  assert.deepEqual(keys.list().filter((stored) => stored.lastResort), [{ ref: shown.ref, lastResort: true, expires: shown.expires, used: false }]);
  assert.deepEqual(keys.expired(now), []);
  assert.equal(keys.expired(shown.expires).length, 4);
  keys.delete(shown.ref);
  assert.equal(keys.list().length, 3);
  assert.equal(KeyPackageStore.open(bob, keys.takeWrites()).list().length, 3);
  refuses("bad-argument", () => Identity.create(bob.client, 7 as CipherSuite));
});

test("the bodies that groups make are shown to the last field", () => {
  const { ofAlice } = pair();
  const { update } = ofAlice.commit({ appSync: AppSync.empty.update(BOB, "admin") }, { now: Date.now(), update: true });
  const shown = inspect("update", "request", update);
  const text = JSON.stringify(shown, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  for (const word of ["app_data_update", "updateUsers", BOB, "admin", "parentHash"]) assert.ok(text.includes(word), word);
});
