// Providers killed with -9 at random during a storm: `npm run faults` has it longer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { killStorm } from "../js/kill-storm.js";

test("r82_r84_what_hubs_took_is_delivered_once_and_in_order_although_providers_are_killed_all_the_while", async (context) => {
  const seed = Number(process.env["MIMI_SEED"] ?? Date.now() % 1_000_000);
  context.diagnostic(`MIMI_SEED=${String(seed)}`);
  const { kills, messages, commits, seconds } = await killStorm({ worker: "build/hub/worker.js", seed, messages: 1_000, commits: 50, seconds: 40 });
  context.diagnostic(`${String(messages)} messages, ${String(commits)} commits, ${String(kills)} kills in ${seconds.toFixed(1)} s`);
  assert.ok(kills > 0 && messages > 0 && commits > 0);
});
