// ts-mls 1.6.4, unmodified, as a member of rooms of profile A. It commits updates and Adds, and
// proposes AppSyncs for others to commit; the GroupInfo that goes with a commit is built here, because
// the library writes external_pub without the length that RFC 9420 gives it.

import {
  createApplicationMessage, createCommit, createGroupInfoWithExternalPub, createProposal, emptyPskIndex, encodeMlsMessage, generateKeyPackageWithKey, getCiphersuiteFromName,
  getCiphersuiteImpl, joinGroup, makePskIndex, processMessage, type Capabilities, type CiphersuiteImpl, type ClientState, type KeyPackage,
  type MLSMessage, type PrivateKeyPackage, type Proposal, type PublicMessage, type Welcome,
} from "ts-mls";
import { encodeGroupInfo, signGroupInfo } from "ts-mls/groupInfo.js";
import { encodeKeyPackage, makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { encodePublicMessage } from "ts-mls/publicMessage.js";
import { decodeRatchetTree, encodeRatchetTree } from "ts-mls/ratchetTree.js";
import { encodeWelcome } from "ts-mls/welcome.js";
import { Device, type Answer, type LogEvent, type Required } from "./ts-mls-device.js";
import { Reader, concat, optional, text, uint, vector } from "./tls.js";

const SUITE = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
/** AppSync as a proposal, its list as an extension, the room's policy (profile A). */
const APP_SYNC = 0xf0a5;
const APPLICATION_STATE = 0xf0a6;
const ROOM_POLICY = 0xf0a7;
/** The application whose state the list is. */
const PARTICIPANT_LIST = 1;
/** RFC 9420's `basic` credential. */
const BASIC = 1;
/** What a room of profile A asks of its members. */
const REQUIRED: Required = { extensions: [APPLICATION_STATE, ROOM_POLICY], proposals: [APP_SYNC], credentials: [BASIC] };
const FULL = 1;
const DAY_SECONDS = 24 * 60 * 60;
const KEY_PACKAGES = 4;

/** The draft's AppSync: users to put on the list or to change, with their roles, and users to take off. */
export interface AppSync { readonly update?: ReadonlyMap<string, readonly number[]>; readonly remove?: readonly string[] }

export interface Received { readonly room: string; readonly text: string }

/** One user with one device, in at most one room. */
export class TsMlsPeer {
  readonly received: Received[] = [];
  readonly #device: Device;
  readonly #suite: CiphersuiteImpl;
  readonly #own = new Set<string>();
  #keyPackages: { readonly publicPackage: KeyPackage; readonly privatePackage: PrivateKeyPackage }[] = [];
  #room: { readonly uri: string; state: ClientState; position: bigint } | undefined;
  #inbox = 0n;

  private constructor(device: Device, suite: CiphersuiteImpl) {
    this.#device = device;
    this.#suite = suite;
  }

  /** A new device with KeyPackages at its provider. */
  static async open(provider: string, client: string): Promise<TsMlsPeer> {
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(SUITE));
    const peer = new TsMlsPeer(await Device.register(provider, client, suite), suite);
    for (let made = 0; made < KEY_PACKAGES; made += 1) peer.#keyPackages.push(await peer.#keyPackage());
    await peer.#device.publish(peer.#keyPackages.map(({ publicPackage }) => encodeKeyPackage(publicPackage)));
    return peer;
  }

  get user(): string { return this.#device.user; }

  /** The room's epoch, and MLS' authenticator of it. */
  get epoch(): { readonly epoch: bigint; readonly authenticator: string } | undefined {
    if (this.#room === undefined) return undefined;
    const { groupContext, keySchedule } = this.#room.state;
    return { epoch: groupContext.epoch, authenticator: Buffer.from(keySchedule.epochAuthenticator).toString("hex") };
  }

  /** Whether somebody has removed this device's leaf. */
  get isRemoved(): boolean { return this.#room?.state.groupActiveState.kind === "removedFromGroup"; }

  /** The participant list in the GroupContext: users with their roles. */
  get list(): ReadonlyMap<string, readonly number[]> {
    const state = this.#joined().state.groupContext.extensions.find(({ extensionType }) => extensionType === APPLICATION_STATE);
    if (state === undefined) throw new Error("no list");
    const carrier = new Reader(state.extensionData);
    if (carrier.number(4) !== PARTICIPANT_LIST) throw new Error("another application's state");
    const entries = new Reader(carrier.vector()).elements((reader) => [reader.text(), [...reader.vector()]] as const);
    return new Map(entries);
  }

  /** Takes in everything that the provider has for this device. */
  async catchUp(): Promise<void> {
    for (const event of await this.#device.events(this.#inbox)) {
      this.#inbox = event.position;
      if (event.message.wireformat === "mls_welcome" && this.#room === undefined) await this.#join(event, event.message.welcome);
    }
    if (this.#room === undefined) return;
    for (const event of await this.#device.events(this.#room.position, this.#room.uri)) {
      this.#room.position = event.position;
      if (!this.#own.has(hex(event.bytes))) await this.#process(event);
    }
  }

  /** Sends a message. */
  async send(message: string): Promise<void> {
    const room = this.#joined();
    const { newState, privateMessage } = await createApplicationMessage(room.state, new TextEncoder().encode(message), this.#suite);
    room.state = newState;
    const bytes = this.#ownMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage });
    accepted(await this.#device.post("submitMessage", room.uri, bytes));
  }

  /** Commits nothing: new keys for this device. */
  async commitUpdate(groupInfo: "ours" | "the library's" = "ours"): Promise<void> { await this.#commit([], groupInfo); }

  /** Commits that a user goes off the list: the AppSync, and the extensions after it. */
  async commitRemovalFromList(user: string): Promise<void> {
    const { extensions } = this.#joined().state.groupContext;
    const list = [...this.list].filter(([listed]) => listed !== user).map(([listed, roles]) => concat(text(listed), vector(Uint8Array.from(roles))));
    const extensionData = concat(uint(4, PARTICIPANT_LIST), vector(vector(...list)));
    const after = extensions.map((extension) => (extension.extensionType === APPLICATION_STATE ? { ...extension, extensionData } : extension));
    await this.#commit([{ proposalType: "group_context_extensions", groupContextExtensions: { extensions: after } }, custom({ remove: [user] })]);
  }

  /** Adds a user's devices; the user has to be on the list. */
  async commitAdd(user: string): Promise<number> {
    const claimed = await this.#device.claim(this.#joined().uri, user, REQUIRED);
    await this.#commit(claimed.map(({ keyPackage }) => ({ proposalType: "add", add: { keyPackage } })));
    return claimed.length;
  }

  /** Proposes a change of the list, for somebody else to commit. */
  async proposeAppSync(appSync: AppSync): Promise<void> { await this.#propose([custom(appSync)]); }

  /** Proposes that this device and its user go. */
  async leave(): Promise<void> {
    const removed = this.#joined().state.privatePath.leafIndex;
    await this.#propose([{ proposalType: "remove", remove: { removed } }, custom({ remove: [this.user] })]);
  }

  async #keyPackage(): Promise<{ publicPackage: KeyPackage; privatePackage: PrivateKeyPackage }> {
    const capabilities: Capabilities = {
      versions: ["mls10"], ciphersuites: [SUITE], extensions: [...REQUIRED.extensions], proposals: [...REQUIRED.proposals], credentials: ["basic"],
    };
    const now = Math.floor(Date.now() / 1000);
    const lifetime = { notBefore: BigInt(now - 60 * 60), notAfter: BigInt(now + 84 * DAY_SECONDS) };
    const credential = { credentialType: "basic" as const, identity: new TextEncoder().encode(this.#device.client) };
    return generateKeyPackageWithKey(credential, capabilities, lifetime, [], this.#device.keys, this.#suite);
  }

  async #join({ room, tree }: LogEvent, welcome: Welcome): Promise<void> {
    const nodes = decodeRatchetTree(tree ?? new Uint8Array(), 0)?.[0];
    if (nodes === undefined) throw new Error("no tree");
    for (const used of this.#keyPackages) {
      const reference = hex(await makeKeyPackageRef(used.publicPackage, this.#suite.hash));
      if (!welcome.secrets.some(({ newMember }) => hex(newMember) === reference)) continue;
      const state = await joinGroup(welcome, used.publicPackage, used.privatePackage, emptyPskIndex, this.#suite, nodes);
      this.#keyPackages = this.#keyPackages.filter((other) => other !== used);
      this.#room = { uri: room, state, position: 0n };
      return;
    }
    throw new Error("a Welcome for somebody else");
  }

  async #process({ message }: LogEvent): Promise<void> {
    const room = this.#joined();
    if (this.isRemoved || message.wireformat === "mls_welcome" || message.wireformat === "mls_group_info" || message.wireformat === "mls_key_package") return;
    const epoch = message.wireformat === "mls_public_message" ? message.publicMessage.content.epoch : message.privateMessage.epoch;
    // What was before this device came in.
    if (epoch < room.state.groupContext.epoch) return;
    const result = await processMessage(message, room.state, makePskIndex(room.state, {}), () => "accept", this.#suite);
    room.state = result.newState;
    if (result.kind === "applicationMessage") this.received.push({ room: room.uri, text: new TextDecoder().decode(result.message) });
  }

  async #commit(extraProposals: readonly Proposal[], groupInfo: "ours" | "the library's" = "ours"): Promise<void> {
    const room = this.#joined();
    const { newState, commit, welcome } = await createCommit(
      { state: room.state, cipherSuite: this.#suite }, { wireAsPublicMessage: true, extraProposals: [...extraProposals] },
    );
    const body = concat(
      publicMessage(commit), optional(welcome === undefined ? undefined : encodeWelcome(welcome)),
      groupInfo === "ours" ? await this.#groupInfo(newState) : encodeGroupInfo(await createGroupInfoWithExternalPub(newState, [], this.#suite)),
      uint(1, FULL), encodeRatchetTree(newState.ratchetTree),
    );
    this.#ownMessage(commit);
    accepted(await this.#device.post("update", room.uri, body));
    room.state = newState;
  }

  /** The GroupInfo of a state, with `external_pub` as RFC 9420 writes it. */
  async #groupInfo(state: ClientState): Promise<Uint8Array> {
    const { publicKey } = await this.#suite.hpke.deriveKeyPair(state.keySchedule.externalSecret);
    const externalPub = vector(await this.#suite.hpke.exportPublicKey(publicKey));
    return encodeGroupInfo(await signGroupInfo({
      groupContext: state.groupContext, extensions: [{ extensionType: "external_pub", extensionData: externalPub }],
      confirmationTag: state.confirmationTag, signer: state.privatePath.leafIndex,
    }, this.#device.keys.signKey, this.#suite.signature));
  }

  /** Sends proposals together: all are taken, or none. */
  async #propose(proposals: readonly Proposal[]): Promise<void> {
    const room = this.#joined();
    let { state } = room;
    const messages: Uint8Array[] = [];
    for (const proposal of proposals) {
      const { newState, message } = await createProposal(state, true, proposal, this.#suite);
      state = newState;
      this.#ownMessage(message);
      messages.push(publicMessage(message));
    }
    const [first, ...more] = messages;
    if (first === undefined) throw new Error("nothing to propose");
    accepted(await this.#device.post("update", room.uri, concat(first, vector(...more))));
    room.state = state;
  }

  #joined(): { readonly uri: string; state: ClientState; position: bigint } {
    if (this.#room === undefined) throw new Error(`${this.user} is in no room`);
    return this.#room;
  }

  /** Encodes a message, and knows it again when the log brings it. */
  #ownMessage(message: MLSMessage): Uint8Array {
    const bytes = encodeMlsMessage(message);
    this.#own.add(hex(bytes));
    return bytes;
  }
}

function hex(bytes: Uint8Array): string { return Buffer.from(bytes).toString("hex"); }

/** A bare PublicMessage: the draft's bodies have no MLSMessage header. */
function publicMessage(message: MLSMessage): Uint8Array {
  if (message.wireformat !== "mls_public_message") throw new Error(`not public: ${message.wireformat}`);
  const bare: PublicMessage = message.publicMessage;
  return encodePublicMessage(bare);
}

function custom({ update = new Map<string, readonly number[]>(), remove = [] }: AppSync): Proposal {
  const updates = [...update].map(([user, roles]) => concat(text(user), vector(Uint8Array.from(roles))));
  return { proposalType: APP_SYNC, proposalData: concat(vector(), vector(...updates), vector(...remove.map(text))) };
}

function accepted({ status, body }: Answer): void {
  if (status !== 200) throw new Error(`refused with ${String(status)}: ${new TextDecoder().decode(body)}`);
}
