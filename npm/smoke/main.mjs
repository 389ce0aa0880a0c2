// Runs the packed client in every environment: `node main.mjs APP CLI FOLDER`. APP has the tarball installed,
// CLI is the provider's command, FOLDER takes what is built. One line per environment; status 1 when one
// of them fails.
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ENVIRONMENTS } from "./environments.mjs";
import { startBrowser, startProvider } from "./stage.mjs";

/** Environments that run at once. */
const LANES = 3;

const [app, cli, folder] = process.argv.slice(2).map((path) => resolve(path));
const provider = await startProvider(cli, join(folder, "provider"));
const browser = await startBrowser();
/** The names that each environment saw the package export. */
const exported = new Map();
let failed = 0;
let absent = 0;

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

/** Fails unless it went as the environment is to go; tells how it went. */
function judge({ name, wasm, thread = "worker", error }, result) {
  if (error !== undefined) {
    expect(result.error?.code === error, `ended with ${JSON.stringify(result.error ?? result.text)}, not with ${error}`);
    expect(result.warnings.length === 0, `warned: ${result.warnings.join("\n")}`);
    return error;
  }
  expect(result.error === undefined, `failed: ${JSON.stringify(result.error)}`);
  expect(result.text.startsWith("hello from "), `Bob read ${JSON.stringify(result.text)}`);
  exported.set(name, result.exports.join(" "));
  const warned = result.warnings.filter((text) => text.startsWith("@mimi-edge/client: "));
  expect(warned.length === result.warnings.length, `warned: ${result.warnings.join("\n")}`);
  expect(warned.length === (wasm === "inlined" ? 1 : 0), `${warned.length} warnings, wasm from ${wasm}: ${warned.join("\n")}`);
  const { runtime } = result;
  expect(runtime.thread === thread, `runs in ${JSON.stringify(runtime)}`);
  return [`wasm: ${wasm}`, `thread: ${thread}`, runtime.why].filter(Boolean).join(", ");
}

async function run(environment, index) {
  const out = join(folder, `environment-${index}`);
  await mkdir(out, { recursive: true });
  const began = Date.now();
  let line;
  try {
    line = judge(environment, await environment.run({ app, out, browser, provider: provider.url, name: `n${index}` }));
  } catch (error) {
    failed += 1;
    line = `FAILED: ${error.message}`;
  }
  const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${environment.name.padEnd(32)}${seconds} s  ${line}\n`);
}

const queue = ENVIRONMENTS.map((environment, index) => ({ environment, index }));
async function lane() {
  for (let next = queue.shift(); next; next = queue.shift()) {
    const { needs } = next.environment;
    if (needs && needs() === undefined) {
      absent += 1;
      process.stdout.write(`${next.environment.name.padEnd(32)}     not on this machine\n`);
    } else {
      await run(next.environment, next.index);
    }
  }
}

/** Vite 7 builds a worker's script in a format that has no import(). */
async function checkWorker() {
  const text = await readFile(join(app, "node_modules/@mimi-edge/client/worker.js"), "utf8");
  if (!/\bimport\(/.test(text)) return;
  failed += 1;
  process.stdout.write("worker.js has an import() in it\n");
}

await Promise.all([checkWorker(), ...Array.from({ length: LANES }, lane)]);
await browser.close();
await provider.stop();
if (new Set(exported.values()).size > 1) {
  failed += 1;
  for (const [name, names] of exported) process.stdout.write(`${name} exports ${names}\n`);
}
const passed = ENVIRONMENTS.length - failed - absent;
process.stdout.write(`smoke: ${passed} of ${ENVIRONMENTS.length} environments, ${absent} not on this machine\n`);
process.exitCode = failed > 0 ? 1 : 0;
