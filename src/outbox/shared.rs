//! Entries that go to several lanes: one row for each, whatever the number of lanes.
//!
//! The row holds the entry and the lanes that do not have it yet, and goes with the last of them.
//! Which lanes wait for what is memory, read from the rows when it is needed first.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use crate::{
    error::InternalError,
    sorted::SortedMap,
    storage::{Key, Transaction, decode_row},
};

type Result<T> = core::result::Result<T, InternalError>;

/// The numbers of the entries that wait in each lane, in order; no lane is empty.
type Waiting = SortedMap<Vec<u8>, Vec<u64>>;

/// The shared entries of an outbox.
#[derive(Debug)]
pub(super) struct Shared {
    table: u8,
    waiting: RefCell<Option<Waiting>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    lanes: Vec<Vec<u8>>,
    entry: Vec<u8>,
}

impl Shared {
    pub(super) const fn new(table: u8) -> Self {
        Self { table, waiting: RefCell::new(None) }
    }

    /// What is known in memory may not be what is stored: a transaction did not end well.
    pub(super) fn forget(&mut self) {
        self.waiting = RefCell::new(None);
    }

    /// Puts an entry at the end of these lanes; its number is larger than those before it.
    pub(super) fn enqueue(
        &self,
        transaction: &mut Transaction<'_>,
        lanes: Vec<Vec<u8>>,
        number: u64,
        entry: Vec<u8>,
    ) -> Result<()> {
        self.with(transaction, |waiting| {
            for lane in &lanes {
                waiting.change(lane.clone(), |numbers| numbers.push(number));
            }
        })?;
        transaction.store(self.key(number), &Row { lanes, entry })
    }

    /// The first of these lanes that are `free`: the one whose entry waits for the longest time.
    pub(super) fn next_lane(
        &self,
        transaction: &Transaction<'_>,
        is_free: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>> {
        self.with(transaction, |waiting| {
            let free = waiting.iter().filter(|(lane, _)| is_free(lane));
            free.min_by_key(|(_, numbers)| numbers.first().copied()).map(|(lane, _)| lane.clone())
        })
    }

    /// The lanes that have entries here, and the number of each one's first.
    pub(super) fn heads(&self, transaction: &Transaction<'_>) -> Result<Vec<(Vec<u8>, u64)>> {
        self.with(transaction, |waiting| {
            let heads = waiting.iter().filter_map(|(lane, numbers)| {
                numbers.first().map(|number| (lane.clone(), *number))
            });
            heads.collect()
        })
    }

    /// The lanes that have entries here, and how many.
    pub(super) fn counts(&self, transaction: &Transaction<'_>) -> Result<Vec<(Vec<u8>, usize)>> {
        self.with(transaction, |waiting| {
            waiting.iter().map(|(lane, numbers)| (lane.clone(), numbers.len())).collect()
        })
    }

    /// At most `limit` entries at the head of a lane, with their numbers.
    pub(super) fn entries(
        &self,
        transaction: &Transaction<'_>,
        lane: &[u8],
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>> {
        let numbers = self.numbers(transaction, lane)?;
        let entry = |number: u64| Ok((number, self.row(transaction, number)?.entry));
        numbers.into_iter().take(limit).map(entry).collect()
    }

    /// The lane has its entries up to number `last`, and in any case the first. Says whether it had any.
    pub(super) fn remove(
        &self,
        transaction: &mut Transaction<'_>,
        lane: &[u8],
        last: u64,
    ) -> Result<bool> {
        let numbers = self.numbers(transaction, lane)?;
        let count = numbers.iter().take_while(|number| **number <= last).count().max(1);
        for number in numbers.iter().take(count) {
            let mut row = self.row(transaction, *number)?;
            row.lanes.retain(|other| other != lane);
            if row.lanes.is_empty() {
                transaction.delete(self.key(*number));
            } else {
                transaction.store(self.key(*number), &row)?;
            }
        }
        let left = numbers.get(count..).unwrap_or_default().to_vec();
        self.with(transaction, |waiting| {
            if left.is_empty() {
                waiting.remove(lane);
            } else {
                waiting.insert(lane.to_vec(), left);
            }
        })?;
        Ok(!numbers.is_empty())
    }

    fn numbers(&self, transaction: &Transaction<'_>, lane: &[u8]) -> Result<Vec<u64>> {
        self.with(transaction, |waiting| waiting.get(lane).cloned().unwrap_or_default())
    }

    fn row(&self, transaction: &Transaction<'_>, number: u64) -> Result<Row> {
        let row = transaction.load(&self.key(number))?;
        row.ok_or(InternalError::Storage("a shared entry is gone"))
    }

    fn with<T>(
        &self,
        transaction: &Transaction<'_>,
        act: impl FnOnce(&mut Waiting) -> T,
    ) -> Result<T> {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(waiting) = waiting.as_mut() {
            return Ok(act(waiting));
        }
        let mut read = Waiting::new();
        let prefix = [self.table];
        for (key, row) in transaction.scan(&prefix, &prefix, usize::MAX)? {
            let number = super::number_of(&key);
            let number = number.ok_or(InternalError::Storage("the key of a shared entry"))?;
            for lane in decode_row::<Row>(&row)?.lanes {
                read.change(lane, |numbers| numbers.push(number));
            }
        }
        Ok(act(waiting.insert(read)))
    }

    fn key(&self, number: u64) -> Vec<u8> {
        Key::table(self.table).number(number).build()
    }
}
