// The draft's story against three workerd providers with mutual TLS, also with a provider that is
// killed in the middle of it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Client, uri } from "@mimi-edge/client";
import { actor } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { playStory, until, type Actors } from "../js/story.js";

const WORKER = "build/hub/worker.js";
const clients: Client[] = [];

async function people(providers: Providers): Promise<Actors> {
  const open = async (user: string) => {
    const client = await Client.open({ user: uri.user(user), provider: providers.url(user.split("@")[1]!), store: "memory" });
    clients.push(client);
    await until(async () => (client.sync.get().state === "live" ? true : undefined), async () => `${user} is not connected`);
    return actor(client);
  };
  return { alice: await open("alice@alpha.example"), bob: await open("bob@bravo.example"), cathy: await open("cathy@charlie.example") };
}

async function closeAll(providers: Providers): Promise<void> {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await providers.stop();
}

test("the story passes and its exchanges are the draft's", async () => {
  const lines: string[] = [];
  const providers = await startProviders(WORKER, {
    trace: true,
    onTrace: (line) => {
      const { from, to, method, path, status, code } = JSON.parse(line) as Record<string, string>;
      if (method === "POST") lines.push([from, "→", to, path, status, code ?? ""].join(" ").trim());
    },
  });
  try {
    const steps: string[] = [];
    const result = await playStory(await people(providers), ({ title }) => { steps.push(title); });
    assert.equal(result.error, undefined);
    assert.deepEqual(result, { passed: 4, total: 4 });
    assert.equal(steps.length, 4);
    await until(async () => (lines.length >= 10 ? true : undefined), async () => lines.join("\n"));
    assert.deepEqual(lines.slice().sort(), [
      "alpha.example → bravo.example /v1/keyMaterial/bob@bravo.example 200 success",
      "alpha.example → bravo.example /v1/notify/clubhouse@alpha.example 200",
      "alpha.example → bravo.example /v1/notify/clubhouse@alpha.example 200",
      "alpha.example → bravo.example /v1/notify/clubhouse@alpha.example 200",
      "alpha.example → charlie.example /v1/keyMaterial/cathy@charlie.example 200 success",
      "alpha.example → charlie.example /v1/notify/clubhouse@alpha.example 200",
      "alpha.example → charlie.example /v1/notify/clubhouse@alpha.example 200",
      "bravo.example → alpha.example /v1/keyMaterial/cathy@charlie.example 200 success",
      "bravo.example → alpha.example /v1/update/clubhouse@alpha.example 200 success",
      "charlie.example → alpha.example /v1/submitMessage/clubhouse@alpha.example 200 accepted",
    ]);
  } finally {
    await closeAll(providers);
  }
});

for (const domain of ["alpha.example", "bravo.example", "charlie.example"]) {
  test(`the story passes when ${domain} is killed and started again before each step`, async () => {
    const providers = await startProviders(WORKER, { onLog: () => undefined });
    try {
      const result = await playStory(await people(providers), () => undefined, async () => {
        await providers.kill9(domain);
        await providers.restart(domain);
      });
      assert.equal(result.error, undefined);
      assert.deepEqual(result, { passed: 4, total: 4 });
    } finally {
      await closeAll(providers);
    }
  });
}

after(() => { assert.equal(clients.length, 0); });
