// `npm run deploy-check`: packs the hub, installs the tarball into what `mimi-hub init` writes, and has wrangler
// make everything ready to be deployed, without an account. Within `npm test` only when package or check have
// changed since this machine last saw it pass.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { digest } from "./digest.mjs";
import { npm, setUpBuild, toolsOf } from "./setup.mjs";
import { at, command, run, say } from "./shell.mjs";

const FOLDER = at("build/deploy");
const STAMP = at("build/.stamps/deploy");
/** What the edge network takes, packed. */
const MOST_PACKED_KIB = 3 * 1024;

/** Packs build/hub; resolves to the tarball's path. */
async function pack() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  await npm(["pack", "--pack-destination", FOLDER, "--silent"], at("build/hub"));
  return join(FOLDER, readdirSync(FOLDER).find((name) => name.endsWith(".tgz")));
}

/** What is wrong with what wrangler said; undefined when nothing is. */
function faultOf({ code, stdout, stderr }) {
  if (code !== 0) return `wrangler ended with ${code}: ${stdout}${stderr}`;
  const { durable_objects: objects } = JSON.parse(readFileSync(at("tests/fixtures/hub/classes.json"), "utf8"));
  for (const { name, class_name: className } of objects.bindings) {
    if (!stdout.includes(`env.${name} (${className}`)) return `no binding ${name} of ${className}: ${stdout}`;
  }
  const [, kib] = /Total Upload: .* gzip: ([\d.]+) KiB/.exec(stdout) ?? [];
  if (!(Number(kib) < MOST_PACKED_KIB)) return `${kib} KiB packed are more than ${MOST_PACKED_KIB}`;
  say(`deploy: ${kib} KiB packed, ready`);
  return undefined;
}

/**
 * Runs the check on what is built, with `again` also when this package has passed it before. Resolves to how many
 * `passed` and `failed`.
 */
export async function deployCheck({ again }) {
  const tarball = await pack();
  const sources = digest(["npm/deploy", "npm/run/deploy-check.mjs", "tests/fixtures/hub/classes.json"]);
  const wanted = createHash("sha256").update(readFileSync(tarball)).update(sources).digest("hex");
  const [passed, when] = existsSync(STAMP) ? readFileSync(STAMP, "utf8").split(" ") : [];
  if (!again && passed === wanted) {
    say(`this package passed on ${when}`);
    return { passed: 0, failed: 0 };
  }
  await toolsOf("npm/deploy");
  const app = join(FOLDER, "app");
  const made = await run(process.execPath, [at("build/hub/cli.js"), "init", app, "--domain", "alpha.example"]);
  if (made.code !== 0) return { passed: 0, failed: 1 };
  await npm(["install", "--prefer-offline", "--ignore-scripts", "--no-save", "--omit=dev", tarball], app);
  const wrangler = at("npm/deploy/node_modules/wrangler/bin/wrangler.js");
  const env = { CI: "1", WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: join(FOLDER, "logs") };
  const fault = faultOf(await run(process.execPath, [wrangler, "deploy", "--dry-run"], { cwd: app, env, show: "nothing", limitMinutes: 5 }));
  if (fault !== undefined) {
    say(fault);
    return { passed: 0, failed: 1 };
  }
  mkdirSync(at("build/.stamps"), { recursive: true });
  writeFileSync(STAMP, `${wanted} ${new Date().toISOString()}`);
  return { passed: 1, failed: 0 };
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    await setUpBuild();
    await build("test");
    const { failed } = await deployCheck({ again: true });
    return failed;
  });
}
