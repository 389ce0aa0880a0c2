// `npm run figures`: the bytes of an `/update` for one Add in rooms of 10, 100 and 1000 members, with
// the whole tree and by reference, as the client core makes them.
import { command, run, say } from "./shell.mjs";

const TEST = "figures::";

await command(async () => {
  const args = ["test", "--quiet", "--test", "client", TEST, "--", "--nocapture"];
  const { code, stdout, stderr } = await run("cargo", args, {
    env: { FIGURES_MEMBERS: "10 100 1000" },
    show: "nothing",
  });
  const lines = [...stdout.matchAll(/^figures: (.*)$/gm)].map(([, line]) => line);
  if (code === 0 && lines.length > 0) process.stdout.write(`an /update for one Add\n${lines.join("\n")}\n`);
  else say(`${stdout}${stderr}`);
  return code;
});
