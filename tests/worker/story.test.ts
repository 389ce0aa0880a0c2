// The draft's story against three workerd providers with mutual TLS, also with a provider that is
// killed in the middle of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cast } from "../js/actors.js";
import { startProviders } from "../js/providers.js";
import { playStory, type StoryResult } from "../js/story.js";

const WORKER = "build/hub/worker.js";

function assertAllPassed({ error, ...counts }: StoryResult): void {
  assert.equal(error, undefined);
  assert.deepEqual(counts, { passed: 6, total: 6 });
}

interface Exchange { readonly at: number; readonly from: string; readonly to: string; readonly method: string; readonly path: string; readonly status?: number; readonly code?: string }

test("the story passes and its exchanges are the draft's", async () => {
  const exchanges: Exchange[] = [];
  const providers = await startProviders(WORKER, { trace: true, onTrace: (line) => { exchanges.push(JSON.parse(line) as Exchange); } });
  const people = await cast(providers);
  const ended = (path: string): string[] => exchanges
    .filter(({ method, path: its }) => method === "POST" && its.startsWith(`/v1/${path}/`))
    .sort((one, other) => one.at - other.at)
    .map(({ from, to, status, code }) => [from.split(".")[0], "→", to.split(".")[0], status, code ?? ""].join(" ").trim());
  try {
    assertAllPassed(await playStory(people, () => undefined));
    assert.deepEqual(ended("keyMaterial"), [
      "alpha → bravo 200 success",
      // Bob's provider asks the hub, and the hub asks Cathy's.
      "bravo → alpha 200 success",
      "alpha → charlie 200 success",
    ]);
    assert.deepEqual(ended("update"), [
      "bravo → alpha 200 success",
      // Bob's proposals; Cathy's commit without them, and over them; her new device.
      "bravo → alpha 200 success",
      "charlie → alpha 401 pendingProposals",
      "charlie → alpha 200 success",
      "charlie → alpha 200 success",
    ]);
    assert.deepEqual(ended("groupInfo"), ["charlie → alpha 200 success"]);
    assert.deepEqual(ended("submitMessage"), ["charlie → alpha 200 accepted"]);
    // How many there are depends on what goes out in one body; the hub's own users need none.
    assert.deepEqual([...new Set(ended("notify"))].sort(), ["alpha → bravo 200", "alpha → charlie 200"]);
  } finally {
    await people.end();
    await providers.stop();
  }
});

for (const domain of ["alpha.example", "bravo.example", "charlie.example"]) {
  test(`the story passes when ${domain} is killed and started again before each step`, async () => {
    const providers = await startProviders(WORKER, { onLog: () => undefined });
    const people = await cast(providers);
    try {
      assertAllPassed(await playStory(people, () => undefined, async () => {
        await providers.kill9(domain);
        await providers.restart(domain);
      }));
    } finally {
      await people.end();
      await providers.stop();
    }
  });
}
