// A host and its faces, over a core that does what it is told: what faces are told and in which order, and
// how their calls get over a change of the host.

import assert from "node:assert/strict";
import { test } from "node:test";
import { MimiError } from "../../js/client/errors.js";
import { Host, type HostParts } from "../../js/client/host/host.js";
import { Instance } from "../../js/client/host/instance.js";
import { PORT_VERSION, type Carrier, type FromFace, type FromHost, type Push, type Snapshot } from "../../js/client/host/port.js";
import { Transport } from "../../js/client/host/transport.js";
import { Link } from "../../js/client/link.js";
import type { CoreMessage } from "../../js/client/message.js";
import type { CoreRoomState } from "../../js/client/room-state.js";
import type { Store } from "../../js/client/store.js";
import { FakeRooms } from "./fake-core.js";

const ROOM = "clubhouse@alpha.example";
const BOB = "bob@bravo.example";
const joined: CoreRoomState = {
  hub: "alpha.example", profile: "B", phase: "joined", epoch: 7, authenticator: Uint8Array.of(7), me: "alice@alpha.example/phone", leaving: false, mayChange: true, maySend: true, pending: [], participants: [],
};
const has = (code: string) => (error: unknown): boolean => MimiError.is(error) && error.code === code;
const message = (position: number): CoreMessage => ({ room: ROOM, key: String(position), user: BOB, sender: `${BOB}/phone`, epoch: 7, at: position, position, content: Uint8Array.of(position) });

/** Until `done`; the test runner's own limit ends a wait for ever. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

async function host(core: FakeRooms, apply: Store["apply"] = async () => undefined): Promise<Host> {
  const store: Store = { rows: async () => [], apply, close: async () => undefined };
  const opened: unknown = core;
  const openCore: HostParts["openCore"] = async () => opened as Awaited<ReturnType<HostParts["openCore"]>>;
  const parts = { openCore, instance: new Instance(() => undefined), store, transport: new Transport("http://127.0.0.1:9", undefined), webSocket: class { /* never made */ } as unknown as typeof WebSocket, thread: "main" as const };
  return await Host.open(parts);
}

/** A face that notes what it is told, on a carrier of its own; messages that it `loses` do not come or go. */
function face(seen: () => Record<string, number> = () => ({})) {
  const told: (Push | { readonly type: "attached"; readonly snapshot: Snapshot })[] = [];
  const link = new Link(false);
  void link.begin({ attached: (snapshot) => { told.push({ type: "attached", snapshot }); }, pushed: (push) => { told.push(push); }, seen }).catch(() => undefined);
  const attach = (to: Host, { goesOn = false, loses = () => false }: { goesOn?: boolean; loses?: (message: FromHost | FromFace) => boolean } = {}): void => {
    // As structured cloning would carry it.
    const carrier: Carrier = { goesOn, post: (message) => { if (!loses(message)) link.receive(structuredClone(message)); } };
    link.attach({ post: (message) => { if (!loses(message)) to.receive(structuredClone(message), carrier); } });
  };
  return { link, told, attach, types: () => told.map((one) => (one.type === "event" ? one.event.type : one.type)) };
}

test("a face is told all that there is, then what changes: the state with its event, and the end of a call after both", async () => {
  const core = new FakeRooms();
  core.states.set(ROOM, joined);
  const { link, told, attach } = face();
  attach(await host(core));
  const [first] = told;
  assert.ok(first?.type === "attached");
  assert.deepEqual([first.snapshot.user, first.snapshot.thread, first.snapshot.rooms], ["alice@alpha.example", "main", [[ROOM, joined]]]);

  const order: string[] = [];
  const { done } = await link.ask(undefined, "removeUser", ROOM, BOB);
  void done.then(() => { order.push(`done after ${String(told.length)}`); });
  assert.deepEqual(core.calls, [["removeUser", ROOM, BOB]]);
  core.states.set(ROOM, { ...joined, epoch: 8 });
  core.events.push({ type: "intentDone", room: ROOM, id: 1 });
  await link.once("syncRooms");
  await until(() => order.length > 0);
  assert.deepEqual(told.slice(2), [{ type: "event", event: { type: "intentDone", room: ROOM, id: 1 }, awaited: false, state: { rooms: [[ROOM, { ...joined, epoch: 8 }]] } }]);
  assert.deepEqual(order, ["done after 3"]);
});

