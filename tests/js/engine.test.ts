// The pump over a core that does what it is told: what is stored, sent and told, in which order, and
// what is left when something fails.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Client, MimiError, uri } from "@mimi-edge/client";
import { Engine, SPOILED, type CoreEvent } from "../../js/client/host/engine.js";
import { Instance } from "../../js/client/host/instance.js";
import { LiveValue, deferred } from "../../js/client/live.js";
import type { RowChange, Store } from "../../js/client/store.js";
import { Transport } from "../../js/client/host/transport.js";
import { FakeCore } from "./fake-core.js";

type Core = ConstructorParameters<typeof Engine>[0];
const change: RowChange = { key: new Uint8Array([1]), value: null };
const message: CoreEvent = { type: "undecryptable", room: "clubhouse@alpha.example", key: "k", epoch: 1, at: 1, position: 1 };

/** A socket that opens and closes when it is told. */
class FakeSocket {
  static made: FakeSocket[] = [];
  readyState = 1;
  sent: Uint8Array[] = [];
  closed = 0;
  onopen: () => void = () => undefined;
  onmessage: (event: { data: unknown }) => void = () => undefined;
  onclose: (event: { code: number }) => void = () => undefined;
  constructor() { FakeSocket.made.push(this); }
  send(frame: Uint8Array) { this.sent.push(frame); }
  close() { this.closed += 1; }
}

function setUp({ apply = async () => undefined, fetcher = async () => new Response(), socket = FakeSocket }: {
  apply?: Store["apply"]; fetcher?: typeof fetch; socket?: unknown;
} = {}) {
  const core = new FakeCore();
  const log: string[] = [];
  const store: Store = {
    rows: async () => [],
    apply: async (changes) => { log.push("apply"); await apply(changes); log.push("stored"); },
    close: async () => { log.push("store closed"); },
  };
  const fetched: typeof fetch = async (...call) => { log.push("fetch"); return await fetcher(...call); };
  const transport = new Transport("http://127.0.0.1:9", fetched);
  const instance = new Instance(() => { log.push("reset"); });
  const engine = new Engine(core as unknown as Core, store, transport, socket as typeof WebSocket, instance, {
    happened: (event) => { log.push(`told ${event.type}`); },
    connection: ({ state }) => { log.push(state); },
    broken: ({ code }) => { log.push(`broken ${code}`); },
    spoiled: (fault) => { log.push(`spoiled ${fault === undefined ? "" : `${fault.what} ${fault.error.code}`}`); },
  });
  return { core, engine, instance, log, transport };
}

const request = { id: 1, method: "POST", url: "/client/v1/devices", headers: [], body: new Uint8Array(), timeoutMillis: 1_000, label: "device" };
const has = (code: string) => (error: unknown): boolean => MimiError.is(error) && error.code === code;
/** Until `done`; the test runner's own limit ends a wait for ever. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

/** The core is asked for a request after so many mocked ms, and not before. */
function assertPolledAfter(millis: number, core: FakeCore): void {
  mock.timers.tick(millis - 1);
  assert.equal(core.polls, 0);
  mock.timers.tick(1);
  assert.equal(core.polls, 1);
}

