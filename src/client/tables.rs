//! The tables of a client's storage, all of them but MLS' own (`mls::MLS_TABLE`).

use crate::{
    storage::Key,
    wire::uri::{RoomUri, UserUri},
};

/// The version of the rows, in the row [`schema`].
pub(super) const VERSION: u32 = 2;

/// Outbox entries; see `outbox`.
pub(super) const OUTBOX_ENTRIES: u8 = 0xF0;
/// Outbox lanes; see `outbox`.
pub(super) const OUTBOX_LANES: u8 = 0xF1;
/// Outbox lanes by the time that they wait for; see `outbox`.
pub(super) const OUTBOX_DUE: u8 = 0xF2;

const SCHEMA: u8 = 0x01;
const IDENTITY: u8 = 0x02;
const ACCOUNT: u8 = 0x03;
const PUBLISHED: u8 = 0x04;
const DEVICES: u8 = 0x05;
const CONSENT: u8 = 0x06;
const PSEUDONYMS: u8 = 0x07;
const AVAILABLE: u8 = 0x08;
const CARE: u8 = 0x09;
const VERIFIED: u8 = 0x0A;
const ROOMS: u8 = 0x10;
const INTENTS: u8 = 0x11;
const OUTGOING: u8 = 0x12;
const HISTORY: u8 = 0x13;
const LOGGED: u8 = 0x18;
const UNDECRYPTABLE: u8 = 0x19;
const READ: u8 = 0x1A;
const CANCELLED: u8 = 0x1B;
const KNOWN: u8 = 0x20;

/// The version of the rows.
pub(super) fn schema() -> Vec<u8> {
    Key::table(SCHEMA).build()
}

/// `Identity`.
pub(super) fn identity() -> Vec<u8> {
    Key::table(IDENTITY).build()
}

/// `Account`.
pub(super) fn account() -> Vec<u8> {
    Key::table(ACCOUNT).build()
}

/// `Published`, by KeyPackageRef.
pub(super) fn published(key_package_ref: &[u8]) -> Vec<u8> {
    Key::table(PUBLISHED).bytes(key_package_ref).build()
}

/// All of [`published`].
pub(super) fn all_published() -> Vec<u8> {
    Key::table(PUBLISHED).build()
}

/// The user's devices, a list of `Device`.
pub(super) fn devices() -> Vec<u8> {
    Key::table(DEVICES).build()
}

/// The last known `ConsentState`, in TLS.
pub(super) fn consent() -> Vec<u8> {
    Key::table(CONSENT).build()
}

/// A pseudonym that was asked for, by its public key.
pub(super) fn pseudonym(public_key: &[u8]) -> Vec<u8> {
    Key::table(PSEUDONYMS).bytes(public_key).build()
}

/// All of [`pseudonym`].
pub(super) fn all_pseudonyms() -> Vec<u8> {
    Key::table(PSEUDONYMS).build()
}

/// `Available`.
pub(super) fn available() -> Vec<u8> {
    Key::table(AVAILABLE).build()
}

/// `Care`: how the device cares for its KeyPackages.
pub(super) fn care() -> Vec<u8> {
    Key::table(CARE).build()
}

/// `Verified`, by user.
pub(super) fn verified(user: &UserUri) -> Vec<u8> {
    Key::table(VERIFIED).text(user.as_str()).build()
}

/// All of [`verified`].
pub(super) fn all_verified() -> Vec<u8> {
    Key::table(VERIFIED).build()
}

/// `Known` of a room: its users with their devices.
pub(super) fn known(room: &RoomUri) -> Vec<u8> {
    Key::table(KNOWN).text(room.as_str()).build()
}

/// `Room`, by identifier.
pub(super) fn room(room: &RoomUri) -> Vec<u8> {
    Key::table(ROOMS).text(room.as_str()).build()
}

/// All of [`room`].
pub(super) fn all_rooms() -> Vec<u8> {
    Key::table(ROOMS).build()
}

/// `Intent`, by room and id: in the order in which they were asked for.
pub(super) fn intent(room: &RoomUri, id: u64) -> Vec<u8> {
    Key::table(INTENTS).text(room.as_str()).number(id).build()
}

/// All of [`intent`] of one room.
pub(super) fn intents(room: &RoomUri) -> Vec<u8> {
    Key::table(INTENTS).text(room.as_str()).build()
}

/// That an intent was taken back; by room and id.
pub(super) fn cancelled(room: &RoomUri, id: u64) -> Vec<u8> {
    Key::table(CANCELLED).text(room.as_str()).number(id).build()
}

/// `Outgoing`, by room and key.
pub(super) fn outgoing(room: &RoomUri, key: &str) -> Vec<u8> {
    Key::table(OUTGOING).text(room.as_str()).text(key).build()
}

/// All of [`outgoing`] of all rooms.
pub(super) fn outgoing_of_all_rooms() -> Vec<u8> {
    Key::table(OUTGOING).build()
}

/// All of [`outgoing`] of one room.
pub(super) fn all_outgoing(room: &RoomUri) -> Vec<u8> {
    Key::table(OUTGOING).text(room.as_str()).build()
}

/// `Message`, by room and position.
pub(super) fn history(room: &RoomUri, position: u64) -> Vec<u8> {
    Key::table(HISTORY).text(room.as_str()).number(position).build()
}

/// All of [`history`] of one room.
pub(super) fn all_history(room: &RoomUri) -> Vec<u8> {
    Key::table(HISTORY).text(room.as_str()).build()
}

/// Where a message of this device stands in the room's log, 0 for one that was taken back; by room and
/// key.
pub(super) fn logged(room: &RoomUri, key: &str) -> Vec<u8> {
    Key::table(LOGGED).text(room.as_str()).text(key).build()
}

/// `Undecryptable`, by room and position.
pub(super) fn undecryptable(room: &RoomUri, position: u64) -> Vec<u8> {
    Key::table(UNDECRYPTABLE).text(room.as_str()).number(position).build()
}

/// All of [`undecryptable`] of one room.
pub(super) fn all_undecryptable(room: &RoomUri) -> Vec<u8> {
    Key::table(UNDECRYPTABLE).text(room.as_str()).build()
}

/// `Read`, by room.
pub(super) fn read(room: &RoomUri) -> Vec<u8> {
    Key::table(READ).text(room.as_str()).build()
}
