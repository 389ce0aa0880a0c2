// `npm test`: sets up, then runs every check, goes on after a failure, and ends with the count.
// `npm test -- rust js` runs only the groups named; GROUPS has them.
import { benchHub, hubTable } from "./bench-hub.mjs";
import { bench, table } from "./bench.mjs";
import { api } from "./api.mjs";
import { TARGET, TESTING, WASM, build, buildForTests } from "./build.mjs";
import { rulesWithoutTest } from "./rules.mjs";
import { LINKED_TOOLCHAIN, setUpBuild, wasmEnv } from "./setup.mjs";
import { at, command, run, say, SetupError } from "./shell.mjs";
import { deployCheck } from "./deploy-check.mjs";
import { smoke } from "./smoke.mjs";
import { rustEnv, SUITES } from "./suites.mjs";

/** The longest that a group may take, with all that it compiles on a new machine. */
const GROUP_MINUTES = 45;

const total = { passed: 0, failed: 0 };
const failures = [];

const GROUPS = {
  rules,
  lint,
  rust: suite("cargo test", "rust"),
  build: builds,
  types,
  web: suite("wasm-bindgen-test in Chrome", "web"),
  js: suite("tests/js", "js"),
  worker: suite("tests/worker", "worker"),
  browser: suite("tests/browser", "browser"),
  smoke: smokeTests,
  deploy: dryDeploy,
  api: publicSurface,
  bench: quickBench,
  "bench:hub": quickHubBench,
};

/** What a commit may store in a room of 1000 members. */
const MOST_STORED = { bytes: 300_000, rows: 6 };

/** Runs one check, of which only failing counts. */
async function check(name, program, args, env = {}) {
  say(`\n── ${name}`);
  const { code } = await run(program, args, { env: { ...rustEnv, ...env } });
  record(name, 0, code !== 0 ? 1 : 0);
}

function suite(title, name) {
  return async () => {
    say(`\n── ${title}`);
    const { passed, failed } = await SUITES[name]();
    record(title, passed, failed);
  };
}

function record(name, passed, failed) {
  total.passed += passed;
  total.failed += failed;
  if (failed > 0) failures.push(`${name}: ${failed} failed`);
}

/** Every rule is named by a test; `npm run rules` says whether it passes. */
async function rules() {
  say("\n── rules");
  const missing = rulesWithoutTest();
  if (missing.length > 0) say(`no test names ${missing.join(" ")}`);
  record("rules without a test", 0, missing.length);
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
  for (const feature of [...Object.values(WASM), TESTING].map((module) => module.feature)) {
    const args = ["clippy", "--lib", "--target", TARGET, "--no-default-features"];
    args.push("--features", feature, ...deny);
    await check(`clippy, ${feature}`, "cargo", args, wasmEnv);
  }
}

async function builds() {
  say("\n── build");
  try {
    await build("test");
    await buildForTests();
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

/** The packed client, installed, under bundlers, pages and runtimes. */
async function smokeTests() {
  say("\n── smoke");
  const { passed, failed } = await smoke({ again: false });
  record("smoke", passed, failed);
}

/** The packed hub, installed, as it would be deployed. */
async function dryDeploy() {
  say("\n── deploy --dry-run");
  const { passed, failed } = await deployCheck({ again: false });
  record("deploy --dry-run", passed, failed);
}

/** The benchmark runs to its end and prints; how fast is not judged. */
async function quickBench() {
  say("\n── npm run bench -- --quick");
  const lines = table(await bench({ quick: true }));
  process.stdout.write(`${lines.join("\n")}\n`);
  record("bench", 1, 0);
}

/** Likewise; what a commit stores is the same on every machine, and that is judged. */
async function quickHubBench() {
  say("\n── npm run bench:hub -- --quick");
  const figures = await benchHub({ quick: true });
  process.stdout.write(`${hubTable(figures).join("\n")}\n`);
  const stored = figures.written.find(({ members }) => members === 1000);
  const fits = stored !== undefined && stored.bytes <= MOST_STORED.bytes && stored.rows <= MOST_STORED.rows;
  record("bench:hub", fits ? 1 : 0, fits ? 0 : 1);
}

/** The client's public surface is the one that npm/client/api describes, documented, and compiles for its users. */
async function publicSurface() {
  say("\n── api");
  record("api", 0, (await api("check")) === 0 ? 0 : 1);
}

await command(async () => {
  const chosen = process.argv.slice(2);
  const unknown = chosen.find((name) => !(name in GROUPS));
  if (unknown) throw new SetupError(`no group \`${unknown}\`: ${Object.keys(GROUPS).join(", ")}`);
  await setUpBuild();
  for (const name of chosen.length > 0 ? chosen : Object.keys(GROUPS)) {
    try {
      await within(GROUP_MINUTES, GROUPS[name]());
    } catch (error) {
      say(error instanceof SetupError ? `mimi-edge: ${error.message}` : String(error?.stack ?? error));
      record(name, 0, 1);
    }
  }
  for (const line of failures) process.stdout.write(`${line}\n`);
  process.stdout.write(`mimi-edge: ${total.passed} passed, ${total.failed} failed\n`);
  // What a group that was given up has left open does not keep the run from ending.
  process.exit(total.failed > 0 ? 1 : 0);
});

/** The outcome of a group, or that it took too long. */
async function within(minutes, outcome) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new SetupError(`given up after ${minutes} minutes`)), minutes * 60_000);
  });
  await Promise.race([outcome, late]).finally(() => clearTimeout(timer));
}
