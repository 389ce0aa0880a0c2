// What the package's README and guides show, compiled and run as it stands there, in Chromium against
// real providers. A guide's TypeScript is one program; `// → text` after a call of console.log is what
// it has to print.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Client, uri } from "@mimi-edge/client";
import { transform } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { startProviders, type Providers } from "../js/providers.js";
import { fileServer, type PageFile } from "./bare-page.js";
import { launch } from "./support.js";

const GUIDES = "npm/client/docs";
const README = "npm/client/README.md";
const guides = readdirSync(GUIDES).filter((name) => extname(name) === ".md");
/** In the repository, so that the package is found from it. */
const programs = resolve("build/docs");
const IMPORTS = { "@mimi-edge/client": "/client/index.js", "@mimi-edge/client/low": "/client/low.js" };
const IMPORT_MAP = `<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

let browser: Browser;
let providers: Providers;
let bob: Client;

before(async () => {
  providers = await startProviders("build/hub/worker.js", { onLog: () => undefined });
  bob = await Client.open({ user: uri.user("bob@bravo.example"), provider: providers.url("bravo.example"), store: "memory" });
  await stocked(bob);
  browser = await launch();
});
after(async () => {
  await browser.close();
  await bob.close();
  await providers.stop();
});

async function stocked(client: Client): Promise<void> {
  for await (const { published } of client.keyPackages.stock) if (published > 0) return;
}

/** The blocks of one language in a text, joined. */
function blocks(text: string, language: string): string {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map(([, block = ""]) => block).join("\n");
}

function programOf(guide: string): string {
  return blocks(readFileSync(join(GUIDES, guide), "utf8"), "ts");
}

/** With the ports that these providers have. */
function here(program: string): string {
  return program
    .replaceAll("http://127.0.0.1:8801", providers.url("alpha.example"))
    .replaceAll("http://127.0.0.1:8803", providers.url("bravo.example"));
}

/** A page of an origin of its own, with the built package beside it. */
async function open(files: Readonly<Record<string, PageFile>>, path = "/", prepare: (page: Page) => void = () => undefined): Promise<Page> {
  const server = await fileServer({ ...builtPackage(), ...files });
  after(() => server.stop());
  const context = await browser.newContext();
  after(() => context.close());
  const page = await context.newPage();
  prepare(page);
  await page.goto(new URL(path, server.url).href);
  return page;
}

function builtPackage(): Record<string, PageFile> {
  const types: Readonly<Record<string, string>> = { ".js": "text/javascript", ".wasm": "application/wasm" };
  const names = ["", "dist"].flatMap((folder) => readdirSync(join("build/client", folder)).map((name) => join(folder, name)));
  const served = names.filter((name) => extname(name) in types);
  return Object.fromEntries(served.map((name) => [`/client/${name}`, { body: readFileSync(join("build/client", name)), type: types[extname(name)] ?? "" }]));
}

test("the guides' programs compile", async () => {
  rmSync(programs, { recursive: true, force: true });
  mkdirSync(programs, { recursive: true });
  for (const guide of guides) writeFileSync(join(programs, guide.replace(".md", ".ts")), programOf(guide));
  const compilerOptions = { strict: true, noEmit: true, target: "ES2022", module: "ESNext", moduleResolution: "bundler", lib: ["ES2022", "DOM"], types: [] };
  writeFileSync(join(programs, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  const compiled = promisify(execFile)(process.execPath, [resolve("node_modules/typescript/bin/tsc"), "-p", programs]);
  await compiled.catch((error: unknown) => { assert.fail((error as { stdout: string }).stdout); });
});

for (const guide of guides) {
  test(`${guide} runs to its end and prints what it says`, async () => {
    const program = programOf(guide);
    const { code } = await transform(here(program), { loader: "ts", format: "esm", target: "es2022" });
    const printed: string[] = [];
    const page = await open({
      "/": { body: `<!doctype html><link rel="icon" href="data:,">${IMPORT_MAP}<script type="module" src="guide.js"></script>`, type: "text/html" },
      "/guide.js": { body: `${code}\ndocument.title = "done";`, type: "text/javascript" },
    }, "/", (opened) => {
      opened.on("console", (message) => { printed.push(message.text()); });
      opened.on("pageerror", (error) => { printed.push(String(error)); void opened.evaluate(() => { document.title = "failed"; }); });
    });
    await page.waitForFunction(() => document.title !== "");
    assert.equal(await page.title(), "done", printed.join("\n"));
    for (const [, expected = ""] of program.matchAll(/console\.log\(.*\/\/ → (.*)$/gm)) {
      assert.ok(printed.includes(expected), `${expected} is not among ${JSON.stringify(printed)}`);
    }
  });
}

test("two people write to each other with the page of the README", async () => {
  const readme = readFileSync(README, "utf8");
  const [html, main] = ["index.html", "main.js"].map((name) => {
    const [, rest = ""] = readme.split(`<!-- tests/browser/docs.test.ts: ${name} -->\n`);
    return /^```\w+\n([^]*?)^```$/m.exec(rest)?.[1] ?? "";
  });
  assert.ok(html && main);
  const files = {
    "/": { body: html.replace("<title>", `${IMPORT_MAP}<title>`), type: "text/html" },
    "/main.js": { body: here(main), type: "text/javascript" },
  };
  const [second, first] = [await open(files, "/?user=dora@bravo.example"), await open(files, "/?user=carl@alpha.example")];
  await second.getByRole("heading", { name: "dora@bravo.example" }).waitFor();
  await first.getByRole("heading", { name: "carl@alpha.example" }).waitFor();
  await first.getByLabel("Add").fill("dora@bravo.example");
  await first.getByRole("button", { name: "Add" }).click();
  await first.waitForFunction(() => document.querySelector("input")?.value === "" || document.querySelector("[role=status]")?.textContent !== "");
  assert.equal(await first.getByRole("status").textContent(), "");
  for (const [from, to, text] of [[first, second, "hello, Dora"], [second, first, "hello, Carl"]] as const) {
    await from.getByLabel("Message").fill(text);
    await from.getByRole("button", { name: "Send" }).click();
    for (const page of [from, to]) await page.getByRole("listitem").filter({ hasText: `${text} (accepted)` }).waitFor();
  }
});
