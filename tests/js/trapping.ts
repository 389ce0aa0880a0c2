// The client with a core that traps when told to.

import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";

declare global {
  /** At how many of the next frames every core of this thread traps. */
  var trappingFrames: number | undefined;
}

/** The module that such a client loads. */
export const TRAPPING_WASM = "build/wasm/testing/testing_bg.wasm";

/** Puts that core into a bundle. */
export const trappingCore: Plugin = {
  name: "trapping core",
  setup({ onResolve }) {
    onResolve({ filter: /^#wasm\/client$/ }, () => ({ path: resolve("tests/js/trapping-core.mjs") }));
  },
};

/** The script of a worker with that core. */
export async function trappingWorker(): Promise<string> {
  const { outputFiles } = await build({ entryPoints: ["js/client/worker.ts"], write: false, bundle: true, format: "esm", plugins: [trappingCore] });
  return outputFiles[0]?.text ?? "";
}

/** The package for Node with its low layer, with that core. */
export async function trappingClient(): Promise<typeof import("@mimi-edge/client") & { readonly low: typeof import("@mimi-edge/client/low") }> {
  const outfile = join("build/tests/trapping", "client.mjs");
  await build({ stdin: { contents: 'export * from "./entry/node.js"; export * as low from "./low.js";', resolveDir: resolve("js/client"), loader: "ts" }, outfile, bundle: true, platform: "node", format: "esm", external: ["ws"], plugins: [trappingCore] });
  return (await import(pathToFileURL(outfile).href)) as Awaited<ReturnType<typeof trappingClient>>;
}
