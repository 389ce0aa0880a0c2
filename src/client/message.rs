//! Messages as an application sees them.

use serde::{Deserialize, Serialize};

use super::ErrorCode;
use crate::{
    time::UnixMillis,
    wire::uri::{ClientUri, RoomUri},
};

/// Names a message of this device, from queued to accepted and after: 32 hexadecimal digits.
pub type MessageKey = String;

/// Where a message of this device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// On this device, waiting.
    Queued,
    /// Encrypted and on its way.
    Sending,
    /// Accepted by the hub.
    Accepted {
        /// The hub's timestamp (R79).
        at: UnixMillis,
    },
    /// Given up, and kept until it is retried or discarded.
    Failed {
        /// Why.
        code: ErrorCode,
        /// Whether sending it again may help.
        retryable: bool,
    },
    /// Taken back, or discarded: it is not there any more.
    Cancelled,
}

/// A message of this device that has not come back from the room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMessage {
    /// The room.
    pub room: RoomUri,
    /// Its key.
    pub key: MessageKey,
    /// The content.
    pub content: Vec<u8>,
    /// When it was asked for, by this device's clock.
    pub written_at: UnixMillis,
    /// Where it is.
    pub delivery: Delivery,
}

/// A message as the room's log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The room.
    pub room: RoomUri,
    /// Never changes: the sender's own key for a message of this device, else the hexadecimal start
    /// of the hash of its ciphertext.
    pub key: MessageKey,
    /// The device that sent it, as the MLS signature proves.
    pub sender: ClientUri,
    /// The epoch in which it was encrypted.
    pub epoch: u64,
    /// The hub's timestamp (R79).
    pub accepted_at: UnixMillis,
    /// Its position in the room's log, 0 while that is not known.
    pub position: u64,
    /// The content.
    pub content: Vec<u8>,
}

/// A message in the room's log that this device cannot decrypt, so that nobody knows whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecryptable {
    /// The room.
    pub room: RoomUri,
    /// The hexadecimal start of the hash of its ciphertext.
    pub key: MessageKey,
    /// The epoch in which it was encrypted.
    pub epoch: u64,
    /// The hub's timestamp (R79).
    pub accepted_at: UnixMillis,
    /// Its position in the room's log.
    pub position: u64,
}

/// One entry of a room's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEntry {
    /// A message that was read or sent here.
    Message(Message),
    /// A message that cannot be read here.
    Undecryptable(Undecryptable),
}

impl HistoryEntry {
    /// Its position in the room's log.
    #[must_use]
    pub const fn position(&self) -> u64 {
        match self {
            Self::Message(message) => message.position,
            Self::Undecryptable(message) => message.position,
        }
    }
}

/// What is to be read in a room, and to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The position up to which the user has read, 0 for nothing.
    pub read_to: u64,
    /// How many messages of others stand after that.
    pub unread: u64,
    /// The last message of the room's log.
    pub last: Option<Message>,
    /// How many messages of this device wait for the hub, or for its answer.
    pub waiting: u64,
    /// How many messages of this device were given up, and are kept.
    pub failed: u64,
}
