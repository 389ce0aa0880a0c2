// The official MLS test vectors, run on the client module's own cryptography, codec and storage. Runs
// only when the folder is there (npm/run/suites.mjs).
//
// What the module has no export for is put together here from its algorithms, after RFC 9420: labels,
// key schedule and secret tree are openmls' own business and not public. Not run for that reason are
// GroupSecrets of `messages` by themselves; `welcome` and the passive clients decode them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { bytes, hex, join as concat, opaque, Reader, Labelled, type VectorModule } from "./mls.js";

const folder = process.env["MLS_VECTORS"]!;
const wasm = (await import(pathToFileURL("build/wasm/testing/testing.js").href)) as VectorModule;
wasm.initSync({ module: readFileSync("build/wasm/testing/testing_bg.wasm") });
const accepted = [...wasm.acceptedSuites()];

type Vector = { readonly [name: string]: unknown; readonly cipher_suite?: number };

function read<V = Vector>(name: string): readonly V[] {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as readonly V[];
}

/** Runs each vector of a suite that rooms may have, and names the suites of the others. */
function run<V extends { readonly cipher_suite: number }>(t: TestContext, name: string, check: (vector: V) => void): void {
  const vectors = read<V>(name);
  const ours = vectors.filter(({ cipher_suite }) => accepted.includes(cipher_suite));
  const others = new Set(vectors.map(({ cipher_suite }) => cipher_suite).filter((suite) => !accepted.includes(suite)));
  for (const [index, vector] of ours.entries()) {
    try {
      check(vector);
    } catch (cause) {
      throw new Error(`${name}, suite ${vector.cipher_suite}, number ${index} of ours`, { cause });
    }
  }
  assert.ok(ours.length > 0);
  const left = vectors.length - ours.length;
  t.diagnostic(`${name}: ${ours.length} run, ${left} of suites that rooms cannot have: ${[...others].join(" ")}`);
}

interface CryptoBasics {
  readonly cipher_suite: number;
  readonly ref_hash: { label: string; value: string; out: string };
  readonly expand_with_label: { secret: string; label: string; context: string; length: number; out: string };
  readonly derive_secret: { label: string; secret: string; out: string };
  readonly derive_tree_secret: { label: string; secret: string; generation: number; length: number; out: string };
  readonly sign_with_label: { priv: string; pub: string; content: string; label: string; signature: string };
  readonly encrypt_with_label: {
    priv: string; pub: string; label: string; context: string; plaintext: string; kem_output: string; ciphertext: string;
  };
}

test("the official vectors: crypto-basics", (t) => {
  run<CryptoBasics>(t, "crypto-basics", (vector) => {
    const suite = new Labelled(wasm, vector.cipher_suite);
    const hash = vector.ref_hash;
    assert.equal(hex(suite.refHash(hash.label, bytes(hash.value))), hash.out);
    const expand = vector.expand_with_label;
    assert.equal(hex(suite.expand(bytes(expand.secret), expand.label, bytes(expand.context), expand.length)), expand.out);
    const derive = vector.derive_secret;
    assert.equal(hex(suite.deriveSecret(bytes(derive.secret), derive.label)), derive.out);
    const tree = vector.derive_tree_secret;
    assert.equal(hex(suite.deriveTreeSecret(bytes(tree.secret), tree.label, tree.generation, tree.length)), tree.out);

    const { priv, pub, label, content, signature } = vector.sign_with_label;
    assert.ok(suite.verify(bytes(pub), label, bytes(content), bytes(signature)));
    assert.ok(!suite.verify(bytes(pub), `${label}x`, bytes(content), bytes(signature)));
    assert.ok(suite.verify(bytes(pub), label, bytes(content), suite.sign(bytes(priv), label, bytes(content))));

    const sealed = vector.encrypt_with_label;
    const box = concat(opaque(bytes(sealed.kem_output)), opaque(bytes(sealed.ciphertext)));
    assert.equal(hex(suite.decrypt(bytes(sealed.priv), sealed.label, bytes(sealed.context), box)), sealed.plaintext);
    const own = suite.encrypt(bytes(sealed.pub), sealed.label, bytes(sealed.context), bytes(sealed.plaintext));
    assert.equal(hex(suite.decrypt(bytes(sealed.priv), sealed.label, bytes(sealed.context), own)), sealed.plaintext);
  });
});

