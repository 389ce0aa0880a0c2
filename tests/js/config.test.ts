// The operator's configuration: what is read, what is refused, and in which words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, readConfig } from "../../js/hub/config/config.js";
import { configSchema } from "../../js/hub/config/schema.js";
import { SETTINGS, faultOf, variableOf } from "../../js/hub/config/settings.js";

function problems(text: string, variables: Record<string, string> = {}): readonly string[] {
  try {
    readConfig(text, variables);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

test("what is not given is as usual, and each value says where it is from", () => {
  const { config, origins } = readConfig('{ "domain": "alpha.example", /* short */ "retention": { "logDays": 7, }, }', { MIMI_HUB__RETENTION__LOG_EVENTS: "12", PATH: "/bin" });
  assert.equal(config.domain, "alpha.example");
  assert.equal(config.consent, "ask");
  assert.deepEqual(config.retention, { giveUpDays: 3, logDays: 7, logEvents: 12 });
  assert.deepEqual(["consent", "retention.logDays", "retention.logEvents"].map((path) => origins.get(path)), ["default", "hub.jsonc", "environment"]);
});

test("everything that is wrong is said at once, with the nearest name", () => {
  assert.deepEqual(problems('{ "domian": "a.example", "retention": { "logDay": 1 }, "consent": "maybe" }'), [
    "domian is no setting: did you mean domain?",
    "retention.logDay is no setting: did you mean retention.logDays?",
    "domain is missing",
    'consent is allow or ask, not "maybe"',
  ]);
});

test("a value of another type, out of range, or a variable that is no setting's is refused", () => {
  const base = '"domain": "alpha.example"';
  assert.deepEqual(problems(`{ ${base}, "retention": { "logEvents": 0 } }`), ["retention.logEvents is from 1 to 10000000 events, not 0"]);
  assert.deepEqual(problems(`{ ${base}, "retention": { "logEvents": 1.5 } }`), ["retention.logEvents is a whole number, not 1.5"]);
  assert.deepEqual(problems(`{ ${base}, "retention": 3 }`), ["retention is a section: { … }, not 3"]);
  assert.deepEqual(problems(`{ ${base} }`, { MIMI_HUB__RETENTION__LOG_EVENTS: "many" }), ['retention.logEvents is a whole number, not "many"']);
  assert.deepEqual(problems(`{ ${base} }`, { MIMI_HUB__CONSENTS: "ask" }), ["MIMI_HUB__CONSENTS is no setting: did you mean MIMI_HUB__CONSENT?"]);
  assert.deepEqual(problems('{ "domain": "Alpha.example" }'), ['domain is a domain in lower case, such as alpha.example, not "Alpha.example"']);
});

test("keys of other providers are of a domain, and keys that can be used", () => {
  const key = { kty: "OKP", crv: "Ed25519", kid: "one", x: "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs" };
  const given = (keys: object): readonly string[] => problems(JSON.stringify({ domain: "alpha.example", peers: { keys } }));
  assert.deepEqual(given({ "bravo.example": { keys: [key] } }), []);
  assert.deepEqual(given({ "Bravo": { keys: [key] } }), ['peers.keys has "Bravo", which is no domain']);
  assert.deepEqual(given({ "bravo.example": { keys: [{ ...key, kty: "RSA" }] } }), ["peers.keys has no Ed25519 key with a kid for bravo.example"]);
});

test("a file that is no JSON is refused with its line", () => {
  assert.deepEqual(problems('{\n  "domain": "alpha.example"\n  "consent": "ask"\n}'), ["line 3: CommaExpected"]);
  assert.deepEqual(problems("[]"), ["the configuration is an object: { … }"]);
});

test("every setting is described, has a default that it allows, and a variable of its own", () => {
  for (const setting of SETTINGS) {
    assert.match(setting.about, /\.$/, setting.path);
    if (setting.default !== undefined) assert.equal(faultOf(setting, setting.default), undefined, setting.path);
  }
  assert.equal(new Set(SETTINGS.map(variableOf)).size, SETTINGS.length);
});

test("the schema has each setting where hub.jsonc has it", () => {
  const schema = configSchema() as unknown as { required: string[]; properties: Record<string, { properties?: Record<string, unknown> }> };
  assert.deepEqual(schema.required, ["domain"]);
  for (const { path } of SETTINGS) {
    const [first = "", second] = path.split(".");
    const place = schema.properties[first];
    assert.ok(second === undefined ? place : place?.properties?.[second], path);
  }
});
