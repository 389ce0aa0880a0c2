// Which tests prove which rule, and what they said: texts in, values out, nothing read or run.

/** How a test's name names its rules: `r47_…`, `r85_r86_…`, `…_and_d15_…`. */
const RULE_IN_NAME = /(?<=^|_)[rd]\d+(?=_)/g;

/** The rules that a test's name carries, as the table writes them: `R47`. */
export function rulesOf(name) {
  return (name.match(RULE_IN_NAME) ?? []).map((rule) => rule.toUpperCase());
}

/** Reads the table of rules: a heading, then number, level and text, tab-separated. */
export function parseRules(text) {
  const [, ...lines] = text.trimEnd().split("\n");
  const rules = lines.map((line) => {
    const [number, level, rule, ...rest] = line.split("\t");
    if (!/^[RD]\d+$/.test(number) || !level || !rule || rest.length > 0) {
      throw new Error(`not a rule: ${line}`);
    }
    return { number, level, rule };
  });
  if (new Set(rules.map(({ number }) => number)).size < rules.length) throw new Error("a rule stands there twice");
  return rules;
}

const RUST_TEST =
  /^[ \t]*#\[(?:wasm_bindgen_test::)?(?:test|wasm_bindgen_test)\]\s+(?:#\[[^\]]*\]\s+)*(?:async\s+)?fn (\w+)/gm;
/** A call of `test`, or an entry of a table of tests by their names. */
const JS_TEST = /^[ \t]*(?:test\("(\w+)"|((?:[rd]\d+_)+\w+):)/gm;

/** The names of the tests in a source file, in its order. */
export function testsIn(path, text) {
  const pattern = path.endsWith(".rs") ? RUST_TEST : JS_TEST;
  return [...text.matchAll(pattern)].map(([, name, entry]) => name ?? entry);
}

/** The suite that runs the tests of a file. */
export function suiteOf(path) {
  if (path === "tests/web.rs") return "web";
  if (path.endsWith(".rs")) return "rust";
  return /^tests\/(\w+)\//.exec(path)?.[1];
}

/**
 * What each test said, by its name without modules, in the output of cargo's and wasm-bindgen's
 * runners. Of several tests with one name all have to pass.
 */
export function cargoOutcomes(output) {
  const lines = output.matchAll(/^test (?:\S+::)?(\w+)(?: - should panic)? \.\.\. (ok|FAILED)/gm);
  return outcomes([...lines].map(([, name, said]) => [name, said === "ok"]));
}

/** As `cargoOutcomes`, in the output of Node's TAP reporter; what was skipped said nothing. */
export function tapOutcomes(output) {
  const lines = output.matchAll(/^ *(ok|not ok) \d+ - (\w+)$/gm);
  return outcomes([...lines].map(([, said, name]) => [name, said === "ok"]));
}

function outcomes(pairs) {
  const all = new Map();
  for (const [name, passed] of pairs) all.set(name, (all.get(name) ?? true) && passed);
  return all;
}

/**
 * The rules with their tests. `tests` are `{ name, path }`; `outcomeOf` says of a test whether it
 * passed, undefined when it did not run. A rule is proven by one test that passed and none that
 * did not. Numbers that no rule has are an error: a test names what it proves.
 */
export function ruleTable(rules, tests, outcomeOf) {
  const rows = new Map(rules.map((rule) => [rule.number, { ...rule, tests: [] }]));
  for (const test of tests) {
    for (const number of rulesOf(test.name)) {
      const row = rows.get(number);
      if (!row) throw new Error(`${test.path}: ${test.name} names ${number}, which is no rule`);
      row.tests.push({ ...test, passed: outcomeOf(test) });
    }
  }
  return [...rows.values()].map((row) => ({
    ...row,
    proven: row.tests.length > 0 && row.tests.every(({ passed }) => passed === true),
  }));
}

const RESULT = new Map([[true, "passed"], [false, "FAILED"], [undefined, "not run"]]);

/** The table as lines of text: each rule, and below it each of its tests with its result. */
export function tableLines(table) {
  return table.flatMap(({ number, level, rule, tests }) => [
    `${number.padEnd(5)} ${level.padEnd(13)} ${rule}`,
    ...tests.map(({ name, path, passed }) => `${" ".repeat(6)}${RESULT.get(passed).padEnd(13)} ${name}  (${path})`),
    ...(tests.length === 0 ? [`${" ".repeat(6)}NO TEST`] : []),
  ]);
}
