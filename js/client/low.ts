/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The low layer, for those who bring their own flow: synchronous, without network, clock and storage.
 * Bytes go in; bytes and changes come out. Everything here needs {@link init} to have ended.
 *
 * A trap of the core, in a call here or of a client on the same thread, throws `internal`, and ends all identities,
 * groups and KeyPackage stores: each of their calls throws `internal` from then on. Load them again from
 * what is stored.
 */

export { MimiError, type ErrorCode } from "./errors.js";
export { init } from "./init.js";
export { AppSync, type Participants } from "./low/app-sync.js";
export {
  Group, type Changes, type CommitOptions, type Incoming, type Member, type Pending, type ReceivedCommit,
} from "./low/group.js";
export {
  Identity, KeyPackageStore, inspectKeyPackage, type CipherSuite, type StoredKeyPackage, type Write,
} from "./low/key-packages.js";
export { type Bytes, type UnixMillis } from "./message.js";
export { type WasmSource } from "./platform.js";
export { type Profile, type Role } from "./room-state.js";
export { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";
export {
  inspect, wire, type AppSyncStruct, type ClientKeyMaterial, type Codec, type ConsentEntry, type FanoutMessage, type GroupInfoRequest,
  type GroupInfoResponse, type KeyMaterialRequest, type KeyMaterialResponse, type KeyMaterialUserCode, type MimiParticipantList,
  type PendingProposalsResponse, type RatchetTreeOption, type RequiredCapabilities, type SubmitMessageResponse, type UpdateRequest,
  type UpdateResponseCode, type UpdateRoomResponse, type UserRoles, type Wire, type WireField,
} from "./low/wire.js";
