// `npm run pages`: writes the pages of the hub's documentation that are made of tables in the code. A test compares.
import { writeFileSync } from "node:fs";
import { program } from "./program.mjs";
import { setUpBuild } from "./setup.mjs";
import { at, command } from "./shell.mjs";

await command(async () => {
  await setUpBuild();
  const { settingsPage, metricsPage } = await program("js/hub/pages.ts", "pages");
  writeFileSync(at("npm/hub/docs/settings.md"), settingsPage());
  writeFileSync(at("npm/hub/docs/metrics.md"), metricsPage());
});