test("a room's state is told only when it is another one, and that a room is no more is told", async () => {
  const core = new FakeRooms();
  core.states.set(ROOM, joined);
  const { link, told, attach } = face();
  attach(await host(core));
  const changed = async (state: CoreRoomState | undefined): Promise<unknown> => {
    if (state === undefined) core.states.delete(ROOM);
    else core.states.set(ROOM, state);
    core.events.push({ type: "roomChanged", room: ROOM, epoch: 7 });
    await link.once("syncRooms");
    const last = told.at(-1);
    return last?.type === "event" ? last.state?.rooms?.[0]?.[1] : undefined;
  };
  assert.equal(await changed(structuredClone(joined)), undefined);
  const other = { ...joined, policy: Uint8Array.of(1) };
  assert.deepEqual(await changed(other), other);
  assert.deepEqual(await changed({ ...joined, policy: Uint8Array.of(2) }), { ...joined, policy: Uint8Array.of(2) });
  assert.equal(await changed(undefined), null);
  assert.equal(await changed(undefined), undefined);
});

test("a call that no host has answered goes to the next one; one that was stored is not made twice", async () => {
  const core = new FakeRooms();
  const { link, attach } = face();
  const first = await host(core);
  // Nothing comes back from it any more, as when its tab crashes.
  attach(first, { loses: (message) => "host" in message && message.type !== "snapshot" });
  const sending = link.once("send", ROOM, "00", Uint8Array.of(1));
  const creating = link.ask(undefined, "createRoom", ROOM, "B", true, []);
  assert.deepEqual(core.calls.map(([name]) => name), ["send", "createRoom"]);
  link.leave();
  const late = link.once("syncRooms");

  // The room is there, and its creation is still to be done: number 2 goes on.
  core.states.set(ROOM, { ...joined, phase: "creating", pending: [{ id: 2, what: "create", state: "queued", tries: 0 }] });
  attach(await host(core));
  await sending;
  await late;
  const { intent, done } = await creating;
  assert.deepEqual([core.calls.map(([name]) => name), intent()], [["send", "createRoom", "send"], 2]);

  // That host is gone too, and the creation is done meanwhile.
  core.states.set(ROOM, joined);
  attach(await host(core));
  await done;
  assert.equal(core.calls.length, 3);
});

test("what a call waits for goes on at the next host while it is to be done, and is asked for again when it is not", async () => {
  const core = new FakeRooms();
  const pending = [{ id: 1, what: "remove" as const, user: BOB, state: "queued" as const, tries: 0 }];
  core.states.set(ROOM, joined);
  const { link, attach } = face();
  attach(await host(core));
  const { intent, done } = await link.ask(undefined, "removeUser", ROOM, BOB);
  core.states.set(ROOM, { ...joined, pending });
  const second = await host(core);
  attach(second);
  assert.deepEqual([core.calls.length, intent()], [1, 1]);
  core.states.set(ROOM, joined);
  attach(await host(core));
  await until(() => intent() === 2);
  assert.equal(core.calls.length, 2);
  core.events.push({ type: "intentFailed", room: ROOM, id: 2, what: "remove", user: BOB, code: "not-allowed", retryable: false });
  await link.once("syncRooms");
  await assert.rejects(done, has("not-allowed"));
});

test("messages that a face missed between two hosts are told once, in order, and where the others are", async () => {
  const core = new FakeRooms();
  core.states.set(ROOM, joined);
  core.messages.push(...[1, 2, 3].map(message));
  const { told, attach } = face(() => ({ [ROOM]: 2 }));
  attach(await host(core));
  core.messages.push(...Array.from({ length: 450 }, (_, index) => message(index + 4)));
  core.deliveries.push({ room: ROOM, key: "00", content: Uint8Array.of(1), writtenAt: 8, state: "accepted", at: 9 });
  attach(await host(core));
  assert.deepEqual(told.map((one) => (one.type === "attached" ? one.snapshot.unsent : [])), [[], core.deliveries]);
  const missed = told.map((one) => (one.type === "attached" ? [one.snapshot.missed.map(({ position }) => position), one.snapshot.positions[ROOM]] : []));
  assert.deepEqual(missed, [[[], 3], [Array.from({ length: 451 }, (_, index) => index + 3), 453]]);
});

