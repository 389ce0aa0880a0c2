// What this and earlier versions of the hub stored is opened, and goes on.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, test } from "node:test";
import { ROOM, UNREAD, openHubFixture, reads } from "../js/hub-fixture.js";

const FOLDER = "tests/fixtures/hub";

for (const name of readdirSync(FOLDER).filter((file) => /^storage-\d+\.json$/.test(file))) {
  test(`providers go on with ${name}: their rooms, users, and what had not been delivered`, async () => {
    const { alice, bob, cathy, close } = await openHubFixture("build/hub/worker.js", `${FOLDER}/${name}`);
    after(close);
    // Two Adds, and a Commit of each.
    const state = { epoch: "5", participants: ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example"], devices: 3, left: false };
    assert.deepEqual(await alice.state(ROOM), state);
    await reads(cathy, [UNREAD]);
    await bob.updateKeys(ROOM);
    await cathy.send(ROOM, "after years");
    for (const other of [alice, bob]) await reads(other, ["after years"]);
    assert.deepEqual(await cathy.state(ROOM), { ...state, epoch: "6" });
  });
}
