//! A durable queue of what has to be sent: ordered per lane, retried with backoff.
//!
//! A lane is one receiver (a provider, an object of our own, a client's own provider). Entries of a
//! lane are sent in order, the next one after the one before was delivered; lanes do not wait for
//! each other (R82, R84). What an entry holds is the owner's business.
//!
//! An entry that goes to many lanes can be one row for all of them ([`Outbox::enqueue_shared`]).

mod shared;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::shared::Shared;

use crate::{
    error::InternalError,
    sorted::SortedMap,
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

/// A durable queue over three tables of the owner's storage.
///
/// Which lanes are in flight is memory only: after a restart everything is due again.
#[derive(Debug)]
pub struct Outbox {
    entries: u8,
    lanes: u8,
    due: u8,
    shared: Option<Shared>,
    in_flight: SortedMap<Vec<u8>, InFlight>,
    /// What the waits after failures are spread by.
    spread: u64,
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

impl LaneState {
    fn failing(&self) -> Option<Failing> {
        let Self { attempts, given_up, failing_since, .. } = *self;
        failing_since.map(|since| Failing { since, attempts, given_up })
    }
}

/// A lane, for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView {
    /// The lane.
    pub lane: Vec<u8>,
    /// How many entries wait in it, those in flight included.
    pub waiting: u64,
    /// How it fails, if its last try did.
    pub failing: Option<Failing>,
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
    /// An outbox over the tables `entries`, `lanes` and `due`: the lanes that hold something, in order
    /// of the time that they wait for.
    #[must_use]
    pub const fn new(entries: u8, lanes: u8, due: u8) -> Self {
        Self { entries, lanes, due, shared: None, in_flight: SortedMap::new(), spread: 0 }
    }

    /// The outbox with the table `shared` for entries that several lanes share.
    #[must_use]
    pub fn sharing(self, shared: u8) -> Self {
        Self { shared: Some(Shared::new(shared)), ..self }
    }

    /// The outbox with waits after failures that are up to a quarter longer, as `name` and lane decide:
    /// what failed for many at once is not tried by all of them at once.
    #[must_use]
    pub fn spread_by(self, name: &str) -> Self {
        Self { spread: number_from(name.as_bytes()), ..self }
    }

    /// Forgets what is known in memory of what is stored: a transaction did not end well.
    pub fn forget(&mut self) {
        if let Some(shared) = &mut self.shared {
            shared.forget();
        }
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
        self.store(transaction, lane, &state)
    }

    /// Puts `entry` at the end of each of these lanes, as one row for those that do not fail. `number` is
    /// larger with each call. Lanes that get entries this way get all of them this way.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn enqueue_shared(
        &self,
        transaction: &mut Transaction<'_>,
        lanes: Vec<Vec<u8>>,
        number: u64,
        entry: Vec<u8>,
        now: UnixMillis,
    ) -> Result<(), InternalError> {
        let shared = self.shared.as_ref().ok_or(InternalError::Storage("nothing is shared"))?;
        let mut healthy = Vec::new();
        for lane in lanes {
            if self.lane(transaction, &lane)?.is_some() {
                self.enqueue(transaction, &lane, entry.clone(), now)?;
            } else {
                healthy.push(lane);
            }
        }
        if healthy.is_empty() {
            return Ok(());
        }
        shared.enqueue(transaction, healthy, number, entry)
    }

    /// Gives a lane that fails its shared entries as its own.
    fn part(&self, transaction: &mut Transaction<'_>, lane: &[u8]) -> Result<(), InternalError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let entries = shared.entries(transaction, lane, usize::MAX)?;
        let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        let mut state = LaneState { next_number: *first, ..LaneState::default() };
        shared.remove(transaction, lane, *last)?;
        for (_, entry) in entries {
            transaction.write(self.entry_key(lane, state.next_number), entry);
            state.next_number += 1;
            state.waiting += 1;
        }
        self.store(transaction, lane, &state)
    }

    /// A lane that is due and not in flight, with at most `limit` of its entries; marks it in
    /// flight until [`Outbox::delivered`] or [`Outbox::failed`]. Lanes that did not fail come first,
    /// then the one that is due for the longest time.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn take_due(
        &mut self,
        transaction: &Transaction<'_>,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Option<Due>, InternalError> {
        let next = self.next_lanes(transaction)?.into_iter().find(|(due, _)| *due <= now);
        let Some((_, lane)) = next else { return Ok(None) };
        let (attempts, entries) = match self.lane(transaction, &lane)? {
            Some(LaneState { attempts, .. }) => {
                let prefix = Key::table(self.entries).bytes(&lane).build();
                let rows = transaction.scan(&prefix, &prefix, limit)?.into_iter();
                let entries = rows.filter_map(|(key, entry)| Some((number_of(&key)?, entry)));
                (attempts, entries.collect())
            }
            None => match &self.shared {
                Some(shared) => (0, shared.entries(transaction, &lane, limit)?),
                None => (0, Vec::new()),
            },
        };
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
        let Some(mut state) = self.lane(transaction, lane)? else {
            return self.remove_shared(transaction, lane, last);
        };
        self.drop_entries(transaction, lane, &mut state, last);
        let LaneState { next_number, waiting, .. } = state;
        let state = LaneState { next_number, waiting, due: now, ..LaneState::default() };
        self.store(transaction, lane, &state)
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
        let Some(mut state) = self.lane(transaction, lane)? else {
            return self.remove_shared(transaction, lane, last);
        };
        self.drop_entries(transaction, lane, &mut state, last);
        self.store(transaction, lane, &state)
    }

    fn remove_shared(
        &self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        last: u64,
    ) -> Result<(), InternalError> {
        if let Some(shared) = &self.shared {
            shared.remove(transaction, lane, last)?;
        }
        Ok(())
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
        self.store(transaction, lane, &state)
    }

    /// Each lane that holds something or was given up: how much, and how it fails.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn lanes(&self, transaction: &Transaction<'_>) -> Result<Vec<LaneView>, InternalError> {
        let own = self.all_lanes(transaction)?.into_iter().map(|(lane, state)| LaneView {
            lane,
            waiting: state.waiting,
            failing: state.failing(),
        });
        let shared = match &self.shared {
            Some(shared) => shared.counts(transaction)?,
            None => Vec::new(),
        };
        let shared = shared.into_iter().map(|(lane, count)| LaneView {
            lane,
            waiting: count as u64,
            failing: None,
        });
        Ok(own.chain(shared).collect())
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
        Ok(self.lane(transaction, lane)?.and_then(|state| state.failing()))
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
        let Some(shared) = &self.shared else { return Ok(heads) };
        for (lane, _) in shared.heads(transaction)? {
            let head = shared.entries(transaction, &lane, 1)?.pop();
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
        self.part(transaction, lane)?;
        let Some(mut state) = self.lane(transaction, lane)? else { return Ok(()) };
        let backoff = FIRST_BACKOFF_MILLIS
            .saturating_mul(1 << state.attempts.min(16))
            .min(LONGEST_BACKOFF_MILLIS);
        let backoff = backoff + self.spread(lane, state.attempts, backoff / 4);
        state.attempts = state.attempts.saturating_add(1);
        state.failing_since.get_or_insert(now);
        let asked = retry_after.unwrap_or(0).min(LONGEST_RETRY_AFTER_MILLIS);
        state.due = now.plus(asked.max(backoff));
        self.store(transaction, lane, &state)
    }

    /// A wait of up to `most` milliseconds: another one for each lane and attempt, the same each time.
    fn spread(&self, lane: &[u8], attempts: u32, most: u64) -> u64 {
        if self.spread == 0 {
            return 0;
        }
        let parts = [&self.spread.to_be_bytes(), lane, &attempts.to_be_bytes()];
        number_from(&parts.concat()) % (most + 1)
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
                self.store(transaction, &lane, &state)?;
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
                self.store(transaction, lane, &state)
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
        Ok(self.next_lanes(transaction)?.into_iter().map(|(due, _)| due).min())
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
        let own: u64 = self.all_lanes(transaction)?.iter().map(|(_, state)| state.waiting).sum();
        let shared = match &self.shared {
            Some(shared) => shared.counts(transaction)?.iter().map(|(_, count)| count).sum(),
            None => 0,
        };
        Ok(own.saturating_add(shared as u64))
    }

    /// The next lanes that can be taken, now or when they are due: one of those that did not fail,
    /// one of those that did. Of the others nothing is read.
    fn next_lanes(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<(UnixMillis, Vec<u8>)>, InternalError> {
        let retries = self.in_flight.values().filter(|lane| lane.attempts > 0).count();
        let mut lanes = Vec::new();
        if let Some(shared) = &self.shared {
            let is_free = |lane: &[u8]| !self.in_flight.contains_key(lane);
            lanes.extend(shared.next_lane(transaction, is_free)?.map(|lane| (UnixMillis(0), lane)));
        }
        for has_failed in [false, true] {
            if has_failed && retries >= MAX_RETRIES_IN_FLIGHT {
                continue;
            }
            let prefix = self.due_prefix(has_failed).build();
            // Those in flight may stand in front.
            for (key, _) in transaction.scan(&prefix, &prefix, self.in_flight.len() + 1)? {
                // Table byte, whether it failed, time, length, lane.
                let lane = key.get(19..).unwrap_or_default();
                if !self.in_flight.contains_key(lane) {
                    let due = key.get(9..).and_then(|key| key.first_chunk());
                    let due = due.ok_or(InternalError::Storage("the key of a lane that is due"))?;
                    lanes.push((UnixMillis(u64::from_be_bytes(*due)), lane.to_vec()));
                    break;
                }
            }
        }
        Ok(lanes)
    }

    /// Stores what is known of a lane, and when it is due if it holds something. Of one that is empty
    /// nothing stays but that it was given up.
    fn store(
        &self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        state: &LaneState,
    ) -> Result<(), InternalError> {
        if let Some(before) = self.lane(transaction, lane)? {
            transaction.delete(self.due_key(lane, &before));
        }
        if state.waiting > 0 {
            transaction.write(self.due_key(lane, state), Vec::new());
        } else if !state.given_up {
            transaction.delete(self.lane_key(lane));
            return Ok(());
        }
        transaction.store(self.lane_key(lane), state)
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

    fn due_prefix(&self, has_failed: bool) -> Key {
        Key::table(self.due).number(has_failed.into())
    }

    fn due_key(&self, lane: &[u8], state: &LaneState) -> Vec<u8> {
        self.due_prefix(state.attempts > 0).number(state.due.0).bytes(lane).build()
    }

    fn entry_key(&self, lane: &[u8], number: u64) -> Vec<u8> {
        Key::table(self.entries).bytes(lane).number(number).build()
    }
}

/// A number that has nothing to do with the bytes but that they always make the same.
fn number_from(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn number_of(entry_key: &[u8]) -> Option<u64> {
    entry_key.last_chunk().copied().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