test("the official vectors: deserialization", (t) => {
  const vectors = read<{ vlbytes_header: string; length: number }>("deserialization");
  // A vector of 2^30 - 1 bytes does not fit into a test: of it, that the length is read as one.
  const most = 1 << 20;
  for (const { vlbytes_header, length } of vectors) {
    const whole = concat(bytes(vlbytes_header), new Uint8Array(Math.min(length, most)));
    if (length <= most) {
      assert.equal(hex(wasm.recode("opaque<V>", whole)), hex(whole));
      assert.throws(() => wasm.recode("opaque<V>", whole.subarray(0, -1)), "truncated");
      assert.throws(() => wasm.recode("opaque<V>", concat(whole, new Uint8Array(1))), "with a byte after it");
    } else {
      assert.throws(() => wasm.recode("opaque<V>", whole), "truncated");
    }
  }
  t.diagnostic(`deserialization: ${vectors.length} run`);
});

/** A PublicMessage of a member around this content; its signature and tags are nonsense. */
function publicMessage(contentType: number, content: Uint8Array): Uint8Array {
  const sender = Uint8Array.of(1, 0, 0, 0, 0);
  const tags = contentType === 3 ? [opaque(new Uint8Array(32)), opaque(new Uint8Array(32))] : [opaque(new Uint8Array(32))];
  return concat(opaque(bytes("00")), new Uint8Array(8), sender, opaque(bytes("")), Uint8Array.of(contentType), content,
    opaque(new Uint8Array(64)), ...tags);
}

const PROPOSALS: readonly (readonly [string, number])[] = [
  ["add_proposal", 1],
  ["update_proposal", 2],
  ["remove_proposal", 3],
  ["pre_shared_key_proposal", 4],
  ["external_init_proposal", 6],
  ["group_context_extensions_proposal", 7],
];

function assertCodec(kind: string, encoded: Uint8Array): void {
  assert.equal(hex(wasm.recode(kind, encoded)), hex(encoded), kind);
  assert.throws(() => wasm.recode(kind, encoded.subarray(0, -1)), `${kind}, truncated`);
  assert.throws(() => wasm.recode(kind, concat(encoded, new Uint8Array(1))), `${kind} with a byte after it`);
}

test("the official vectors: messages", (t) => {
  const vectors = read<Record<string, string>>("messages");
  for (const vector of vectors) {
    const of = (name: string): Uint8Array => bytes(vector[name]!);
    const messages = ["mls_welcome", "mls_group_info", "mls_key_package", "public_message_application",
      "public_message_proposal", "public_message_commit", "private_message"];
    for (const name of messages) {
      assertCodec("MLSMessage", of(name));
      assertCodec("verbatim MLSMessage", of(name));
    }
    assertCodec("MLS ratchet_tree", of("ratchet_tree"));
    assertCodec("ratchet_tree", of("ratchet_tree"));
    for (const [name, type] of PROPOSALS) {
      assertCodec("PublicMessage", publicMessage(2, concat(Uint8Array.of(0, type), of(name))));
    }
    assertCodec("PublicMessage", publicMessage(3, of("commit")));
    // It has a ratchet_tree among extensions of a GroupContext, where openmls takes none; and rooms
    // take no ReInit at all (R53).
    assert.throws(() => wasm.recode("PublicMessage", publicMessage(2, concat(Uint8Array.of(0, 5), of("re_init_proposal")))));

    // In our own structs: an update, and what is fanned out.
    const bare = (name: string): Uint8Array => of(name).subarray(4);
    const tree = concat(Uint8Array.of(1), of("ratchet_tree"));
    const timestamp = new Uint8Array(8).fill(1);
    assertCodec("UpdateRequest", concat(bare("public_message_commit"), Uint8Array.of(1), bare("mls_welcome"), bare("mls_group_info"), tree));
    assertCodec("UpdateRequest", concat(bare("public_message_proposal"), opaque(bare("public_message_proposal"))));
    assertCodec("FanoutMessage", concat(of("public_message_commit"), timestamp));
    assertCodec("FanoutMessage", concat(of("public_message_proposal"), timestamp));
    assertCodec("FanoutMessage", concat(of("mls_welcome"), timestamp, tree));
    assert.throws(() => wasm.recode("FanoutMessage", concat(of("public_message_application"), timestamp)), "R6");
  }
  t.diagnostic(`messages: ${vectors.length} run; of each, GroupSecrets alone are not public and the ReInit is refused`);
});

interface MessageProtection {
  readonly cipher_suite: number;
  readonly group_id: string;
  readonly epoch: number;
  readonly tree_hash: string;
  readonly confirmed_transcript_hash: string;
  readonly signature_priv: string;
  readonly signature_pub: string;
  readonly encryption_secret: string;
  readonly sender_data_secret: string;
  readonly membership_key: string;
  readonly proposal: string; readonly proposal_priv: string; readonly proposal_pub: string;
  readonly commit: string; readonly commit_priv: string; readonly commit_pub: string;
  readonly application: string; readonly application_priv: string;
}

