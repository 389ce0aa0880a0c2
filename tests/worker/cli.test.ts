/**
 * `mimi-hub` and the processes that it runs.
 */

import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";

import { build } from "esbuild";
import { WebSocket } from "ws";

import { isRunning, identify } from "../../js/hub/cli/processes.js";
import { freePortPair } from "../../js/hub/cli/provider-process.js";
import { buildStub, count, echo, folder, mimiHub, provider, type Run } from "./cli-support.js";

const ALPHA = "alpha.example";
const PROGRAM = "build/tests/stub-hub/cli.js";

let program: string;
let worker: string;

before(async () => {
  await build({
    entryPoints: ["js/hub/cli/main.ts"],
    outfile: PROGRAM,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  program = join(process.cwd(), PROGRAM);
  worker = await buildStub("build/tests/stub-hub/worker.js");
});

/** Starts alpha by the command line and waits until it is ready. */
async function alpha(...args: readonly string[]): Promise<Run & { clientUrl: string }> {
  const port = String(await freePortPair());
  const run = mimiHub(program, "dev", "--domain", ALPHA, "--port", port, ...args);
  await run.printed(/^ready$/m);
  return { ...run, clientUrl: `http://127.0.0.1:${port}/client/v1` };
}

/** The process number of alpha's workerd, which the state folder notes. */
async function workerdOf(state: string): Promise<number> {
  const note = JSON.parse(await readFile(join(state, "running.json"), "utf8"));
  return (note as { workerd: { pid: number } }).workerd.pid;
}

async function hubKeysOf(state: string): Promise<Record<string, string>> {
  return JSON.parse(await readFile(join(state, "hub-keys.json"), "utf8"));
}

const mistakes: readonly (readonly [RegExp, ...string[]])[] = [
  [/a command is missing; there is: init, dev, serve, keygen, config, check, /],
  [/there is no command "server"; there is: init, dev, /, "server"],
  [/--domain is missing/, "dev"],
  [/'--domian'/, "dev", "--domian", ALPHA],
  [/--domain/, "dev", "--domain"],
  [/exclude each other/, "dev", "--domain", ALPHA, "--providers", "a.example"],
  [/"Alpha\.example" is not a domain in lower case/, "dev", "--domain", "Alpha.example"],
  [/"\.\.\/x" is not a domain/, "dev", "--domain", "../x"],
  [/"" is not a domain/, "dev", "--providers", "a.example,"],
  [/names a domain twice/, "dev", "--providers", "a.example,a.example"],
  [/--port takes a number from 1 to 65534, not "x"/, "dev", "--domain", ALPHA, "--port", "x"],
  [/--port takes a number/, "dev", "--domain", ALPHA, "--port", "65535"],
  [/--peer takes DOMAIN=HOST:PORT/, "dev", "--domain", ALPHA, "--peer", "b.example"],
  [/--peer takes DOMAIN=HOST:PORT/, "dev", "--domain", ALPHA, "--peer", "b.example=h:99999"],
  [/cannot be its own peer/, "dev", "--domain", ALPHA, "--peer", `${ALPHA}=127.0.0.1:1`],
  [/a peer is given twice/, "dev", "--domain", ALPHA, "--peer", "b=h:1", "--peer", "b=h:2"],
  [/--consent takes allow or ask/, "dev", "--domain", ALPHA, "--consent", "maybe"],
  [/--unknown-users takes hidden or told/, "dev", "--domain", ALPHA, "--unknown-users", "all"],
  [/dev takes options only/, "dev", ALPHA],
];

test("a mistake on the command line is one line and status 2", async () => {
  for (const [pattern, ...args] of mistakes) {
    const { status, stdout, stderr } = await mimiHub(program, ...args).ended;
    assert.deepEqual([status, stdout], [2, ""], args.join(" "));
    assert.match(stderr, /^mimi-hub: [^\n]+\n$/);
    assert.match(stderr, pattern);
  }
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name === ".mimi"),
    [],
  );
});

test("help and version are printed", async () => {
  const help = await mimiHub(program, "--help").ended;
  assert.equal(help.status, 0);
  assert.match(help.stdout, /^Usage: mimi-hub <command> \[options\]$/m);
  assert.equal((await mimiHub(program, "dev", "-h").ended).stdout, help.stdout);
  const { version } = JSON.parse(await readFile("npm/hub/package.json", "utf8"));
  assert.deepEqual(await mimiHub(program, "--version").ended, {
    status: 0,
    stdout: `mimi-hub ${version}\n`,
    stderr: "",
  });
});

