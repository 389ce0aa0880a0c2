// What `mimi-hub tail` shows of logs.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { folder, mimiHub } from "./cli-support.js";

const PROGRAM = resolve("build/hub/cli.js");
const ALPHA = [
  { at: "2027-01-01T00:00:00.100Z", level: "info", event: "request", id: "a".repeat(32), endpoint: "update", status: 200, code: "success", millis: 12 },
  { at: "2027-01-01T00:00:00.300Z", level: "warn", event: "report", class: "HubRoom", what: "fan-out to bravo.example: refused, 403" },
  { at: "2027-01-01T00:00:00.400Z", level: "error", event: "object", error: "storage: sql" },
];
const BRAVO = [
  { at: "2027-01-01T00:00:00.050Z", level: "debug", event: "call", id: "b".repeat(32) },
  { at: "2027-01-01T00:00:00.200Z", level: "info", event: "request", id: "a".repeat(32), endpoint: "update", status: 403, code: "notAllowed" },
];
const lines = (all: readonly object[]): string => all.map((line) => `${JSON.stringify(line)}\n`).join("");
await writeFile(join(folder, "alpha.log"), `alpha.example: clients http://127.0.0.1:8801\nready\n${lines(ALPHA)}{"not": "of the log"}\n{broken\n`);
await writeFile(join(folder, "bravo.log"), lines(BRAVO));

async function tail(...args: readonly string[]): Promise<readonly string[]> {
  const { status, stdout, stderr } = await mimiHub(PROGRAM, "tail", ...args).ended;
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.split("\n").slice(0, -1);
}

test("tail shows a log's lines to be read, and passes over what is none", async () => {
  assert.deepEqual(await tail("alpha.log"), [
    `2027-01-01T00:00:00.100Z info  request id=${"a".repeat(32)} endpoint=update status=200 code=success millis=12`,
    "2027-01-01T00:00:00.300Z warn  report class=HubRoom what=fan-out to bravo.example: refused, 403",
    "2027-01-01T00:00:00.400Z error object error=storage: sql",
  ]);
});

test("tail shows those of a level and graver, of a code, of a request through two providers in order", async () => {
  assert.deepEqual((await tail("alpha.log", "--level", "warn", "--json")).map((line) => JSON.parse(line) as unknown), ALPHA.slice(1));
  assert.deepEqual((await tail("alpha.log", "bravo.log", "--code", "notAllowed", "--json")).map((line) => JSON.parse(line) as unknown), [BRAVO[1]]);
  assert.deepEqual((await tail("bravo.log", "alpha.log", "--request", "a".repeat(32), "--json")).map((line) => JSON.parse(line) as unknown), [ALPHA[0], BRAVO[1]]);
});

test("tail reads standard input as it comes", async () => {
  const run = mimiHub(PROGRAM, "tail", "--level", "error");
  assert.equal((await run.ended).stdout, "");
});

test("tail says what it cannot read", async () => {
  assert.deepEqual(await mimiHub(PROGRAM, "tail", "none.log").ended, { status: 1, stdout: "", stderr: "mimi-hub: there is no none.log\n" });
  const { status, stderr } = await mimiHub(PROGRAM, "tail", "--level", "loud").ended;
  assert.equal(status, 2);
  assert.equal(stderr, 'mimi-hub: --level takes error, warn, info, debug, not "loud"\n');
});
