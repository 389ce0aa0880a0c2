// `npm run smoke`: packs the client, installs the tarball as a user would, and runs it under bundlers, pages and
// runtimes (npm/smoke/environments.mjs). Within `npm test` only when package or tests have changed since
// this machine last saw them pass.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { digest } from "./digest.mjs";
import { chrome, npm, setUpBuild, toolsOf } from "./setup.mjs";
import { at, command, run, say } from "./shell.mjs";

const FOLDER = at("build/smoke");
const STAMP = at("build/.stamps/smoke");

/** Packs build/client; resolves to the tarball's path. */
async function pack() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  await npm(["pack", "--pack-destination", FOLDER, "--silent"], at("build/client"));
  return join(FOLDER, readdirSync(FOLDER).find((name) => name.endsWith(".tgz")));
}

/** An app with the tarball installed: never a link, bundlers treat these otherwise. */
async function install(tarball) {
  const app = join(FOLDER, "app");
  cpSync(at("npm/smoke/app"), app, { recursive: true });
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  await npm(["install", "--prefer-offline", "--no-save", tarball], app);
  return app;
}

/**
 * Runs the smoke tests on what is built, with `again` also when this package has passed them before. Resolves to how
 * many environments `passed` and `failed`.
 */
export async function smoke({ again }) {
  const tarball = await pack();
  const hash = createHash("sha256").update(readFileSync(tarball));
  const sources = digest(["npm/smoke", "npm/run/smoke.mjs"]);
  const wanted = hash.update(sources).digest("hex");
  const [passed, when] = existsSync(STAMP) ? readFileSync(STAMP, "utf8").split(" ") : [];
  if (!again && passed === wanted) {
    say(`this package passed on ${when}`);
    return { passed: 0, failed: 0 };
  }
  await chrome();
  await toolsOf("npm/smoke");
  const app = await install(tarball);
  const { code, stdout } = await run(process.execPath, [at("npm/smoke/main.mjs"), app, at("build/hub/cli.js"), FOLDER]);
  const counts = /^smoke: (\d+) of (\d+) environments, (\d+) not on this machine$/m.exec(stdout) ?? [];
  const [good = 0, all = 1, absent = 0] = counts.slice(1).map(Number);
  if (code !== 0) return { passed: good, failed: Math.max(all - good - absent, 1) };
  // What did not run here has not passed: it is tried again each time.
  if (absent === 0) {
    mkdirSync(at("build/.stamps"), { recursive: true });
    writeFileSync(STAMP, `${wanted} ${new Date().toISOString()}`);
  }
  return { passed: good, failed: 0 };
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    await setUpBuild();
    await build("test");
    const { failed } = await smoke({ again: true });
    return failed > 0 ? 1 : 0;
  });
}
