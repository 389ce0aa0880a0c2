// Builds the two packages into build/client and build/hub, their wasm into build/wasm, and the
// example pages into build/chat and build/two-clients.
// Cargo and wasm-bindgen run only when something that they read has changed.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { bundleClient, writeSameTypes } from "./client-bundles.mjs";
import { digest } from "./digest.mjs";
import { wasmEnv, setUpBuild } from "./setup.mjs";
import { at, cargoTarget, command, has, must, root, say } from "./shell.mjs";

export const TARGET = "wasm32-unknown-unknown";

/**
 * The two wasm modules: the crate's feature, and how cargo's release profile is changed. The client's
 * weight counts more than its speed outside of the cryptography.
 */
export const WASM = {
  client: {
    feature: "wasm-client",
    release: { CARGO_PROFILE_RELEASE_OPT_LEVEL: "z" },
  },
  hub: { feature: "worker" },
};

/** The client's module for tests: the official MLS test vectors run on it, and it traps when told to. In no package. */
export const TESTING = { feature: "testing" };

/** Where the official MLS test vectors are; undefined when they are not there. */
export function vectorsFolder() {
  const folder = resolve(root, process.env.MLS_VECTORS || "../shared/vectors");
  return existsSync(folder) ? folder : undefined;
}

/** What `build` takes: cargo profiles by purpose. */
export const PROFILES = { test: "wasm-test", release: "release" };

/**
 * Builds everything. `profile` is "test" (compiles fast) or "release" (small and fast code).
 * Expects `setUpBuild` to have run.
 */
export async function build(profile) {
  for (const [name, module] of Object.entries(WASM)) await wasm(name, module, profile);
  await clientPackage();
  await hubPackage();
  await chatPage();
  await twoClientsPage();
}

/** Builds the client's module for tests; to be measured in the profile "release". */
export async function buildForTests(profile = "test") {
  await wasm("testing", TESTING, profile);
}

async function wasm(name, { feature, release = {} }, profile) {
  const compiled = at("build", "wasm", profile, `${name}.wasm`);
  const rust = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "src"];
  await whenChanged(`${name}-${profile}`, rust, [compiled], async () => {
    say(`build: ${name} wasm (${profile})`);
    const args = ["build", "--lib", "--target", TARGET, "--profile", PROFILES[profile]];
    args.push("--no-default-features", "--features", feature);
    if (profile === "release") args.push(...withoutPathsOf(machineFolders()));
    const changes = profile === "release" ? release : {};
    await must("cargo", args, { env: { ...wasmEnv, ...changes, CARGO_TARGET_DIR: cargoTarget } });
    mkdirSync(dirname(compiled), { recursive: true });
    // Both modules have this name in cargo's folder: taken away at once.
    copyFileSync(join(cargoTarget, TARGET, PROFILES[profile], "mimi_edge.wasm"), compiled);
  });
  const out = at("build", "wasm", name);
  const glue = join(out, `${name}.js`);
  const inputs = [relative(root, compiled), "Cargo.lock"];
  await whenChanged(`${name}-bindgen`, inputs, [glue], async () => {
    const args = ["--target", "web", "--out-dir", out, "--out-name", name];
    // After a trap the instance is replaced.
    args.push("--experimental-reset-state-function");
    args.push("--omit-default-module-path", "--remove-name-section", "--remove-producers-section");
    await must("wasm-bindgen", [...args, compiled]);
  });
}

/** Where this machine keeps sources that are compiled into the modules, the innermost last. */
export function machineFolders() {
  const cargo = process.env.CARGO_HOME || join(homedir(), ".cargo");
  const rustup = process.env.RUSTUP_HOME || join(homedir(), ".rustup");
  const crates = join(cargo, "registry", "src");
  const registries = existsSync(crates) ? readdirSync(crates).map((name) => join(crates, name)) : [];
  return [homedir(), rustup, cargo, ...registries, root, cargoTarget];
}

/** Cargo's arguments for modules in whose panics a source has no machine's path; rustc takes the last prefix that fits. */
function withoutPathsOf(folders) {
  const flags = folders.map((folder) => `--remap-path-prefix=${folder.replace(/\/$/, "")}=.`);
  // Joined to the flags of .cargo/config.toml; RUSTFLAGS would replace those.
  return ["--config", `target.${TARGET}.rustflags=${JSON.stringify(flags)}`];
}

async function clientPackage() {
  await bundleClient(at("build/wasm/client/client_bg.wasm"));
  const types = ["js/client", "tsconfig.json", "tsconfig.client.json", "build/wasm/client/client.d.ts"];
  await whenChanged("client-types", types, [at("build/client/index.d.ts")], async () => {
    removeTypes(at("build/client"));
    await must(process.execPath, [at("node_modules/typescript/bin/tsc"), "-p", "tsconfig.client.json"]);
  });
  writeSameTypes();
  finishPackage("client");
}

/** Declarations of files that are gone would stay. */
function removeTypes(folder) {
  if (!existsSync(folder)) return;
  for (const file of readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".d.ts"))) rmSync(join(folder, file));
}

