// `npm run sizes`: what a user downloads, and what an edge runtime loads. Builds with the release
// profile, which takes minutes, and prints one line per file. Ends with status 1 when a wasm module
// is over its limit, or holds a path of this machine.
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build, machineFolders } from "./build.mjs";
import { setUpBuild } from "./setup.mjs";
import { at, command, say } from "./shell.mjs";

/** The wasm modules, and the most that each may weigh as brotli. */
const WASM_FILES = [
  ["client wasm", "build/client/client.wasm", 430_000],
  ["hub wasm", "build/hub/hub.wasm", 450_000],
];
/** What is no part of a script. */
const EXTERNAL = ["*.wasm", "./dist/*", "cloudflare:*", "node:*"];
const SCRIPTS = [
  ["client JS, minified", "build/client/index.js"],
  ["hub JS, minified", "build/hub/worker.js"],
];

function print(name, bytes) {
  const gzip = gzipSync(bytes, { level: 9 });
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  const columns = [bytes, gzip, brotli].map((b) => `${(b.length / 1000).toFixed(1)} kB`.padStart(12));
  process.stdout.write(`${name.padEnd(22)}${columns.join("")}\n`);
  return brotli.length;
}

await command(async () => {
  await setUpBuild();
  await build("release");
  const { build: bundle } = await import("esbuild");
  const heads = ["raw", "gzip", "brotli"].map((head) => head.padStart(12));
  process.stdout.write(`${"".padEnd(22)}${heads.join("")}\n`);
  let status = 0;
  for (const [name, path, limit] of WASM_FILES) {
    const module = readFileSync(at(path));
    if (print(name, module) > limit) status = 1;
    if (machineFolders().some((folder) => module.includes(folder))) {
      say(`${name}: holds a path of this machine`);
      status = 1;
    }
  }
  for (const [name, path] of SCRIPTS) {
    // With all that it imports at once; what import() loads is left out.
    const options = { entryPoints: [at(path)], bundle: true, minify: true, write: false, format: "esm", external: EXTERNAL };
    const { outputFiles } = await bundle(options);
    print(name, Buffer.from(outputFiles[0].contents));
  }
  return status;
});
