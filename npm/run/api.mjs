// `npm run api`: writes the reports of the client's public surface, npm/client/api/*.api.md, which reviewers read and
// the test group `api` compares. `npm run docs`: the API reference, into build/docs.
import { build } from "./build.mjs";
import { setUpBuild, toolsOf } from "./setup.mjs";
import { at, command, run, say } from "./shell.mjs";

/** Runs npm/api/main.mjs on what is built; resolves to its status. */
export async function api(...args) {
  await toolsOf("npm/api");
  const { code } = await run(process.execPath, [at("npm/api/main.mjs"), ...args]);
  return code;
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    const [what] = process.argv.slice(2);
    await setUpBuild();
    await build("test");
    if (what !== "docs") return await api("renew");
    const code = await api("docs", at("build/docs"));
    if (code === 0) say("docs: build/docs/index.html");
    return code;
  });
}
