// `npm run rules`: each rule of tests/rules.tsv with its level, the tests whose names carry its
// number, and what they said. Ends with status 1 when a rule has no passing test. Takes what
// `npm test` kept when the sources are still the same, and runs what is missing.
// `npm run rules -- --names` runs nothing and only looks for the names.
import { readFileSync } from "node:fs";
import { build, buildForTests } from "./build.mjs";
import { filesUnder } from "./digest.mjs";
import { parseRules, rulesOf, ruleTable, suiteOf, tableLines, testsIn } from "./rule-table.mjs";
import { setUpBuild } from "./setup.mjs";
import { at, command, say } from "./shell.mjs";
import { outcomesOf, SUITES } from "./suites.mjs";

/** The rules of the repository's table. */
const rules = () => parseRules(readFileSync(at("tests/rules.tsv"), "utf8"));

/** The tests that name a rule, in the order of their files. */
function numberedTests() {
  const files = [...filesUnder("src"), ...filesUnder("tests")].filter((path) => /\.(rs|test\.ts)$/.test(path));
  return files.flatMap((path) =>
    testsIn(path, readFileSync(at(path), "utf8"))
      .filter((name) => rulesOf(name).length > 0)
      .map((name) => ({ name, path })),
  );
}

/** The rules that no test names. */
export function rulesWithoutTest() {
  const table = ruleTable(rules(), numberedTests(), () => undefined);
  return table.filter(({ tests }) => tests.length === 0).map(({ number }) => number);
}

/** Runs what has not run since the sources changed; resolves to what each test said. */
async function outcomes(tests) {
  const bySuite = new Map();
  for (const suite of new Set(tests.map(({ path }) => suiteOf(path)))) {
    if (!outcomesOf(suite)) {
      await setUpBuild();
      if (suite !== "rust") {
        await build("test");
        await buildForTests();
      }
      const names = tests.filter(({ path }) => suiteOf(path) === suite).map(({ name }) => name);
      say(`\n── ${suite}: ${names.length} tests`);
      await SUITES[suite](names);
    }
    bySuite.set(suite, outcomesOf(suite));
  }
  return ({ name, path }) => bySuite.get(suiteOf(path))?.get(name);
}

if (process.argv[1] === import.meta.filename) {
  await command(async () => {
    const tests = numberedTests();
    if (process.argv.includes("--names")) {
      const missing = rulesWithoutTest();
      process.stdout.write(`rules without a test: ${missing.join(" ") || "none"}\n`);
      return missing.length > 0 ? 1 : 0;
    }
    const table = ruleTable(rules(), tests, await outcomes(tests));
    for (const line of tableLines(table)) process.stdout.write(`${line}\n`);
    const proven = table.filter((rule) => rule.proven).length;
    process.stdout.write(`rules: ${proven} of ${table.length} have a passing test\n`);
    return proven < table.length ? 1 : 0;
  });
}
