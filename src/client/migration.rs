//! The rows of older versions become rows of this one, in one transaction, when a client is opened.

use serde::Deserialize;

use super::{
    MessageKey, history, intent,
    outgoing::{Encrypted, Outgoing, OutgoingState},
    request::Request,
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, Result},
    sorted::SortedMap,
    storage::decode_row,
};

/// From version `version` to [`tables::VERSION`].
pub(super) fn run(step: &mut Step<'_>, version: u32) -> Result<()> {
    if version == tables::VERSION {
        return Ok(());
    }
    number_messages(step)?;
    for room in step.rooms()? {
        history::all_is_read(step, &room.uri)?;
    }
    Ok(step.transaction.store(tables::schema(), &tables::VERSION)?)
}

/// `Outgoing` of version 1: without number and time.
#[derive(Deserialize)]
struct OutgoingV1 {
    key: MessageKey,
    content: Vec<u8>,
    state: OutgoingStateV1,
    tries: u32,
    least_epoch: u64,
}

#[derive(Deserialize)]
enum OutgoingStateV1 {
    Queued,
    Encrypted { bytes: Vec<u8>, epoch: u64 },
    Taken { hash: Vec<u8>, epoch: u64 },
    Accepted { hash: Vec<u8>, epoch: u64 },
}

impl OutgoingStateV1 {
    /// When the hub took a message was not kept: its echo says it.
    fn into_state(self) -> OutgoingState {
        match self {
            Self::Queued => OutgoingState::Queued,
            Self::Encrypted { bytes, epoch } => {
                OutgoingState::Encrypted(Encrypted { bytes, epoch })
            }
            Self::Taken { hash, epoch } | Self::Accepted { hash, epoch } => {
                OutgoingState::Taken { hash, epoch }
            }
        }
    }
}

/// The messages get their numbers: those that the hub has taken, then those that wait in the outbox, in
/// its order.
fn number_messages(step: &mut Step<'_>) -> Result<()> {
    let places = places_in_outbox(step)?;
    let prefix = tables::outgoing_of_all_rooms();
    let mut rows = step.transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.sort_by_key(|(key, _)| places.get(key).copied());
    for (row_key, row) in rows {
        let OutgoingV1 { key, content, state, tries, least_epoch } = decode_row(&row)?;
        let message = Outgoing {
            key,
            number: intent::new_id(step)?,
            written_at: step.now,
            content,
            state: state.into_state(),
            tries,
            least_epoch,
        };
        step.transaction.store(row_key, &message)?;
    }
    Ok(())
}

/// The places of the messages that wait, by the keys of their rows.
fn places_in_outbox(step: &Step<'_>) -> Result<SortedMap<Vec<u8>, usize>, InternalError> {
    let prefix = [tables::OUTBOX_ENTRIES];
    let entries = step.transaction.scan(&prefix, &prefix, usize::MAX)?;
    let mut places = SortedMap::new();
    for (place, (_, entry)) in entries.iter().enumerate() {
        if let Request::Submit(room, key) = decode_row(entry)? {
            places.insert(tables::outgoing(&room, &key), place);
        }
    }
    Ok(places)
}
