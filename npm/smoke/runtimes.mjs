// The talk outside of browsers.
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { start, within } from "./stage.mjs";

const require = createRequire(import.meta.url);

/** Another Node than the one that runs this; undefined on machines for which npm has none. */
export function otherNode() {
  try {
    return require.resolve("node-22/bin/node");
  } catch {
    return undefined;
  }
}

/** A script of the app, run by a Node. */
export async function runNode(node, script, { app, provider, name }) {
  const { child, ended } = start(node, [script, provider, name], { cwd: app });
  let said = "";
  let failed = "";
  child.stdout.on("data", (text) => { said += text; });
  child.stderr.on("data", (text) => { failed += text; });
  const code = await within(name, ended);
  if (code !== 0 || failed !== "") throw new Error(`${script} ended with ${code}: ${failed}`);
  return JSON.parse(said);
}

/** app/worker.js, bundled by esbuild, in workerd. */
export async function runWorkerd({ app, out, provider, name }) {
  const { build } = await import("esbuild");
  await mkdir(out, { recursive: true });
  await build({
    absWorkingDir: app,
    entryPoints: ["worker.js"],
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    loader: { ".wasm": "copy" },
    external: ["cloudflare:*"],
    outdir: out,
    logLevel: "warning",
  });
  const module = (await readdir(out)).find((file) => file.endsWith(".wasm"));
  await writeFile(join(out, "config.capnp"), config(module));
  const { default: workerd } = require("workerd");
  const server = start(workerd, ["serve", "--control-fd=3", join(out, "config.capnp")]);
  try {
    const [, port] = await server.line(3, /"port":(\d+)/);
    const query = new URLSearchParams({ provider, name });
    const response = await within(name, fetch(`http://127.0.0.1:${port}/?${query}`));
    if (!response.ok) throw new Error(`workerd answered with ${response.status}: ${await response.text()}`);
    return await response.json();
  } finally {
    await server.stop();
  }
}

const config = (module) => `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "app", worker = (
      modules = [
        (name = "worker.js", esModule = embed "worker.js"),
        (name = "./${module}", wasm = embed "${module}"),
      ],
      compatibilityDate = "2026-01-01",
      globalOutbound = "network",
    )),
    (name = "network", network = (allow = ["local", "private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "app")],
);
`;
