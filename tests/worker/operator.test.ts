// What an operator sees and does of other providers and of users' devices, by the command line.

import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { MimiError } from "@mimi-edge/client";
import { person, type Person } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";
import { mimiHub } from "./cli-support.js";

const ROOM = "clubhouse@alpha.example";
const PROGRAM = resolve("build/hub/cli.js");
let providers: Providers;
let alice: Person;
let bob: Person;

before(async () => {
  providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  alice = await person("alice@alpha.example", providers.url("alpha.example"));
  bob = await person("bob@bravo.example", providers.url("bravo.example"));
  await alice.createRoom("clubhouse");
  await alice.add(ROOM, bob.user);
  await until(async () => ((await bob.state(ROOM)) === undefined ? undefined : true), async () => "Bob does not come in");
});
after(async () => {
  await Promise.all([alice.close(), bob.close()]);
  await providers.stop();
});

async function run(...args: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return await mimiHub(PROGRAM, ...args, "--state", providers.state("alpha.example")).ended;
}

interface Peer { readonly peer: string; readonly since: number | null; readonly entries: number; readonly objects: number; readonly failingSince: number | null; readonly givenUp: number }

async function peers(): Promise<readonly Peer[]> {
  return JSON.parse((await run("peers", "--json")).stdout) as readonly Peer[];
}

test("peers says who was met and what waits; retry sends it at once, drop-queue never", async () => {
  const [met] = await peers();
  assert.equal(typeof met?.since, "number");
  const quiet = { peer: "bravo.example", since: met?.since ?? null, entries: 0, objects: 0, failingSince: null, givenUp: 0 };
  assert.deepEqual(await peers(), [quiet]);
  assert.match((await run("peers", "bravo.example")).stdout, /^\S+ {2}bravo\.example {2}0 wait in 0\n$/);

  await providers.kill9("bravo.example");
  await alice.send(ROOM, "while bravo is away");
  const failing = async (entries: number): Promise<true | undefined> => {
    const [one] = await peers();
    return one?.entries === entries && one.objects === 1 && one.failingSince !== null ? true : undefined;
  };
  await until(() => failing(1), async () => `peers: ${JSON.stringify(await peers())}`);
  assert.match((await run("peers", "bravo.example")).stdout, /^\S+ {2}bravo\.example {2}1 wait in 1, failing since \S+\n$/);
  assert.deepEqual(await run("peers", "drop-queue", "bravo.example"), { status: 2, stdout: "", stderr: "mimi-hub: what waits for bravo.example would be lost: say it with --yes\n" });
  assert.equal((await run("peers", "drop-queue", "bravo.example", "--yes")).stdout, "bravo.example: nothing waits any more\n");
  assert.deepEqual(await peers(), [quiet]);

  await alice.send(ROOM, "and later");
  await until(() => failing(1), async () => `peers: ${JSON.stringify(await peers())}`);
  await providers.restart("bravo.example");
  assert.equal((await run("peers", "retry", "bravo.example")).stdout, "bravo.example: tried now\n");
  await until(async () => ((await bob.received(ROOM)).some(({ text }) => text === "and later") ? true : undefined), async () => "Bob does not read what was tried again");
  assert.deepEqual((await bob.received(ROOM)).map(({ text }) => text), ["and later"]);
  assert.deepEqual(await peers(), [quiet]);
});

test("a device is listed, and revoked for good", async () => {
  const { devices } = JSON.parse((await run("users", alice.user, "--json")).stdout) as { devices: readonly { device: string; since: number }[] };
  assert.equal(devices.length, 1);
  const device = devices[0]?.device ?? "";
  assert.ok(device.startsWith(`${alice.user}/`));
  assert.match((await run("users", "revoke-device", device)).stderr, /--yes/);
  assert.equal((await run("users", "revoke-device", device, "--yes")).stdout, `${device}: revoked\n`);
  assert.deepEqual((JSON.parse((await run("users", alice.user, "--json")).stdout) as { devices: unknown[] }).devices, []);
  await assert.rejects(alice.client().createRoom({ id: "another" }), (error: unknown) => error instanceof MimiError);
  assert.equal((await run("users", "nobody@alpha.example")).stderr, "mimi-hub: there is no users/nobody%40alpha.example at the provider\n");
});

test("status says the version of the hub and of its storage", async () => {
  const { version, ...status } = JSON.parse((await run("status", "--json")).stdout) as Record<string, unknown>;
  assert.equal(version, (await mimiHub(PROGRAM, "--version").ended).stdout.trim().replace(/^mimi-hub /, ""));
  assert.deepEqual(status, { domain: "alpha.example", storage: 1, rooms: 1, followedRooms: 0, users: 1 });
});
