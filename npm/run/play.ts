// The demo: three providers on workerd, three clients, the draft's story, and then a page.

import { cast } from "../../tests/js/actors.js";
import { DOMAINS, startProviders } from "../../tests/js/providers.js";
import { playStory } from "../../tests/js/story.js";
import { servePage } from "./serve-page.js";

/** Clients reach the providers at these ports, other providers at the next ones. */
const PORTS = [8801, 8803, 8805];
const PAGE_PORT = 8800;
const QUIET_MILLIS = 120;

interface TraceLine { at: number; from: string; to: string; method: string; path: string; what: string; status?: number; code?: string }

const say = (line: string): void => { process.stdout.write(`${line}\n`); };
const short = (domain: string): string => domain.split(".")[0] ?? domain;

/** The exchanges of a step, as they ended. */
const exchanges: TraceLine[] = [];
/** When the last one ended. */
let lastExchange = 0;

function onTrace(line: string): void {
  exchanges.push(JSON.parse(line) as TraceLine);
  lastExchange = performance.now();
}

/** One line per exchange between providers, in the order in which they began: the draft's figures. */
function showExchanges(): void {
  for (const { from, to, method, path, what, status, code } of exchanges.splice(0).sort((one, other) => one.at - other.at)) {
    const answer = status === undefined ? "no answer" : [status, code].join(" ").trim();
    say(`    ${short(from)} → ${short(to)}  ${method} ${path.replace(/^\/v1\//, "/")}  ${what} → ${answer}`);
  }
}

/** Waits until the exchanges of a step are over, so that they stand below its title. */
async function quiet(): Promise<void> {
  const since = performance.now();
  while (performance.now() - Math.max(since, lastExchange) < QUIET_MILLIS) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function freePorts(): Promise<readonly number[] | undefined> {
  const { createServer } = await import("node:net");
  const free = (port: number): Promise<boolean> => new Promise((resolve) => {
    const server = createServer().once("error", () => { resolve(false); }).listen(port, "127.0.0.1", () => { server.close(() => { resolve(true); }); });
  });
  const all = await Promise.all(PORTS.flatMap((port) => [free(port), free(port + 1)]));
  return all.every(Boolean) ? PORTS : undefined;
}

async function main(): Promise<void> {
  const started = performance.now();
  const ports = await freePorts();
  const providers = await startProviders("build/hub/worker.js", { trace: true, onTrace, onLog: (line) => { process.stderr.write(`${line}\n`); }, ...(ports === undefined ? {} : { ports }) });
  let end: () => Promise<void> = async () => undefined;
  const stop = async (): Promise<void> => {
    await end();
    await providers.stop();
  };
  let passed = false;
  try {
    for (const domain of DOMAINS) say(`${domain}: clients ${providers.url(domain)}, providers ${providers.provider(domain).mimiUrl} (mutual TLS)`);
    const people = await cast(providers);
    ({ end } = people);
    const begun = performance.now();
    const result = await playStory(
      people,
      async ({ checked }) => {
        await quiet();
        showExchanges();
        for (const check of checked) say(`    ✓ ${check}`);
      },
      (title, step) => { say(`\n${String(step)}. ${title}`); },
    );
    const took = performance.now() - begun - result.passed * QUIET_MILLIS;
    if (result.error !== undefined) {
      showExchanges();
      say(`    ✗ ${String(result.error)}`);
    }
    say(`\nthe story took ${(took / 1000).toFixed(2)} s, providers and clients were up after ${((begun - started) / 1000).toFixed(2)} s`);
    say(`story: ${String(result.passed)} of ${String(result.total)} steps passed`);
    passed = result.passed === result.total;
  } finally {
    if (!passed || process.argv.includes("--exit")) await stop();
  }
  if (!passed) process.exit(1);
  if (process.argv.includes("--exit")) process.exit(0);
  await serve(providers.url, stop);
}

async function serve(url: (domain: string) => string, stop: () => Promise<void>): Promise<void> {
  const page = await servePage({ port: PAGE_PORT, providers: Object.fromEntries(DOMAINS.map((domain) => [domain, url(domain)])) });
  say(`\nthree people side by side, each on a page of its own: ${page.url}three.html\nor one of them, or anybody else: ${page.url}\ntwo clients and their providers in a page without a server: ${page.url}two-clients/\nCtrl-C ends it`);
  const end = (): void => { void Promise.all([page.stop(), stop()]).then(() => process.exit(0)); };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
}

await main();
