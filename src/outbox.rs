//! A durable queue of what has to be sent: ordered per lane, retried with backoff.
//!
//! A lane is one receiver (a provider, an object of our own, a client's own provider). Entries of a
//! lane are sent in order, the next one after the one before was delivered; lanes do not wait for
//! each other (R82, R84). What an entry holds is the owner's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::InternalError,
    storage::{Key, Transaction},
    time::UnixMillis,
};

/// First wait after a failed try, in milliseconds; it doubles from there.
const FIRST_BACKOFF_MILLIS: u64 = 500;
/// Longest wait between two tries, in milliseconds.
const LONGEST_BACKOFF_MILLIS: u64 = 5 * 60 * 1000;
/// Longest wait that a receiver may ask for, in milliseconds.
const LONGEST_RETRY_AFTER_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// How many lanes that failed before are in flight at a time: they may take as long as a request may
/// take, and the others shall not wait for them (R84).
const MAX_RETRIES_IN_FLIGHT: usize = 3;
/// After this time in flight, in milliseconds, a lane is looked at again: longer than any request.
const IN_FLIGHT_MILLIS: u64 = 60 * 1000;

/// A durable queue over two tables of the owner's storage.
///
/// Which lanes are in flight is memory only: after a restart everything is due again.
#[derive(Debug)]
pub struct Outbox {
    entries: u8,
    lanes: u8,
    in_flight: BTreeMap<Vec<u8>, InFlight>,
}

#[derive(Debug)]
struct InFlight {
    since: UnixMillis,
    attempts: u32,
}

/// The entries at the head of a lane that is due, in order, and the number of the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The lane.
    pub lane: Vec<u8>,
    /// Number and content of each entry, in order.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// How often the head of this lane was tried before.
    pub attempts: u32,
}

/// A lane that holds something, or was given up; its entries have the numbers from
/// `next_number - waiting` on.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct LaneState {
    next_number: u64,
    waiting: u64,
    attempts: u32,
    due: UnixMillis,
    /// Since when every try failed.
    failing_since: Option<UnixMillis>,
    given_up: bool,
}

/// What is next in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The lane.
    pub lane: Vec<u8>,
    /// Its first entry.
    pub entry: Vec<u8>,
}

/// A lane whose last try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// Since when every try failed.
    pub since: UnixMillis,
    /// How often the head of the lane was tried.
    pub attempts: u32,
    /// Whether the lane was given up, and nothing was delivered since.
    pub given_up: bool,
}

impl Outbox {
    /// An outbox over the tables `entries` and `lanes`.
    #[must_use]
    pub const fn new(entries: u8, lanes: u8) -> Self {
        Self { entries, lanes, in_flight: BTreeMap::new() }
    }

