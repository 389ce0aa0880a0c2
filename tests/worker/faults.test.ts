// No fault is final: a core that traps and a store that fails end the call that met it, and nothing else.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { MimiError, uri, type Client, type ClientEvents, type Room, type Store } from "@mimi-edge/client";
import { keptStore, type Person } from "../js/actors.js";
import { TRAPPING_WASM, trappingClient } from "../js/trapping.js";
import { has, stage, when } from "./stage.js";

const { open, url } = stage();
const opened: Client[] = [];
let trapping: Awaited<ReturnType<typeof trappingClient>>;

before(async () => { trapping = await trappingClient(); });
after(async () => { await Promise.all(opened.map((client) => client.close())); });

/** A device whose core traps when told to, with what it tells of faults. */
async function device(name: string, store: Store = keptStore()): Promise<{ readonly client: Client; readonly told: readonly string[] }> {
  const client = await trapping.Client.open({ user: trapping.uri.user(name), provider: url("alpha.example"), store, wasm: readFileSync(TRAPPING_WASM) });
  opened.push(client);
  const told: string[] = [];
  for (const type of ["fault", "storage", "error"] as const satisfies readonly (keyof ClientEvents)[]) {
    client.addEventListener(type, ({ detail }) => { told.push(`${type} ${detail.code}`); });
  }
  return { client, told };
}

/** A room of the device and of Bob. */
async function roomWith(client: Client, bob: Person): Promise<Room> {
  const room = await client.createRoom();
  await room.add(uri.user(bob.user));
  await when(() => bob.client().room(room.uri) !== undefined, "Bob did not come in");
  return room;
}

async function textsOf(bob: Person, room: Room): Promise<readonly string[]> {
  return (await bob.received(room.uri)).map(({ text }) => text);
}

/** Until Bob has read so many messages; what he has read then. */
async function bobReads(bob: Person, room: Room, count: number): Promise<readonly string[]> {
  let texts: readonly string[] = [];
  await when(() => {
    void textsOf(bob, room).then((read) => { texts = read; });
    return texts.length >= count;
  }, "Bob did not read it");
  return texts;
}

test("a trap rejects the call that met it with internal, and the next call works", async () => {
  const bob = await open("bob1@bravo.example");
  const { client, told } = await device("alice1@alpha.example");
  const room = await roomWith(client, bob);
  await assert.rejects(room.send("trap"), has("internal"));
  await (await room.send("after it")).accepted;
  await assert.rejects(room.send("trap"), has("internal"));
  await (await room.send("and after another one")).accepted;
  assert.deepEqual(await bobReads(bob, room, 2), ["after it", "and after another one"]);
  assert.deepEqual(told, ["fault internal", "fault internal"]);
  await room.updateKeys();
  assert.equal(room.state.get().epoch, 2n);
});

