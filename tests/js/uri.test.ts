// Identifiers: the package takes and refuses what the core does (`tests/uris.rs`, same vectors).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MimiError, uri } from "@mimi-edge/client";

interface Cases { readonly valid: readonly (readonly [string, string])[]; readonly invalid: readonly string[] }

const vectors = JSON.parse(readFileSync("tests/vectors/uris.json", "utf8")) as Record<string, Cases>;
const kinds = { user: uri.user, room: uri.room, client: uri.client };
const refusal = (error: unknown): boolean => MimiError.is(error, "bad-uri");

test("r1_a25_d15_identifiers_of_the_shared_vectors", () => {
  assert.deepEqual(Object.keys(vectors).sort(), Object.keys(kinds).sort());
  for (const [kind, parse] of Object.entries(kinds)) {
    for (const [text, domain] of vectors[kind]!.valid) {
      assert.equal(parse(text), text);
      assert.equal(uri.domain(parse(text)), domain);
    }
    for (const text of vectors[kind]!.invalid) assert.throws(() => parse(text), refusal, `${kind} ${JSON.stringify(text)}`);
  }
});

test("d15_no_identifier_is_longer_than_255_bytes", () => {
  const rest = "@alpha.example";
  const longest = `ä${"a".repeat(255 - 2 - rest.length)}${rest}`;
  for (const parse of [uri.user, uri.room]) {
    assert.equal(parse(longest), longest);
    assert.throws(() => parse(`a${longest}`), refusal);
  }
  assert.throws(() => uri.client(`${longest}/d`), refusal);
});

test("d15_half_a_character_is_no_utf8", () => {
  assert.throws(() => uri.user("a\ud800@alpha.example"), refusal);
  assert.throws(() => uri.room("mimi://alpha.example/r/\udc00"), refusal);
});
