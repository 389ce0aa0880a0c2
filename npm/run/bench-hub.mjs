// `npm run bench:hub`: a hub's room under workerd, beside a bare room object that only stores as many bytes and hands
// them to the same devices, and beside openmls alone; prints tables and draws npm/bench/hub-chart.svg. `--quick`
// takes the modules that are built and few commits, and draws nothing: that is in `npm test`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, buildForTests } from "./build.mjs";
import { drawHubChart } from "./bench-hub-chart.mjs";
import { program } from "./program.mjs";
import { setUpBuild } from "./setup.mjs";
import { at, command, say } from "./shell.mjs";

const CHART = "npm/bench/hub-chart.svg";
const FULL = { commits: [[10, 200], [100, 200], [1000, 60]], messages: 2_000, devices: [1, 10, 100], written: [5000] };
const QUICK = { commits: [[10, 20], [100, 20]], messages: 200, devices: [1, 10], written: [1000] };

/** Measures everything. Expects the modules to be built. */
export async function benchHub({ quick }) {
  const folder = at("build/bench-hub");
  const [counting, bare] = await Promise.all(["counting", "bare"].map((name) => bundleWorker(folder, name)));
  const { measure } = await program("npm/bench/hub/main.ts", "bench-hub-main");
  const openmls = await import(pathToFileURL(at("build/wasm/testing/testing.js")));
  openmls.initSync({ module: readFileSync(at("build/wasm/testing/testing_bg.wasm")) });
  return await measure({ ...(quick ? QUICK : FULL), worker: at("build/hub/worker.js"), counting, bare, openmls, tell: say });
}

/** A Worker for the benchmark, with the hub's wasm beside it. */
async function bundleWorker(folder, name) {
  const { build: bundle } = await import("esbuild");
  const outfile = join(folder, name, "worker.js");
  await bundle({
    entryPoints: [at(`npm/bench/hub/${name}-worker.ts`)],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    conditions: ["workerd"],
    external: ["*.wasm", "cloudflare:*", "node:*"],
    logLevel: "warning",
  });
  writeFileSync(join(folder, name, "hub.wasm"), readFileSync(at("build/hub/hub.wasm")));
  return outfile;
}

/** The tables, as lines. */
export function hubTable({ storage, commits, messages, written }) {
  const lines = [`storage: ${storage}; times in ms`, "", columns(["members", "commits/s", "p50", "p99", "bare/s", "bare p50", "openmls ms", "openmls/s", "share", "CPU ms", "cold ms", "RSS MB"])];
  for (const row of commits) {
    const alone = 1_000 / row.openmlsMillis;
    lines.push(columns([row.members, row.hub.perSecond.toFixed(0), millis(row.hub.p50), millis(row.hub.p99), row.bare.perSecond.toFixed(0), millis(row.bare.p50), millis(row.openmlsMillis), alone.toFixed(0), percent(row.hub.perSecond / alone), millis(row.cpuMillis), millis(row.coldMillis), (row.memoryBytes / 1e6).toFixed(0)]));
  }
  lines.push("", columns(["devices", "messages/s", "p50", "p99", "bare/s", "bare p50", "bare p99", "share", "frames"]));
  for (const { devices, hub, bare, received } of messages) {
    lines.push(columns([devices, hub.perSecond.toFixed(0), millis(hub.p50), millis(hub.p99), bare.perSecond.toFixed(0), millis(bare.p50), millis(bare.p99), percent(hub.perSecond / bare.perSecond), received]));
  }
  lines.push("");
  for (const { members, bytes, rows } of written) lines.push(`stored-per-commit-${members}: ${bytes} bytes, ${rows} rows`);
  return lines;
}

function columns(cells) {
  return cells.map((cell) => String(cell).padStart(11)).join("");
}

function millis(value) {
  return value.toFixed(value < 10 ? 2 : 1);
}

function percent(share) {
  return `${(share * 100).toFixed(0)} %`;
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    const quick = process.argv.includes("--quick");
    await setUpBuild();
    await build(quick ? "test" : "release");
    await buildForTests(quick ? "test" : "release");
    const figures = await benchHub({ quick });
    process.stdout.write(`${hubTable(figures).join("\n")}\n`);
    if (!quick) {
      writeFileSync(at(CHART), drawHubChart(figures));
      say(`bench:hub: ${CHART} is drawn anew`);
    }
    // Sockets of what was measured may still be closing.
    process.exit(0);
  });
}
