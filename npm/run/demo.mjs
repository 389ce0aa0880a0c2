// `npm run demo`: sets up, builds, and plays the draft's story (play.ts). `-- --exit` ends after it.
import { build } from "./build.mjs";
import { program } from "./program.mjs";
import { setUpBuild } from "./setup.mjs";
import { command } from "./shell.mjs";

await command(async () => {
  await setUpBuild();
  await build("test");
  await program("npm/run/play.ts", "play");
});
