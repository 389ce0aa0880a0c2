// How the wasm comes in: everything that `init` takes, and what it says when that is no wasm. Each page has the
// package's modules for itself. (What it does without a source is a matter of hosts and bundlers: npm/smoke.)

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launch } from "./support.js";

const SITE = "https://client.test/";

let browser: Browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** A page of a site that has the built package, with what of it was asked for. */
async function site(): Promise<{ readonly page: Page; readonly asked: string[] }> {
  const context = await browser.newContext();
  after(() => context.close());
  const page = await context.newPage();
  const asked: string[] = [];
  await page.route(`${SITE}**`, async (route) => {
    const name = basename(new URL(route.request().url()).pathname);
    asked.push(name);
    if (name === "") await route.fulfill({ contentType: "text/html", body: "<!doctype html><title>init</title>" });
    else if (name === "gone.wasm") await route.abort("connectionfailed");
    else if (name === "page.wasm") await route.fulfill({ contentType: "text/html", body: "<!doctype html>" });
    else await route.fulfill({ contentType: name.endsWith(".js") ? "text/javascript" : "application/wasm", body: await readFile(`build/client/${name}`) });
  });
  await page.goto(SITE);
  return { page, asked };
}

/** Runs `init` of the entry without wasm with a source, an expression in the page; resolves to how it ended. */
async function initWith(page: Page, source: string): Promise<unknown> {
  return await page.evaluate(`(async () => {
    const { init } = await import("./slim.js");
    try { await init(${source}); return "done"; } catch ({ code, retryable }) { return { code, retryable }; }
  })()`);
}

for (const [kind, source] of [
  ["an address", '"./client.wasm"'],
  ["a URL", 'new URL("./client.wasm", location.href)'],
  ["a Request", 'new Request("./client.wasm")'],
  ["a Response", 'await fetch("./client.wasm")'],
  ["the promise of a Response", 'fetch("./client.wasm")'],
  ["an ArrayBuffer", 'await (await fetch("./client.wasm")).arrayBuffer()'],
  ["bytes", 'new Uint8Array(await (await fetch("./client.wasm")).arrayBuffer())'],
  ["a module", 'await WebAssembly.compileStreaming(fetch("./client.wasm"))'],
] as const) {
  test(`init takes ${kind}, and then needs nothing any more`, async () => {
    const { page } = await site();
    assert.equal(await initWith(page, source), "done");
    assert.equal(await initWith(page, ""), "done");
  });
}

test("the slim entry without a source says so, and takes one then", async () => {
  const { page, asked } = await site();
  assert.deepEqual(await initWith(page, ""), { code: "wasm-load", retryable: false });
  assert.ok(!asked.includes("client.wasm"));
  assert.equal(await initWith(page, '"./client.wasm"'), "done");
});

test("a source that is a page or no wasm is refused, and nothing else is taken for it", async () => {
  const { page, asked } = await site();
  for (const source of ['"./page.wasm"', "new Uint8Array([0x3c, 0x21])", "new ArrayBuffer(0)", "new Uint8Array([0, 0x61, 0x73, 0x6d, 9])"]) {
    assert.deepEqual(await initWith(page, source), { code: "wasm-load", retryable: false }, source);
  }
  assert.ok(!asked.includes("wasm-inline.js"));
});

test("a source out of reach can be tried again", async () => {
  const { page } = await site();
  assert.deepEqual(await initWith(page, '"./gone.wasm"'), { code: "wasm-load", retryable: true });
  assert.equal(await initWith(page, '"./client.wasm"'), "done");
});