test("calls before and after a trap are done once, and other devices of the thread go on", async () => {
  const bob = await open("bob2@bravo.example");
  const alice = await device("alice2@alpha.example");
  const anna = await device("anna2@alpha.example");
  const [room, annas] = [await roomWith(alice.client, bob), await roomWith(anna.client, bob)];
  const outcomes = await Promise.allSettled([room.send("one"), room.updateKeys(), room.send("trap"), room.send("two"), annas.send("hers")]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assert.deepEqual([...(await bobReads(bob, room, 2))].sort(), ["one", "two"]);
  assert.deepEqual(await bobReads(bob, annas, 1), ["hers"]);
  await bob.send(annas.uri, "back");
  await when(() => anna.client.sync.get().state === "live", "Anna is not connected again");
  await (await annas.send("hers again")).accepted;
  assert.deepEqual(await bobReads(bob, annas, 2), ["hers", "hers again"]);
  assert.deepEqual([alice.told, anna.told], [["fault internal"], []]);
});

test("a frame at which the core traps comes again, later each time, and is taken in once", async () => {
  const bob = await open("bob3@bravo.example");
  const { client, told } = await device("alice3@alpha.example");
  const room = await roomWith(client, bob);
  const read: (string | undefined)[] = [];
  client.addEventListener("message", ({ detail }) => { if (!detail.mine) read.push(detail.text); });
  globalThis.trappingFrames = 3;
  await bob.send(room.uri, "poison");
  await when(() => read.length > 0, "Alice did not read it");
  assert.deepEqual([read, told, globalThis.trappingFrames], [["poison"], ["fault internal", "fault internal", "fault internal"], 0]);
  await (await room.send("still here")).accepted;
  assert.deepEqual(await bobReads(bob, room, 1), ["still here"]);
  assert.deepEqual(read, ["poison"]);
});

test("storage-full: the call is rejected, nothing of it happens, and the next one works when there is room", async () => {
  const bob = await open("bob4@bravo.example");
  const store = keptStore();
  let isFull = false;
  const { client, told } = await device("alice4@alpha.example", {
    ...store,
    apply: async (changes) => {
      if (isFull) throw new MimiError("storage-full", "no room");
      await store.apply(changes);
    },
  });
  const room = await roomWith(client, bob);
  await when(() => client.sync.get().state === "live", "Alice is not connected");
  isFull = true;
  await assert.rejects(room.send("too much"), has("storage-full"));
  isFull = false;
  await (await room.send("small")).accepted;
  assert.deepEqual(await bobReads(bob, room, 1), ["small"]);
  assert.ok(told.length > 0 && told.every((line) => line === "storage storage-full"), told.join());
});

test("a device whose store is gone for good says so", async () => {
  const store = keptStore();
  let lose: () => void = () => undefined;
  let isLost = false;
  const { client, told } = await device("alice5@alpha.example", {
    ...store,
    rows: async () => {
      if (isLost) throw new MimiError("storage-damaged", "gone");
      return await store.rows();
    },
    watch: (lost) => { lose = lost; },
  });
  isLost = true;
  lose();
  await when(() => told.includes("error storage-damaged"), "nothing was told");
  await assert.rejects(client.findRooms(), has("storage-damaged"));
  assert.deepEqual(told, ["storage internal", "error storage-damaged"]);
});

test("a trap of a client or of a low call ends what the low layer had made, and the client goes on; all is loaded again from what is stored", async () => {
  const { client, told } = await device("lena@alpha.example");
  const room = await client.createRoom();
  const { Group, Identity } = trapping.low;
  const [content, trap] = ["hello", "trap"].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  const identity = Identity.create(uri.client("lena@alpha.example/low"));
  const saved = identity.save();
  const group = Group.create(identity, uri.room("low@alpha.example"), { now: Date.now() });
  const rows = group.takeWrites();
  const load = () => Group.load(Identity.load(saved), rows);
  const refuses = (act: () => unknown, code: "internal" | "bad-argument"): void => { assert.throws(act, has(code)); };

  refuses(() => group.encrypt(trap), "internal");
  await (await room.send("after a trap of the low layer")).accepted;
  for (const act of [() => group.encrypt(content), () => group.members(), () => group.takeWrites(), () => identity.save(), () => Group.load(identity, rows)]) refuses(act, "internal");
  group[Symbol.dispose]();
  const second = load();
  assert.ok(second.encrypt(content).length > 0);
  assert.deepEqual(told, []);

  await assert.rejects(room.send("trap"), has("internal"));
  refuses(() => second.encrypt(content), "internal");
  const third = load();
  // What is no argument at all is no trap.
  refuses(() => Group.load(Identity.load(saved), undefined as unknown as typeof rows), "bad-argument");
  refuses(() => third.process("message" as unknown as Uint8Array), "bad-argument");
  assert.ok(third.encrypt(content).length > 0);
  third[Symbol.dispose]();
  refuses(() => third.encrypt(content), "bad-argument");
  await (await room.send("after all of it")).accepted;
  assert.deepEqual(told, ["fault internal"]);
});
