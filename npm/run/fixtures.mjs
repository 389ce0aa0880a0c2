// `npm run fixtures`: writes what today's version stores into tests/fixtures, for later versions to open.
// `npm run fixtures -- client`: the core's rows (tests/client/fixtures.rs), and one device's of them sealed
// as IndexedDB has them (js/client/store); `npm run fixtures -- hub`: what three providers have exported, and
// their users' devices (tests/js/hub-fixture.ts). Files of versions that were published are not to be
// changed by it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "./build.mjs";
import { program } from "./program.mjs";
import { setUpBuild } from "./setup.mjs";
import { at, command, must, say, SetupError } from "./shell.mjs";

const FOLDER = "tests/fixtures/store";
/** Of src/object/version.rs: what a hub's objects store is of this version. */
const HUB = "tests/fixtures/hub/storage-1.json";
/** The key with which the sealed fixture opens: no secret. */
const KEY = new Uint8Array(32).fill(7);

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const text = (bytes) => Buffer.from(bytes).toString("base64");

/** The store's own code, bundled in memory. */
async function storeCode() {
  const { build } = await import("esbuild");
  const contents = 'export * from "./js/client/store/keys.ts"; export { FORMAT } from "./js/client/store/indexeddb.ts";';
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: at(".") },
    bundle: true,
    format: "esm",
    write: false,
  });
  return await import(`data:text/javascript;base64,${text(outputFiles[0].contents)}`);
}

/** The first device of the newest core's fixture, sealed. */
async function sealed() {
  const { FORMAT, makeKeys } = await storeCode();
  const version = Math.max(...readdirSync(at(FOLDER)).map((name) => Number(/^core-(\d+)\.json$/.exec(name)?.[1] ?? 0)));
  const core = JSON.parse(readFileSync(at(FOLDER, `core-${version}.json`), "utf8"));
  const { client, user, rows } = core.devices[0];
  const { kept, sealer } = await makeKeys(KEY);
  const records = await sealer.changes(rows.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })));
  const pair = ({ id, record }) => [text(id), text(record)];
  const about = { id: crypto.randomUUID(), salt: text(kept.salt), check: pair(kept.check) };
  const content = { core: version, client, user, key: text(KEY), about, records: records.map(pair) };
  writeFileSync(at(FOLDER, `format-${FORMAT}.json`), `${JSON.stringify(content, undefined, 1)}\n`);
}

async function client() {
  const args = ["test", "--quiet", "--test", "client", "fixtures::what_this_version"];
  await must("cargo", args, { env: { FIXTURES: "write" }, show: "errors" });
  await sealed();
  say(`written: ${FOLDER}`);
}

async function hub() {
  await setUpBuild();
  await build("test");
  const { writeHubFixture } = await program("tests/js/hub-fixture.ts", "hub-fixture");
  await writeHubFixture(at("build/hub/worker.js"), at(HUB));
  say(`written: ${HUB}`);
}

const FIXTURES = { client, hub };

await command(async () => {
  const chosen = process.argv.slice(2);
  const unknown = chosen.find((name) => !(name in FIXTURES));
  if (unknown) throw new SetupError(`no fixture \`${unknown}\`: ${Object.keys(FIXTURES).join(", ")}`);
  for (const name of chosen.length > 0 ? chosen : Object.keys(FIXTURES)) await FIXTURES[name]();
});
