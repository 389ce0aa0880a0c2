// Where the packed client is to work, and how it is to get at its wasm there.
//
// `wasm` says what is expected: "file" (client.wasm, or what the bundler made of it), "inlined" (the copy in
// JavaScript, with one warning on the console), "inline" (the entry that has nothing else). `thread` says where the
// work is to be done, "worker" unless it stands there; `error` says how it is to fail.
import { esbuildBuild, rollupBuild, viteBuild, viteServer, webpackBuild } from "./bundlers.mjs";
import { otherNode, runNode, runWorkerd } from "./runtimes.mjs";
import { serve, visit } from "./stage.mjs";

/** A policy that allows nothing but what is needed, and as much of it as `script` says. */
const policy = (script) => ({
  "content-security-policy": [
    "default-src 'none'",
    `script-src 'self' ${script}`,
    "worker-src 'self'",
    "connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*",
    "img-src data:",
  ].join("; "),
});

/** The app's own files, as they are. */
const files = (path, options) => page(async ({ app }) => {
  const { url, stop } = await serve(app, options);
  return { url: new URL(path, url).href, stop };
});

/** An environment that is a page: `open` serves it. */
function page(open) {
  return async (context) => {
    const { url, stop } = await open(context);
    try {
      return await visit(context.browser, url, context);
    } finally {
      await stop();
    }
  };
}

/** Answers for client.wasm something else than the file. */
const wasmAs = (answer) => ({ change: (path) => (path.endsWith("client.wasm") ? answer(path) : undefined) });

export const ENVIRONMENTS = [
  { name: "script with import map", wasm: "file", run: files("import-map.html") },
  { name: "wasm of type octet-stream", wasm: "file", run: files("import-map.html", { types: { ".wasm": "application/octet-stream" } }) },
  {
    name: "host that answers with a page",
    wasm: "inlined",
    run: files("import-map.html", wasmAs(() => [200, "text/html", "<!doctype html>"])),
  },
  { name: "strict CSP", wasm: "file", run: files("by-path.html", { headers: policy("'wasm-unsafe-eval'") }) },
  { name: "CSP without wasm-unsafe-eval", error: "wasm-blocked", run: files("by-path.html", { headers: policy("") }) },
  { name: "service worker, ./inline", wasm: "inline", thread: "main", run: files("registers.html") },
  { name: "Vite 7 dev", wasm: "inlined", run: page((context) => viteServer(7, context)) },
  { name: "Vite 7 build", wasm: "file", run: page((context) => viteBuild(7, context)) },
  { name: "Vite 8 dev", wasm: "file", run: page((context) => viteServer(8, context)) },
  { name: "Vite 8 build", wasm: "file", run: page((context) => viteBuild(8, context)) },
  { name: "webpack", wasm: "file", run: page(webpackBuild) },
  { name: "esbuild esm", wasm: "inlined", run: page((context) => esbuildBuild({ format: "esm" }, context)) },
  { name: "esbuild iife", wasm: "inlined", run: page((context) => esbuildBuild({ format: "iife" }, context)) },
  { name: "Rollup", wasm: "inlined", run: page(rollupBuild) },
  { name: "Node, import", wasm: "file", thread: "main", run: (context) => runNode(process.execPath, "node.mjs", context) },
  { name: "Node, require", wasm: "file", thread: "main", run: (context) => runNode(process.execPath, "node.cjs", context) },
  { name: "Node 22, import", wasm: "file", thread: "main", needs: otherNode, run: (context) => runNode(otherNode(), "node.mjs", context) },
  { name: "Node 22, require", wasm: "file", thread: "main", needs: otherNode, run: (context) => runNode(otherNode(), "node.cjs", context) },
  { name: "workerd", wasm: "file", thread: "main", run: runWorkerd },
];