test("several providers know each other, and all end at Ctrl-C", async () => {
  const port = await freePortPair();
  const run = mimiHub(program, "dev", "--providers", "a.example,b.example", "--port", String(port));
  const expected = [
    `a.example: clients http://127.0.0.1:${port}/client/v1, providers https://127.0.0.1:${port + 1} (mutual TLS)`,
    `b.example: clients http://127.0.0.1:${port + 2}/client/v1, providers https://127.0.0.1:${port + 3} (mutual TLS)`,
    "ready",
    "",
  ];
  assert.equal(await run.printed(/^ready$/m), expected.join("\n"));
  const asked = await echo(`http://127.0.0.1:${port + 2}`, "localhost", "/client/v1/ask/a.example");
  assert.equal(asked.settings.domain, "a.example");
  assert.equal(asked.headers["from"], "mimi@b.example");
  const states = [join(folder, ".mimi/a.example"), join(folder, ".mimi/b.example")];
  const workerds = (await Promise.all(states.map(workerdOf))).map(identify);
  assert.ok(workerds.every((each) => each !== undefined && isRunning(each)));
  run.child.kill("SIGINT");
  const { status, stderr } = await run.ended;
  assert.deepEqual([status, stderr], [0, "asked\n"]);
  assert.ok(workerds.every((each) => each !== undefined && !isRunning(each)));
  assert.equal((await readdir(states[0] ?? "")).includes("running.json"), false);
});

