// The built package in Node: errors, opening, loading the wasm. No provider is needed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";
import { Client, MimiError, init, uri, type ErrorCode } from "@mimi-edge/client";

const alice = uri.user("alice@alpha.example");
const provider = "http://127.0.0.1:9";

const refusal = (code: ErrorCode, message?: RegExp) => (error: unknown): boolean => {
  assert.ok(MimiError.is(error, code), String(error));
  if (message !== undefined) assert.match(error.message, message);
  return true;
};

// Before the others: once the wasm is there, no source is looked at.
test("wasm-load: a page instead of the wasm, an error instead of it, and garbage; then it loads, and twice is once", async () => {
  const wasm = readFileSync("build/client/client.wasm");
  const html = new TextEncoder().encode("<!doctype html><title>single page</title>");
  await assert.rejects(init(html), refusal("wasm-load", /answer its address with a page/));
  await assert.rejects(init(new Response(html, { headers: { "content-type": "text/html" } })), refusal("wasm-load"));
  await assert.rejects(init(new Response("no", { status: 404 })), refusal("wasm-load", /404/));
  await assert.rejects(init(wasm.subarray(0, 100)), refusal("wasm-load", /does not compile/));
  await assert.rejects(init(new ArrayBuffer(0)), refusal("wasm-load"));
  await assert.rejects(Client.open({ user: alice, provider, store: "memory", wasm: html }), refusal("wasm-load"));
  await init(wasm);
  await init();
  await init(html);
});

test("a device in Node has to name its store", async () => {
  await assert.rejects(Client.open({ user: alice, provider }), refusal("bad-argument", /memory/));
});

test("a provider is an http or https URL", async () => {
  for (const wrong of ["", "alpha.example", "ftp://alpha.example", "ws://alpha.example"]) {
    await assert.rejects(Client.open({ user: alice, provider: wrong, store: "memory" }), refusal("bad-argument", /provider/), wrong);
  }
});

test("a user that no `uri.user` made is refused", async () => {
  await assert.rejects(Client.open({ user: "alice" as typeof alice, provider, store: "memory" }), refusal("bad-uri"));
});

test("a device opens without its provider, is offline, and closes", async () => {
  let asked: () => void = () => undefined;
  const wasAsked = new Promise<void>((resolve) => { asked = resolve; });
  const client = await Client.open({
    user: alice,
    provider,
    store: "memory",
    fetch: async () => { asked(); throw new TypeError("no network"); },
  });
  assert.equal(client.user, alice);
  assert.ok(client.device.startsWith(`${alice}/`));
  assert.equal(client.sync.get().state, "offline");
  assert.deepEqual(client.rooms.get(), []);
  const creation = assert.rejects(client.createRoom({ id: "clubhouse" }), refusal("closed"));
  await assert.rejects(client.createRoom({ id: "club house" }), refusal("bad-uri"));
  await assert.rejects(client.createRoom({ id: "later", signal: AbortSignal.abort() }), refusal("aborted"));
  for (const roles of [[], ["banned"], ["admin", "admin"]] as const) {
    await assert.rejects(client.createRoom({ id: "roles", users: [{ user: uri.user("bob@bravo.example"), roles }] }), refusal("bad-argument"));
    assert.equal(client.room(uri.room("roles@alpha.example")), undefined, "all or nothing");
  }
  await wasAsked;
  await client.close();
  await creation;
  await assert.rejects(client.createRoom(), refusal("closed"));
});

test("a trace that throws is reported, and stops nothing", async () => {
  const thrown: unknown[] = [];
  const later = mock.method(globalThis, "queueMicrotask", (call: () => void) => { try { call(); } catch (error) { thrown.push(error); } });
  const client = await Client.open({
    user: alice, provider, store: "memory", fetch: async () => new Response(null, { status: 403 }),
    trace: ({ from, to, method, path, status, response }) => { throw new Error([from, to, method, path, status, response?.length].join(" ")); },
  });
  await assert.rejects(client.createRoom(), refusal("not-allowed"));
  later.mock.restore();
  assert.deepEqual(thrown.map((error) => (error as Error).message), [`${client.device} alpha.example POST /client/v1/devices 403 0`]);
  await client.close();
});

test("an aborted open rejects with aborted", async () => {
  const open = Client.open({ user: alice, provider, store: "memory", signal: AbortSignal.abort(), fetch: async () => { throw new TypeError(); } });
  await assert.rejects(open, refusal("aborted"));
});

test("MimiError.is looks at the brand and the code, not at the class", () => {
  const error = new MimiError("no-consent", "no", { retryable: true, cause: 1 });
  assert.ok(MimiError.is(error));
  assert.ok(MimiError.is(error, "conflict", "no-consent"));
  assert.ok(!MimiError.is(error, "conflict"));
  assert.deepEqual([error.code, error.retryable, error.cause, error.name], ["no-consent", true, 1, "MimiError"]);
  // Such as one of another copy of this package, or one that came from a worker.
  assert.ok(MimiError.is({ ...error, brand: error.brand, code: error.code }, "no-consent"));
  for (const other of [new Error("no-consent"), { code: "no-consent" }, null, undefined, "no-consent"]) assert.ok(!MimiError.is(other));
});