test("a delta is stored before its request is sent and its events are told; the promise comes last", async () => {
  const disk = deferred<void>();
  const { core, engine, log } = setUp({ apply: () => disk.promise });
  core.wake = 0;
  const step = engine.step(() => { core.changes.push(change); core.events.push(message); core.requests.push(request); });
  void step.then(() => log.push("resolved"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(log, ["apply"]);
  disk.resolve();
  await step;
  await until(() => core.answers.length === 1);
  assert.deepEqual(log, ["apply", "stored", "told undecryptable", "resolved", "fetch"]);
  await engine.close();
});

test("when the store fails, nothing is sent or told, and nothing is stored after it", async () => {
  const { core, engine, log } = setUp({ apply: async () => { throw new MimiError("storage-full", "full"); } });
  const write = () => { core.changes.push(change); core.events.push(message); core.requests.push(request); };
  const steps = [engine.step(write), engine.step(write)];
  const [first, second] = await Promise.allSettled(steps);
  assert.ok(first?.status === "rejected" && has("storage-full")(first.reason));
  assert.ok(second?.status === "rejected" && second.reason === SPOILED);
  await assert.rejects(engine.step(() => assert.fail("called")), (error) => error === SPOILED);
  assert.deepEqual(log, ["apply", "spoiled storage storage-full"]);
  assert.equal(core.polls, 0);
  await engine.discard();
  await engine.close();
  assert.equal(core.freed, 1);
});

test("a core that traps is neither called again nor freed, and the client can still be closed, twice", async () => {
  const { core, engine, log } = setUp();
  await assert.rejects(engine.step(() => { throw new RangeError("Maximum call stack size exceeded"); }), has("internal"));
  await assert.rejects(engine.step(() => assert.fail("called")), (error) => error === SPOILED);
  await Promise.all([engine.close(), engine.close()]);
  await engine.close();
  assert.equal(core.freed, 0);
  assert.deepEqual(log, ["reset", "spoiled core internal", "broken closed", "store closed"]);
});

test("a trap ends the cores of all devices on its thread, and fails nobody's calls but the one that met it", async () => {
  const { core, engine, instance, log } = setUp();
  assert.throws(() => instance.call(() => { throw new WebAssembly.RuntimeError("unreachable"); }), has("internal"));
  await assert.rejects(engine.step(() => assert.fail("called")), (error) => error === SPOILED);
  await engine.close();
  assert.equal(core.freed, 0);
  assert.deepEqual(log, ["reset", "spoiled ", "broken closed", "store closed"]);
});

test("an instance that cannot be replaced at once is replaced before the next call", () => {
  let attempts = 0;
  const instance = new Instance(() => {
    attempts += 1;
    if (attempts === 1) throw new RangeError("out of memory");
  });
  assert.throws(() => instance.call(() => { throw new WebAssembly.RuntimeError("unreachable"); }), has("internal"));
  assert.equal(instance.call(() => attempts), 2);
  assert.equal(instance.epoch, 1);
});

test("while an engine rests, calls are stored, and nothing is sent", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  try {
    const { core, engine, log } = setUp();
    await engine.start(250);
    core.wake = 0;
    await engine.step(() => { core.changes.push(change); });
    assertPolledAfter(250, core);
    assert.deepEqual(log, ["apply", "stored"]);
    await engine.close();
  } finally {
    mock.timers.reset();
  }
});

test("what is on its way to the store when the client is closed is told; then the core is freed once", async () => {
  const disk = deferred<void>();
  const { core, engine, log } = setUp({ apply: () => disk.promise });
  const step = engine.step(() => { core.changes.push(change); core.events.push(message); });
  const waits = engine.ask("clubhouse@alpha.example", () => 1).then(({ done }) => done);
  const closed = [engine.close(), engine.close()];
  await assert.rejects(engine.step(() => assert.fail("called")), has("closed"));
  assert.equal(core.freed, 0);
  disk.resolve();
  await step;
  await assert.rejects(waits, has("closed"));
  await Promise.all(closed);
  assert.equal(core.freed, 1);
  assert.deepEqual(log.filter((line) => line !== "told intentAsked"), ["apply", "stored", "told undecryptable", "broken closed", "store closed"]);
});

test("an error that the core returned is thrown after what changed is stored, and asks again after a second", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { core, engine, log } = setUp();
    core.wake = 0;
    const refusal = { code: "room-unknown", message: "no such room here", retryable: false };
    await assert.rejects(engine.step(() => { core.changes.push(change); throw refusal; }), has("room-unknown"));
    assertPolledAfter(1000, core);
    assert.deepEqual(log, ["apply", "stored"]);
    await engine.close();
  } finally {
    mock.timers.reset();
  }
});

