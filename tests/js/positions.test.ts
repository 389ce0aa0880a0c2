// Up to where a face knows the logs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Positions } from "../../js/client/positions.js";

test("the place up to which a log is known only grows, and what is told twice is not new", () => {
  const positions = new Positions();
  const advance = (...places: number[]): boolean[] => places.map((place) => positions.advance("clubhouse@alpha.example", place));
  assert.deepEqual(advance(-1, 3, 3, 2, -1, 4), [false, true, false, false, false, true]);
  assert.deepEqual([positions.advance("other@alpha.example", 1), positions.all()], [true, { "clubhouse@alpha.example": 4, "other@alpha.example": 1 }]);
  positions.forget("clubhouse@alpha.example");
  assert.deepEqual(advance(1), [true]);
});
