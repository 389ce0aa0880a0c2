// The JavaScript of @mimi-edge/client, from js/client: one bundle for each platform, whose entries share what
// they have in common, so that an application has one wasm instance whichever it imports.
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { at } from "./shell.mjs";

const OUT = at("build/client");

/** By platform: where its files go, its entries (package file: file of js/client/entry), what esbuild is told besides. */
const PLATFORMS = {
  web: {
    folder: ".",
    entries: { index: "web", low: "web-low", slim: "web-slim", inline: "web-inline" },
    options: { platform: "browser", external: ["*/wasm-inline.js", "*/worker-inline.js"] },
  },
  node: {
    folder: "dist",
    entries: { node: "node", "node-low": "node-low" },
    options: { platform: "node", external: ["ws"] },
  },
  workerd: {
    folder: "dist",
    entries: { workerd: "workerd", "workerd-low": "workerd-low" },
    options: { platform: "browser", conditions: ["workerd"], external: ["*.wasm", "cloudflare:*"] },
  },
};

/** Entries of the package whose declarations are those of another one. */
const SAME_TYPES = { slim: "index", inline: "index" };

/** Writes all of it into build/client; `wasm` is the compiled module's path. */
export async function bundleClient(wasm) {
  const { build: bundle } = await import("esbuild");
  const common = { bundle: true, format: "esm", target: "es2022", logLevel: "warning" };
  const entry = (name) => at("js/client/entry", `${name}.ts`);
  for (const [name, { folder, entries, options }] of Object.entries(PLATFORMS)) {
    removeChunks(join(OUT, folder), name);
    await bundle({
      ...common,
      ...options,
      entryPoints: Object.fromEntries(Object.entries(entries).map(([file, source]) => [file, entry(source)])),
      outdir: join(OUT, folder),
      splitting: true,
      chunkNames: `${name}-[hash]`,
      sourcemap: true,
    });
  }
  await bundleWorker({ ...common, platform: "browser", entryPoints: [at("js/client/worker.ts")] });
  const gzip = gzipSync(readFileSync(wasm), { level: 9 }).toString("base64");
  await bundle({
    ...common,
    entryPoints: [entry("wasm-inline")],
    outdir: join(OUT, "dist"),
    define: { WASM_GZIP_BASE64: JSON.stringify(gzip) },
  });
}

/** The worker's script: whole, so that it runs from wherever it comes, and as text in a module. */
async function bundleWorker(options) {
  const { build: bundle } = await import("esbuild");
  await bundle({ ...options, outfile: join(OUT, "worker.js"), sourcemap: true });
  const { outputFiles } = await bundle({ ...options, minify: true, write: false });
  writeFileSync(join(OUT, "dist/worker-inline.js"), `export const text = ${JSON.stringify(outputFiles[0].text)};\n`);
}

/** Writes the declarations of entries that are like another one's. */
export function writeSameTypes() {
  for (const [file, other] of Object.entries(SAME_TYPES)) {
    writeFileSync(join(OUT, `${file}.d.ts`), `export * from "./${other}.js";\n`);
  }
}

/** Chunks are named by their content: those of before would stay. */
function removeChunks(folder, platform) {
  if (!existsSync(folder)) return;
  const chunk = new RegExp(`^${platform}-[A-Z0-9]{8}\\.js(\\.map)?$`);
  for (const name of readdirSync(folder).filter((name) => chunk.test(name))) rmSync(join(folder, name));
}