test("an answer without end counts as none, and is traced as one", async () => {
  const endless = new ReadableStream({ pull(controller) { controller.enqueue(new Uint8Array(1 << 20)); } });
  const { core, engine, transport } = setUp({ fetcher: async () => new Response(endless) });
  const traced: unknown[] = [];
  transport.trace = ({ at, ...exchange }) => { traced.push([typeof at, exchange]); };
  await engine.step(() => { core.requests.push(request); });
  await until(() => core.answers.length === 1);
  assert.deepEqual(core.answers, [undefined]);
  assert.deepEqual(traced, [["number", { method: "POST", path: "/client/v1/devices", what: "device", request: new Uint8Array() }]]);
  await engine.close();
});

test("no frame goes out before the hello, and none is taken that is too large", async () => {
  FakeSocket.made = [];
  const { core, engine, log } = setUp();
  await engine.step(() => { core.events.push({ type: "registered" }); });
  const [socket] = FakeSocket.made;
  assert.ok(socket);
  assert.deepEqual(log, ["told registered", "connecting"]);
  await engine.step(() => { core.frames.push(new Uint8Array([1])); });
  socket.onopen();
  await until(() => socket.sent.length === 1);
  await engine.step(() => { core.frames.push(new Uint8Array([2])); });
  assert.deepEqual(socket.sent.map(([first]) => first), [7, 2]);
  core.handleFrame = () => assert.fail("taken");
  socket.onmessage({ data: new ArrayBuffer((16 << 20) + 1) });
  assert.equal(socket.closed, 1);
  await engine.close();
});

test("a socket that closes as soon as it has caught up is opened again later each time", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const random = mock.method(Math, "random", () => 1);
  try {
    FakeSocket.made = [];
    const { core, engine } = setUp();
    await engine.step(() => { core.events.push({ type: "registered" }); });
    for (const [count, wait] of [[1, 250], [2, 500], [3, 1_000]] as const) {
      await engine.step(() => { core.events.push({ type: "caughtUp" }); });
      FakeSocket.made.at(-1)?.onclose({ code: 1006 });
      mock.timers.tick(wait - 1);
      assert.equal(FakeSocket.made.length, count);
      mock.timers.tick(1);
      assert.equal(FakeSocket.made.length, count + 1);
    }
    await engine.close();
  } finally {
    random.mock.restore();
    mock.timers.reset();
  }
});

test("what waits to be sent once more is due when the socket has caught up", async () => {
  const { core, engine, log } = setUp();
  await engine.step(() => { core.events.push({ type: "caughtUp" }); });
  assert.deepEqual([core.retries, log], [1, ["told caughtUp", "live"]]);
  await engine.close();
});

test("whoever waits is told what came of it, also of what was asked for before; a wait that was ended counts no more", async () => {
  const { core, engine } = setUp();
  const room = "clubhouse@alpha.example";
  const first = await engine.ask(room, () => 1);
  const second = await engine.ask(undefined, () => 2);
  assert.deepEqual([engine.isAwaited(1), engine.isAwaited(2), engine.isAwaited(3)], [true, true, false]);
  const [again, before] = [engine.outcome(1), engine.outcome(3)];
  engine.release(2);
  assert.deepEqual([engine.isAwaited(1), engine.isAwaited(2), engine.isAwaited(3)], [true, false, true]);
  await engine.step(() => { core.events.push({ type: "intentFailed", room, id: 1, what: "remove", code: "conflict", retryable: true }, { type: "intentDone", room, id: 3 }); });
  await assert.rejects(first.done, has("conflict"));
  await assert.rejects(again, has("conflict"));
  await before;
  const third = await engine.ask(undefined, () => 4);
  await engine.step(() => { core.events.push({ type: "accountFailed", id: 4, code: "not-allowed" }); });
  await assert.rejects(third.done, has("not-allowed"));
  await engine.close();
  void second.done;
});

