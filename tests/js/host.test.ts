// A host and its faces, over a core that does what it is told: what faces are told and in which order, and
// how their calls get over a change of the host.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
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

type OpenCore = HostParts["openCore"];

async function host(core: FakeRooms, apply: Store["apply"] = async () => undefined, { instance = new Instance(() => undefined), openCore = async () => undefined }: { instance?: Instance; openCore?: () => Promise<void> } = {}): Promise<Host> {
  const store: Store = { rows: async () => [], apply, close: async () => undefined };
  const opened: unknown = core;
  const open: OpenCore = async () => {
    await openCore();
    return opened as Awaited<ReturnType<OpenCore>>;
  };
  const parts = { openCore: open, instance, store, transport: new Transport("http://127.0.0.1:9", undefined), webSocket: class { /* never made */ } as unknown as typeof WebSocket, thread: "main" as const };
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

test("a creation or a join goes on at the next host while that has nothing of the room yet", async () => {
  for (const [name, what] of [["createRoom", "create"], ["joinRoom", "join"]] as const) {
    const core = new FakeRooms();
    const { link, attach } = face();
    // Nothing comes back from the first one.
    attach(await host(core), { loses: (message) => "host" in message && message.type !== "snapshot" });
    const asking = name === "createRoom" ? link.ask(undefined, name, ROOM, "B", true, []) : link.ask(undefined, name, ROOM);
    core.begun.set(ROOM, [{ id: 1, what, state: "queued", tries: 0 }]);
    attach(await host(core));
    const { intent } = await asking;
    assert.deepEqual([core.calls.length, intent()], [1, 1]);
  }
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

/** Posts as one face does, and what a host answers it. */
function raw(to: Host) {
  const answers: FromHost[] = [];
  const carrier: Carrier = { goesOn: false, post: (answer) => { answers.push(answer); } };
  const call = (number: number, name: string, ...args: unknown[]): void => { to.receive({ type: "call", face: "f", call: number, name: name as "send", args, again: false }, carrier); };
  return { answers, call, attach: () => { to.receive({ type: "attach", face: "f", version: PORT_VERSION, trace: false, rests: false }, carrier); } };
}
/** Something that a test lets happen. */
function gate() {
  let open!: () => void;
  const passed = new Promise<void>((resolve) => { open = resolve; });
  return { open, passed };
}
const trap = (): never => { throw new Error("unreachable"); };

test("what a face wants between two hosts goes to the second one, once that has told it what there is", async () => {
  const core = new FakeRooms();
  const { link, attach } = face();
  attach(await host(core));
  const second = await host(core);
  const posted: FromFace[] = [];
  link.attach({ post: (message) => { posted.push(message); } });
  const sending = link.once("send", ROOM, "00", Uint8Array.of(1));
  link.rest(true);
  assert.deepEqual(posted.map(({ type }) => type), ["attach"]);
  const later: FromFace[] = [];
  const carrier: Carrier = { goesOn: false, post: (message) => { link.receive(message); } };
  link.attach({ post: (message) => { later.push(message); second.receive(message, carrier); } });
  await sending;
  assert.deepEqual([later.map(({ type }) => type), core.calls.map(([name]) => name)], [["attach", "call"], ["send"]]);
});

test("a rest that begins while the next host is not there yet is told to it", async () => {
  const core = new FakeRooms();
  const { link } = face();
  const second = await host(core);
  const posted: FromFace[] = [];
  link.attach({ post: (message) => { posted.push(message); } });
  link.rest(true);
  const [attach] = posted;
  assert.ok(attach !== undefined);
  second.receive(attach, { goesOn: false, post: (message) => { link.receive(message); } });
  assert.deepEqual(posted.map((message) => [message.type, "rests" in message && message.rests]), [["attach", false], ["rest", true]]);
});

test("while the core is made anew no call is done: its face makes it again", async () => {
  const core = new FakeRooms();
  core.syncRooms = trap;
  const made = await host(core);
  const { attach, call, answers } = raw(made);
  attach();
  let starts = 0;
  core.isRegistered = () => {
    starts += 1;
    call(2, "send", ROOM, "00", Uint8Array.of(1));
    return false;
  };
  call(1, "syncRooms");
  await until(() => answers.at(-1)?.type === "hosting");
  assert.deepEqual([starts, core.calls], [1, []]);
});

test("arguments of another type are refused before the core has them, and nothing is made anew", async () => {
  const core = new FakeRooms();
  const { link, attach, types } = face();
  const instance = new Instance(() => undefined);
  attach(await host(core, undefined, { instance }));
  const wrong: unknown[][] = [[ROOM, 5, Uint8Array.of(1)], [ROOM, "00", [1]], [undefined, "00", Uint8Array.of(1)], [ROOM, "00", Uint8Array.of(1), 1]];
  for (const args of wrong) await assert.rejects(link.once("send", ...(args as [string, string, Uint8Array])), has("bad-argument"));
  for (const users of [5, [5], [{ user: BOB, roles: "admin" }]]) await assert.rejects(link.ask(undefined, "createRoom", ROOM, "B", true, users as []), has("bad-argument"));
  await assert.rejects(link.once("send", ROOM, "00", trap as unknown as Uint8Array), has("bad-argument"));
  await assert.rejects(link.once("free" as "syncRooms"), has("bad-argument"));
  await assert.rejects(link.once("toString" as "syncRooms"), has("bad-argument"));
  assert.deepEqual([core.calls, instance.epoch, types()], [[], 0, ["attached"]]);
  // What was refused does not come again.
  attach(await host(core));
  await link.once("syncRooms");
  assert.deepEqual(core.calls, []);
});

/** A host whose core is opened once; the next time it fails, as soon as `open` is called. */
async function openedOnce(core: FakeRooms, failure: MimiError): Promise<{ readonly made: Host; readonly open: () => void; readonly opened: () => number }> {
  const { passed, open } = gate();
  let opened = 0;
  const made = await host(core, undefined, { openCore: async () => {
    if ((opened += 1) === 1) return;
    await passed;
    throw failure;
  } });
  return { made, open, opened: () => opened };
}

test("who attaches while a core is made anew that cannot be is refused, not left waiting", async () => {
  const core = new FakeRooms();
  core.syncRooms = trap;
  const { made, open, opened } = await openedOnce(core, new MimiError("storage-newer", "it is"));
  const one = raw(made);
  one.attach();
  one.call(1, "syncRooms");
  await until(() => opened() === 2);
  const late = raw(made);
  late.attach();
  assert.equal(late.answers.length, 0);
  open();
  await until(() => late.answers.length > 0);
  const [refusal] = late.answers;
  assert.ok(refusal?.type === "refused");
  assert.equal(refusal.error.code, "storage-newer");
});

test("who attaches after another device of the thread trapped is told what there is once the core is made anew", async () => {
  const instance = new Instance(() => undefined);
  const made = await host(new FakeRooms(), undefined, { instance });
  assert.throws(() => instance.call(trap), has("internal"));
  const { attach, answers } = raw(made);
  attach();
  await until(() => answers.length > 0);
  assert.deepEqual(answers.map(({ type }) => type), ["snapshot"]);
});

test("a host that is closed while its core cannot be made anew waits for nothing", async () => {
  const core = new FakeRooms();
  core.syncRooms = trap;
  const { made, open, opened } = await openedOnce(core, new MimiError("internal", "not now"));
  const { attach, call } = raw(made);
  attach();
  call(1, "syncRooms");
  await until(() => opened() === 2);
  const timers = mock.method(globalThis, "setTimeout");
  const closed = made.close();
  open();
  await closed;
  assert.deepEqual([opened(), timers.mock.callCount()], [2, 0]);
  mock.restoreAll();
});
