/**
 * MIMI for web messengers: rooms that users of different providers share, end-to-end encrypted.
 *
 * Start with {@link Client.open}.
 */

export { Client, type ClientEvents, type ClientOptions, type CreateRoomOptions, type Device, type KeyPackageStock, type Pseudonym, type Sync } from "./client.js";
export { Consent, type ConsentGrant, type ConsentRequest, type GrantOptions } from "./consent.js";
export { MimiError, type ErrorCode } from "./errors.js";
export { init } from "./init.js";
export { type Emitter, type Live, type Page, type Signal } from "./live.js";
export { type Bytes, type Delivery, type Message, type UnixMillis } from "./message.js";
export { type WasmSource } from "./platform.js";
export { Room, type AddOptions, type AddResult, type HistoryOptions, type Sent } from "./room.js";
export { type Action, type Change, type ChangeKind, type Participant, type Profile, type Role, type RoomState } from "./room-state.js";
export { type Row, type RowChange, type Store } from "./store.js";
export { type StoreKey } from "./store/keys.js";
export { type Exchange } from "./transport.js";
export { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";
