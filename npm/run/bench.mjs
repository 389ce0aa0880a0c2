// `npm run bench`: this package's MLS and ts-mls on the same work, in headless Chromium; prints a table
// and draws npm/bench/chart.svg. `--quick` takes the modules that are built, rooms of 10 and 100 members
// and few repeats, and draws nothing: that is in `npm test`.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { build } from "./build.mjs";
import { drawChart } from "./bench-chart.mjs";
import { chrome, setUpBuild } from "./setup.mjs";
import { at, command, say } from "./shell.mjs";

const STACKS = ["@mimi-edge/client", "ts-mls"];
const SUITES = [1, 3];
const CHART = "npm/bench/chart.svg";
/** The suite that is drawn. */
const DRAWN = 3;
/** Members, and how often each step is repeated. */
const FULL = [[10, 21], [100, 11], [1000, 5]];
const QUICK = [[10, 3], [100, 3]];
/** How often the start is measured, each in a fresh page. */
const STARTS = 7;

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--enable-blink-features=ForceEagerMeasureMemory"];

/** Measures everything, and gives the rows of the table. */
export async function bench({ quick }) {
  const folder = at("build/bench");
  await bundlePage(folder);
  const server = await serve(folder);
  const browser = await launch();
  try {
    const url = `http://127.0.0.1:${server.address().port}/`;
    const starts = [];
    for (let index = 0; index < (quick ? 3 : STARTS); index++) starts.push(await inPage(browser, url, () => globalThis.bench.startUp()));
    const rows = [];
    for (const suite of SUITES) {
      for (const [members, repeats] of quick ? QUICK : FULL) {
        for (const stack of STACKS) {
          const measured = await inPage(browser, url, (input) => globalThis.bench.run(...input), [stack, suite, members, repeats]);
          rows.push({ stack, suite, members, ...measured });
        }
      }
    }
    return { browser: browser.version(), startUp: middle(starts), rows };
  } finally {
    await browser.close();
    server.close();
  }
}

async function bundlePage(folder) {
  const { build: bundle } = await import("esbuild");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await bundle({
    entryPoints: [at("npm/bench/page.ts")],
    outfile: join(folder, "page.js"),
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    minify: true,
    // Copies for where files cannot be fetched: here they can.
    external: ["./dist/*"],
    logLevel: "warning",
  });
  writeFileSync(join(folder, "index.html"), '<!doctype html><meta charset="utf-8"><title>bench</title><script type="module" src="page.js"></script>');
  writeFileSync(join(folder, "client.wasm"), readFileSync(at("build/client/client.wasm")));
}

/** Serves the page isolated, as measuring its memory needs it. */
async function serve(folder) {
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : request.url.slice(1);
    if (!["index.html", "page.js", "client.wasm"].includes(name)) return response.writeHead(404).end();
    response.writeHead(200, {
      "content-type": TYPES[extname(name)],
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
      "cache-control": "no-store",
    });
    return response.end(readFileSync(join(folder, name)));
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  return server;
}

async function launch() {
  const { chromium } = await import("playwright-core");
  await chrome();
  const executablePath = process.env.CHROME;
  return await chromium.launch({
    ...(executablePath === undefined ? { channel: "chromium" } : { executablePath }),
    // The root user's Chromium has no sandbox to work in.
    args: process.getuid?.() === 0 ? [...FLAGS, "--no-sandbox"] : FLAGS,
  });
}

/** What `act` gives in a page of its own. */
async function inPage(browser, url, act, input) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(0);
    await page.goto(url);
    await page.waitForFunction(() => "bench" in globalThis);
    return await page.evaluate(act, input);
  } finally {
    await context.close();
  }
}

function middle(numbers) {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
}

/** The table, as lines. */
export function table({ browser, startUp, rows }) {
  const operations = Object.keys(rows[0].millis);
  const lines = [`Chromium ${browser}; init() ${startUp.toFixed(1)} ms`];
  for (const suite of SUITES) {
    lines.push("", `cipher suite ${suite}, ms (median)`);
    const heads = [...operations, "add B", "Welcome B", "tree B", "update B", "wasm MB", "JS MB"];
    lines.push(columns("members", "", heads));
    for (const row of rows.filter((row) => row.suite === suite)) {
      const millis = operations.map((name) => number(row.millis[name]));
      const { add, welcome, tree, update } = row.bytes;
      const memory = [row.memory.wasm, row.memory.javascript].map((bytes) => (bytes / 1e6).toFixed(1));
      lines.push(columns(String(row.members), row.stack, [...millis, add, welcome, tree, update, ...memory]));
    }
  }
  return lines;
}

function columns(members, stack, cells) {
  return `${members.padStart(7)} ${stack.padEnd(18)}${cells.map((cell) => String(cell).padStart(14)).join("")}`;
}

function number(millis) {
  return millis.toFixed(millis < 10 ? 2 : millis < 100 ? 1 : 0);
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    const quick = process.argv.includes("--quick");
    await setUpBuild();
    await build(quick ? "test" : "release");
    const result = await bench({ quick });
    process.stdout.write(`${table(result).join("\n")}\n`);
    if (quick) return;
    writeFileSync(at(CHART), drawChart(result.rows.filter(({ suite }) => suite === DRAWN)));
    say(`bench: ${CHART} is drawn anew`);
  });
}
