// The test suites and how each is run; what each test said is kept in build/test-results.json.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROFILES, TARGET, WASM, vectorsFolder } from "./build.mjs";
import { digest } from "./digest.mjs";
import { cargoOutcomes, tapOutcomes } from "./rule-table.mjs";
import { chrome, wasmEnv } from "./setup.mjs";
import { at, cargoTarget, has, run, say } from "./shell.mjs";

/** The tests that run on the module for the official vectors. */
const VECTORS_TEST = "vectors.test.ts";

/** How long a test file may take, and how long a suite with all that it compiles. */
const FILE_MINUTES = 8;
const SUITE_MINUTES = 35;

/** With it cargo builds where the wasm modules are built. */
export const rustEnv = { CARGO_TARGET_DIR: cargoTarget };

/**
 * Runs one suite, or the tests of it whose names are given. Each resolves to `{ passed, failed }`,
 * the numbers; a run that fails without a failing test counts as one.
 */
export const SUITES = { rust, web, js: node("js"), worker: node("worker"), browser: node("browser") };

async function rust(names = []) {
  const args = ["test", "--no-fail-fast"];
  // Documentation has no named tests.
  if (names.length > 0) args.push("--lib", "--tests", "--", ...names);
  const { code, stdout } = await run("cargo", args, { env: rustEnv, limitMinutes: SUITE_MINUTES });
  return finish("rust", code, cargoOutcomes(stdout), rustCounts(stdout));
}

/** The crate in headless Chrome, through wasm-bindgen's test runner. */
async function web() {
  if (!has("tests/web.rs")) return { passed: 0, failed: 0 };
  await chrome();
  const args = ["test", "--test", "web", "--target", TARGET, "--profile", PROFILES.test];
  args.push("--features", WASM.client.feature);
  const { code, stdout } = await run("cargo", args, { env: { ...rustEnv, ...wasmEnv }, limitMinutes: SUITE_MINUTES });
  return finish("web", code, cargoOutcomes(stdout), rustCounts(stdout));
}

/** The tests of one folder under Node's own runner, each bundled to JavaScript first. */
function node(folder) {
  return async (names = []) => {
    const vectors = vectorsFolder();
    const files = testFiles(folder, vectors);
    if (files.length === 0) return { passed: 0, failed: 0 };
    if (folder === "browser") await chrome();
    const out = at("build/tests", folder);
    try {
      await bundleTests(folder, files, out);
    } catch {
      say(`tests/${folder} cannot be bundled`);
      return finish(folder, 1, new Map(), { passed: 0, failed: 1 });
    }
    const tap = join(out, "results.tap");
    const args = ["--enable-source-maps", "--test", `--test-timeout=${FILE_MINUTES * 60_000}`];
    args.push("--test-reporter=spec", "--test-reporter-destination=stdout");
    args.push("--test-reporter=tap", `--test-reporter-destination=${tap}`);
    if (names.length > 0) args.push(`--test-name-pattern=^(?:${names.join("|")})$`);
    args.push(...files.map((name) => join(out, name.replace(/\.ts$/, ".mjs"))));
    const env = { ...rustEnv, ...(vectors && { MLS_VECTORS: vectors }) };
    const { code, stdout } = await run(process.execPath, args, { env, limitMinutes: SUITE_MINUTES });
    const outcomes = existsSync(tap) ? tapOutcomes(readFileSync(tap, "utf8")) : new Map();
    return finish(folder, code, outcomes, nodeCounts(stdout));
  };
}

/** The files with tests of a folder. The official vectors run when they are there. */
function testFiles(folder, vectors) {
  if (!has("tests", folder)) return [];
  const files = readdirSync(at("tests", folder)).filter((name) => name.endsWith(".test.ts"));
  if (vectors || !files.includes(VECTORS_TEST)) return files;
  say("the official MLS test vectors are NOT run: no folder MLS_VECTORS, and none at ../shared/vectors");
  return files.filter((name) => name !== VECTORS_TEST);
}

async function bundleTests(folder, files, out) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const { build: bundle } = await import("esbuild");
  await bundle({
    entryPoints: files.map((name) => at("tests", folder, name)),
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    sourcemap: "inline",
  });
}

/** Keeps what each test said, and counts. */
function finish(suite, code, outcomes, { passed, failed }) {
  const all = { ...storedResults(), [suite]: { sources: sources(), outcomes: Object.fromEntries(outcomes) } };
  mkdirSync(at("build"), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify(all, null, 1)}\n`);
  return { passed, failed: code !== 0 ? Math.max(failed, 1) : failed };
}

const RESULTS = at("build/test-results.json");

/**
 * What the tests of a suite said when it last ran, by name, true for passed; undefined when the
 * sources have changed since.
 */
export function outcomesOf(suite) {
  const stored = storedResults()[suite];
  if (stored?.sources !== sources()) return undefined;
  return new Map(Object.entries(stored.outcomes));
}

function storedResults() {
  return existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : {};
}

/** All that decides what a test says. */
function sources() {
  const packages = ["Cargo.toml", "Cargo.lock", "package.json", "package-lock.json", "npm"];
  return digest([...packages, "src", "js", "examples-web", "tests", ".cargo", "README.md"]);
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
