import { decodeStruct, encodeStruct, inspectBody } from "#wasm/client";
import type { Bytes } from "../message.js";
import type { Role } from "../room-state.js";
import { call, owned } from "./core.js";

/**
 * The structs of draft-barnes-mimi-protocol by the draft's names. An `IdentifierUri` is a string, an
 * `opaque<V>` and MLS' own structs (bare, without MLSMessage header) are bytes, a `uint64` is a bigint,
 * the values of an enum are the draft's names, an `optional` that is absent is left out.
 */
export interface Wire {
  AppSync: AppSyncStruct;
  ConsentEntry: ConsentEntry;
  FanoutMessage: FanoutMessage;
  GroupInfoRequest: GroupInfoRequest;
  GroupInfoResponse: GroupInfoResponse;
  KeyMaterialRequest: KeyMaterialRequest;
  KeyMaterialResponse: KeyMaterialResponse;
  MimiParticipantList: MimiParticipantList;
  PendingProposalsResponse: PendingProposalsResponse;
  RatchetTreeOption: RatchetTreeOption;
  SubmitMessageResponse: SubmitMessageResponse;
  UpdateRequest: UpdateRequest;
  UpdateRoomResponse: UpdateRoomResponse;
}

/** A user and its roles: at least one, none twice, `banned` alone. */
export interface UserRoles {
  readonly user: string;
  readonly roles: readonly Role[];
}

/** The patch to a room's participant list. */
export interface AppSyncStruct {
  readonly addUsers: readonly UserRoles[];
  readonly updateUsers: readonly UserRoles[];
  readonly removeUsers: readonly string[];
}

/** A room's participant list, as it stands in the GroupContext. */
export interface MimiParticipantList {
  readonly participants: readonly UserRoles[];
}

/** RFC 9420, 11.1: types that a KeyPackage has to support, by their numbers. */
export interface RequiredCapabilities {
  readonly extensionTypes: readonly number[];
  readonly proposalTypes: readonly number[];
  readonly credentialTypes: readonly number[];
}

/** `POST keyMaterial`: a claim of KeyPackages for all clients of one user. */
export type KeyMaterialRequest = {
  readonly requestingUser: string;
  /** Exactly one. */
  readonly targetUsers: readonly string[];
  /** The room that they are for; empty when not given. */
  readonly roomId: string;
} & ({
  readonly protocol: "mls10";
  /** RFC 9420, 17.1; not empty. */
  readonly acceptableCiphersuites: readonly number[];
  readonly requiredCapabilities: RequiredCapabilities;
  readonly lastResortAllowed: boolean;
} | {
  /** A protocol that has no name here: 2 to 255. */
  readonly protocol: number;
  /** Everything that follows. */
  readonly rest: Bytes;
});

/** What the target's provider says of the user as a whole. */
export type KeyMaterialUserCode =
  | "success" | "partialSuccess" | "incompatibleProtocol" | "noCompatibleMaterial" | "userUnknown"
  | "noConsent" | "noConsentForThisRoom" | "userDeleted";

/** What there is of one client. */
export type ClientKeyMaterial = { readonly clientUri: string } & (
  | { readonly clientStatus: "success"; readonly keyPackage: Bytes }
  | { readonly clientStatus: "keyMaterialExhausted" | "onlyLastResort" }
  | { readonly clientStatus: "nothingCompatible"; readonly clientCapabilities?: Bytes }
);

/** The answer to a {@link KeyMaterialRequest}. */
export interface KeyMaterialResponse {
  readonly protocol: "mls10" | number;
  readonly userStatus: KeyMaterialUserCode;
  readonly userUri: string;
  readonly clients: readonly ClientKeyMaterial[];
}

/** How a ratchet tree comes along; `byReference`, in an UpdateRequest, is the one that the hub has after this commit. */
export type RatchetTreeOption =
  | { readonly representation: "full"; readonly ratchetTree: Bytes }
  | { readonly representation: "byReference" };

/** `POST update`: a Commit with what belongs to it, or proposals. MLS' structs are bare. */
export type UpdateRequest =
  | {
    /** A PublicMessage with a Commit. */
    readonly proposalOrCommit: Bytes;
    readonly welcome?: Bytes;
    readonly groupInfo: Bytes;
    readonly ratchetTreeOption: RatchetTreeOption;
  }
  | {
    /** A PublicMessage with a Proposal. */
    readonly proposalOrCommit: Bytes;
    /** PublicMessages with Proposals of the same sender. */
    readonly moreProposals: readonly Bytes[];
  };

/** What the hub made of an update. */
export type UpdateResponseCode = "success" | "wrongEpoch" | "notAllowed" | "hubUnresponsive" | "invalidProposal";

/** The answer to an {@link UpdateRequest}. */
export interface UpdateRoomResponse {
  readonly responseCode: UpdateResponseCode;
  /** Free text, UTF-8 if it is ours; may be empty. */
  readonly errorDescription: Bytes;
}

/** The body of a 401 to an {@link UpdateRequest}: the proposals that the next commit has to cover. */
export interface PendingProposalsResponse {
  readonly response: UpdateRoomResponse;
  /** PublicMessages, in the order in which the hub accepted them. */
  readonly pendingProposals: readonly Bytes[];
}