test("the official vectors: message-protection", (t) => {
  run<MessageProtection>(t, "message-protection", (vector) => {
    const suite = new Labelled(wasm, vector.cipher_suite);
    const context = concat(Uint8Array.of(0, 1, 0, vector.cipher_suite), opaque(bytes(vector.group_id)), uint64(vector.epoch),
      opaque(bytes(vector.tree_hash)), opaque(bytes(vector.confirmed_transcript_hash)), opaque(bytes("")));
    for (const [content, message] of [[vector.proposal, vector.proposal_pub], [vector.commit, vector.commit_pub]] as const) {
      assertCodec("MLSMessage", bytes(message));
      assertPublic(suite, vector, context, bytes(content), bytes(message));
    }
    for (const [content, message] of [
      [vector.proposal, vector.proposal_priv],
      [vector.commit, vector.commit_priv],
      [vector.application, vector.application_priv],
    ] as const) {
      assertCodec("MLSMessage", bytes(message));
      assertPrivate(suite, vector, context, bytes(content), bytes(message));
    }
  });
});

function uint64(value: number): Uint8Array {
  const encoded = new Uint8Array(8);
  new DataView(encoded.buffer).setBigUint64(0, BigInt(value));
  return encoded;
}

/** RFC 9420 §6.2: content, signature and membership tag of a PublicMessage. */
function assertPublic(suite: Labelled, vector: MessageProtection, context: Uint8Array, content: Uint8Array, message: Uint8Array): void {
  const reader = new Reader(message.subarray(4));
  assert.equal(hex(reader.opaque()), vector.group_id);
  reader.take(8);
  assert.equal(hex(reader.take(5)), "0100000001", "leaf 1 is the sender");
  reader.opaque();
  const type = reader.take(1)[0]!;
  assert.equal(hex(reader.take(content.length)), hex(content));
  const tbs = concat(message.subarray(0, 4 + reader.at), context);
  const authStart = reader.at;
  const signature = reader.opaque();
  assert.ok(suite.verify(bytes(vector.signature_pub), "FramedContentTBS", tbs, signature));
  if (type === 3) reader.opaque();
  const auth = message.subarray(4 + authStart, 4 + reader.at);
  const tag = reader.opaque();
  reader.end();
  assert.equal(hex(suite.hmac(bytes(vector.membership_key), concat(tbs, auth))), hex(tag));
}

/** RFC 9420 §6.3 and §9: sender data and content of a PrivateMessage of leaf 1 of two. */
function assertPrivate(suite: Labelled, vector: MessageProtection, context: Uint8Array, content: Uint8Array, message: Uint8Array): void {
  const reader = new Reader(message.subarray(4));
  const head = concat(opaque(reader.opaque()), reader.take(8));
  const type = reader.take(1);
  const aad = opaque(reader.opaque());
  const senderData = reader.opaque();
  const ciphertext = reader.opaque();
  reader.end();
  const sample = ciphertext.subarray(0, suite.hashLength);
  const secret = bytes(vector.sender_data_secret);
  const data = new Reader(suite.open(suite.expand(secret, "key", sample, suite.keyLength),
    suite.expand(secret, "nonce", sample, suite.nonceLength), concat(head, type), senderData));
  assert.equal(data.uint32(), 1);
  const generation = data.uint32();
  const guard = data.take(4);
  data.end();

  const leaf = suite.expand(bytes(vector.encryption_secret), "tree", new TextEncoder().encode("right"), suite.hashLength);
  let ratchet = suite.expand(leaf, type[0] === 1 ? "application" : "handshake", bytes(""), suite.hashLength);
  for (let at = 0; at < generation; at += 1) ratchet = suite.deriveTreeSecret(ratchet, "secret", at, suite.hashLength);
  const nonce = suite.deriveTreeSecret(ratchet, "nonce", generation, suite.nonceLength);
  guard.forEach((byte, at) => (nonce[at]! ^= byte));
  const key = suite.deriveTreeSecret(ratchet, "key", generation, suite.keyLength);
  const opened = new Reader(suite.open(key, nonce, concat(head, type, aad), ciphertext));
  const start = opened.at;
  if (type[0] === 1) assert.equal(hex(opened.opaque()), hex(content));
  else assert.equal(hex(opened.take(content.length)), hex(content));
  const framed = concat(head, bytes("0100000001"), aad, type, opened.since(start));
  const tbs = concat(bytes("00010002"), framed, context);
  assert.ok(suite.verify(bytes(vector.signature_pub), "FramedContentTBS", tbs, opened.opaque()));
  if (type[0] === 3) opened.opaque();
  assert.ok(opened.rest().every((byte) => byte === 0), "padding");
}

