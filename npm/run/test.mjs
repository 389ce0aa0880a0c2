// `npm test`: sets up, then runs every check, goes on after a failure, and ends with the count.
// `npm test -- rust js` runs only the groups named; GROUPS has them.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PROFILES, TARGET, WASM, build } from "./build.mjs";
import { LINKED_TOOLCHAIN, chrome, setUpBuild, wasmEnv } from "./setup.mjs";
import { at, cargoTarget, command, has, run, say, SetupError } from "./shell.mjs";

const total = { passed: 0, failed: 0 };
const failures = [];
const rustEnv = { CARGO_TARGET_DIR: cargoTarget };

const GROUPS = { lint, rust, build: builds, types, web, js: node("js"), worker: node("worker"), browser: node("browser") };

/** Runs one check: `counts` takes the numbers out of what it printed; without it only failing counts. */
async function check(name, program, args, { env = {}, counts } = {}) {
  say(`\n── ${name}`);
  const { code, stdout } = await run(program, args, { env: { ...rustEnv, ...env } });
  const { passed, failed } = counts?.(stdout) ?? { passed: 0, failed: 0 };
  record(name, passed, code !== 0 ? Math.max(failed, 1) : failed);
}

function record(name, passed, failed) {
  total.passed += passed;
  total.failed += failed;
  if (failed > 0) failures.push(`${name}: ${failed} failed`);
}

async function lint() {
  await check("cargo fmt", "cargo", ["fmt", "--check"]);
  const deny = ["--", "-D", "warnings"];
  await check("clippy", "cargo", ["clippy", "--all-targets", ...deny]);
  for (const feature of ["client", "hub"]) {
    const args = ["clippy", "--lib", "--no-default-features", "--features", feature, ...deny];
    await check(`clippy, ${feature} alone`, "cargo", args);
  }
  if (wasmEnv.RUSTUP_TOOLCHAIN === LINKED_TOOLCHAIN) {
    return say("\n── clippy for wasm32 is left out: the toolchain that builds it has no clippy");
  }
  for (const { feature } of Object.values(WASM)) {
    const args = ["clippy", "--lib", "--target", TARGET, "--no-default-features"];
    args.push("--features", feature, ...deny);
    await check(`clippy, ${feature}`, "cargo", args, { env: wasmEnv });
  }
}

async function rust() {
  await check("cargo test", "cargo", ["test", "--no-fail-fast"], { counts: rustCounts });
}

async function builds() {
  say("\n── build");
  try {
    await build("test");
  } catch (error) {
    say(String(error.message));
    record("build", 0, 1);
  }
}

async function types() {
  const tsc = at("node_modules/typescript/bin/tsc");
  for (const project of ["tsconfig.json", "tsconfig.worker.json"]) {
    await check(`tsc, ${project}`, process.execPath, [tsc, "-p", project]);
  }
}

/** The crate in headless Chrome, through wasm-bindgen's test runner. */
async function web() {
  if (!has("tests/web.rs")) return;
  await chrome();
  const args = ["test", "--test", "web", "--target", TARGET, "--profile", PROFILES.test];
  args.push("--features", WASM.client.feature);
  await check("wasm-bindgen-test in Chrome", "cargo", args, {
    env: wasmEnv,
    counts: rustCounts,
  });
}

/** The tests of one folder under Node's own runner, each bundled to JavaScript first. */
function node(folder) {
  return async () => {
    if (!has("tests", folder)) return;
    const names = readdirSync(at("tests", folder)).filter((name) => name.endsWith(".test.ts"));
    if (names.length === 0) return;
    if (folder === "browser") await chrome();
    const out = at("build/tests", folder);
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    try {
      const { build: bundle } = await import("esbuild");
      await bundle({
        entryPoints: names.map((name) => at("tests", folder, name)),
        outdir: out,
        outExtension: { ".js": ".mjs" },
        bundle: true,
        platform: "node",
        format: "esm",
        target: "node20",
        packages: "external",
        sourcemap: "inline",
      });
    } catch {
      return record(`tests/${folder} (bundling)`, 0, 1);
    }
    const files = names.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
    const args = ["--enable-source-maps", "--test", "--test-reporter=spec", ...files];
    await check(`tests/${folder}`, process.execPath, args, { counts: nodeCounts });
  };
}

/** Adds up the `test result:` lines of cargo's and wasm-bindgen's runners. */
function rustCounts(output) {
  const sum = { passed: 0, failed: 0 };
  for (const [, passed, failed] of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    sum.passed += Number(passed);
    sum.failed += Number(failed);
  }
  return sum;
}

/** Reads the summary of Node's spec reporter. */
function nodeCounts(output) {
  const number = (word) => Number(new RegExp(`^. ${word} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  return { passed: number("pass"), failed: number("fail") + number("cancelled") };
}

await command(async () => {
  const chosen = process.argv.slice(2);
  const unknown = chosen.find((name) => !(name in GROUPS));
  if (unknown) throw new SetupError(`no group \`${unknown}\`: ${Object.keys(GROUPS).join(", ")}`);
  await setUpBuild();
  for (const name of chosen.length > 0 ? chosen : Object.keys(GROUPS)) {
    try {
      await GROUPS[name]();
    } catch (error) {
      say(error instanceof SetupError ? `mimi-edge: ${error.message}` : String(error?.stack ?? error));
      record(name, 0, 1);
    }
  }
  for (const line of failures) process.stdout.write(`${line}\n`);
  process.stdout.write(`mimi-edge: ${total.passed} passed, ${total.failed} failed\n`);
  return total.failed > 0 ? 1 : 0;
});
