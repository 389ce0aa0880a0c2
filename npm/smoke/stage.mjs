// What the environments share: a provider, a browser, a server of files, programs that end with us.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const LOOPBACK = "127.0.0.1";
/** The root user's Chromium has no sandbox to work in. */
const ROOT = 0;
const FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** How long a page, program or server may take until it has said something, in milliseconds. */
const PATIENCE = 60_000;

/** Programs that must not outlive this one. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** Starts a program; its lines are read with `line`. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe", "pipe"], ...options });
  running.add(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => { said += text; });
  const ended = once(child, "close").then(([code]) => { running.delete(child); return code; });
  return {
    child,
    ended,
    /** The first line of a stream that `pattern` matches. */
    line: (stream, pattern) => within(program, new Promise((resolve, reject) => {
      createInterface({ input: child.stdio[stream] }).on("line", (line) => {
        const match = pattern.exec(line);
        if (match) resolve(match);
      });
      void ended.then((code) => { reject(new Error(`${program} ended with ${code}: ${said.slice(-2000)}`)); });
    })),
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Rejects when the promise takes too long. */
export async function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => { reject(new Error(`${what} takes too long`)); }, PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A port that was free just now. */
export async function freePort() {
  const socket = createSocket();
  await new Promise((resolve) => { socket.listen(0, LOOPBACK, resolve); });
  const { port } = socket.address();
  await new Promise((resolve) => { socket.close(resolve); });
  return port;
}

/** The provider of alpha.example, by its own command; resolves to the base URL of its client API. */
export async function startProvider(cli, folder) {
  const port = await freePort();
  const args = [cli, "dev", "--domain", "alpha.example", "--port", String(port), "--fresh"];
  const provider = start(process.execPath, [...args, "--state", join(folder, "state"), "--ca", join(folder, "ca")]);
  await provider.line(1, /clients/);
  return { url: `http://${LOOPBACK}:${port}`, stop: provider.stop };
}

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};

/** Serves a folder. `headers` go with every answer, `types` are by a file's ending; `change` may replace an answer. */
export async function serve(folder, { headers = {}, types = {}, change = () => undefined } = {}) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://server");
    const path = normalize(decodeURIComponent(pathname));
    void answer(folder, path, { ...TYPES, ...types }, change).then(([status, type, body]) => {
      response.writeHead(status, { ...headers, "content-type": type, "cache-control": "no-store" }).end(body);
    });
  });
  await new Promise((resolve) => { server.listen(0, LOOPBACK, resolve); });
  return {
    url: `http://${LOOPBACK}:${server.address().port}/`,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}

async function answer(folder, path, types, change) {
  const changed = change(path);
  if (changed) return changed;
  const file = join(folder, path, path.endsWith("/") ? "index.html" : "");
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) return [404, "text/plain", "there is nothing here"];
  return [200, types[extname(file)] ?? "application/octet-stream", await readFile(file)];
}

export async function startBrowser() {
  return await chromium.launch({
    executablePath: process.env.CHROME,
    args: process.getuid?.() === ROOT ? [...FLAGS, "--no-sandbox"] : FLAGS,
  });
}

/** Opens a page and resolves to what it tells in `smoke`. */
export async function visit(browser, url, { provider, name }) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => { complaints.push(String(error)); });
    page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
    const address = new URL(url);
    address.search = new URLSearchParams({ provider, name }).toString();
    await page.goto(address.href);
    const told = page.waitForFunction(() => globalThis.smoke, undefined, { timeout: PATIENCE });
    const smoke = await told.catch((error) => { throw new Error([error.message, ...complaints].join("\n")); });
    return { ...(await smoke.jsonValue()), complaints };
  } finally {
    await context.close();
  }
}
