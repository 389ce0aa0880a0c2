import { LowGroup } from "#wasm/client";
import { MimiError } from "../errors.js";
import type { Bytes, UnixMillis } from "../message.js";
import type { Profile, Role } from "../room-state.js";
import type { ClientUri, RoomUri, UserUri } from "../uri.js";
import { AppSync, type Participants } from "./app-sync.js";
import { Held, call, owned } from "./core.js";
import type { Identity, KeyPackageStore, Write } from "./key-packages.js";

/** A leaf of a group. */
export interface Member {
  /** The index of the leaf. */
  readonly index: number;
  readonly client: ClientUri;
  readonly user: UserUri;
  /** The public key that it signs with. */
  readonly signatureKey: Bytes;
}

/** What a commit changes, or proposals do. */
export interface Changes {
  /** KeyPackages of the clients that come in, without MLSMessage header. Their users have to be on the list, or come onto it. */
  readonly add?: readonly Uint8Array[];
  /** The leaves that go, by index. */
  readonly remove?: readonly number[];
  /** The change to the participant list. */
  readonly appSync?: AppSync;
  /** The room's new base policy, at most 16 KiB; in commits only. */
  readonly policy?: Uint8Array;
}

/** How a commit is made. */
export interface CommitOptions {
  /** The time, at which added KeyPackages have to be valid. */
  readonly now: UnixMillis;
  /** Whether this device's keys are replaced even if nothing else asks for it. */
  readonly update?: boolean;
  /** How the tree goes to the hub (`full`); `byReference` for hubs whose directory says that they take it. */
  readonly tree?: "full" | "byReference";
}

/** A commit of this device that waits for the hub's answer. */
export interface Pending {
  /** `join` is the external commit by which this device comes in. */
  readonly kind: "commit" | "join";
  /** The epoch that it ends. */
  readonly epoch: bigint;
  /** The body of `POST update`: an UpdateRequest. */
  readonly update: Bytes;
  /** The commit alone, an MLSMessage: what other members process. */
  readonly commit: Bytes;
  /** For those whom it adds, an MLSMessage; absent when it adds nobody. */
  readonly welcome?: Bytes;
  /** The hub took it: the group is in the next epoch. Gives the changes to persist. Throws `conflict` when it is not the one that waits any more. */
  accept(): readonly Write[];
  /** The hub did not take it: the group is as before; gone, if it was to join. Gives the changes to persist. */
  reject(): readonly Write[];
}

/** Somebody else's commit: valid, and not applied. */
export interface ReceivedCommit {
  readonly kind: "commit";
  /** Who made it; perhaps one who joins by it. */
  readonly from: ClientUri;
  /** The changes to the participant list, in the commit's order. */
  readonly appSyncs: readonly AppSync[];
  /** The clients whose leaves it brings in. */
  readonly added: readonly ClientUri[];
  /** The leaves that it takes out. */
  readonly removed: readonly Member[];
  /** The hub took it: the group is in the next epoch, and a pending commit of this device is gone. Gives the changes to persist. Throws `conflict` when another message was processed since. */
  accept(): readonly Write[];
}

/** What a message turned out to be. */
export type Incoming =
  | {
    readonly kind: "application";
    readonly from: ClientUri;
    readonly content: Bytes;
    /** What was authentic, but not encrypted. */
    readonly aad: Bytes;
  }
  | {
    /** It waits for a commit from here on. */
    readonly kind: "proposal";
    /** Its ProposalRef. */
    readonly ref: Bytes;
    /** Absent when it is the hub's. */
    readonly from?: ClientUri;
  }
  | ReceivedCommit
  /** The pending commit of this device came back: accept it. */
  | { readonly kind: "own-commit" }
  /** A message that this device sent. */
  | { readonly kind: "own-message" }
  /** Its keys are used up or older than five epochs, or it is not valid. */
  | { readonly kind: "undecryptable" };

