// What a provider says of itself: health, metrics, log lines with ids that follow a request over providers, and
// nothing of what people write or who they are.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { METRICS } from "../../js/hub/metrics.js";
import { person, type Person } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";

type Line = Readonly<Record<string, string | number | undefined>>;

const ROOM = "clubhouse@alpha.example";
let providers: Providers;
const people: Person[] = [];
const raw: string[] = [];
const lines = (): Line[] => raw.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Line);

before(async () => {
  const settings = { log: { level: "debug" }, metrics: { public: true }, clients: { origins: ["https://chat.alpha.example"] }, limits: { bodyBytes: 65_536 } };
  providers = await startProviders("build/hub/worker.js", { settings, onLog: (line) => { raw.push(line); } });
});
after(async () => {
  await Promise.all(people.map((one) => one.close()));
  await providers.stop();
});

test("a request's id is in the lines of every provider that it reaches, and no line says who or what", async () => {
  const alice = await person("alice@alpha.example", providers.url("alpha.example"));
  const bob = await person("bob@bravo.example", providers.url("bravo.example"));
  people.push(alice, bob);
  await alice.createRoom("clubhouse");
  await alice.add(ROOM, bob.user);
  await alice.send(ROOM, "a secret that nobody logs");
  await until(async () => ((await bob.received(ROOM)).length > 0 ? true : undefined), async () => "Bob has nothing");

  // Alice's claim goes from her provider to Bob's.
  await until(async () => (lines().some((line) => line["endpoint"] === "keyMaterial" && line["listener"] === "mimi") ? true : undefined), async () => "no claim was logged");
  const claims = lines().filter((line) => line["endpoint"] === "keyMaterial");
  const [asked, called, answered] = [["event", "request", "listener", "client"], ["event", "call", "peer", "bravo.example"], ["listener", "mimi", "peer", "alpha.example"]]
    .map(([one = "", is, other = "", too]) => claims.find((line) => line[one] === is && line[other] === too));
  assert.match(String(asked?.["id"]), /^[0-9a-f]{32}$/);
  assert.deepEqual([called?.["id"], answered?.["id"]], [asked?.["id"], asked?.["id"]]);
  assert.deepEqual([asked?.["status"], answered?.["status"]], [200, 200]);
  assert.match(String(asked?.["about"]), /^[0-9a-f]{12}$/);
  const commit = lines().find((line) => line["endpoint"] === "update" && line["listener"] === "client");
  assert.equal(commit?.["code"], "success");
  const said = raw.join("\n");
  for (const word of ["alice", "bob", "clubhouse", "secret", "ed25519"]) assert.ok(!said.includes(word), word);
});

test("an id that came with a request is kept, answered and logged; one that is none is replaced", async () => {
  const ask = (id: string): Promise<Response> => fetch(`${providers.url("alpha.example")}/client/v1/devices`, { headers: { "mimi-request-id": id } });
  assert.equal((await ask("my-own-id-0001")).headers.get("mimi-request-id"), "my-own-id-0001");
  assert.match((await ask("no id, but text")).headers.get("mimi-request-id") ?? "", /^[0-9a-f]{32}$/);
  await until(async () => (lines().some((line) => line["id"] === "my-own-id-0001" && line["status"] === 401) ? true : undefined), async () => "the id was not logged");
});

test("a provider says that it lives and is ready, and counts what it does", async () => {
  const base = providers.url("alpha.example");
  assert.deepEqual(await (await fetch(`${base}/healthz`)).json(), { status: "alive" });
  const ready = await fetch(`${base}/readyz`);
  assert.deepEqual([ready.status, await ready.json()], [200, { status: "ready", config: true, keys: true, storage: true }]);
  const text = await (await fetch(`${base}/metrics`)).text();
  for (const [name, { help, type }] of Object.entries(METRICS)) assert.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`), name);
  assert.match(text, /^mimi_commits_total\{code="success"\} 1$/m);
  assert.match(text, /^mimi_messages_total\{code="accepted"\} 1$/m);
  assert.match(text, /^mimi_requests_total\{listener="client",endpoint="update",status="200"\} 1$/m);
  assert.match(text, /^mimi_request_seconds_bucket\{listener="client",le="\+Inf"\} \d+$/m);
  assert.match(text, /^mimi_auth_failures_total\{listener="client"\} \d+$/m);
});

test("d18_a_body_beyond_its_limit_is_refused_before_it_is_decoded", async () => {
  const post = (bytes: number): Promise<Response> => fetch(`${providers.url("alpha.example")}/client/v1/devices`, { method: "POST", body: new Uint8Array(bytes) });
  assert.equal((await post(65_537)).status, 413);
  assert.notEqual((await post(65_536)).status, 413);
});

test("d21_an_application_of_a_listed_origin_reads_answers_and_opens_sockets_and_another_one_does_not", async () => {
  const ask = (origin: string, init: RequestInit = {}): Promise<Response> => fetch(`${providers.url("alpha.example")}/client/v1/devices`, { ...init, headers: { origin } });
  const good = await ask("https://chat.alpha.example");
  assert.equal(good.headers.get("access-control-allow-origin"), "https://chat.alpha.example");
  assert.equal(good.headers.get("access-control-expose-headers"), "www-authenticate, retry-after, mimi-request-id");
  assert.equal((await ask("https://chat.alpha.example", { method: "OPTIONS" })).headers.get("access-control-allow-headers"), "authorization, content-type, mimi-request-id");
  const bad = await ask("https://evil.example");
  assert.deepEqual([bad.headers.get("access-control-allow-origin"), bad.headers.get("vary")], [null, "origin"]);
  const { WebSocket } = await import("ws");
  const status = await new Promise<number>((resolve) => {
    const socket = new WebSocket(`${providers.url("alpha.example").replace("http", "ws")}/client/v1/socket/alice@alpha.example%2Fphone`, { headers: { origin: "https://evil.example" } });
    socket.on("unexpected-response", (_request, response) => { resolve(response.statusCode ?? 0); socket.terminate(); });
    socket.on("open", () => { resolve(101); });
    socket.on("error", () => undefined);
  });
  assert.equal(status, 403);
});
