// The operator's requests: by the socket that is the operator's, and by nobody else's.

import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { startProviders, type Providers } from "../js/providers.js";

let providers: Providers;
before(async () => { providers = await startProviders("build/hub/worker.js", { settings: { retention: { logDays: 7 } } }); });
after(() => providers.stop());

function ask(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => { resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }); });
    }).on("error", reject).end();
  });
}

test("the operator reads the settings in force on a socket that nobody else can open", async () => {
  const { adminSocketPath } = providers.provider("alpha.example");
  const { status, body } = await ask(adminSocketPath, "/admin/v1/config");
  assert.equal(status, 200);
  const config = JSON.parse(body) as { domain: string; retention: unknown };
  assert.equal(config.domain, "alpha.example");
  assert.deepEqual(config.retention, { giveUpDays: 3, logDays: 7, logEvents: 65536 });
  assert.equal((await ask(adminSocketPath, "/admin/v1/nothing")).status, 404);
  assert.equal((await stat(dirname(adminSocketPath))).mode & 0o777, 0o700);
});

test("clients do not reach the operator's paths", async () => {
  assert.equal((await fetch(`${providers.url("alpha.example")}/admin/v1/config`)).status, 404);
});