/** What stays the same until a call changes the group. */
interface State {
  readonly epoch: bigint;
  readonly authenticator: Bytes;
  readonly active: boolean;
  readonly index: number;
  readonly profile: Profile;
  readonly participants: readonly (readonly [UserUri, readonly Role[]])[];
}

type PendingData = Omit<Pending, "accept" | "reject">;

/** What the core gives: AppSyncs are bytes. */
type FromCore =
  | Exclude<Incoming, ReceivedCommit>
  | Omit<ReceivedCommit, "appSyncs" | "accept"> & { readonly appSyncs: readonly Bytes[] };

/**
 * The MLS group of one room, as one device has it. A call that throws changes nothing. After a call,
 * persist {@link takeWrites} before anything is sent; the rows of a group belong to it alone, so keep
 * them under a key of the room.
 */
export class Group implements Disposable {
  readonly room: RoomUri;
  readonly #held: Held<LowGroup>;
  #state: State | undefined;
  #pending: Pending | undefined;
  /** The commit that was received last, if it was the last message. */
  #received: ReceivedCommit | undefined;

  private constructor(core: LowGroup) {
    this.#held = new Held(core);
    this.room = core.room() as RoomUri;
  }

  /** Creates a room's group; the creator's user is its owner. `profile` (`B`) is for good; `hub` is the hub's RFC 9420 `ExternalSender`, if it may send proposals. */
  static create(identity: Identity, room: RoomUri, options: { readonly now: UnixMillis; readonly profile?: Profile; readonly hub?: Uint8Array }): Group {
    const { now, profile, hub } = options;
    return new Group(call(() => LowGroup.create(identity.core, room, profile === "A", hub, now)));
  }

  /** Joins by a Welcome (bare or an MLSMessage) and the tree of its epoch (the `ratchetTree` of a RatchetTreeOption). Persist the writes of `keys` together with the group's. Throws `invalid-proposal` when none of the KeyPackages opens it. */
  static join(identity: Identity, keys: KeyPackageStore, welcome: Uint8Array, tree: Uint8Array): Group {
    return new Group(call(() => LowGroup.join(identity.core, keys.core, welcome, tree)));
  }

  /** Joins by an external commit over the room's GroupInfo and tree. It is {@link pending}; until it is accepted, nothing else can be done with the group. Throws `not-allowed` when the user is not on the list. */
  static joinExternal(identity: Identity, groupInfo: Uint8Array, tree: Uint8Array): Group {
    return new Group(call(() => LowGroup.joinExternal(identity.core, groupInfo, tree)));
  }

  /** The group that these rows are of, with the commit that was pending. Throws `bad-argument` when they are none of a group. */
  static load(identity: Identity, rows: Iterable<Write>): Group {
    return new Group(call(() => LowGroup.load(identity.core, [...rows])));
  }

