// What a provider in development tells inspectors, and when it tells nobody.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, test } from "node:test";
import { until } from "../js/story.js";
import { startProviders, type Providers } from "../js/providers.js";
import { person, type Person } from "../js/actors.js";
import { freePortPair, startProvider } from "../../js/hub/cli/provider-process.js";
import { send } from "./cli-support.js";

const ALPHA = "alpha.example";
const BRAVO = "bravo.example";
const PATH = "/dev/trace";

interface Told { readonly from: string; readonly to: string; readonly via: string; readonly method: string; readonly path: string; readonly what: string; readonly at: number; readonly endedAt: number; readonly bytes: number; readonly status?: number; readonly code?: string; readonly request: string; readonly response?: string }

const lines: string[] = [];
let providers: Providers;
before(async () => { providers = await startProviders("build/hub/worker.js", { trace: true, onTrace: (line) => { lines.push(line); }, onLog: () => undefined }); });
after(() => providers.stop());

/** Reads a provider's trace until the test ends. */
async function listen(domain: string): Promise<{ readonly headers: Headers; readonly told: readonly Told[] }> {
  const ending = new AbortController();
  after(() => { ending.abort(); });
  const response = await fetch(providers.url(domain) + PATH, { signal: ending.signal, headers: { origin: "http://localhost:1234" } });
  assert.equal(response.status, 200);
  const told: Told[] = [];
  void (async () => {
    let text = "";
    for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
      text += chunk;
      const messages = text.split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) if (message.startsWith("data: ")) told.push(JSON.parse(message.slice(6)) as Told);
    }
  })().catch(() => undefined);
  return { headers: response.headers, told };
}

async function found<T>(find: () => T | undefined, what: string): Promise<T> {
  return await until(async () => find(), async () => `${what} was not told`);
}

async function people(): Promise<{ readonly alice: Person; readonly bob: Person }> {
  const alice = await person(`alice@${ALPHA}`, providers.url(ALPHA));
  after(() => alice.close());
  const bob = await person(`bob@${BRAVO}`, providers.url(BRAVO));
  after(() => bob.close());
  return { alice, bob };
}

/** The status of a GET with these headers, which `fetch` would not let us set. */
function statusOf(base: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    httpRequest(base + PATH, { headers, agent: false }, (answer) => {
      resolve(answer.statusCode ?? 0);
      answer.destroy();
    }).on("error", reject).end();
  });
}

test("an inspector is told of exchanges with devices and providers and of frames, with their bodies", async () => {
  const alpha = await listen(ALPHA);
  const bravo = await listen(BRAVO);
  assert.equal(alpha.headers.get("content-type"), "text/event-stream");
  assert.equal(alpha.headers.get("access-control-allow-origin"), "http://localhost:1234");
  const { alice, bob } = await people();
  await alice.createRoom("traced");
  await alice.add(`traced@${ALPHA}`, bob.user);
  await until(() => bob.state(`traced@${ALPHA}`), async () => "Bob did not come in");
  await bob.send(`traced@${ALPHA}`, "hello");

  const device = bob.client().device;
  const ofDevice = await found(() => bravo.told.find(({ via, what }) => via === "client" && what === "submitMessage"), "the device's message");
  assert.deepEqual([ofDevice.from, ofDevice.to, ofDevice.method, ofDevice.path, ofDevice.status, ofDevice.code], [device, BRAVO, "POST", `/client/v1/submitMessage/traced@${ALPHA}`, 200, "accepted"]);
  const passedOn = await found(() => bravo.told.find(({ via, path }) => via === "provider" && path.includes("submitMessage")), "the message to the hub");
  assert.deepEqual([passedOn.from, passedOn.to, passedOn.path, passedOn.status, passedOn.code], [BRAVO, ALPHA, `/v1/submitMessage/traced@${ALPHA}`, 200, "accepted"]);
  assert.equal(passedOn.request, ofDevice.request);
  assert.equal(passedOn.response, ofDevice.response);
  assert.equal(Buffer.from(passedOn.request, "base64").length, passedOn.bytes);
  assert.ok(ofDevice.at <= passedOn.at && passedOn.at <= passedOn.endedAt && passedOn.endedAt <= ofDevice.endedAt);
  assert.ok(Math.abs(Date.now() - ofDevice.at) < 3_600_000);

  const fanOut = await found(() => alpha.told.find(({ via, path, what }) => via === "provider" && path === `/v1/notify/traced@${ALPHA}` && what.startsWith("message")), "the fan-out");
  assert.deepEqual([fanOut.from, fanOut.to], [ALPHA, BRAVO]);
  const frame = await found(() => alpha.told.find(({ via, to, request }) => via === "socket" && to === alice.client().device && Buffer.from(request, "base64").includes(Buffer.from(passedOn.request, "base64"))), "the frame with the message");
  assert.deepEqual([frame.from, frame.what, frame.status, frame.response], [ALPHA, "frame", undefined, undefined]);
  const hello = await found(() => bravo.told.find(({ via, from }) => via === "socket" && from === device), "the hello");
  assert.equal(hello.to, BRAVO);
});

test("the lines for people hold exchanges between providers alone, without bodies", async () => {
  const line = await found(() => lines.find((text) => text.includes("keyMaterial")), "the claim");
  const { at, endedAt, bytes, ...rest } = JSON.parse(line) as Told;
  assert.deepEqual(rest, { from: ALPHA, to: BRAVO, method: "POST", path: `/v1/keyMaterial/bob@${BRAVO}`, what: rest.what, status: 200, code: "success" });
  assert.ok(bytes > 0 && at <= endedAt);
  assert.deepEqual(lines.filter((text) => text.includes("/client/")), []);
});

test("pages and names that are not of this machine do not get the trace", async () => {
  const base = providers.url(ALPHA);
  assert.equal(await statusOf(base, {}), 200);
  assert.equal(await statusOf(base, { origin: "https://evil.example" }), 403);
  assert.equal(await statusOf(base, { host: "evil.example" }), 403);
  assert.equal((await fetch(base + PATH, { method: "POST" })).status, 404);
  assert.equal((await send(providers.provider(ALPHA).mimiUrl, ALPHA, PATH, { method: "GET" })).status, 404);
});

test("a provider that does not trace has no stream", async () => {
  const one = await startProvider({ domain: ALPHA, port: await freePortPair(), peers: [], caDir: providers.caDir, stateDir: `${providers.caDir}-quiet`, worker: "build/hub/worker.js", onLog: () => undefined });
  after(() => one.stop());
  assert.equal((await fetch(new URL(PATH, one.clientUrl))).status, 404);
});

test("a provider stops at once while an inspector listens", async () => {
  const one = await startProvider({ domain: ALPHA, port: 0, peers: [], caDir: providers.caDir, stateDir: `${providers.caDir}-listened`, worker: "build/hub/worker.js", trace: true, onLog: () => undefined });
  const response = await fetch(new URL(PATH, one.clientUrl));
  assert.equal(response.status, 200);
  await one.stop();
  assert.equal(await one.ended, "workerd ended (status 0)");
});