test("a socket that the provider closes as not signed in makes the device ask whether it is still one of the user", async () => {
  FakeSocket.made = [];
  const { core, engine, log } = setUp();
  await engine.step(() => { core.events.push({ type: "registered" }); });
  FakeSocket.made[0]?.onclose({ code: 1006 });
  assert.equal(core.refreshes, 0);
  FakeSocket.made[0]?.onclose({ code: 4401 });
  assert.equal(core.refreshes, 1);
  assert.deepEqual(log, ["told registered", "connecting", "offline", "offline"]);
  await engine.close();
});

test("a page that may not open sockets is offline, and everything else works", async () => {
  const { core, engine, log } = setUp({ socket: class { constructor() { throw new Error("Content Security Policy"); } } });
  await engine.step(() => { core.events.push({ type: "registered" }); });
  assert.deepEqual(log, ["told registered", "connecting", "offline"]);
  await engine.close();
});

test("a listener that throws stops neither the other listeners nor who sets the value", () => {
  const value = new LiveValue(1);
  const seen: number[] = [];
  const later = mock.method(globalThis, "queueMicrotask", () => undefined);
  value.subscribe((now) => { if (now === 2) throw new Error("the application's"); });
  value.subscribe((now) => { seen.push(now); });
  value.set(2);
  later.mock.restore();
  assert.deepEqual([seen, later.mock.callCount()], [[1, 2], 1]);
});

test("a device that its provider refuses says so, and nobody waits for ever", async () => {
  const client = await Client.open({
    user: uri.user("alice@alpha.example"), provider: "http://127.0.0.1:9", store: "memory",
    fetch: async () => new Response(null, { status: 403 }),
  });
  const refused = new Promise<MimiError>((resolve) => { client.addEventListener("error", ({ detail }) => { resolve(detail); }); });
  await assert.rejects(client.createRoom(), has("not-allowed"));
  assert.equal((await refused).code, "not-allowed");
  await client.close();
  await client.close();
});

/** A class of sockets, and those of it that were made. */
function ownSockets() {
  const made: FakeSocket[] = [];
  const socket = class extends FakeSocket {
    constructor() {
      super();
      made.push(this);
    }
  };
  return { made, socket };
}

test("when the network is back, nothing waits for its next turn, and the socket is opened at once", async () => {
  const network = new EventTarget();
  Object.assign(globalThis, { addEventListener: network.addEventListener.bind(network) });
  try {
    const { made, socket } = ownSockets();
    const { core, engine } = setUp({ socket });
    core.isRegistered = () => true;
    await engine.start(0);
    const online = () => { network.dispatchEvent(new Event("online")); };
    // A socket that is open, or on its way, is left alone.
    online();
    await until(() => core.retries === 1);
    assert.equal(made.length, 1);
    made[0]?.onclose({ code: 1006 });
    online();
    await until(() => core.retries === 2);
    assert.equal(made.length, 2);
    await engine.close();
    online();
    assert.deepEqual([core.retries, made.length], [2, 2]);
  } finally {
    Reflect.deleteProperty(globalThis, "addEventListener");
  }
});

test("while it rests nothing is sent or heard, and it stores what it is asked for; then it goes on", async () => {
  const { made, socket } = ownSockets();
  const { core, engine, log } = setUp({ socket });
  core.isRegistered = () => true;
  await engine.start(0);
  engine.pause();
  engine.pause();
  assert.deepEqual([made[0]?.closed, log], [1, ["connecting", "offline"]]);
  await engine.step(() => { core.changes.push(change); core.events.push({ type: "registered" }); core.requests.push(request); });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual([core.polls, made.length, log.slice(2)], [0, 1, ["apply", "stored", "told registered"]]);
  engine.resume();
  engine.resume();
  await until(() => core.answers.length === 1 && made.length === 2);
  await engine.close();
  engine.pause();
  engine.resume();
  assert.equal(made.length, 2);
});
