// `mimi-hub init`, `keygen`, `config` and what `serve` refuses, each in one line.

import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse } from "jsonc-parser";
import { folder, mimiHub } from "./cli-support.js";

const PROGRAM = resolve("build/hub/cli.js");

async function run(...args: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return await mimiHub(PROGRAM, ...args).ended;
}

const read = (...path: string[]): Promise<string> => readFile(join(folder, ...path), "utf8");

test("init writes what the edge network and a machine need, and replaces nothing", async () => {
  const { status, stdout } = await run("init", "hub", "--domain", "alpha.example");
  assert.equal(status, 0);
  assert.match(stdout, /alpha\.example is for ever/);
  const wrangler = parse(await read("hub", "wrangler.jsonc")) as { durable_objects: unknown; migrations: unknown; main: string };
  // Deployed objects are found by these names: whoever changes them takes their storage away.
  assert.deepEqual(wrangler, { ...wrangler, ...(JSON.parse(await readFile("tests/fixtures/hub/classes.json", "utf8")) as object) });
  assert.equal((await read("hub", wrangler.main)).trim().split("\n").length, 5);
  await writeFile(join(folder, "hub", "worker.ts"), "mine");
  const again = await run("init", "hub", "--domain", "bravo.example");
  assert.equal(again.status, 1);
  assert.match(again.stderr, /^mimi-hub: hub\/worker\.ts is there already, and is left as it is\n$/);
  assert.equal(await read("hub", "worker.ts"), "mine");
  assert.match((await run("init", "other")).stderr, /--domain is missing/);
});

test("keygen keeps the hub's key, renews the certificate, and prints no secret", async () => {
  const args = ["keygen", "--domain", "alpha.example", "--out", "keys", "--ca", "ca"];
  const first = await run(...args);
  assert.equal(first.status, 0);
  const [hubKeys, key, certificate] = await Promise.all(["hub-keys.json", "key.pem", "certificate.pem"].map((name) => read("keys", name)));
  assert.ok(new X509Certificate(certificate ?? "").checkPrivateKey(createPrivateKey(key ?? "")));
  assert.equal(new X509Certificate(certificate ?? "").subjectAltName, "DNS:alpha.example");
  for (const name of ["hub-keys.json", "key.pem"]) assert.equal((await stat(join(folder, "keys", name))).mode & 0o777, 0o600, name);
  const second = await run(...args);
  assert.equal(await read("keys", "hub-keys.json"), hubKeys);
  assert.notEqual(await read("keys", "certificate.pem"), certificate);
  const { ed25519 } = JSON.parse(hubKeys ?? "") as { ed25519: string };
  for (const { stdout, stderr } of [first, second]) assert.ok(!`${stdout}${stderr}`.includes(ed25519) && !stdout.includes("PRIVATE"));
});

test("config prints each setting with where it is from, and the schema", async () => {
  await writeFile(join(folder, "hub.jsonc"), '{ "domain": "alpha.example" /* for ever */ }');
  const { status, stdout } = await run("config", "print");
  assert.equal(status, 0);
  assert.match(stdout, /^domain +"alpha\.example" +hub\.jsonc$/m);
  assert.match(stdout, /^consent +"ask" +default$/m);
  assert.equal((JSON.parse((await run("config", "schema")).stdout) as { type: string }).type, "object");
  assert.match((await run("config", "show")).stderr, /config takes print or schema/);
  await writeFile(join(folder, "wrong.jsonc"), '{ "domian": "alpha.example" }');
  assert.deepEqual(await run("config", "print", "--config", "wrong.jsonc"), { status: 1, stdout: "", stderr: "mimi-hub: wrong.jsonc: domian is no setting: did you mean domain?; domain is missing\n" });
});

test("serve says in one line why it does not start", async () => {
  await mkdir(join(folder, "served"));
  await writeFile(join(folder, "served", "hub.jsonc"), '{ "domain": "alpha.example" }');
  await run("keygen", "--domain", "bravo.example", "--out", "served/bravo", "--ca", "served/ca");
  await run("keygen", "--domain", "alpha.example", "--out", "served/alpha", "--ca", "served/ca");
  await writeFile(join(folder, "served", "text"), "no certificate");
  const serve = (...args: string[]) => run("serve", "--config", "served/hub.jsonc", "--state", "served/state", ...args);
  for (const [pattern, ...args] of [
    [/there is no keys-that-are-not\/certificate\.pem/, "--keys", "keys-that-are-not"],
    [/the certificate is not for alpha\.example, but for DNS:bravo\.example/, "--keys", "served/bravo"],
    [/served\/bravo\/key\.pem is not the key of served\/alpha\/certificate\.pem/, "--keys", "served/alpha", "--key", "served/bravo/key.pem"],
    [/served\/text holds no certificate in PEM/, "--cert", "served/text"],
    [/--peer-ca is missing/, "--keys", "served/alpha"],
    [/--peer-ca nowhere\.pem: there is no such file/, "--keys", "served/alpha", "--peer-ca", "nowhere.pem"],
    [/--providers takes HOST:PORT, not "x"/, "--keys", "served/alpha", "--peer-ca", "served/ca/ca-certificate.pem", "--providers", "x"],
    [/--client-cert and --client-key go together/, "--keys", "served/alpha", "--peer-ca", "served/ca/ca-certificate.pem", "--client-cert", "served/text"],
  ] as const) {
    const { status, stdout, stderr } = await serve(...args);
    assert.ok(status === 1 || status === 2, args.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /^mimi-hub: [^\n]+\n$/);
    assert.match(stderr, pattern);
  }
  assert.match((await run("serve", "--config", "nowhere.jsonc")).stderr, /there is no nowhere\.jsonc: mimi-hub init writes one/);
});