test("with a signal that is aborted already nothing is asked for", async () => {
  const core = new FakeRooms();
  const { link, attach } = face();
  attach(await host(core));
  await assert.rejects(link.ask(AbortSignal.abort(), "removeUser", ROOM, BOB), has("aborted"));
  await assert.rejects(link.fulfil(AbortSignal.abort(), "removeUser", ROOM, BOB), has("aborted"));
  assert.deepEqual(core.calls, []);
});

test("a failure is told as an event for all when the face that waits for it is gone or waits no more", async () => {
  const core = new FakeRooms();
  core.states.set(ROOM, joined);
  const one = face();
  const other = face();
  const shared = await host(core);
  one.attach(shared);
  other.attach(shared);
  const fail = async (id: number): Promise<boolean[]> => {
    core.events.push({ type: "intentFailed", room: ROOM, id, what: "remove", code: "conflict", retryable: true });
    await other.link.once("syncRooms");
    return [one, other].flatMap(({ told }) => { const last = told.at(-1); return last?.type === "event" ? [last.awaited] : []; });
  };
  const kept = await one.link.ask(undefined, "removeUser", ROOM, BOB);
  assert.deepEqual(await fail(1), [true, true]);
  await assert.rejects(kept.done, has("conflict"));
  const released = await one.link.ask(undefined, "removeUser", ROOM, BOB);
  released.release();
  assert.deepEqual(await fail(2), [false, false]);
  await one.link.ask(undefined, "removeUser", ROOM, BOB);
  shared.detach(one.link.name);
  assert.deepEqual((await fail(3)).at(-1), false);
});

test("when a host is closed its own face ends, and those that go on hear nothing of it but what was stored", async () => {
  const core = new FakeRooms();
  core.states.set(ROOM, joined);
  let stored: (() => void) | undefined;
  const closing = await host(core, () => new Promise((resolve) => { stored = resolve; }));
  const own = face();
  const guest = face();
  own.attach(closing);
  guest.attach(closing, { goesOn: true });
  const waits = await guest.link.ask(undefined, "removeUser", ROOM, BOB);
  core.changes.push({ key: Uint8Array.of(1), value: null });
  core.events.push({ type: "undecryptable", room: ROOM, key: "k", epoch: 7, at: 1, position: 1 });
  const sent = guest.link.once("send", ROOM, "00", Uint8Array.of(1));
  const closed = closing.close();
  const late = guest.link.once("send", ROOM, "01", Uint8Array.of(2));
  await until(() => stored !== undefined);
  stored?.();
  await sent;
  await closed;
  await until(() => own.types().includes("end"));
  assert.deepEqual([own.types(), guest.types()], [["attached", "intentAsked", "undecryptable", "end"], ["attached", "intentAsked", "undecryptable"]]);
  await assert.rejects(own.link.once("send", ROOM, "02", Uint8Array.of(3)), has("closed"));

  guest.attach(await host(core), { goesOn: true });
  await late;
  assert.deepEqual(core.calls.map(([name, , key]) => [name, key]), [["removeUser", BOB], ["send", "00"], ["removeUser", BOB], ["send", "01"]]);
  waits.release();
});

test("a face of another version is told so, and nothing of an earlier host is believed", async () => {
  const core = new FakeRooms();
  const answers: FromHost[] = [];
  const carrier: Carrier = { goesOn: true, post: (answer) => { answers.push(answer); } };
  const one = await host(core);
  one.receive({ type: "attach", face: "f", version: PORT_VERSION + 1, trace: false, rests: false }, carrier);
  const [refusal] = answers;
  assert.ok(refusal?.type === "refused");
  assert.equal(refusal.error.code, "incompatible");

  const { link, attach, types } = face();
  attach(one);
  attach(await host(core));
  link.receive({ host: "an earlier one", type: "push", push: { type: "end", error: { code: "internal", message: "", retryable: false }, expected: false } });
  assert.deepEqual(types(), ["attached", "attached"]);
});
