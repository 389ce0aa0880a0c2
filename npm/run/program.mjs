// Programs in TypeScript that the commands run: bundled, then imported.
import { at } from "./shell.mjs";

/** Bundles a program for Node; resolves to what it exports. */
export async function program(source, name) {
  const { build: bundle } = await import("esbuild");
  const outfile = at("build", `${name}.mjs`);
  await bundle({
    entryPoints: [at(source)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    sourcemap: "inline",
    logLevel: "warning",
  });
  return await import(outfile);
}