  /** The epoch. */
  get epoch(): bigint { return this.#current.epoch; }
  /** RFC 9420's epoch authenticator: the same for all members of this epoch, and for nobody else. */
  get authenticator(): Bytes { return this.#current.authenticator; }
  /** Whether this device is a member: not any more after a commit that takes it out. */
  get active(): boolean { return this.#current.active; }
  /** The index of this device's leaf. */
  get index(): number { return this.#current.index; }
  /** How the room carries its list. */
  get profile(): Profile { return this.#current.profile; }
  /** The participant list, the banned too. */
  get participants(): Participants { return new Map(this.#current.participants); }
  /** The leaves, by index. */
  members(): readonly Member[] { return call(() => this.#core.members() as readonly Member[]); }

  /** The current GroupInfo, bare, with `external_pub` and without the tree. */
  groupInfo(): Bytes { return call(() => owned(this.#core.groupInfo())); }
  /** The current tree: the `ratchetTree` of a RatchetTreeOption. */
  tree(): Bytes { return call(() => owned(this.#core.tree())); }
  /** RFC 9420's MLS-Exporter: `length` bytes that only the members of this epoch know. */
  exportSecret(label: string, context: Uint8Array, length: number): Bytes {
    return call(() => owned(this.#core.exportSecret(label, context, length)));
  }

  /** Encrypts application content as an MLSMessage, padded to a multiple of 64 bytes; `aad` stays readable, but authentic. Throws `conflict` while proposals wait: commit them first. */
  encrypt(content: Uint8Array, { aad = new Uint8Array() }: { readonly aad?: Uint8Array } = {}): Bytes {
    return call(() => owned(this.#core.encrypt(content, aad)));
  }

  /** Makes a commit of the proposals that wait and of `changes`; nothing else changes until it is accepted. Throws `conflict` while another is pending, `invalid-proposal` when the changes are not valid. */
  commit(changes: Changes, { now, update = false, tree = "full" }: CommitOptions): Pending {
    const core = call(() => this.#core.commit(toCore(changes), update, tree === "byReference", now) as PendingData);
    return (this.#pending = this.#face(core));
  }

  /** The commit of this device that waits; the same object until it is accepted or rejected. After a crash it is still there: send it again, the hub answers the same. */
  get pending(): Pending | undefined {
    if (this.#pending === undefined) {
      const core = call(() => this.#core.pending() as PendingData | undefined);
      if (core !== undefined) this.#pending = this.#face(core);
    }
    return this.#pending;
  }

  #face(core: PendingData): Pending {
    const settle = (act: () => void): readonly Write[] => {
      if (this.#pending !== face) throw new MimiError("conflict", "this commit is not pending any more");
      call(act);
      this.#changed();
      return this.takeWrites();
    };
    const face: Pending = {
      ...core,
      accept: () => settle(() => { this.#core.accept(); }),
      reject: () => settle(() => { this.#core.reject(); }),
    };
    return face;
  }

  /** The body of `POST update`, an UpdateRequest, that proposes `changes` for somebody else to commit. The proposals wait here too once the hub sends them back and they are processed. */
  propose(changes: Changes, { now }: { readonly now: UnixMillis }): Bytes {
    return call(() => owned(this.#core.propose(toCore(changes), now)));
  }

  /** The ProposalRefs of the proposals that wait. */
  proposals(): readonly Bytes[] { return call(() => this.#core.proposals() as readonly Bytes[]); }
  /** Forgets the proposals that wait. */
  dropProposals(): void { call(() => { this.#core.dropProposals(); }); }

  /** Takes in an MLSMessage that the hub accepted. Throws `wrong-epoch` for a handshake message of another epoch, `invalid-proposal` or `not-allowed` for one that is not valid, `bad-argument` for a message to another group. */
  process(message: Uint8Array): Incoming {
    this.#received = undefined;
    const incoming = call(() => this.#core.process(message) as FromCore);
    if (incoming.kind !== "commit") return incoming;
    const received: ReceivedCommit = {
      ...incoming,
      appSyncs: incoming.appSyncs.map((bytes) => AppSync.decode(bytes)),
      accept: () => {
        if (this.#received !== received) throw new MimiError("conflict", "another message was processed since");
        call(() => { this.#core.acceptReceived(); });
        this.#changed();
        return this.takeWrites();
      },
    };
    return (this.#received = received);
  }

  /** What changed since the last time: to be persisted at once, before anything is sent. */
  takeWrites(): readonly Write[] { return call(() => this.#core.takeWrites() as readonly Write[]); }

  /** Frees its memory. */
  [Symbol.dispose](): void { this.#held.free(); }

  get #core(): LowGroup { return this.#held.core; }

  get #current(): State { return (this.#state ??= call(() => this.#core.state() as State)); }

  /** The group is another one now. */
  #changed(): void {
    this.#state = undefined;
    this.#pending = undefined;
    this.#received = undefined;
  }
}

function toCore({ add = [], remove = [], appSync, policy }: Changes): object {
  return { add, remove, appSync: appSync?.encode(), policy };
}
