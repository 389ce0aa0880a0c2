// An independent MLS implementation, ts-mls, in a room of profile A, through real providers: two
// clients of ours and it agree on epoch, keys and list after every step.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, uri, type Role, type RoomState } from "@mimi-edge/client";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";
import { TsMlsPeer } from "../js/ts-mls-peer.js";

const WORKER = "build/hub/worker.js";
const ROOM = uri.room("interop@alpha.example");
const [ALICE, CATHY, ERIN] = ["alice@alpha.example", "cathy@charlie.example", "erin@charlie.example"].map(uri.user) as [never, never, never];
const DORA = uri.user("dora@bravo.example");
/** The draft's Role. */
const ROLES: readonly (Role | undefined)[] = [undefined, "system", "owner", "admin", "regular_user", "visitor", "banned"];

/** Clients of ours, and what they received. */
class Ours {
  readonly received: string[] = [];
  readonly client: Client;

  constructor(client: Client) {
    this.client = client;
    client.addEventListener("message", ({ detail }) => {
      if (!detail.mine && detail.text !== undefined) this.received.push(`${detail.sender}: ${detail.text}`);
    });
  }

  static async open(providers: Providers, user: string): Promise<Ours> {
    const client = await Client.open({ user: uri.user(user), provider: providers.url(uri.domain(uri.user(user))), store: "memory" });
    await until(async () => (client.sync.get().state === "live" ? true : undefined), async () => `${user} is not connected`);
    return new Ours(client);
  }

  get room(): NonNullable<ReturnType<Client["room"]>> {
    const room = this.client.room(ROOM);
    assert.ok(room, `${this.client.user} is not in the room`);
    return room;
  }

  get state(): RoomState | undefined { return this.client.room(ROOM)?.state.get(); }
}

/** Waits until the peer and ours are in the same state, whatever its epoch. */
async function agree(peer: TsMlsPeer, ours: readonly Ours[]): Promise<bigint> {
  const seen = (): string[] => [
    JSON.stringify([String(peer.epoch?.epoch), peer.epoch?.authenticator, [...peer.list]]),
    ...ours.map(({ state }) => JSON.stringify([
      String(state?.epoch), authenticator(state), state?.participants.map(({ user, roles }) => [user, roles.map((role) => ROLES.indexOf(role))]),
    ])),
  ];
  await until(async () => {
    await peer.catchUp();
    return peer.epoch !== undefined && new Set(seen()).size === 1 ? true : undefined;
  }, async () => `not in the same state:\n${seen().join("\n")}`);
  assert.ok(peer.epoch);
  return peer.epoch.epoch;
}

function authenticator(state: RoomState | undefined): string {
  return Buffer.from(state?.authenticator ?? []).toString("hex");
}

async function heard(who: string, lines: () => readonly string[], line: string): Promise<void> {
  await until(async () => (lines().includes(line) ? true : undefined), async () => `${who} did not receive “${line}” but ${JSON.stringify(lines())}`);
}

