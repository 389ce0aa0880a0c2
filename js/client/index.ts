/**
 * MIMI for web messengers: rooms that users of different providers share, end-to-end encrypted.
 *
 * Start with {@link Client.open}.
 */

export { Client, type ClientEvents, type ClientOptions, type CreateRoomOptions, type Sync } from "./client.js";
export { MimiError, type ErrorCode } from "./errors.js";
export { init } from "./init.js";
export { type Emitter, type Live, type Signal } from "./live.js";
export { type Exchange } from "./transport.js";
export { type WasmSource } from "./platform.js";
export { Room, type AddOptions, type AddResult, type Bytes, type Change, type Delivery, type Message, type Participant, type Role, type RoomState, type Sent, type UnixMillis } from "./room.js";
export { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";
