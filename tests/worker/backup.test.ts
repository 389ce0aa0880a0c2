// A provider's state in one file, and a provider that goes on from it.

import assert from "node:assert/strict";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { person, type Person } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";
import { folder, mimiHub } from "./cli-support.js";

const ROOM = "clubhouse@alpha.example";
const PROGRAM = resolve("build/hub/cli.js");
let providers: Providers;
const people: Person[] = [];

before(async () => { providers = await startProviders("build/hub/worker.js", { onLog: () => undefined }); });
after(async () => {
  await Promise.all(people.map((one) => one.close()));
  await providers.stop();
});

async function run(...args: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> { return await mimiHub(PROGRAM, ...args).ended; }

async function texts(one: Person, count: number): Promise<readonly string[]> {
  let all: readonly string[] = [];
  await until(async () => { all = (await one.received(ROOM)).map(({ text }) => text); return all.length >= count ? true : undefined; }, async () => `${one.user} has ${all.join()}`);
  return all;
}

test("a provider that has lost its state goes on from an export of it: nothing is lost or there twice", async () => {
  const alice = await person("alice@alpha.example", providers.url("alpha.example"));
  const bob = await person("bob@bravo.example", providers.url("bravo.example"));
  people.push(alice, bob);
  await alice.createRoom("clubhouse");
  await alice.add(ROOM, bob.user);
  await until(async () => ((await bob.state(ROOM)) === undefined ? undefined : true), async () => "Bob does not come in");
  await alice.send(ROOM, "before");
  assert.deepEqual(await texts(bob, 1), ["before"]);

  const state = providers.state("alpha.example");
  const status = JSON.parse((await run("status", "--state", state, "--json")).stdout) as Record<string, unknown>;
  assert.deepEqual([status["rooms"], status["users"]], [1, 1]);
  assert.match((await run("rooms", "--state", state)).stdout, /^\S+ {2}clubhouse@alpha\.example\n$/);
  const described = JSON.parse((await run("rooms", ROOM, "--state", state, "--json")).stdout) as Record<string, unknown>;
  assert.deepEqual([described["epoch"], described["participants"], described["devices"], described["providers"]], [1, 2, 2, ["alpha.example", "bravo.example"]]);

  const exported = await run("export", "alpha.jsonl", "--state", state);
  assert.equal(exported.stderr, "");
  assert.match(exported.stdout, /^alpha\.jsonl: alpha\.example at \S+, \d+ objects, \d+ rows\n$/);
  const file = join(folder, "alpha.jsonl");
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const hubKeys = JSON.parse(await readFile(join(state, "hub-keys.json"), "utf8")) as { ed25519: string };
  assert.ok(!(await readFile(file, "utf8")).includes(hubKeys.ed25519));

  await providers.kill9("alpha.example");
  await rm(join(state, "objects"), { recursive: true });
  await providers.restart("alpha.example");
  const imported = await run("import", "alpha.jsonl", "--state", state);
  assert.deepEqual([imported.stderr, imported.stdout], ["", exported.stdout.replace(/\n$/, ", taken in\n")]);
  const again = await run("import", "alpha.jsonl", "--state", state);
  assert.deepEqual([again.status, again.stderr], [1, "mimi-hub: the provider answers 409: this provider is not empty\n"]);

  await alice.send(ROOM, "after");
  await bob.updateKeys(ROOM);
  await bob.send(ROOM, "and back");
  assert.deepEqual(await texts(bob, 2), ["before", "after"]);
  assert.deepEqual(await texts(alice, 1), ["and back"]);
});

test("an export that was changed, cut or is none is refused, and one of another domain", async () => {
  const lines = (await readFile(join(folder, "alpha.jsonl"), "utf8")).split("\n");
  const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);
  await write("changed.jsonl", lines.join("\n").replace(/"rows":\[\["A/, '"rows":[["B'));
  await write("cut.jsonl", `${lines.slice(0, 3).join("\n")}\n`);
  await write("none.jsonl", "hello\n");
  for (const [name, words] of [["changed", "is damaged: its checksum is another"], ["cut", "is not whole"], ["none", "is no export of a provider"]] as const) {
    const { status, stderr } = await run("verify", `${name}.jsonl`);
    assert.deepEqual([status, stderr], [1, `mimi-hub: ${name}.jsonl ${words}\n`]);
  }
  assert.equal((await run("verify", "nowhere.jsonl")).stderr, "mimi-hub: there is no nowhere.jsonl\n");
  const other = await run("import", "alpha.jsonl", "--state", providers.state("charlie.example"));
  assert.equal(other.stderr, "mimi-hub: the provider answers 409: an export of alpha.example, and this is charlie.example\n");
});

test("who asks a provider that does not run, or with another token, is told so", async () => {
  assert.equal((await run("status", "--state", "nowhere")).stderr, "mimi-hub: no provider runs on nowhere: --state DIR names its folder\n");
  await writeFile(join(folder, "token"), "another one");
  const { stderr } = await run("status", "--url", providers.url("alpha.example"), "--token-file", "token");
  assert.equal(stderr, "mimi-hub: there is no status at the provider\n");
});