test("the trace alone goes to standard output, one line of JSON per exchange", async () => {
  const bravo = await provider({ domain: "bravo.example", worker });
  const peer = `bravo.example=${new URL(bravo.mimiUrl).host}`;
  const run = await alpha("--peer", peer, "--ca", "ca", "--state", "traced", "--trace");
  await fetch(`${run.clientUrl}/ask/bravo.example`, { method: "POST" });
  await run.printed(/^\{"from"/m);
  run.child.kill("SIGTERM");
  const { status, stdout, stderr } = await run.ended;
  assert.equal(status, 0);
  assert.equal(stdout.split("\n").slice(2).join("\n"), '{"from":"alpha.example","to":"bravo.example"}\n');
  assert.equal(stderr, "asked\n");
});

test("r34_r102_what_others_are_told_of_users_reaches_the_worker", async () => {
  for (const [args, ...expected] of [
    [[], "allow", "hidden"],
    [["--consent", "ask", "--unknown-users", "told"], "ask", "told"],
  ] as const) {
    const run = await alpha("--state", "consent", ...args);
    const seen = await echo(new URL(run.clientUrl).origin, "localhost", "/client/v1/echo");
    assert.deepEqual([seen.settings.consent, seen.settings.unknownUsers], expected);
    run.child.kill("SIGTERM");
    assert.equal((await run.ended).status, 0);
  }
});

test("state survives stop, kill -9 of workerd and kill -9 of the command line", async () => {
  const state = join(folder, "survives");
  const options = { domain: ALPHA, worker, stateDir: state };
  const first = await provider(options);
  assert.equal(await count(first.clientUrl), 1);
  await first.stop();
  const second = await provider(options);
  assert.equal(await count(second.clientUrl), 2);
  await second.kill9();
  const third = await alpha("--state", state);
  assert.equal(await count(third.clientUrl), 3);
  const orphan = identify(await workerdOf(state));
  third.child.kill("SIGKILL");
  await third.ended;
  assert.ok(orphan !== undefined && isRunning(orphan), "workerd outlives a killed parent");
  const port = Number(new URL(third.clientUrl).port);
  const fourth = await provider({ ...options, port });
  assert.equal(isRunning(orphan), false);
  assert.equal(await count(fourth.clientUrl), 4);
  await fourth.stop();
});

test("--fresh empties the state and leaves what is not ours", async () => {
  const state = join(folder, "fresh");
  const options = { domain: ALPHA, worker, stateDir: state };
  const first = await provider(options);
  assert.equal(await count(first.clientUrl), 1);
  const keys = await hubKeysOf(state);
  await first.stop();
  await writeFile(join(state, "diary.txt"), "dear diary");
  const second = await provider({ ...options, fresh: true });
  assert.equal(await count(second.clientUrl), 1);
  assert.notDeepEqual(await hubKeysOf(state), keys);
  assert.equal(await readFile(join(state, "diary.txt"), "utf8"), "dear diary");
  await second.stop();
});

test("d2_the_hub_key_is_made_once_and_is_its_owners_alone", async () => {
  const state = join(folder, "hub-key");
  const options = { domain: ALPHA, worker, stateDir: state };
  const first = await provider(options);
  const text = await readFile(join(state, "hub-keys.json"), "utf8");
  const keys = await hubKeysOf(state);
  assert.equal((await stat(join(state, "hub-keys.json"))).mode & 0o777, 0o600);
  assert.equal((await stat(join(state, "workerd.capnp"))).mode & 0o777, 0o600);
  const seed = Buffer.from(keys["ed25519"] ?? "", "base64");
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const made = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const spki = createPublicKey(made).export({ format: "der", type: "spki" });
  assert.equal(spki.subarray(-32).toString("base64"), keys["public"]);
  await first.stop();
  const second = await provider(options);
  const seen = await echo(new URL(second.clientUrl).origin, "localhost", "/client/v1/echo");
  assert.equal(seen.env.HUB_KEYS, text);
  await second.stop();
});

test("three providers that start at once make one development CA", async () => {
  const ports = [await freePortPair(), await freePortPair(), await freePortPair()];
  const runs = ports.map((port, index) => {
    const args = ["--domain", `p${index}.example`, "--port", String(port), "--ca", "shared-ca"];
    return mimiHub(program, "dev", ...args);
  });
  await Promise.all(runs.map((run) => run.printed(/^ready$/m)));
  assert.deepEqual((await readdir(join(folder, "shared-ca"))).sort(), ["ca-certificate.pem", "ca.pem"]);
  const trust = await readFile(join(folder, "shared-ca", "ca-certificate.pem"), "utf8");
  assert.ok(new X509Certificate(trust).ca);
  for (const [index, port] of ports.entries()) {
    const domain = `p${index}.example`;
    const seen = await echo(`https://127.0.0.1:${port + 1}`, domain, "/v1/echo", { trust });
    assert.equal(seen.settings.domain, domain);
  }
  runs.forEach((run) => run.child.kill("SIGTERM"));
  for (const { status } of await Promise.all(runs.map((run) => run.ended))) {
    assert.equal(status, 0);
  }
});

test("a state folder or a port that is in use is one line and status 1", async () => {
  const state = join(folder, "taken");
  const first = await provider({ domain: ALPHA, worker, stateDir: state });
  const port = String(await freePortPair());
  const args = ["dev", "--domain", ALPHA, "--port"];
  assert.deepEqual(await mimiHub(program, ...args, port, "--state", state).ended, {
    status: 1,
    stdout: "",
    stderr: `mimi-hub: ${state} is in use by process ${process.pid}\n`,
  });
  const taken = new URL(first.clientUrl).port;
  assert.deepEqual(await mimiHub(program, ...args, taken, "--state", "free").ended, {
    status: 1,
    stdout: "",
    stderr: `mimi-hub: port ${taken} is in use\n`,
  });
  assert.equal(await count(first.clientUrl), 1);
  await first.stop();
});

test("a request that never ends does not keep a provider from stopping", async () => {
  let begun = (): void => {};
  const hanging = new Promise<void>((resolve) => (begun = resolve));
  const stateDir = join(folder, "hangs");
  const hung = await provider({ domain: ALPHA, worker, stateDir, onLog: () => begun() });
  const requests = [
    fetch(`${hung.clientUrl}/hang`).catch(() => "cut"),
    echo(hung.mimiUrl, ALPHA, "/v1/hang").catch(() => "cut"),
  ];
  await hanging;
  await hung.stop();
  assert.deepEqual(await Promise.all(requests), ["cut", "cut"]);
  assert.equal(await hung.ended, "workerd ended (SIGKILL)");
});

test("a WebSocket passes the clients' listener, and does not keep a provider from stopping", async () => {
  const started = await provider({ domain: ALPHA, worker, stateDir: join(folder, "socket") });
  const socket = new WebSocket(`${started.clientUrl.replace("http:", "ws:")}/socket`);
  await once(socket, "open");
  socket.send(Buffer.from([1, 2, 3]));
  const [frame] = (await once(socket, "message")) as [Buffer];
  assert.deepEqual([...frame], [1, 2, 3]);
  const closed = once(socket, "close");
  await started.stop();
  await closed;
});

test("the command line ends with status 1 when workerd ends by itself", async () => {
  const state = join(folder, "dies");
  const run = await alpha("--state", state);
  process.kill(await workerdOf(state), "SIGKILL");
  const { status, stderr } = await run.ended;
  assert.deepEqual([status, stderr], [1, "mimi-hub: alpha.example: workerd ended (SIGKILL)\n"]);
});
