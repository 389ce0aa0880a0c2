// The draft's structs by name, and bodies to be looked at.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { MimiError, init, inspect, wire, type WireField } from "@mimi-edge/client/low";

before(() => init());

interface Answer { readonly struct: string; readonly what: string; readonly hex: string }
const ANSWERS = JSON.parse(readFileSync("tests/vectors/known-answers.json", "utf8")) as readonly Answer[];

function answer(struct: string, what: string): Uint8Array<ArrayBuffer> {
  const found = ANSWERS.find((entry) => entry.struct === struct && entry.what === what);
  assert.ok(found, `${struct}: ${what}`);
  return Uint8Array.from(Buffer.from(found.hex, "hex"));
}

function refuses(act: () => unknown, message: string): void {
  assert.throws(act, (error) => MimiError.is(error, "bad-argument") && error.message === `bad argument: ${message}`);
}

const BOB = "bob@bravo.com";
const ALICE = "alice@alpha.com";

/** Members, and their known bytes. */
const KNOWN = [
  ["AppSync", "add bob@bravo.com [regular_user]", { addUsers: [{ user: BOB, roles: ["regular_user"] }], updateUsers: [], removeUsers: [] }],
  ["AppSync", "remove bob@bravo.com", { addUsers: [], updateUsers: [], removeUsers: [BOB] }],
  ["MimiParticipantList", "alice@alpha.com [2,3,4], bob@bravo.com [4]", {
    participants: [{ user: ALICE, roles: ["owner", "admin", "regular_user"] }, { user: BOB, roles: ["regular_user"] }],
  }],
  ["KeyMaterialResponse", "noConsent, bob@bravo.com, []", { protocol: "mls10", userStatus: "noConsent", userUri: BOB, clients: [] }],
  ["UpdateRoomResponse", "success, empty", { responseCode: "success", errorDescription: new Uint8Array() }],
  ["UpdateRoomResponse", "wrongEpoch, stale", { responseCode: "wrongEpoch", errorDescription: new Uint8Array(Buffer.from("stale")) }],
  ["ConsentEntry", "request, alice@alpha.com asks bob@bravo.com, any room", {
    consentOperation: "request", requesterUser: ALICE, targetUser: BOB,
  }],
] as const;

test("the known answers, both ways, and nothing longer or shorter", () => {
  for (const [struct, what, members] of KNOWN) {
    const bytes = answer(struct, what);
    const { encode, decode } = wire[struct] as { encode(value: unknown): Uint8Array; decode(bytes: Uint8Array): unknown };
    assert.deepEqual(new Uint8Array(encode(members)), bytes, what);
    assert.deepEqual(decode(bytes), members, what);
    assert.throws(() => decode(new Uint8Array([...bytes, 0])), (error) => MimiError.is(error, "bad-argument"));
    assert.throws(() => decode(bytes.subarray(0, -1)), (error) => MimiError.is(error, "bad-argument"));
  }
});

test("numbers of 64 bits are bigints, and what is absent is left out", () => {
  const accepted = { protocol: "mls10", statusCode: "accepted", acceptedTimestamp: 2n ** 63n + 1n } as const;
  const bytes = wire.SubmitMessageResponse.encode(accepted);
  assert.deepEqual([...bytes], [1, 0, 0x80, 0, 0, 0, 0, 0, 0, 1]);
  assert.deepEqual(wire.SubmitMessageResponse.decode(bytes), accepted);
  assert.ok(bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength === bytes.length);
  const entry = wire.ConsentEntry.decode(answer("ConsentEntry", "request, alice@alpha.com asks bob@bravo.com, any room"));
  assert.ok(!("roomId" in entry));
});

test("a claim of another protocol keeps what follows", () => {
  const request = { protocol: 9, requestingUser: ALICE, targetUsers: [BOB], roomId: "", rest: new Uint8Array([7, 7]) };
  assert.deepEqual(wire.KeyMaterialRequest.decode(wire.KeyMaterialRequest.encode(request)), request);
});

test("members that do not fit are named", () => {
  const entry = { consentOperation: "request", requesterUser: ALICE, targetUser: BOB } as const;
  const encode = (value: unknown): unknown => wire.ConsentEntry.encode(value as typeof entry);
  refuses(() => encode({ ...entry, consentOperation: "ask" }), "consentOperation");
  refuses(() => encode({ ...entry, consentOperation: "grant" }), "clientKeyPackages");
  refuses(() => encode({ ...entry, targetUser: 7 }), "targetUser");
  refuses(() => encode({ ...entry, targetUser: undefined }), "targetUser");
  refuses(() => encode({ ...entry, targetUser: -1.5 }), "a member is of no type that fits");
  const round: { self?: unknown } = {};
  round.self = round;
  refuses(() => encode({ ...entry, roomId: round }), "a member is of no type that fits");
  refuses(() => encode(undefined), "value");
});

function find(field: WireField | undefined, ...path: readonly string[]): WireField {
  assert.ok(field);
  const [name, ...rest] = path;
  return name === undefined ? field : find(field.fields?.find((inner) => inner.name === name), ...rest);
}

test("a body is shown with names, types and places", () => {
  const body = wire.KeyMaterialRequest.encode({
    protocol: "mls10", requestingUser: ALICE, targetUsers: [BOB], roomId: "club@alpha.com", acceptableCiphersuites: [1, 3],
    requiredCapabilities: { extensionTypes: [6], proposalTypes: [8], credentialTypes: [1] }, lastResortAllowed: false,
  });
  const shown = inspect("keyMaterial", "request", body);
  assert.deepEqual({ ...find(shown), fields: [] }, { name: "", type: "KeyMaterialRequest", start: 0, end: body.length, fields: [] });
  assert.deepEqual(find(shown, "requestingUser"), { name: "requestingUser", type: "IdentifierUri", start: 1, end: 17, value: ALICE });
  assert.deepEqual(find(shown, "targetUsers", "0").value, BOB);
  assert.deepEqual(find(shown, "acceptableCiphersuites").type, "uint16<V>");
  assert.deepEqual(find(shown, "acceptableCiphersuites", "1").value, 3);
  assert.deepEqual(find(shown, "lastResortAllowed").value, false);
  const text = new TextDecoder().decode(body.subarray(2, 17));
  assert.equal(text, ALICE);
});

test("what is no known body is not shown", () => {
  const json = new TextEncoder().encode("{}");
  assert.equal(inspect("consent", "response", json), undefined);
  assert.equal(inspect("elsewhere", "request", json), undefined);
  assert.equal(inspect("update", "request", new Uint8Array()), undefined);
});
