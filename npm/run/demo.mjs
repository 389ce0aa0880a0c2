// `npm run demo`: sets up, builds, and plays the draft's story (play.ts). `-- --exit` ends after it.
import { build } from "./build.mjs";
import { setUpBuild } from "./setup.mjs";
import { at, command } from "./shell.mjs";

await command(async () => {
  await setUpBuild();
  await build("test");
  const { build: bundle } = await import("esbuild");
  const program = at("build/play.mjs");
  await bundle({
    entryPoints: [at("npm/run/play.ts")],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    sourcemap: "inline",
    logLevel: "warning",
  });
  await import(program);
});
