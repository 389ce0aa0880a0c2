// `npm run faults -- --minutes 10 --seed 1`: storms of messages and commits between providers that are killed
// at random (tests/js/kill-storm.ts), one after the other, each with the next seed. Ends with status 1 at the
// first in which something is lost, there twice, or in another order for somebody.
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { program } from "./program.mjs";
import { setUpBuild } from "./setup.mjs";
import { at, command, say, SetupError } from "./shell.mjs";

const OPTIONS = { minutes: { type: "string", default: "10" }, seed: { type: "string", default: "1" } };

function number(name, text) {
  if (!/^\d{1,9}$/.test(text)) throw new SetupError(`--${name} takes a number`);
  return Number(text);
}

await command(async () => {
  const { values } = parseArgs({ options: OPTIONS });
  const [minutes, first] = [number("minutes", values.minutes), number("seed", values.seed)];
  await setUpBuild();
  await build("test");
  const { killStorm } = await program("tests/js/kill-storm.ts", "kill-storm");
  const total = { storms: 0, messages: 0, commits: 0, kills: 0 };
  for (const end = Date.now() + minutes * 60_000; Date.now() < end; total.storms += 1) {
    const seed = first + total.storms;
    try {
      const { messages, commits, kills, seconds } = await killStorm({ worker: at("build/hub/worker.js"), seed, messages: 1_000, commits: 50, seconds: 120 });
      say(`seed ${seed}: ${messages} messages, ${commits} commits, ${kills} kills in ${seconds.toFixed(1)} s`);
      for (const [name, count] of Object.entries({ messages, commits, kills })) total[name] += count;
    } catch (error) {
      say(`seed ${seed}: ${error?.stack ?? error}`);
      return 1;
    }
  }
  say(`${total.storms} storms: ${total.messages} messages, ${total.commits} commits, ${total.kills} kills; nothing lost, nothing twice`);
  return 0;
});
