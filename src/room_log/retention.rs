//! What a log forgets (D22): what everybody has, and what is too old or too much to wait for.
//!
//! Devices say what they have stored; the owner says what its lanes have sent. What stands for the
//! events elsewhere goes by age alone: the hashes by which a repetition is recognized (R67, R82). Who
//! repeats something may be late although all devices have it.

use serde::{Deserialize, Serialize};

use super::{
    RoomLog, number_at_end,
    view::{Headers, Window},
};
use crate::{
    config::Retention,
    error::InternalError,
    sorted::SortedMap,
    storage::{Key, Transaction, decode_row},
    time::UnixMillis,
    wire::uri::ClientUri,
};

/// How often a log is looked through, in events; and how far behind a device may be with what it
/// says, so that not every message is a write.
pub const STRIDE: u64 = 64;
/// Most events that are forgotten at a time.
const MOST_AT_ONCE: u64 = 8 * STRIDE;
/// Most rows that go along with them at a time.
const MOST_ROWS_AT_ONCE: usize = 32 * 64;
/// The length of a day, in milliseconds.
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// What is known of a device as a reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reader {
    /// The last position that the device has stored, as far as it said so.
    acknowledged: u64,
    /// Of the events that are gone, the last one that the device could see; 0 when there is none.
    pub(super) last_forgotten: u64,
}

