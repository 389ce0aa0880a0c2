// Claims that arrive at the same time at a real provider.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, uri } from "@mimi-edge/client";
import { developmentAuthority, issueCertificate, type CertifiedKey } from "../../js/hub/cli/certificates.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";
import { send } from "./cli-support.js";

const CLAIMS = 64;
const SUCCESS = 0;
const NO_COMPATIBLE_MATERIAL = 3;

let providers: Providers;
let bob: Client;
let alpha: CertifiedKey;

before(async () => {
  providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  alpha = await issueCertificate(await developmentAuthority(providers.caDir), "alpha.example");
  let isPublished: true | undefined;
  bob = await Client.open({
    user: uri.user("bob@bravo.example"), provider: providers.url("bravo.example"), store: "memory",
    trace: ({ method, path, status }) => { if (method === "POST" && path.endsWith("/keyPackages") && status === 200) isPublished = true; },
  });
  await until(async () => isPublished, async () => "nothing is published");
});

after(async () => {
  await bob.close();
  await providers.stop();
});

/** A vector of less than 64 bytes. */
const vector = (...bytes: number[]): number[] => [bytes.length, ...bytes];
const text = (content: string): number[] => vector(...Buffer.from(content));

/** A KeyMaterialRequest of alice's for bob, in this room or in none. */
function claim(room: string): Buffer {
  const suites = vector(0, 1);
  const nothingRequired = [0, 0, 0];
  const noLastResort = 0;
  return Buffer.from([1, ...text("alice@alpha.example"), ...vector(...text("bob@bravo.example")), ...text(room), ...suites, ...nothingRequired, noLastResort]);
}

/** The provider's answer to a claim. */
async function answer(room: string): Promise<Buffer> {
  const { status, body } = await send(providers.provider("bravo.example").mimiUrl, "bravo.example", "/v1/keyMaterial/bob%40bravo.example", {
    headers: { from: "mimi@alpha.example", "content-type": "application/octet-stream" },
    body: claim(room),
    as: alpha,
  });
  assert.equal(status, 200);
  return body;
}

test("r27_64_claims_at_the_same_time_never_get_one_key_package_twice", async () => {
  // Half of them through one object, the others each through an object of its own.
  const rooms = Array.from({ length: CLAIMS }, (_, number) => (number % 2 === 0 ? "" : `room${String(number)}@alpha.example`));
  const answers = await Promise.all(rooms.map(answer));
  const userStatus = (body: Buffer): number | undefined => body[1];
  const successes = answers.filter((body) => userStatus(body) === SUCCESS);
  const refusals = answers.filter((body) => userStatus(body) !== SUCCESS);
  assert.ok(successes.length > 0 && refusals.length > 0, `${String(successes.length)} of ${String(CLAIMS)}`);
  // With one device, two answers are equal when they hold the same KeyPackage.
  assert.equal(new Set(successes.map((body) => body.toString("base64"))).size, successes.length);
  // None was left for the others, nor is one now.
  for (const body of [...refusals, await answer("")]) assert.equal(userStatus(body), NO_COMPATIBLE_MATERIAL);
});
