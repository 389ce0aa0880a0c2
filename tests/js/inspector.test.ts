// The protocol inspector's figure: lanes, arrows, what is kept, the figure as text, who sees what.

import assert from "node:assert/strict";
import { test } from "node:test";
import { contentOf, epochsOf, frameOf, linesOf, type Field } from "../../examples-web/inspector/decode.js";
import { parseTrace, type Exchange } from "../../examples-web/inspector/exchange.js";
import { draftFigure, mermaidFigure } from "../../examples-web/inspector/figure.js";
import { Log, MOST_ENTRIES, type Arrow, type Row } from "../../examples-web/inspector/log.js";

const ALICE = "alice@alpha.example/phone";
const BOB = "bob@bravo.example/laptop";
const ALPHA = "alpha.example";
const BRAVO = "bravo.example";
const ROOM = "clubhouse@alpha.example";

/** A field of no certain place. */
const field = (name: string, type: string, inside: Field["value"] | readonly Field[]): Field =>
  ({ name, type, start: 10, end: 12, ...(Array.isArray(inside) ? { fields: inside as readonly Field[] } : { value: inside as NonNullable<Field["value"]> }) });

const COMMIT = field("", "UpdateRequest", [
  field("proposalOrCommit", "PublicMessage", [field("groupId", "opaque<V>", new Uint8Array(2)), field("epoch", "uint64", 6n), field("contentType", "ContentType", "commit")]),
  field("welcome", "optional<Welcome>", []),
  field("groupInfo", "GroupInfo", [field("groupContext", "GroupContext", [field("epoch", "uint64", 7n)])]),
]);
const MESSAGE = field("message", "MLSMessage", [
  field("wireFormat", "WireFormat", "mls_private_message"),
  field("privateMessage", "PrivateMessage", [field("epoch", "uint64", 7n), field("contentType", "ContentType", "application"), field("ciphertext", "opaque<V>", new Uint8Array(40))]),
]);

/** An exchange between the hub and Bob's provider, but for what is given. */
function exchange(given: Partial<Exchange> = {}): Exchange {
  return { from: BRAVO, to: ALPHA, via: "provider", method: "POST", path: `/v1/update/${ROOM}`, what: "commit 1.2 kB", at: 20, endedAt: 30, status: 200, code: "success", request: Uint8Array.of(1), response: Uint8Array.of(2), ...given };
}

function log(exchanges: readonly Exchange[], decode: (body: Uint8Array) => Field | undefined = () => undefined): Log {
  const made = new Log((_exchange, _direction, body) => decode(body));
  for (const one of exchanges) made.add(one);
  return made;
}

const arrows = (rows: readonly Row[]): Arrow[] => rows.filter((row): row is Arrow => "kind" in row);
const labels = (rows: readonly Row[]): string[] => rows.map((row) => ("heading" in row ? row.heading : row.label));

/** What passes when Bob commits: told in the order in which it was over. */
const BOB_COMMITS = [
  exchange(),
  exchange({ from: BOB, to: BRAVO, via: "client", path: `/client/v1/update/${ROOM}`, what: "update", at: 10, endedAt: 40 }),
  exchange({ from: ALPHA, to: ALICE, via: "socket", method: "", path: `/client/v1/socket/${ALICE}`, what: "frame", at: 41, endedAt: 41, status: undefined, code: undefined, response: undefined } as unknown as Exchange),
  exchange({ from: ALPHA, to: BRAVO, path: `/v1/notify/${ROOM}`, at: 42, endedAt: 50, code: undefined } as unknown as Exchange),
];

test("a line of a trace is read, with the bodies as bytes", () => {
  const line = JSON.stringify({ ...exchange(), request: "AQI=", response: "/w==" });
  assert.deepEqual(parseTrace(line), exchange({ request: Uint8Array.of(1, 2), response: Uint8Array.of(255) }));
  const { response: _response, ...unanswered } = exchange();
  assert.equal(parseTrace(JSON.stringify({ ...unanswered, request: "" })).response, undefined);
});

