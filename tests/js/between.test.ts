// What nobody told between two hosts of a device.

import assert from "node:assert/strict";
import { test } from "node:test";
import { between, type Shown } from "../../js/client/between.js";

const ROOM = "clubhouse@alpha.example";
const BOB = "bob@bravo.example";
const nothing: Shown = { devices: ["alice@alpha.example/phone"], requests: [], phases: new Map() };
const inPhase = (phase: "joined" | "gap" | "diverged" | "left"): Shown => ({ ...nothing, phases: new Map([[ROOM, phase]]) });

test("devices that came and went between two hosts, and who asked, are told by the next one", () => {
  const before = { ...nothing, requests: [{ user: BOB, at: 1 }] };
  const after = { ...nothing, devices: ["alice@alpha.example/tablet"], requests: [{ user: BOB, at: 1 }, { user: BOB, room: ROOM, at: 2 }] };
  assert.deepEqual(between(before, after), [
    { type: "devicesChanged", added: ["alice@alpha.example/tablet"], removed: ["alice@alpha.example/phone"] },
    { type: "consentRequested", user: BOB, room: ROOM, at: 2 },
  ]);
  assert.deepEqual(between(after, after), []);
  assert.deepEqual(between(before, nothing), []);
});

test("a room that was lost or found again between two hosts is told by the next one", () => {
  assert.deepEqual(between(inPhase("joined"), inPhase("gap")), [{ type: "gap", room: ROOM }]);
  assert.deepEqual(between(nothing, inPhase("diverged")), [{ type: "diverged", room: ROOM }]);
  assert.deepEqual(between(inPhase("diverged"), inPhase("joined")), [{ type: "rejoined", room: ROOM }]);
  assert.deepEqual(between(inPhase("gap"), inPhase("left")), []);
  assert.deepEqual(between(inPhase("gap"), inPhase("gap")), []);
  assert.deepEqual(between(nothing, inPhase("joined")), []);
});
