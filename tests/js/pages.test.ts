// The hub's documentation says what the code has.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { metricsPage, settingsPage } from "../../js/hub/pages.js";

const DOCS = "npm/hub/docs";

test("the pages of settings and metrics are those of the tables; npm run pages writes them", () => {
  assert.equal(readFileSync(`${DOCS}/settings.md`, "utf8"), settingsPage());
  assert.equal(readFileSync(`${DOCS}/metrics.md`, "utf8"), metricsPage());
});

test("no page links to one that is not there", () => {
  for (const name of [...readdirSync(DOCS), "../README.md"]) {
    const text = readFileSync(`${DOCS}/${name}`, "utf8");
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([\w./-]+\.md)/g)) {
      assert.doesNotThrow(() => readFileSync(`${DOCS}/${name.startsWith("..") ? "../" : ""}${target}`), `${name} links to ${target}`);
    }
  }
});
