// A page with nothing on it but one module of the tests, served on loopback.

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { build, type Plugin } from "esbuild";
import type { Browser, Page } from "playwright-core";

/** A file that a page can load: its content and type. */
export interface PageFile { readonly body: Uint8Array | string; readonly type: string }

/** Serves an empty page that runs this module, bundled with these plugins, and these files beside it, until `stop`. */
export async function bareServer(entry: string, files: Readonly<Record<string, PageFile>> = {}, plugins: Plugin[] = []): Promise<FileServer> {
  const bundled = await build({ entryPoints: [entry], bundle: true, format: "esm", target: "es2022", write: false, sourcemap: "inline", external: ["./client.wasm", "./dist/*"], plugins });
  return await fileServer({
    "/": { body: '<!doctype html><title>test</title><link rel="icon" href="data:,"><script type="module" src="page.js"></script>', type: "text/html; charset=utf-8" },
    "/page.js": { body: bundled.outputFiles[0]?.text ?? "", type: "text/javascript" },
    ...files,
  });
}

/** Something that serves files on loopback. */
export interface FileServer { readonly url: string; readonly stop: () => Promise<void> }

/** Serves these files, by path, until `stop`. */
export async function fileServer(files: Readonly<Record<string, PageFile>>): Promise<FileServer> {
  const server = createServer((request, response) => {
    const [path = ""] = (request.url ?? "").split("?");
    answer(response, files[path]);
  });
  await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`,
    stop: () => new Promise((resolve) => {
      server.close(() => { resolve(); });
      server.closeAllConnections();
    }),
  };
}

/** A page of an origin where nothing is stored yet, once its module has set this global. The test ends it. */
export async function freshPage(t: TestContext, browser: Browser, url: string, global: string): Promise<Page> {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction((global) => global in window, global);
  return page;
}

function answer(response: ServerResponse, file: PageFile | undefined): void {
  if (file === undefined) response.writeHead(404).end();
  else response.writeHead(200, { "content-type": file.type, "cache-control": "no-store" }).end(file.body);
}