    /// Puts `entry` at the end of `lane`, due at once if the lane is not waiting for a retry, and was
    /// not given up.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn enqueue(
        &self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        entry: Vec<u8>,
        now: UnixMillis,
    ) -> Result<(), InternalError> {
        let mut state = self.lane(transaction, lane)?.unwrap_or_default();
        if state.waiting == 0 && !state.given_up {
            state.due = now;
            state.attempts = 0;
        }
        transaction.write(self.entry_key(lane, state.next_number), entry);
        state.next_number += 1;
        state.waiting += 1;
        transaction.store(self.lane_key(lane), &state)
    }

    /// A lane that is due and not in flight, with at most `limit` of its entries; marks it in
    /// flight until [`Outbox::delivered`] or [`Outbox::failed`]. Lanes that failed less often come
    /// first.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn take_due(
        &mut self,
        transaction: &Transaction<'_>,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Option<Due>, InternalError> {
        let mut lanes = self.ready_lanes(transaction)?;
        lanes.retain(|(_, state)| state.due <= now);
        let Some((lane, state)) = lanes.into_iter().min_by_key(|(_, state)| state.attempts) else {
            return Ok(None);
        };
        let prefix = Key::table(self.entries).bytes(&lane).build();
        let entries = transaction
            .scan(&prefix, &prefix, limit)?
            .into_iter()
            .filter_map(|(key, entry)| Some((number_of(&key)?, entry)))
            .collect();
        let attempts = state.attempts;
        self.in_flight.insert(lane.clone(), InFlight { since: now, attempts });
        Ok(Some(Due { lane, entries, attempts }))
    }

    /// The lane's entries up to number `last`, and in any case the first, were delivered, or are
    /// given up.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn delivered(
        &mut self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        last: u64,
        now: UnixMillis,
    ) -> Result<(), InternalError> {
        self.in_flight.remove(lane);
        let Some(mut state) = self.lane(transaction, lane)? else { return Ok(()) };
        self.drop_entries(transaction, lane, &mut state, last);
        if state.waiting == 0 {
            transaction.delete(self.lane_key(lane));
            return Ok(());
        }
        let LaneState { next_number, waiting, .. } = state;
        let state = LaneState { next_number, waiting, due: now, ..LaneState::default() };
        transaction.store(self.lane_key(lane), &state)
    }

    /// As [`Outbox::delivered`], for entries that are not to be sent any more: that says nothing of the
    /// receiver. A lane that is empty then fails no longer, but one that was given up stays so.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn skipped(
        &mut self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        last: u64,
    ) -> Result<(), InternalError> {
        self.in_flight.remove(lane);
        let Some(mut state) = self.lane(transaction, lane)? else { return Ok(()) };
        self.drop_entries(transaction, lane, &mut state, last);
        if state.waiting == 0 && !state.given_up {
            transaction.delete(self.lane_key(lane));
            return Ok(());
        }
        transaction.store(self.lane_key(lane), &state)
    }

    /// Deletes the lane's entries up to number `last`, and in any case the first.
    fn drop_entries(
        &self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        state: &mut LaneState,
        last: u64,
    ) {
        let first = state.next_number.saturating_sub(state.waiting);
        for number in first..state.next_number.min(last.max(first).saturating_add(1)) {
            transaction.delete(self.entry_key(lane, number));
            state.waiting -= 1;
        }
    }

    /// Nothing that waits in the lane is sent any more, and nothing before the time `until`; what
    /// comes then goes out, and when it is delivered the lane is as any other (D22).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn give_up(
        &mut self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        until: UnixMillis,
    ) -> Result<(), InternalError> {
        self.in_flight.remove(lane);
        let Some(mut state) = self.lane(transaction, lane)? else { return Ok(()) };
        self.drop_entries(transaction, lane, &mut state, u64::MAX);
        let state = LaneState { given_up: true, due: until, ..state };
        transaction.store(self.lane_key(lane), &state)
    }

    /// How the lane fails; `None` when its last try did not, or there was none.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn failing(
        &self,
        transaction: &Transaction<'_>,
        lane: &[u8],
    ) -> Result<Option<Failing>, InternalError> {
        Ok(self.lane(transaction, lane)?.and_then(|state| {
            let LaneState { attempts, given_up, failing_since, .. } = state;
            failing_since.map(|since| Failing { since, attempts, given_up })
        }))
    }

    /// Each lane that holds something, with the entry at its head.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn heads(&self, transaction: &Transaction<'_>) -> Result<Vec<Head>, InternalError> {
        let mut heads = Vec::new();
        for (lane, _) in self.all_lanes(transaction)? {
            let prefix = Key::table(self.entries).bytes(&lane).build();
            let head = transaction.scan(&prefix, &prefix, 1)?.pop();
            heads.extend(head.map(|(_, entry)| Head { lane, entry }));
        }
        Ok(heads)
    }

    /// The try failed: the lane waits `retry_after` milliseconds, or twice as long as last time.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn failed(
        &mut self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        now: UnixMillis,
        retry_after: Option<u64>,
    ) -> Result<(), InternalError> {
        self.in_flight.remove(lane);
        let Some(mut state) = self.lane(transaction, lane)? else { return Ok(()) };
        let backoff = FIRST_BACKOFF_MILLIS
            .saturating_mul(1 << state.attempts.min(16))
            .min(LONGEST_BACKOFF_MILLIS);
        state.attempts = state.attempts.saturating_add(1);
        state.failing_since.get_or_insert(now);
        let asked = retry_after.unwrap_or(0).min(LONGEST_RETRY_AFTER_MILLIS);
        state.due = now.plus(asked.max(backoff));
        transaction.store(self.lane_key(lane), &state)
    }

    /// The transaction that took a lane did not end well: the lane is not in flight after all.
    pub fn release(&mut self, lane: &[u8]) {
        self.in_flight.remove(lane);
    }

    /// Every lane that waits for a retry is due at `now`: the connection is back.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn retry_now(
        &self,
        transaction: &mut Transaction<'_>,
        now: UnixMillis,
    ) -> Result<(), InternalError> {
        for (lane, mut state) in self.all_lanes(transaction)? {
            if state.waiting > 0 && state.due > now {
                state.due = now;
                transaction.store(self.lane_key(&lane), &state)?;
            }
        }
        Ok(())
    }

    /// One lane that waits for a retry is due at `now`: what it waited for is there.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn wake(
        &self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        now: UnixMillis,
    ) -> Result<(), InternalError> {
        match self.lane(transaction, lane)? {
            Some(mut state) if state.waiting > 0 && state.due > now => {
                state.due = now;
                transaction.store(self.lane_key(lane), &state)
            }
            _ => Ok(()),
        }
    }

    /// When the next lane that can be taken is due; `None` when there is none.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_due(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Option<UnixMillis>, InternalError> {
        Ok(self.ready_lanes(transaction)?.into_iter().map(|(_, state)| state.due).min())
    }

    /// As [`Outbox::next_due`], and as long as something is in flight a time after that: whoever
    /// stops meanwhile, and forgets what was in flight, has to be woken for it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_wake(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Option<UnixMillis>, InternalError> {
        let in_flight = self.in_flight.values().map(|lane| lane.since.plus(IN_FLIGHT_MILLIS));
        Ok(self.next_due(transaction)?.into_iter().chain(in_flight).min())
    }

    /// How many entries wait in all lanes, those in flight included.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn waiting(&self, transaction: &Transaction<'_>) -> Result<u64, InternalError> {
        Ok(self.all_lanes(transaction)?.iter().map(|(_, state)| state.waiting).sum())
    }

    /// The lanes that hold something and can be taken, now or when they are due.
    fn ready_lanes(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<(Vec<u8>, LaneState)>, InternalError> {
        let retries = self.in_flight.values().filter(|lane| lane.attempts > 0).count();
        let mut lanes = self.all_lanes(transaction)?;
        lanes.retain(|(lane, state)| {
            state.waiting > 0
                && !self.in_flight.contains_key(lane)
                && (state.attempts == 0 || retries < MAX_RETRIES_IN_FLIGHT)
        });
        Ok(lanes)
    }

    fn lane(
        &self,
        transaction: &Transaction<'_>,
        lane: &[u8],
    ) -> Result<Option<LaneState>, InternalError> {
        transaction.load(&self.lane_key(lane))
    }

    fn all_lanes(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<(Vec<u8>, LaneState)>, InternalError> {
        let prefix = [self.lanes];
        transaction
            .scan(&prefix, &prefix, usize::MAX)?
            .into_iter()
            .map(|(key, state)| {
                let lane = key.get(3..).unwrap_or_default().to_vec();
                Ok((lane, crate::storage::decode_row(&state)?))
            })
            .collect()
    }

    fn lane_key(&self, lane: &[u8]) -> Vec<u8> {
        Key::table(self.lanes).bytes(lane).build()
    }

    fn entry_key(&self, lane: &[u8], number: u64) -> Vec<u8> {
        Key::table(self.entries).bytes(lane).number(number).build()
    }
}

fn number_of(entry_key: &[u8]) -> Option<u64> {
    entry_key.last_chunk().copied().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn filled(outbox: &Outbox, transaction: &mut Transaction<'_>) {
        for (lane, entry) in [("b", "b0"), ("b", "b1"), ("c", "c0")] {
            outbox.enqueue(transaction, lane.as_bytes(), entry.into(), NOW).unwrap();
        }
    }

    #[test]
    fn r82_a_lane_is_delivered_in_order_and_one_request_at_a_time() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        filled(&outbox, &mut transaction);

        let first = outbox.take_due(&transaction, NOW, 1).unwrap().unwrap();
        assert_eq!(
            (first.lane.as_slice(), &first.entries),
            (&b"b"[..], &vec![(0, b"b0".to_vec())])
        );
        // Lane b is in flight: only lane c is left.
        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"c");
        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap(), None);

        outbox.delivered(&mut transaction, b"b", 0, NOW).unwrap();
        let second = outbox.take_due(&transaction, NOW, 9).unwrap().unwrap();
        assert_eq!(second.entries, vec![(1, b"b1".to_vec())]);
        outbox.delivered(&mut transaction, b"b", 1, NOW).unwrap();
        outbox.delivered(&mut transaction, b"c", 0, NOW).unwrap();
        assert_eq!(outbox.waiting(&transaction).unwrap(), 0);
        assert_eq!(outbox.next_due(&transaction).unwrap(), None);
    }

    #[test]
    fn r84_a_failing_lane_waits_alone_and_longer_each_time() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        filled(&outbox, &mut transaction);

        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"b");
        outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"c");
        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap(), None);
        assert_eq!(outbox.next_due(&transaction).unwrap(), Some(NOW.plus(500)));

        let again = outbox.take_due(&transaction, NOW.plus(500), 1).unwrap().unwrap();
        assert_eq!(again.attempts, 1);
        outbox.failed(&mut transaction, b"b", NOW, Some(90_000)).unwrap();
        assert_eq!(outbox.next_due(&transaction).unwrap(), Some(NOW.plus(90_000)));
        outbox.retry_now(&mut transaction, NOW).unwrap();
        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"b");
    }

    #[test]
    fn a_lane_that_is_woken_is_due_and_no_other() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        filled(&outbox, &mut transaction);
        for lane in [b"b", b"c"] {
            outbox.take_due(&transaction, NOW, 1).unwrap();
            outbox.failed(&mut transaction, lane, NOW, None).unwrap();
        }
        outbox.wake(&mut transaction, b"c", NOW).unwrap();
        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"c");
        assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap(), None);
    }

    #[test]
    fn r84_lanes_that_fail_leave_room_for_the_others() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        let dead = [b"a", b"b", b"c", b"d", b"e"];
        for lane in dead {
            outbox.enqueue(&mut transaction, lane, Vec::new(), NOW).unwrap();
            outbox.take_due(&transaction, NOW, 1).unwrap();
            outbox.failed(&mut transaction, lane, NOW, None).unwrap();
        }
        let later = NOW.plus(500);
        outbox.enqueue(&mut transaction, b"z", Vec::new(), later).unwrap();
        let mut taken = Vec::new();
        while let Some(due) = outbox.take_due(&transaction, later, 1).unwrap() {
            taken.push(due.lane);
        }
        assert_eq!(taken, [b"z", b"a", b"b", b"c"], "the new one first, then three of the old");
        // Nothing can be taken before one of them is back: there is nothing to wake for.
        assert_eq!(outbox.next_due(&transaction).unwrap(), None);
        outbox.failed(&mut transaction, b"a", later, None).unwrap();
        assert_eq!(outbox.take_due(&transaction, later, 1).unwrap().unwrap().lane, b"d");
    }

    #[test]
    fn r82_what_is_in_flight_when_the_owner_stops_is_a_reason_to_wake() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        outbox.enqueue(&mut transaction, b"b", b"b0".to_vec(), NOW).unwrap();
        outbox.take_due(&transaction, NOW, 1).unwrap();
        assert_eq!(outbox.next_due(&transaction).unwrap(), None);
        assert_eq!(outbox.next_wake(&transaction).unwrap(), Some(NOW.plus(60_000)));
        outbox.delivered(&mut transaction, b"b", 0, NOW).unwrap();
        assert_eq!(outbox.next_wake(&transaction).unwrap(), None);
    }

    #[test]
    fn r82_a_receiver_cannot_stop_a_lane_for_good() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        outbox.enqueue(&mut transaction, b"b", Vec::new(), NOW).unwrap();
        outbox.take_due(&transaction, NOW, 1).unwrap();
        outbox.failed(&mut transaction, b"b", NOW, Some(u64::MAX)).unwrap();
        let a_day = 24 * 60 * 60 * 1000;
        assert_eq!(outbox.next_due(&transaction).unwrap(), Some(NOW.plus(a_day)));
    }

    #[test]
    fn d22_a_lane_that_is_given_up_forgets_what_waits_and_takes_what_comes_later() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        filled(&outbox, &mut transaction);
        assert_eq!(outbox.failing(&transaction, b"b").unwrap(), None);
        outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
        outbox.failed(&mut transaction, b"b", NOW.plus(700), None).unwrap();
        let failing = Failing { since: NOW, attempts: 2, given_up: false };
        assert_eq!(outbox.failing(&transaction, b"b").unwrap(), Some(failing));
        let later = NOW.plus(10_000);
        outbox.give_up(&mut transaction, b"b", later).unwrap();
        assert_eq!(outbox.waiting(&transaction).unwrap(), 1, "c's");
        let head = Head { lane: b"c".to_vec(), entry: b"c0".to_vec() };
        assert_eq!(outbox.heads(&transaction).unwrap(), [head]);
        outbox.enqueue(&mut transaction, b"b", b"b2".to_vec(), NOW.plus(800)).unwrap();
        assert_eq!(outbox.take_due(&transaction, later, 9).unwrap().unwrap().lane, b"c");
        assert_eq!(outbox.take_due(&transaction, NOW.plus(9_999), 9).unwrap(), None);
        let due = outbox.take_due(&transaction, later, 9).unwrap().unwrap();
        assert_eq!(due.entries, [(2, b"b2".to_vec())]);
        outbox.delivered(&mut transaction, b"b", 2, later).unwrap();
        assert_eq!(outbox.failing(&transaction, b"b").unwrap(), None);
    }

    #[test]
    fn d22_what_is_skipped_says_nothing_of_the_receiver() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        filled(&outbox, &mut transaction);
        outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
        outbox.skipped(&mut transaction, b"b", 0).unwrap();
        let failing = outbox.failing(&transaction, b"b").unwrap().unwrap();
        assert_eq!((failing.since, failing.attempts), (NOW, 1));
        // What is empty leaves nothing behind: what comes later is not held against an old failure.
        outbox.skipped(&mut transaction, b"b", 1).unwrap();
        outbox.skipped(&mut transaction, b"c", 0).unwrap();
        assert!(outbox.all_lanes(&transaction).unwrap().is_empty());
        // What was given up is so until something is delivered.
        outbox.enqueue(&mut transaction, b"b", Vec::new(), NOW).unwrap();
        outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
        outbox.give_up(&mut transaction, b"b", NOW).unwrap();
        outbox.enqueue(&mut transaction, b"b", Vec::new(), NOW).unwrap();
        outbox.skipped(&mut transaction, b"b", 1).unwrap();
        assert!(outbox.failing(&transaction, b"b").unwrap().unwrap().given_up);
    }

    #[test]
    fn an_empty_lane_leaves_nothing_behind() {
        let storage = MemoryStorage::default();
        let mut transaction = Transaction::new(&storage);
        let mut outbox = Outbox::new(1, 2);
        filled(&outbox, &mut transaction);
        outbox.delivered(&mut transaction, b"b", 7, NOW).unwrap();
        outbox.delivered(&mut transaction, b"c", 0, NOW).unwrap();
        let kept = transaction.into_changes();
        assert!(kept.iter().all(|write| write.value.is_none()), "{kept:?}");
    }
}