test("devices stand beside their providers, and a provider with rooms is a hub", () => {
  const lanes = log([...BOB_COMMITS].reverse()).lanes();
  assert.deepEqual(lanes.map(({ id, name, kind, hub }) => [id, name, kind, hub]), [
    [ALICE, "alice", "device", false],
    [ALPHA, ALPHA, "provider", true],
    [BRAVO, BRAVO, "provider", false],
    [BOB, "bob", "device", false],
  ]);
  const two = log([exchange({ from: BOB }), exchange({ from: "bob@bravo.example/tablet" }), exchange({ from: "mimi://a.example/d/cathy/phone", to: "a.example" })]).lanes();
  assert.deepEqual(two.map(({ name }) => name), ["cathy", "a.example", ALPHA, BRAVO, "bob/lapt", "bob/tabl"]);
  assert.deepEqual(log([]).lanes(), []);
});

test("arrows stand in the order in which things happened, however they were told", () => {
  const rows = arrows(log(BOB_COMMITS).rows());
  assert.deepEqual(rows.map(({ kind, from, to, label }) => [kind, from, to, label]), [
    ["request", BOB, BRAVO, "update"],
    ["request", BRAVO, ALPHA, "/update"],
    ["response", ALPHA, BRAVO, "200"],
    ["response", BRAVO, BOB, "200"],
    ["socket", ALPHA, ALICE, "frame"],
    ["fan-out", ALPHA, BRAVO, "/notify"],
    ["response", BRAVO, ALPHA, "200"],
  ]);
});

test("an arrow says what its body is, and a commit which epoch it makes", () => {
  const rows = arrows(log([exchange()], ([first]) => (first === 1 ? COMMIT : undefined)).rows());
  assert.deepEqual(labels(rows), ["/update commit, Welcome, epoch 6 → 7", "200"]);
  assert.equal(contentOf(field("", "FanoutMessage<V>", [MESSAGE, MESSAGE])), "message");
  assert.equal(contentOf(undefined), "");
  assert.equal(epochsOf(MESSAGE), undefined);
  assert.equal(frameOf(field("", "FromProvider", [field("frame", "FromProviderFrame", "caughtUp")])), "caught up");
  assert.equal(frameOf(MESSAGE), undefined);
});

test("what failed is marked, and so is what is tried again, with the wait", () => {
  const refused = exchange({ at: 0, endedAt: 100, status: 401, code: "pendingProposals" });
  const { status: _status, code: _code, response: _response, ...silent } = exchange({ at: 1600, endedAt: 2000 });
  const rows = arrows(log([refused, silent, exchange({ at: 5000, endedAt: 5010 }), exchange({ at: 6000, endedAt: 6001 })]).rows());
  assert.deepEqual(rows.map(({ label, failed, waited }) => [label, failed, waited]), [
    ["/update", false, undefined],
    ["401 pendingProposals", true, undefined],
    ["/update, again after 1.5 s", true, 1500],
    ["/update, again after 3.0 s", false, 3000],
    ["200", false, undefined],
    ["/update", false, undefined],
    ["200", false, undefined],
  ]);
});

test("the newest 200 exchanges are kept, and the first ones can be shown alone", () => {
  const all = Array.from({ length: MOST_ENTRIES + 5 }, (_, index) => exchange({ at: index * 10, endedAt: index * 10 + 1, what: String(index) }));
  const made = log(all);
  assert.equal(made.size, 200);
  assert.equal(made.rows().length, 400);
  assert.equal(made.rows()[0]?.at, 50);
  assert.equal(made.rows(2).length, 4);
  assert.deepEqual(made.rows(0), []);
});

test("a heading stands over what comes after it", () => {
  const made = log([exchange()]);
  made.head("2. Alice adds Bob", 35);
  made.add(exchange({ at: 36, endedAt: 37 }));
  assert.deepEqual(labels(made.rows()), ["/update", "200", "2. Alice adds Bob", "/update", "200"]);
  assert.deepEqual(labels(made.rows(1)), ["/update", "200"]);
});

