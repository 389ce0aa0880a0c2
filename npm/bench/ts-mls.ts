// ts-mls on its default cryptography, from bytes to bytes. It keeps state in objects and persists nothing.

import {
  acceptAll, createApplicationMessage, createCommit, createGroup, decodeMlsMessage, defaultCapabilities, emptyPskIndex, encodeMlsMessage,
  generateKeyPackage, getCiphersuiteFromName, getCiphersuiteImpl, joinGroup, processMessage,
  type CiphersuiteImpl, type CiphersuiteName, type ClientState, type CreateCommitResult, type KeyPackage, type MLSMessage, type PrivateKeyPackage, type Proposal,
} from "ts-mls";
import { decodeKeyPackage, encodeKeyPackage } from "ts-mls/keyPackage.js";
import { decodeRatchetTree, encodeRatchetTree } from "ts-mls/ratchetTree.js";
import type { Stack, Suite } from "./stack.js";

interface Person { readonly name: string; readonly suite: CiphersuiteImpl; readonly bytes: Uint8Array; readonly publicPackage: KeyPackage; readonly privatePackage: PrivateKeyPackage }
interface Room { readonly suite: CiphersuiteImpl; state: ClientState; made?: CreateCommitResult }

const SUITES: Readonly<Record<Suite, CiphersuiteName>> = {
  1: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
  3: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
};
const DAY = 24n * 60n * 60n;

function decoded<T>(result: [T, number] | undefined): T {
  if (result === undefined) throw new Error("undecodable");
  return result[0];
}

async function keyPackageOf(name: string, suite: CiphersuiteImpl): Promise<Pick<Person, "bytes" | "publicPackage" | "privatePackage">> {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const credential = { credentialType: "basic", identity: new TextEncoder().encode(name) } as const;
  const made = await generateKeyPackage(credential, defaultCapabilities(), { notBefore: now - 3600n, notAfter: now + 84n * DAY }, [], suite);
  return { ...made, bytes: encodeKeyPackage(made.publicPackage) };
}

function messageOf(bytes: Uint8Array): MLSMessage { return decoded(decodeMlsMessage(bytes, 0)); }

async function take({ state, suite }: Room, bytes: Uint8Array): ReturnType<typeof processMessage> {
  const message = messageOf(bytes);
  if (message.wireformat !== "mls_public_message" && message.wireformat !== "mls_private_message") throw new Error(message.wireformat);
  return await processMessage(message, state, emptyPskIndex, acceptAll, suite);
}

export const tsMls: Stack<Person, Room> = {
  name: "ts-mls",
  async person(name, number) {
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(SUITES[number]));
    return { name, suite, ...(await keyPackageOf(name, suite)) };
  },
  async keyPackage({ name, suite }) { return (await keyPackageOf(name, suite)).bytes; },
  async create({ suite, publicPackage, privatePackage }) {
    return { suite, state: await createGroup(new TextEncoder().encode("bench@alpha.example"), publicPackage, privatePackage, [], suite) };
  },
  async join({ suite, publicPackage, privatePackage }, welcome, tree) {
    const message = messageOf(welcome);
    if (message.wireformat !== "mls_welcome") throw new Error(message.wireformat);
    const nodes = decoded(decodeRatchetTree(tree, 0));
    return { suite, state: await joinGroup(message.welcome, publicPackage, privatePackage, emptyPskIndex, suite, nodes) };
  },
  async commit(room, added) {
    const extraProposals = added.map(({ bytes }): Proposal => ({ proposalType: "add", add: { keyPackage: decoded(decodeKeyPackage(bytes, 0)) } }));
    const made = await createCommit({ state: room.state, cipherSuite: room.suite }, { wireAsPublicMessage: true, extraProposals });
    room.made = made;
    const welcome = made.welcome && encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome });
    return { commit: encodeMlsMessage(made.commit), tree: encodeRatchetTree(made.newState.ratchetTree), ...(welcome && { welcome }) };
  },
  async accept(room) {
    if (room.made !== undefined) room.state = room.made.newState;
    delete room.made;
  },
  async reject(room) { delete room.made; },
  async process(room, commit) { room.state = (await take(room, commit)).newState; },
  async encrypt(room, content) {
    const { newState, privateMessage } = await createApplicationMessage(room.state, content, room.suite);
    room.state = newState;
    return encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage });
  },
  async decrypt(room, bytes) {
    const result = await take(room, bytes);
    if (result.kind !== "applicationMessage") throw new Error(result.kind);
    room.state = result.newState;
    return result.message;
  },
  authenticator: ({ state }) => state.keySchedule.epochAuthenticator,
};
