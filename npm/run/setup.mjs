// The set-up that `npm test` and `npm run demo` share: idempotent steps, fast when nothing is
// missing, one line of progress for what takes long.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { at, command, inPath, prependPath, run, say, SetupError } from "./shell.mjs";

const ROOT_USER = 0;

/** What building needs: npm dependencies, wasm32 standard library, wasm-bindgen. */
export async function setUpBuild() {
  await npmDependencies();
  await wasmTarget();
  await wasmBindgen();
}

const { workspaces } = JSON.parse(readFileSync(at("package.json"), "utf8"));
const MANIFESTS = ["package.json", ...workspaces.map((folder) => join(folder, "package.json"))];

/** Installs the locked npm dependencies when they are absent or of another lock file. */
export async function npmDependencies() {
  await locked(".", MANIFESTS, "npm dependencies");
}

/** As `npmDependencies`, for the tools of one folder that is no workspace. */
export async function toolsOf(folder) {
  await locked(folder, [`${folder}/package.json`], `npm dependencies of ${folder}`);
}

async function locked(folder, manifests, what) {
  const stamp = at(folder, "node_modules", ".mimi-edge");
  const hash = createHash("sha256");
  for (const name of [...manifests, `${folder}/package-lock.json`]) hash.update(readFileSync(at(name)));
  const wanted = hash.digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say(`set-up: ${what}`);
  await npm(["ci", "--ignore-scripts", "--prefer-offline"], at(folder));
  writeFileSync(stamp, wanted);
}

/** Runs npm, quietly; the one that runs us, if there is one. */
export async function npm(args, cwd) {
  const all = [...args, "--no-audit", "--no-fund", "--loglevel=error"];
  const own = process.env.npm_execpath;
  const { code } = own ? await run(process.execPath, [own, ...all], { cwd }) : await run("npm", all, { cwd });
  if (code !== 0) throw new SetupError(`\`npm ${args[0]}\` failed: see above`);
}

/** What wasm-target.sh calls Debian's compiler when it had to link that one. */
export const LINKED_TOOLCHAIN = "rust-web";

/** The environment with which cargo builds for wasm32, once `wasmTarget` has been awaited. */
export const wasmEnv = {};

/** Makes sure that cargo can build for wasm32-unknown-unknown. */
export async function wasmTarget() {
  if (!inPath("cargo")) throw new SetupError("install Rust 1.91 or later (cargo is not in PATH)");
  const { code, stdout } = await run("bash", [at("npm/run/wasm-target.sh")], { show: "errors" });
  if (code !== 0) {
    throw new SetupError("install Rust's wasm32 library: rustup target add wasm32-unknown-unknown");
  }
  const toolchain = stdout.trim();
  if (toolchain) wasmEnv.RUSTUP_TOOLCHAIN = toolchain;
}

/** Puts wasm-bindgen of exactly the crate's version into PATH, built once per user and version. */
export async function wasmBindgen() {
  const version = wasmBindgenVersion();
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const folder = join(cache, "mimi-edge", `wasm-bindgen-${version}`);
  const bin = join(folder, "bin");
  const there = await run(join(bin, "wasm-bindgen"), ["--version"], { show: "nothing" });
  if (!(there.code === 0 && there.stdout.includes(version))) {
    say(`set-up: building wasm-bindgen ${version} (some minutes, once for this user)`);
    // Its own lock file names a yanked crate: no --locked.
    const partial = `${folder}.${process.pid}`;
    const args = ["install", "wasm-bindgen-cli", "--version", version, "--root", partial];
    const { code } = await run("cargo", args, { env: { CARGO_TARGET_DIR: join(partial, "target") } });
    if (code !== 0) throw new SetupError(`\`cargo ${args.join(" ")}\` failed: see above`);
    rmSync(join(partial, "target"), { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  }
  prependPath(bin);
}

function wasmBindgenVersion() {
  const found = /^wasm-bindgen = .*"=([\d.]+)"/m.exec(readFileSync(at("Cargo.toml"), "utf8"));
  if (!found) throw new Error("Cargo.toml does not pin wasm-bindgen");
  return found[1];
}

const CHROMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Finds or installs Chrome and chromedriver; sets CHROME and CHROMEDRIVER for all that follows. */
export async function chrome() {
  if (!findChrome() && process.getuid?.() === ROOT_USER && inPath("apt-get")) {
    say("set-up: chromium and chromium-driver");
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await run("apt-get", ["-qq", "update"], { env, show: "errors" });
    const args = ["-qq", "install", "-y", "--no-install-recommends", "chromium", "chromium-driver"];
    await run("apt-get", args, { env, show: "errors" });
  }
  if (!findChrome()) {
    throw new SetupError(
      "install Chrome or Chromium and its chromedriver, or set CHROME and CHROMEDRIVER",
    );
  }
}

function findChrome() {
  const browser = process.env.CHROME || inPath(...CHROMES);
  const driver = process.env.CHROMEDRIVER || inPath("chromedriver");
  if (!browser || !driver) return false;
  process.env.CHROME = browser;
  process.env.CHROMEDRIVER = driver;
  return true;
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    await setUpBuild();
    await chrome();
    say("set-up: done");
  });
}