test("r35_ts_mls_takes_part_in_a_room_of_profile_a", async (t) => {
  const providers = await startProviders(WORKER);
  const alice = await Ours.open(providers, ALICE);
  const cathy = await Ours.open(providers, CATHY);
  const erin = await Ours.open(providers, ERIN);
  try {
    const dora = await TsMlsPeer.open(providers.url("bravo.example"), `${DORA}/ts-mls`);
    let members = [alice];
    let epoch = 0n;
    const next = async (): Promise<void> => {
      epoch += 1n;
      assert.equal(await agree(dora, members), epoch);
    };

    await t.test("it joins by our Welcome", async () => {
      await alice.client.createRoom({ id: "interop", profile: "A", hubProposals: false });
      assert.equal((await alice.room.add(DORA)).state, "added");
      await next();
      assert.deepEqual([...dora.list.keys()], [ALICE, DORA]);
    });
    await t.test("messages go both ways", async () => {
      await (await alice.room.send("hello dora")).accepted;
      await until(async () => { await dora.catchUp(); return dora.received.length === 1 ? true : undefined; }, async () => "dora received nothing");
      assert.deepEqual(dora.received, [{ room: ROOM, text: "hello dora" }]);
      await dora.send("hello alice");
      await heard("alice", () => alice.received, `${DORA}: hello alice`);
    });
    await t.test("it follows our commits of the list alone and of an Add", async () => {
      await alice.room.setRoles(ERIN, ["banned"]);
      await next();
      await alice.room.setRoles(ERIN, ["regular_user"]);
      await next();
      await alice.room.add(CATHY);
      members = [alice, cathy];
      await next();
      assert.deepEqual([...dora.list.keys()], [ALICE, DORA, ERIN, CATHY]);
    });
    await t.test("it commits an update, which we follow", async () => {
      await dora.commitUpdate();
      await next();
    });
    await t.test("it claims KeyPackages through the hub and commits an Add", async () => {
      assert.equal(await dora.commitAdd(ERIN), 1);
      members = [alice, cathy, erin];
      await next();
      await dora.send("welcome");
      for (const ours of members) await heard(ours.client.user, () => ours.received, `${DORA}: welcome`);
    });
    await t.test("its AppSync by reference is committed by ours", async () => {
      await dora.proposeAppSync({ update: new Map([[CATHY, [ROLES.indexOf("admin"), ROLES.indexOf("regular_user")]]]) });
      await alice.room.updateKeys();
      await next();
      const entry = alice.state?.participants.find(({ user }) => user === CATHY);
      assert.deepEqual(entry?.roles, ["admin", "regular_user"]);
    });
    await t.test("we set the policy, which it carries on", async () => {
      await cathy.room.setPolicy(new TextEncoder().encode("be kind"));
      await next();
      await dora.commitUpdate();
      await next();
      assert.equal(new TextDecoder().decode(alice.state?.policy), "be kind");
    });
    await t.test("what it does not do as RFC 9420 has it is refused, and the room goes on", async () => {
      // Its commits of extensions alone lack the path; its GroupInfo does not decode.
      await assert.rejects(dora.commitRemovalFromList(ERIN), /refused with 422: .*MLS refuses the/);
      // Its external_pub has no length: one key in 256 begins with the byte that passes for it.
      while (await isTaken(dora.commitUpdate("the library's"))) await next();
      await dora.commitUpdate();
      await next();
    });
    await t.test("it leaves", async () => {
      await dora.leave();
      await alice.room.updateKeys();
      await until(async () => { await dora.catchUp(); return dora.isRemoved ? true : undefined; }, async () => "dora was not removed");
      epoch += 1n;
      for (const ours of members) {
        await until(async () => (ours.state?.epoch === epoch ? true : undefined), async () => `${ours.client.user} is in epoch ${String(ours.state?.epoch)}`);
        assert.deepEqual(ours.state?.participants.map(({ user }) => user), [ALICE, ERIN, CATHY]);
      }
      assert.equal(new Set(members.map(({ state }) => authenticator(state))).size, 1);
    });
  } finally {
    await Promise.all([alice, cathy, erin].map(({ client }) => client.close()));
    await providers.stop();
  }
});

/** Whether the hub took it; if not, it could not read it. */
async function isTaken(commit: Promise<unknown>): Promise<boolean> {
  return await commit.then(() => true, (error: unknown) => {
    assert.match(String(error), /refused with 400/);
    return false;
  });
}

test("d1_ts_mls_follows_only_rooms_without_hub_proposals", async () => {
  const providers = await startProviders(WORKER);
  const alice = await Ours.open(providers, ALICE);
  try {
    const dora = await TsMlsPeer.open(providers.url("bravo.example"), `${DORA}/ts-mls`);
    await alice.client.createRoom({ id: "interop", profile: "A" });
    await alice.room.add(DORA);
    assert.equal(await agree(dora, [alice]), 1n);
    // It takes the list of external senders for one sender.
    await alice.room.setRoles(ERIN, ["banned"]);
    await assert.rejects(until(() => dora.catchUp(), async () => "dora follows"), /Could not decode external_senders/);
  } finally {
    await alice.client.close();
    await providers.stop();
  }
});
