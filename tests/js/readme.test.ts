/**
 * The README's example, run as it stands there against two providers.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";

import { freePortPair, startProvider } from "../../js/hub/cli/provider-process.js";

const state = mkdtempSync(join(tmpdir(), "mimi-readme-"));
/** Inside the repository, so that the packages are found from it. */
const program = resolve("build/tests/readme.mjs");
const marker = "<!-- run by tests/js/readme.test.ts -->\n```js\n";

after(() => {
  rmSync(state, { recursive: true, force: true });
  rmSync(program, { force: true });
});

test("the example in the README prints what Alice wrote to Bob", async () => {
  const [, rest = ""] = readFileSync("README.md", "utf8").split(marker);
  const [example = ""] = rest.split("```");
  assert.match(example, /http:\/\/127\.0\.0\.1:8801[^]*http:\/\/127\.0\.0\.1:8803/);

  const ports = { "alpha.example": await freePortPair(), "bravo.example": await freePortPair() };
  const running = await Promise.all([
    provider("alpha.example", ports["alpha.example"], "bravo.example", ports["bravo.example"]),
    provider("bravo.example", ports["bravo.example"], "alpha.example", ports["alpha.example"]),
  ]);
  try {
    const text = example
      .replace("127.0.0.1:8801", `127.0.0.1:${ports["alpha.example"]}`)
      .replace("127.0.0.1:8803", `127.0.0.1:${ports["bravo.example"]}`);
    writeFileSync(program, text);
    const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 60_000 });
    assert.equal(stdout, "alice@alpha.example: Hello, Bob!\n");
  } finally {
    await Promise.all(running.map((each) => each.stop()));
  }
});

function provider(domain: string, port: number, peer: string, peerPort: number) {
  return startProvider({
    domain,
    port,
    peers: [{ domain: peer, address: `127.0.0.1:${peerPort + 1}` }],
    caDir: join(state, "ca"),
    stateDir: join(state, domain),
    worker: resolve("build/hub/worker.js"),
    onLog: () => {},
  });
}
