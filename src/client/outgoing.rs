//! The messages of this device that have not come back from the log, as they are stored.

use serde::{Deserialize, Serialize};

use super::{Delivery, ErrorCode, Event, MessageKey, OwnMessage, intent, step::Step, tables};
use crate::{
    error::{InternalError, Result},
    storage::{Transaction, decode_row},
    time::UnixMillis,
    wire::uri::RoomUri,
};

/// A message of this device until its echo, or until it is taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outgoing {
    pub(super) key: MessageKey,
    /// Grows in the order in which messages were asked for.
    pub(super) number: u64,
    /// When it was asked for.
    pub(super) written_at: UnixMillis,
    pub(super) content: Vec<u8>,
    pub(super) state: OutgoingState,
    /// How often it was encrypted for an epoch that had ended.
    pub(super) tries: u32,
    /// The epoch that it has to be encrypted for at least.
    pub(super) least_epoch: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum OutgoingState {
    /// Not encrypted: the hub has certainly not taken it.
    Queued,
    /// These bytes are what the hub gets.
    Encrypted(Encrypted),
    /// The hub took it; its timestamp is not known. By the hash of the bytes.
    Taken { hash: Vec<u8>, epoch: u64 },
    /// The hub took it, and the application knows. By the hash of the bytes.
    Accepted { hash: Vec<u8>, epoch: u64, at: UnixMillis },
    /// Given up, with this code; with the bytes of which nobody knows whether the hub took them.
    Failed { code: String, unanswered: Option<Encrypted> },
}

/// A message as the hub gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Encrypted {
    pub(super) bytes: Vec<u8>,
    /// The epoch that it is encrypted for.
    pub(super) epoch: u64,
}

impl Outgoing {
    /// A new message.
    pub(super) fn new(step: &mut Step<'_>, key: &str, content: Vec<u8>) -> Result<Self> {
        Ok(Self {
            key: key.to_owned(),
            number: intent::new_id(step)?,
            written_at: step.now,
            content,
            state: OutgoingState::Queued,
            tries: 0,
            least_epoch: 0,
        })
    }

    /// Whether it is certain that the hub does not have it.
    pub(super) const fn is_here_alone(&self) -> bool {
        matches!(self.state, OutgoingState::Queued | OutgoingState::Failed { unanswered: None, .. })
    }

    /// Whether it is to be sent, for the first time or again.
    pub(super) const fn waits_for_the_hub(&self) -> bool {
        matches!(self.state, OutgoingState::Queued | OutgoingState::Encrypted(_))
    }

    /// Whether it is given up.
    pub(super) const fn is_given_up(&self) -> bool {
        matches!(self.state, OutgoingState::Failed { .. })
    }

    /// The bytes of which nobody knows whether the hub took them.
    pub(super) const fn unanswered(&self) -> Option<&Encrypted> {
        match &self.state {
            OutgoingState::Encrypted(encrypted) => Some(encrypted),
            OutgoingState::Failed { unanswered, .. } => unanswered.as_ref(),
            _ => None,
        }
    }

    /// The message as the application sees it.
    fn shown(&self, room: &RoomUri) -> OwnMessage {
        let delivery = match &self.state {
            OutgoingState::Queued => Delivery::Queued,
            OutgoingState::Encrypted(_) | OutgoingState::Taken { .. } => Delivery::Sending,
            OutgoingState::Accepted { at, .. } => Delivery::Accepted { at: *at },
            OutgoingState::Failed { code, .. } => failed(ErrorCode::named(code)),
        };
        self.told(room, delivery)
    }

    fn told(&self, room: &RoomUri, delivery: Delivery) -> OwnMessage {
        OwnMessage {
            room: room.clone(),
            key: self.key.clone(),
            content: self.content.clone(),
            written_at: self.written_at,
            delivery,
        }
    }

    /// Stores it.
    pub(super) fn store(&self, step: &mut Step<'_>, room: &RoomUri) -> Result<(), InternalError> {
        step.transaction.store(tables::outgoing(room, &self.key), self)
    }

    /// Stores it, and tells the application where it is.
    pub(super) fn store_and_tell(
        &self,
        step: &mut Step<'_>,
        room: &RoomUri,
    ) -> Result<(), InternalError> {
        self.store(step, room)?;
        step.emit(Event::Delivery(self.shown(room)));
        Ok(())
    }

    /// It is kept as given up. `unanswered`: bytes of which nobody knows whether the hub took them.
    pub(super) fn fail(
        mut self,
        step: &mut Step<'_>,
        room: &RoomUri,
        code: ErrorCode,
        unanswered: Option<Encrypted>,
    ) -> Result<(), InternalError> {
        self.state = OutgoingState::Failed { code: code.as_str().into(), unanswered };
        self.store_and_tell(step, room)
    }

    /// It is not there any more, and asking for it again does nothing.
    pub(super) fn take_back(
        self,
        step: &mut Step<'_>,
        room: &RoomUri,
    ) -> Result<(), InternalError> {
        step.transaction.delete(tables::outgoing(room, &self.key));
        step.transaction.store(tables::logged(room, &self.key), &TAKEN_BACK)?;
        step.emit(Event::Delivery(self.told(room, Delivery::Cancelled)));
        Ok(())
    }

    /// It is in the room's log.
    pub(super) fn log(
        &self,
        step: &mut Step<'_>,
        room: &RoomUri,
        position: u64,
    ) -> Result<(), InternalError> {
        step.transaction.delete(tables::outgoing(room, &self.key));
        step.transaction.store(tables::logged(room, &self.key), &position)
    }
}

/// No position of a log.
const TAKEN_BACK: u64 = 0;

/// Whether this device has, or had, a message of this key.
pub(super) fn is_known(step: &Step<'_>, room: &RoomUri, key: &str) -> Result<bool, InternalError> {
    Ok(load(step, room, key)?.is_some()
        || step.transaction.read(&tables::logged(room, key))?.is_some())
}

/// Whether a message of this key was taken back.
pub(super) fn is_taken_back(
    step: &Step<'_>,
    room: &RoomUri,
    key: &str,
) -> Result<bool, InternalError> {
    Ok(step.transaction.load(&tables::logged(room, key))? == Some(TAKEN_BACK))
}

/// The message of this key.
pub(super) fn load(
    step: &Step<'_>,
    room: &RoomUri,
    key: &str,
) -> Result<Option<Outgoing>, InternalError> {
    step.transaction.load(&tables::outgoing(room, key))
}

/// All of a room, in the order in which they were asked for.
pub(super) fn all(
    transaction: &Transaction<'_>,
    room: &RoomUri,
) -> Result<Vec<Outgoing>, InternalError> {
    let prefix = tables::all_outgoing(room);
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    let messages = rows.iter().map(|(_, row)| decode_row(row));
    let mut messages = messages.collect::<Result<Vec<Outgoing>, _>>()?;
    messages.sort_unstable_by_key(|message| message.number);
    Ok(messages)
}

/// All of a room as the application sees them, in the order in which they were asked for.
pub(super) fn shown(
    transaction: &Transaction<'_>,
    room: &RoomUri,
) -> Result<Vec<OwnMessage>, InternalError> {
    Ok(all(transaction, room)?.iter().map(|message| message.shown(room)).collect())
}

/// What a failure with this code means.
fn failed(code: ErrorCode) -> Delivery {
    let retryable = matches!(code, ErrorCode::EpochTooOld | ErrorCode::Gap | ErrorCode::Diverged);
    Delivery::Failed { code, retryable }
}