impl RoomLog {
    /// `device` has stored everything up to `position`. Less than [`STRIDE`] more than before is not
    /// noted.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn acknowledge(
        &self,
        transaction: &mut Transaction<'_>,
        device: &ClientUri,
        position: u64,
    ) -> Result<(), InternalError> {
        let acknowledged = position.min(self.end(transaction)?);
        let reader = self.reader(transaction, device)?;
        let is_news = acknowledged >= reader.acknowledged.saturating_add(STRIDE);
        if !is_news || self.windows(transaction, device)?.is_empty() {
            return Ok(());
        }
        transaction.store(self.reader_key(device), &Reader { acknowledged, ..reader })
    }

    /// The row under `key` goes when the event that comes next is too old, or too far back: a hash is
    /// known at least as long as what it is the hash of (R67, R82).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn forget_along(
        &self,
        transaction: &mut Transaction<'_>,
        key: &[u8],
    ) -> Result<(), InternalError> {
        let position = self.end(transaction)?.saturating_add(1);
        let along = Key::table(self.tables.along).number(position).bytes(key).build();
        transaction.write(along, Vec::new());
        Ok(())
    }

    /// To be called after an event came: whether it is time to [`RoomLog::trim`], the first time of a
    /// day and every [`STRIDE`] events.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn is_due(
        &self,
        transaction: &mut Transaction<'_>,
        now: UnixMillis,
    ) -> Result<bool, InternalError> {
        let end = self.end(transaction)?;
        let today = self.day_key(now.0 / DAY_MILLIS);
        let is_new_day = transaction.read(&today)?.is_none();
        if is_new_day {
            transaction.store(today, &end.saturating_sub(1))?;
        }
        Ok(is_new_day || end.is_multiple_of(STRIDE))
    }

    /// Forgets what nobody waits for any more, but never the last event: what it did may not be
    /// settled. `sent` is the last position that all lanes are past; `None` when nothing waits in any.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn trim(
        &self,
        transaction: &mut Transaction<'_>,
        now: UnixMillis,
        retention: &Retention,
        sent: Option<u64>,
    ) -> Result<(), InternalError> {
        let end = self.end(transaction)?;
        let start = self.forgotten(transaction)?;
        let old = self.end_before(transaction, now.0.saturating_sub(retention.log_millis))?;
        let many = end.saturating_sub(retention.log_events);
        let newest = end.saturating_sub(1);
        let aged = old.max(many).min(newest);
        self.forget_rows(transaction, aged)?;
        let passed = self.passed(transaction, sent.unwrap_or(end))?;
        let last = passed.max(aged).min(newest).min(start.saturating_add(MOST_AT_ONCE));
        if last > start { self.forget(transaction, start, last) } else { Ok(()) }
    }

    /// The last position of those that are gone, 0 when none is.
    pub(super) fn forgotten(&self, transaction: &Transaction<'_>) -> Result<u64, InternalError> {
        Ok(transaction.load(&[self.tables.forgotten])?.unwrap_or(0))
    }

    pub(super) fn reader(
        &self,
        transaction: &Transaction<'_>,
        device: &ClientUri,
    ) -> Result<Reader, InternalError> {
        Ok(transaction.load(&self.reader_key(device))?.unwrap_or_default())
    }

    /// Of each device that has lost events, the last one that it could see.
    pub(super) fn all_last_forgotten(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<SortedMap<ClientUri, u64>, InternalError> {
        let prefix = [self.tables.readers];
        let rows = transaction.scan(&prefix, &prefix, usize::MAX)?.into_iter();
        rows.map(|(key, row)| {
            let device = key.get(3..).and_then(|text| str::from_utf8(text).ok());
            let device = device.and_then(|text| ClientUri::parse(text).ok());
            let device = device.ok_or(InternalError::Storage("a key of the log"))?;
            Ok((device, decode_row::<Reader>(&row)?.last_forgotten))
        })
        .collect()
    }

    /// The last position, up to `sent`, that every device has stored or cannot see.
    fn passed(&self, transaction: &Transaction<'_>, sent: u64) -> Result<u64, InternalError> {
        let mut passed = sent;
        for (device, windows) in self.all_windows(transaction)? {
            let reader = self.reader(transaction, &device)?;
            let next = Window::next(&windows, reader.acknowledged.saturating_add(1));
            passed = passed.min(next.map_or(passed, |next| next.saturating_sub(1)));
        }
        Ok(passed)
    }

    /// The last position that came before the day of `time`, by our clock: what the first day from
    /// that one on has found. Days before it are of no use any more.
    fn end_before(
        &self,
        transaction: &mut Transaction<'_>,
        time: u64,
    ) -> Result<u64, InternalError> {
        let prefix = [self.tables.days];
        for (key, position) in transaction.scan(&prefix, &prefix, usize::MAX)? {
            if number_at_end(&key)? >= time / DAY_MILLIS {
                return decode_row(&position);
            }
            transaction.delete(key);
        }
        Ok(0)
    }

    /// Deletes the events after `start` up to `last`.
    fn forget(
        &self,
        transaction: &mut Transaction<'_>,
        start: u64,
        last: u64,
    ) -> Result<(), InternalError> {
        let mut views = self.views(transaction)?;
        let mut seen = Vec::new();
        let mut headers = Headers::new(*self, transaction)?;
        for (device, windows) in std::mem::take(&mut views.windows) {
            let view = views.of(&device, windows);
            seen.push((device, headers.visible_before(&view, last.saturating_add(1))?));
        }
        for (device, last_forgotten) in seen {
            let reader = self.reader(transaction, &device)?;
            if reader.last_forgotten != last_forgotten {
                let reader = Reader { last_forgotten, ..reader };
                transaction.store(self.reader_key(&device), &reader)?;
            }
        }
        for position in start.saturating_add(1)..=last {
            transaction.delete(self.event_key(position));
        }
        transaction.store(vec![self.tables.forgotten], &last)
    }

    /// Deletes what goes along with the events up to `last`.
    fn forget_rows(
        &self,
        transaction: &mut Transaction<'_>,
        last: u64,
    ) -> Result<(), InternalError> {
        let prefix = [self.tables.along];
        for (key, _) in transaction.scan(&prefix, &prefix, MOST_ROWS_AT_ONCE)? {
            const PREFIX: usize = 1 + size_of::<u64>();
            const LENGTH: usize = size_of::<u16>();
            let position = key.get(1..PREFIX).and_then(|bytes| bytes.first_chunk());
            if position.is_none_or(|bytes| u64::from_be_bytes(*bytes) > last) {
                break;
            }
            transaction.delete(key.get(PREFIX + LENGTH..).unwrap_or_default().to_vec());
            transaction.delete(key);
        }
        Ok(())
    }

    fn reader_key(&self, device: &ClientUri) -> Vec<u8> {
        Key::table(self.tables.readers).text(device.as_str()).build()
    }

    fn day_key(&self, day: u64) -> Vec<u8> {
        Key::table(self.tables.days).number(day).build()
    }
}

#[cfg(test)]
mod tests;