async function hubPackage() {
  const { build: bundle } = await import("esbuild");
  const common = { bundle: true, format: "esm", target: "es2022", sourcemap: true, logLevel: "warning" };
  await bundle({
    ...common,
    entryPoints: [at("js/hub/worker.ts")],
    outfile: at("build/hub/worker.js"),
    platform: "browser",
    conditions: ["workerd"],
    external: ["*.wasm", "cloudflare:*", "node:*"],
  });
  const cli = at("build/hub/cli.js");
  await bundle({
    ...common,
    entryPoints: [at("js/hub/cli/main.ts")],
    outfile: cli,
    platform: "node",
    packages: "external",
    banner: { js: "#!/usr/bin/env node" },
  });
  chmodSync(cli, 0o755);
  finishPackage("hub");
}

/** The example pages: scripts of their own with Lit in them; the client stays the built package, beside them. */
async function chatPage() {
  const { build: bundle } = await import("esbuild");
  await bundle({
    entryPoints: [at("examples-web/chat/main.ts"), at("examples-web/chat/three.ts")],
    outdir: at("build/chat"),
    bundle: true,
    format: "esm",
    target: "es2022",
    sourcemap: true,
    logLevel: "warning",
    plugins: [clientBeside],
  });
}

/** Leaves the client out of a page's script: the built package is served beside it. */
const clientBeside = {
  name: "client",
  setup({ onResolve }) {
    onResolve({ filter: /^@mimi-edge\/client(\/low)?$/ }, ({ path }) => ({ path: `./client/${path.endsWith("/low") ? "low" : "index"}.js`, external: true }));
  },
};

/**
 * The page of two clients and their providers: a folder for any static server. The hub's Worker is in
 * it as it is, with the example's stand-ins for what its runtime has and a page has not.
 */
async function twoClientsPage() {
  const { build: bundle } = await import("esbuild");
  const source = (...name) => at("examples-web/two-clients", ...name);
  const folder = at("build/two-clients");
  const common = { bundle: true, format: "esm", target: "es2022", sourcemap: true, logLevel: "warning" };
  await bundle({ ...common, entryPoints: [source("main.ts")], outfile: join(folder, "main.js"), plugins: [clientBeside] });
  await bundle({ ...common, entryPoints: [source("hub-module.ts")], outfile: join(folder, "hub-module.js") });
  await bundle({
    ...common,
    entryPoints: [source("edge/provider.ts")],
    outfile: join(folder, "hub.js"),
    inject: [source("edge/globals.ts")],
    plugins: [{
      name: "edge",
      setup({ onResolve }) {
        onResolve({ filter: /^cloudflare:workers$/ }, () => ({ path: source("edge/workers.ts") }));
        onResolve({ filter: /\.wasm$/ }, () => ({ path: "./hub-module.js", external: true }));
      },
    }],
  });
  for (const name of ["index.html", "style.css", "icon.svg"]) copyFileSync(source(name), join(folder, name));
  copyFileSync(at("examples-web/inspector/inspector.css"), join(folder, "inspector.css"));
  copyFileSync(at("build/hub/hub.wasm"), join(folder, "hub.wasm"));
  rmSync(join(folder, "client"), { recursive: true, force: true });
  cpSync(at("build/client"), join(folder, "client"), { recursive: true, dereference: true });
}

/** Adds what every package has, and lets `@mimi-edge/NAME` in this repository mean the built one. */
function finishPackage(name) {
  const folder = at("build", name);
  const compiled = at("build/wasm", name, `${name}_bg.wasm`);
  copyFileSync(compiled, join(folder, `${name}.wasm`));
  copyFileSync(at("npm", name, "package.json"), join(folder, "package.json"));
  for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) {
    copyFileSync(at(licence), join(folder, licence));
  }
  for (const text of ["README.md", "docs", "worker.d.ts"]) {
    if (has("npm", name, text)) cpSync(at("npm", name, text), join(folder, text), { recursive: true });
  }
  link(folder, at("node_modules/@mimi-edge", name));
  const { bin = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  for (const [bare, file] of Object.entries(bin)) {
    link(join(folder, file), at("node_modules/.bin", bare));
  }
}

function link(target, path) {
  rmSync(path, { force: true });
  symlinkSync(relative(dirname(path), target), path);
}

/**
 * Runs `step` unless `outputs` are there and `inputs` (files and folders inside the repository)
 * are what they were when it last succeeded.
 */
async function whenChanged(name, inputs, outputs, step) {
  const stamp = at("build/.stamps", name);
  const wanted = digest([...inputs, "npm/run/build.mjs"]);
  const current = existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
  if (current && outputs.every((path) => existsSync(path))) return;
  await step();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    const profile = process.argv[2] ?? "test";
    if (!(profile in PROFILES)) throw new Error("usage: npm run build [-- test|release]");
    await setUpBuild();
    await build(profile);
    say("build: done");
  });
}