test("the figure as text is drawn like the draft's", () => {
  const made = log(BOB_COMMITS);
  assert.equal(draftFigure(made.lanes(), made.rows()), [
    "alice           alpha.example   bravo.example   bob",
    "  |               |               |               |",
    "  |               |               |        update |",
    "  |               |               |<~~~~~~~~~~~~~~|",
    "  |               |       /update |               |",
    "  |               |<--------------|               |",
    "  |               | 200           |               |",
    "  |               |-------------->|               |",
    "  |               |               | 200           |",
    "  |               |               |~~~~~~~~~~~~~~>|",
    "  |         frame |               |               |",
    "  |<~~~~~~~~~~~~~~|               |               |",
    "  |               | /notify       |               |",
    "  |               |-------------->|               |",
    "  |               |           200 |               |",
    "  |               |<--------------|               |",
    "  |               |               |               |",
  ].join("\n"));
});

test("lanes stand apart as far as the labels between them are long, and an arrow crosses others", () => {
  const long = exchange({ from: ALICE, to: ALPHA, via: "client", path: "/client/v1/x", what: "a label of twenty-nine letters", at: 0, endedAt: 1 });
  const far = exchange({ from: ALICE, to: BRAVO, via: "client", what: "far", at: 2, endedAt: 3, path: "/client/v1/x" });
  const made = log([long, far]);
  const lines = draftFigure(made.lanes(), made.rows()).split("\n");
  assert.equal(lines[2], "  | a label of twenty-nine letters |               |");
  assert.equal(lines[3], "  |~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~>|               |");
  assert.equal(lines[7], "  |~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~>|");
});

test("the figure for Mermaid is a sequence diagram", () => {
  const made = log([exchange({ status: 403, code: undefined } as unknown as Exchange)]);
  made.head("a; b #1", 40);
  assert.equal(mermaidFigure(made.lanes(), made.rows()), [
    "sequenceDiagram",
    "  participant L0 as alpha.example",
    "  participant L1 as bravo.example",
    "  L1->>L0: /update",
    "  L0--xL1: 403",
    "  Note over L0,L1: a  b  1",
  ].join("\n"));
});

test("a body is shown field by field, and what only members can read says so", () => {
  const said = "what was said, encrypted for the room's members";
  assert.deepEqual(linesOf(field("", "FanoutMessage<V>", [field("0", "FanoutMessage", [MESSAGE, field("timestamp", "uint64", 1n)])])), [
    { name: "0", depth: 0, bytes: 2 },
    { name: "message", depth: 1, bytes: 2 },
    { name: "wireFormat", depth: 2, bytes: 2, value: "mls_private_message" },
    { name: "privateMessage", depth: 2, bytes: 2 },
    { name: "epoch", depth: 3, bytes: 2, value: "7" },
    { name: "contentType", depth: 3, bytes: 2, value: "application" },
    { name: "ciphertext", depth: 3, bytes: 2, value: `${"00".repeat(16)}… (40 bytes)`, hidden: said },
    { name: "timestamp", depth: 1, bytes: 2, value: "1" },
  ]);
  const hidden = "new keys, encrypted for the members below this node";
  const rest = field("", "x", [
    field("encryptedPathSecret", "HPKECiphertext<V>", [field("0", "HPKECiphertext", [field("kemOutput", "opaque<V>", Uint8Array.of(1))])]),
    { name: "path", type: "optional<UpdatePath>", start: 10, end: 12 },
    field("users", "UserRoles<V>", []),
    field("groupId", "opaque<V>", new TextEncoder().encode(ROOM)),
    field("tag", "opaque<V>", new Uint8Array()),
  ]);
  assert.deepEqual(linesOf(rest), [
    { name: "encryptedPathSecret", depth: 0, bytes: 2, hidden },
    { name: "0", depth: 1, bytes: 2, hidden },
    { name: "kemOutput", depth: 2, bytes: 2, value: "01", hidden },
    { name: "path", depth: 0, bytes: 2, value: "absent" },
    { name: "users", depth: 0, bytes: 2, value: "none" },
    { name: "groupId", depth: 0, bytes: 2, value: ROOM },
    { name: "tag", depth: 0, bytes: 2, value: "empty" },
  ]);
});
