// The page of app/main.js by each bundler, without any configuration that has to do with us.
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { serve } from "./stage.mjs";

const VITES = { 7: "vite-7", 8: "vite-8" };

/** The server of Vite's development mode. */
export async function viteServer(version, { app, out }) {
  const { createServer } = await import(VITES[version]);
  const server = await createServer({
    root: app,
    configFile: false,
    // Beside the app and not in it: both versions run at once.
    cacheDir: join(out, "cache"),
    logLevel: "error",
    server: { host: "127.0.0.1", port: 0, watch: null },
  });
  await server.listen();
  return { url: server.resolvedUrls.local[0], stop: () => server.close() };
}

export async function viteBuild(version, { app, out }) {
  const { build } = await import(VITES[version]);
  await build({ root: app, configFile: false, logLevel: "error", build: { outDir: out, emptyOutDir: true } });
  return await serve(out);
}

export async function webpackBuild({ app, out }) {
  const { default: webpack } = await import("webpack");
  const compiler = webpack({
    context: app,
    mode: "production",
    devtool: false,
    performance: false,
    entry: "./main.js",
    output: { path: out, filename: "main.js", publicPath: "auto" },
  });
  const stats = await new Promise((resolve, reject) => {
    compiler.run((error, result) => { if (error) reject(error); else resolve(result); });
  });
  await new Promise((resolve) => { compiler.close(resolve); });
  if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString({ all: false, errors: true, warnings: true }));
  return await servePage(app, out);
}

export async function esbuildBuild(options, { app, out }) {
  const { build } = await import("esbuild");
  await build({
    absWorkingDir: app,
    entryPoints: ["main.js"],
    bundle: true,
    outdir: out,
    // Told below, in the browser, if it matters.
    logOverride: { "empty-import-meta": "silent" },
    logLevel: "warning",
    ...options,
  });
  return await servePage(app, out);
}

export async function rollupBuild({ app, out }) {
  const { rollup } = await import("rollup");
  const { nodeResolve } = await import("@rollup/plugin-node-resolve");
  const onwarn = (warning) => { throw new Error(warning.message); };
  const bundle = await rollup({ input: join(app, "main.js"), plugins: [nodeResolve({ browser: true })], onwarn });
  await bundle.write({ dir: out, format: "es" });
  await bundle.close();
  return await servePage(app, out);
}

/** Serves what a bundler made of main.js with the app's page around it. */
async function servePage(app, out) {
  await mkdir(out, { recursive: true });
  await copyFile(join(app, "index.html"), join(out, "index.html"));
  return await serve(out);
}
