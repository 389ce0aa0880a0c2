// What stands in for Durable Objects in examples-web/two-clients does as Durable Objects do.

import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { folder, provider } from "./cli-support.js";

test("the hub's statements come to the same in memory and in SQLite", async () => {
  const script = resolve(folder, "edge", "script.mjs");
  await build({ entryPoints: ["tests/worker/edge/script.ts"], outfile: script, bundle: true, format: "esm", logLevel: "warning" });
  const { clientUrl } = await provider({ domain: "alpha.example", worker: script });
  const inSqlite: unknown = await (await fetch(`${clientUrl}/play`)).json();
  const { playInMemory } = (await import(pathToFileURL(script).href)) as { playInMemory(): unknown[] };
  assert.deepEqual(playInMemory(), inSqlite);
  assert.ok(Array.isArray(inSqlite) && inSqlite.length === 23);
});
