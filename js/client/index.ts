/// <reference lib="esnext.disposable" preserve="true" />
/**
 * MIMI for web messengers: rooms that users of different providers share, end-to-end encrypted.
 *
 * Start with {@link Client.open}.
 */

export { type Device, type Pseudonym } from "./account.js";
export { Client } from "./client.js";
export { Consent, type ConsentGrant, type ConsentRequest, type GrantOptions } from "./consent.js";
export { MimiError, type ErrorCode } from "./errors.js";
export { type ClientEvents } from "./events.js";
export { type Exchange } from "./host/transport.js";
export { init } from "./init.js";
export { KeyPackages, type KeyPackageOptions, type KeyPackageStock } from "./key-packages.js";
export { type Emitter, type Live, type Page, type Signal } from "./live.js";
export { type Bytes, type Delivery, type Message, type TimelineItem, type UnixMillis, type UnreadableMessage } from "./message.js";
export { type ClientOptions, type CreateRoomOptions } from "./options.js";
export { type Reading } from "./reading.js";
export { type WasmSource } from "./platform.js";
export { Room, type AddOptions, type AddResult, type HistoryOptions, type Sent, type TimelineOptions } from "./room.js";
export { type Action, type Change, type ChangeKind, type Participant, type Profile, type Role, type RoomState } from "./room-state.js";
export { type Row, type RowChange, type Store } from "./store.js";
export { type StoreKey } from "./store/keys.js";
export { type Runtime, type Sync } from "./sync.js";
export { type Timeline } from "./timeline.js";
export { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";
export { Verification, type Comparison, type SafetyNumber, type Trust } from "./verification.js";
