// `npm run storm -- --seeds 20000 --from 1`: the test of tests/storm by hand, any number of seeds. Ends with
// status 1 at the first batch with a seed that fails, and shows the end of that seed's story.
// `npm run storm -- --seed 77 --trace` plays one again and shows all of it.
import { parseArgs } from "node:util";
import { command, run, say, SetupError } from "./shell.mjs";

/** Seeds per run of the test: one line of progress each. */
const BATCH = 500;
/** Lines of a failing seed's story that are shown. */
const TRACE_LINES = 40;
const TEST = "every_storm_ends_in_agreement";

function number(name, text) {
  if (!/^\d{1,12}$/.test(text)) throw new SetupError(`--${name} takes a number`);
  return Number(text);
}

/** Plays seeds; resolves to the exit code and what was printed. */
function play(from, seeds, env = {}) {
  const args = ["test", "--quiet", "--test", "storm", TEST, "--", "--nocapture"];
  return run("cargo", args, {
    // Our code is optimised a little; what it depends on is in every test.
    env: {
      CARGO_PROFILE_DEV_OPT_LEVEL: "1",
      RUST_BACKTRACE: "0",
      STORM_FROM: String(from),
      STORM_SEEDS: String(seeds),
      ...env,
    },
    show: "nothing",
  });
}

/** One seed's story with what went wrong in it. */
async function story(seed) {
  const { code, stdout, stderr } = await play(seed, 1, { STORM_TRACE: "1" });
  return { code, lines: [...stdout.trimEnd().split("\n"), ...stderr.trimEnd().split("\n")] };
}

await command(async () => {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "20000" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      trace: { type: "boolean", default: false },
    },
  });
  if (values.seed !== undefined) {
    const { code, lines } = await story(number("seed", values.seed));
    process.stdout.write(`${(values.trace ? lines : lines.slice(-TRACE_LINES)).join("\n")}\n`);
    return code;
  }
  const from = number("from", values.from);
  const end = from + number("seeds", values.seeds);
  const began = Date.now();
  for (let next = from; next < end; next += BATCH) {
    const { code, stdout, stderr } = await play(next, Math.min(BATCH, end - next));
    const seconds = ((Date.now() - began) / 1000).toFixed(0);
    const line = /^storm: \d+ seeds.*$/m.exec(stdout)?.[0];
    say(`${seconds.padStart(5)} s  ${line ?? stderr}`);
    if (code === 0) continue;
    const failed = /seeds that fail: \[(.*)\]/.exec(stderr)?.[1];
    if (failed) {
      const { lines } = await story(failed.split(",")[0]);
      process.stdout.write(`${lines.slice(-TRACE_LINES).join("\n")}\nseeds that fail: ${failed}\n`);
    }
    return 1;
  }
  say("every seed ended in agreement");
  return 0;
});