interface WelcomeVector {
  readonly cipher_suite: number;
  readonly init_priv: string;
  readonly signer_pub: string;
  readonly key_package: string;
  readonly welcome: string;
}

test("the official vectors: welcome", (t) => {
  run<WelcomeVector>(t, "welcome", (vector) => {
    const suite = new Labelled(wasm, vector.cipher_suite);
    // The leaf's key is not part of the vector, and not needed before the tree is.
    const client = new wasm.PassiveClient(bytes(vector.key_package), bytes(vector.init_priv), new Uint8Array(32));
    const groupInfo = client.groupInfo(bytes(vector.welcome));
    const reader = new Reader(groupInfo);
    reader.take(4);
    reader.opaque();
    reader.take(8);
    reader.opaque();
    const transcript = reader.opaque();
    reader.opaque();
    const context = groupInfo.subarray(0, reader.at);
    reader.opaque();
    const confirmationTag = reader.opaque();
    reader.take(4);
    const tbs = groupInfo.subarray(0, reader.at);
    assert.ok(suite.verify(bytes(vector.signer_pub), "GroupInfoTBS", tbs, reader.opaque()));
    reader.end();
    const joinerSecret = joiner(suite, vector);
    // RFC 9420 §8, without PSKs.
    const memberSecret = suite.extract(joinerSecret, new Uint8Array(suite.hashLength));
    const epochSecret = suite.expand(memberSecret, "epoch", context, suite.hashLength);
    const confirmationKey = suite.deriveSecret(epochSecret, "confirm");
    assert.equal(hex(suite.hmac(confirmationKey, transcript)), hex(confirmationTag));
  });
});

/** The joiner secret in the Welcome's one EncryptedGroupSecrets. */
function joiner(suite: Labelled, vector: WelcomeVector): Uint8Array {
  const welcome = new Reader(bytes(vector.welcome).subarray(4));
  welcome.take(2);
  const secrets = new Reader(welcome.opaque());
  const encryptedGroupInfo = welcome.opaque();
  welcome.end();
  const reference = suite.refHash("MLS 1.0 KeyPackage Reference", bytes(vector.key_package).subarray(4));
  assert.equal(hex(secrets.opaque()), hex(reference));
  const sealed = concat(opaque(secrets.opaque()), opaque(secrets.opaque()));
  const groupSecrets = new Reader(suite.decrypt(bytes(vector.init_priv), "Welcome", encryptedGroupInfo, sealed));
  return groupSecrets.opaque();
}

interface PassiveVector {
  readonly cipher_suite: number;
  readonly external_psks: readonly { readonly psk_id: string; readonly psk: string }[];
  readonly key_package: string;
  readonly encryption_priv: string;
  readonly init_priv: string;
  readonly welcome: string;
  readonly ratchet_tree: string | null;
  readonly initial_epoch_authenticator: string;
  readonly epochs: readonly {
    readonly proposals: readonly string[];
    readonly commit: string;
    readonly epoch_authenticator: string;
  }[];
}

/** When the leaves of these vectors were valid: the module asks the platform for the time. */
const TIMES = { "passive-client-welcome": 1_709_000_000_000, "passive-client-handling-commit": 1_741_000_000_000 };

for (const [name, now] of Object.entries(TIMES)) {
  test(`the official vectors: ${name}`, (t) => {
    t.mock.method(Date, "now", () => now);
    run<PassiveVector>(t, name, (vector) => {
      const client = new wasm.PassiveClient(bytes(vector.key_package), bytes(vector.init_priv), bytes(vector.encryption_priv));
      for (const { psk_id, psk } of vector.external_psks) client.addPsk(bytes(psk_id), bytes(psk));
      const tree = vector.ratchet_tree === null ? undefined : bytes(vector.ratchet_tree);
      assert.equal(hex(client.join(bytes(vector.welcome), tree)), vector.initial_epoch_authenticator);
      for (const { proposals, commit, epoch_authenticator } of vector.epochs) {
        for (const proposal of proposals) client.handle(bytes(proposal));
        assert.equal(hex(client.handle(bytes(commit))), epoch_authenticator);
      }
    });
  });
}
