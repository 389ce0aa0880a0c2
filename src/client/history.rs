//! What a device keeps of a room's messages, and how far its user has read.

use serde::{Deserialize, Serialize};

use super::{
    Client, Event, HistoryEntry, Message, OwnMessage, Reading, Undecryptable,
    outgoing::{self, Outgoing},
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, Result},
    storage::{Row, Transaction, decode_row},
    time::UnixMillis,
    wire::uri::RoomUri,
};

/// How far a room is read, as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    /// The position up to which the user has read.
    to: u64,
    /// How many messages of others stand after that.
    unread: u64,
    /// The position of the last message.
    last: u64,
}

impl Client {
    /// At most `limit` messages of a room after this position of its log, in the log's order.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn history(&self, room: &RoomUri, after: u64, limit: usize) -> Result<Vec<Message>> {
        let transaction = Transaction::new(&self.storage);
        Ok(messages(&transaction, room, after.saturating_add(1), limit)?)
    }

    /// The last `limit` entries of a room before this position of its log, or of all, in the log's
    /// order. Of what is not asked for nothing is read.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn history_before(
        &self,
        room: &RoomUri,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>> {
        let before = before.unwrap_or(u64::MAX);
        let rows = |all: Vec<u8>, end: Vec<u8>| self.storage.scan_back(&all, &end, limit);
        let messages = rows(tables::all_history(room), tables::history(room, before));
        let others = rows(tables::all_undecryptable(room), tables::undecryptable(room, before));
        let messages = messages.iter().map(|(_, row)| decode_row(row).map(HistoryEntry::Message));
        let others = others.iter().map(|(_, row)| decode_row(row).map(HistoryEntry::Undecryptable));
        let mut entries = messages.chain(others).collect::<Result<Vec<_>, _>>()?;
        entries.sort_unstable_by_key(HistoryEntry::position);
        Ok(entries.split_off(entries.len().saturating_sub(limit)))
    }

    /// The messages of this device in a room that have not come back from its log, in the order in
    /// which they were asked for: those that wait, are on their way, or were given up.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn unsent(&self, room: &RoomUri) -> Result<Vec<OwnMessage>> {
        Ok(outgoing::shown(&Transaction::new(&self.storage), room)?)
    }

    /// What is to be read in a room, and to be sent.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn reading(&self, room: &RoomUri) -> Result<Reading> {
        let transaction = Transaction::new(&self.storage);
        let Read { to, unread, last } = load(&transaction, room)?;
        let last = transaction.load(&tables::history(room, last))?;
        let outgoing = outgoing::all(&transaction, room)?;
        let count = |is: fn(&Outgoing) -> bool| {
            let count = outgoing.iter().filter(|message| is(message)).count();
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        let (waiting, failed) = (count(Outgoing::waits_for_the_hub), count(Outgoing::is_given_up));
        Ok(Reading { read_to: to, unread, last, waiting, failed })
    }

    /// The user has read a room up to this position of its log. Nothing is unread again after that,
    /// and what is still to come cannot be read before. Other devices of the user do not hear of it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn mark_read(&mut self, room: &RoomUri, position: u64, now: UnixMillis) -> Result<()> {
        self.step(now, |step| {
            let Some(known) = step.room(room)? else { return Ok(()) };
            let mut read = load(&step.transaction, room)?;
            let to = position.min(known.cursor);
            if to <= read.to {
                return Ok(());
            }
            read.to = to;
            let after = messages(&step.transaction, room, to.saturating_add(1), usize::MAX)?;
            let unread = after.iter().filter(|message| !is_own(step, message)).count();
            read.unread = u64::try_from(unread).unwrap_or(u64::MAX);
            store(step, room, &read)?;
            step.emit(Event::Read { room: room.clone() });
            Ok(())
        })
    }
}

/// Keeps a message of the log. The user's own ones are read.
pub(super) fn record(step: &mut Step<'_>, message: &Message) -> Result<(), InternalError> {
    let room = &message.room;
    step.transaction.store(tables::history(room, message.position), message)?;
    let mut read = load(&step.transaction, room)?;
    read.last = message.position;
    if !is_own(step, message) {
        read.unread += 1;
    }
    store(step, room, &read)
}

/// Keeps the place of a message that cannot be read, and tells the application.
pub(super) fn record_undecryptable(
    step: &mut Step<'_>,
    message: Undecryptable,
) -> Result<(), InternalError> {
    let key = tables::undecryptable(&message.room, message.position);
    step.transaction.store(key, &message)?;
    step.emit(Event::Undecryptable(message));
    Ok(())
}

/// What there is of a room was read before anybody counted.
pub(super) fn all_is_read(step: &mut Step<'_>, room: &RoomUri) -> Result<(), InternalError> {
    let known = messages(&step.transaction, room, 0, usize::MAX)?;
    let Some(last) = known.last().map(|message| message.position) else { return Ok(()) };
    store(step, room, &Read { to: last, unread: 0, last })
}

fn is_own(step: &Step<'_>, message: &Message) -> bool {
    message.sender.user() == step.identity.client.user()
}

fn messages(
    transaction: &Transaction<'_>,
    room: &RoomUri,
    from: u64,
    limit: usize,
) -> Result<Vec<Message>, InternalError> {
    let rows = transaction.scan(&tables::all_history(room), &tables::history(room, from), limit)?;
    rows.iter().map(|(_, row): &Row| decode_row(row)).collect()
}

fn load(transaction: &Transaction<'_>, room: &RoomUri) -> Result<Read, InternalError> {
    Ok(transaction.load(&tables::read(room))?.unwrap_or_default())
}

fn store(step: &mut Step<'_>, room: &RoomUri, read: &Read) -> Result<(), InternalError> {
    step.transaction.store(tables::read(room), read)
}
