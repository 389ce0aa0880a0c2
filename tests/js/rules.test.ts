// The tool behind `npm run rules`: it finds the tests, reads what they said, and believes neither
// a failed test nor one that did not run.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cargoOutcomes,
  parseRules,
  ruleTable,
  rulesOf,
  suiteOf,
  tableLines,
  tapOutcomes,
  testsIn,
} from "../../npm/run/rule-table.mjs";

const RULES = parseRules("number\tlevel\trule\nR1\tmust\tOne\nR85\tours\tTwo\nD3\tours\tThree\n");

test("a test's name carries the rules that it proves", () => {
  assert.deepEqual(rulesOf("r85_r86_two_at_once"), ["R85", "R86"]);
  assert.deepEqual(rulesOf("r8_the_id_and_d15_the_name"), ["R8", "D15"]);
  assert.deepEqual(rulesOf("over_2_users_and_3d_5_xr7_things_r9"), []);
});

test("a table of rules with a mistake is refused", () => {
  assert.equal(RULES.length, 3);
  for (const line of ["R1\tmust", "R1\tmust\tOne\tmore", "A1\tmust\tOne", "R1\t\tOne"]) {
    assert.throws(() => parseRules(`number\tlevel\trule\n${line}\n`), /not a rule/);
  }
  assert.throws(() => parseRules("number\tlevel\trule\nR1\tmust\tOne\nR1\tmust\tTwo\n"), /twice/);
});

test("tests are found in Rust and in TypeScript, and nothing else is", () => {
  const attribute = "#[test]";
  const rust = `
    /// ${attribute}
    fn r1_no_test() {}
    ${attribute}
    fn r1_a_test() {}
    ${attribute}
    #[cfg(unix)]
    fn r2_another() -> Result<(), Error> {}
    #[wasm_bindgen_test]
    async fn r3_in_a_browser() {}
    // ${attribute}
    fn r4_commented_out() {}`;
  assert.deepEqual(testsIn("src/a.rs", rust), ["r1_a_test", "r2_another", "r3_in_a_browser"]);
  const call = "test(";
  const script = `${call}"r1_a_test", () => {});\n  ${call}"r2_inside", async () => {});\n// ${call}"r3_commented_out"
const table = {
  r4_${"in_a_table"}: () => {},
  record: () => {},
};`;
  assert.deepEqual(testsIn("tests/js/a.test.ts", script), ["r1_a_test", "r2_inside", "r4_in_a_table"]);
});

test("each file belongs to the suite that runs it", () => {
  const suites = ["src/a.rs", "tests/hub/a.rs", "tests/web.rs", "tests/js/a.test.ts", "tests/worker/a.test.ts"];
  assert.deepEqual(suites.map(suiteOf), ["rust", "rust", "web", "js", "worker"]);
});

test("what the runners print is read; of tests with one name all have to pass", () => {
  const cargo = `running 4 tests
test room::tests::r1_good ... ok
test r2_bad ... FAILED
test r3_panics - should panic ... ok
test r4_left_out ... ignored
test r5_twice ... FAILED
test r5_twice ... ok
test src/lib.rs - (line 3) ... ok`;
  assert.deepEqual([...cargoOutcomes(cargo)], [["r1_good", true], ["r2_bad", false], ["r3_panics", true], ["r5_twice", false]]);
  const tap = `TAP version 13
# Subtest: r1_good
ok 1 - r1_good
  ---
  duration_ms: 1
  ...
not ok 2 - r2_bad
ok 3 - r3_left_out # SKIP
    ok 1 - r4_inside`;
  assert.deepEqual([...tapOutcomes(tap)], [["r1_good", true], ["r2_bad", false], ["r4_inside", true]]);
});

test("a rule is proven by a test that passed, and by none that failed or did not run", () => {
  const said = new Map([["r1_good", true], ["r85_bad", false]]);
  const found = [...said.keys(), "r1_absent"].map((name) => ({ name, path: "tests/a.rs" }));
  const proven = (tests: typeof found): string[] =>
    ruleTable(RULES, tests, ({ name }: { name: string }) => said.get(name))
      .filter((rule) => rule.proven)
      .map(({ number }) => number);
  assert.deepEqual(proven(found.slice(0, 2)), ["R1"]);
  assert.deepEqual(proven(found), []);
  assert.throws(() => proven([{ name: "r94_no_such", path: "tests/a.rs" }]), /R94, which is no rule/);
});

test("the table shows each rule, its level, its tests and their results", () => {
  const table = ruleTable(RULES, [{ name: "r1_d3_good", path: "tests/a.rs" }], () => true);
  assert.deepEqual(tableLines(table).map((line: string) => line.trim().split(/\s{2,}/)), [
    ["R1", "must", "One"],
    ["passed", "r1_d3_good", "(tests/a.rs)"],
    ["R85", "ours", "Two"],
    ["NO TEST"],
    ["D3", "ours", "Three"],
    ["passed", "r1_d3_good", "(tests/a.rs)"],
  ]);
});