/** The answer to `POST submitMessage`, whose body is an MLSMessage. */
export type SubmitMessageResponse = { readonly protocol: "mls10" | number } & (
  | {
    readonly statusCode: "accepted";
    /** In ms since 1970. */
    readonly acceptedTimestamp: bigint;
  }
  | { readonly statusCode: "notAllowed" }
  | { readonly statusCode: "epochTooOld"; readonly currentEpoch: bigint }
);

/** One message that the hub accepted; the body of `POST notify` is one or more of them. */
export interface FanoutMessage {
  /** An MLSMessage, with its header. */
  readonly message: Bytes;
  /** When the hub accepted it, in ms since 1970. */
  readonly timestamp: bigint;
  /** With a Welcome, and only then. */
  readonly ratchetTreeOption?: RatchetTreeOption;
}

/** `POST groupInfo`. The signature covers the other fields, with label `GroupInfoRequestTBS`. */
export interface GroupInfoRequest {
  readonly signature: Bytes;
  readonly roomId: string;
  readonly requestingSignatureKey: Bytes;
  /** RFC 9420's Credential. */
  readonly requestingCredential: Bytes;
}

/** The answer to a {@link GroupInfoRequest}. */
export type GroupInfoResponse =
  | { readonly status: "success"; readonly groupInfo: Bytes; readonly ratchetTreeOption: RatchetTreeOption }
  | { readonly status: "notAuthorized" | "noSuchRoom" };

/** `POST requestConsent` and `POST updateConsent`. */
export type ConsentEntry = {
  readonly requesterUser: string;
  readonly targetUser: string;
  /** The one room that it is about; any room when it is left out. */
  readonly roomId?: string;
} & (
  | { readonly consentOperation: "cancel" | "request" | "revoke" }
  | { readonly consentOperation: "grant"; readonly clientKeyPackages: readonly Bytes[] }
);

/** Between a struct's members and its bytes. */
export interface Codec<T> {
  /** Throws `bad-argument` for members that make no such struct; the message names the first that does not fit. */
  encode(value: T): Bytes;
  /** Exact: throws `bad-argument` for trailing bytes and for anything else that is not one such struct. */
  decode(bytes: Uint8Array): T;
}

function codec<K extends keyof Wire>(name: K): Codec<Wire[K]> {
  return {
    encode: (value) => call(() => owned(encodeStruct(name, value))),
    decode: (bytes) => call(() => decodeStruct(name, bytes) as Wire[K]),
  };
}

/** The structs of the draft between members and bytes. Needs {@link init}. */
export const wire: { readonly [K in keyof Wire]: Codec<Wire[K]> } = {
  AppSync: codec("AppSync"),
  ConsentEntry: codec("ConsentEntry"),
  FanoutMessage: codec("FanoutMessage"),
  GroupInfoRequest: codec("GroupInfoRequest"),
  GroupInfoResponse: codec("GroupInfoResponse"),
  KeyMaterialRequest: codec("KeyMaterialRequest"),
  KeyMaterialResponse: codec("KeyMaterialResponse"),
  MimiParticipantList: codec("MimiParticipantList"),
  PendingProposalsResponse: codec("PendingProposalsResponse"),
  RatchetTreeOption: codec("RatchetTreeOption"),
  SubmitMessageResponse: codec("SubmitMessageResponse"),
  UpdateRequest: codec("UpdateRequest"),
  UpdateRoomResponse: codec("UpdateRoomResponse"),
};

/** One field of a body, for people to look at. */
export interface WireField {
  /** The name that the draft or RFC 9420 gives it, in camelCase; the index, from 0 on, for an item of a list; empty for the whole. */
  readonly name: string;
  /** Its type in the TLS presentation language: `IdentifierUri`, `KeyPackage`, `uint64`, `opaque<V>`. */
  readonly type: string;
  /** Where its bytes begin in the body, length prefix included. */
  readonly start: number;
  /** Where they end, exclusive. */
  readonly end: number;
  /** Its value, when it has no parts; left out too for an `optional` that is absent. */
  readonly value?: string | number | bigint | boolean | Bytes;
  /** The members of a struct, the items of a list. */
  readonly fields?: readonly WireField[];
}

/**
 * The fields of a body, MLS' own structs and the AppSyncs in them among them; `undefined` when the
 * endpoint is not known, or its body is empty, JSON, or does not decode. `endpoint` is the first segment
 * after the prefix of the path: `keyMaterial`, `update`, `submitMessage`, `notify`, `groupInfo`,
 * `requestConsent`, `updateConsent`; between a device and its own provider also `devices`, `keyPackages`,
 * `rooms`, `pseudonyms`, `external-sender`, `consent`, `events`, `inbox`, and `socket` for one frame.
 * It says what the bytes are, not that they are valid. Needs {@link init}.
 */
export function inspect(endpoint: string, direction: "request" | "response", body: Uint8Array): WireField | undefined {
  return call(() => inspectBody(endpoint, direction, body) as WireField | undefined);
}
