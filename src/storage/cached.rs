//! What was read of a storage, kept in memory.

use std::{cell::RefCell, collections::BTreeMap};

use super::{Row, Storage, Write};
use crate::error::InternalError;

/// Values up to this length are kept, in bytes.
const MOST_VALUE_BYTES: usize = 16 << 10;
/// Scans whose rows are up to this length together are kept, in bytes.
const MOST_SCAN_BYTES: usize = 256 << 10;
/// How many scans are kept.
const MOST_SCANS: usize = 64;
/// All that is kept, in bytes: then it begins anew.
const MOST_BYTES: usize = 1 << 20;

/// A storage that nobody else writes: what was read once, and what was written, is known.
///
/// When the storage takes back what it had applied, as a transaction around it that is rolled back does,
/// its owner drops this with it.
#[derive(Debug)]
pub struct Cached<S> {
    storage: S,
    known: RefCell<Known>,
}

#[derive(Debug, Default)]
struct Known {
    values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    scans: BTreeMap<Scan, Vec<Row>>,
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Scan {
    prefix: Vec<u8>,
    from: Vec<u8>,
    limit: usize,
}

impl<S> Cached<S> {
    /// Nothing is known yet.
    pub fn new(storage: S) -> Self {
        Self { storage, known: RefCell::default() }
    }
}

impl Known {
    fn keep_value(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.forget_value(key);
        let length = length_of(key, value);
        if length <= MOST_VALUE_BYTES {
            self.make_room(length);
            self.values.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        }
    }

    fn forget_value(&mut self, key: &[u8]) {
        if let Some(value) = self.values.remove(key) {
            self.bytes = self.bytes.saturating_sub(length_of(key, value.as_deref()));
        }
    }

    fn keep_scan(&mut self, scan: Scan, rows: &[Row]) {
        let length = scan.length(rows);
        if length <= MOST_SCAN_BYTES {
            if self.scans.len() >= MOST_SCANS {
                *self = Self::default();
            }
            self.make_room(length);
            self.scans.insert(scan, rows.to_vec());
        }
    }

    /// Scans that would see a change of this key.
    fn forget_scans(&mut self, key: &[u8]) {
        let bytes = &mut self.bytes;
        self.scans.retain(|scan, rows| {
            let stays = !key.starts_with(&scan.prefix);
            if !stays {
                *bytes = bytes.saturating_sub(scan.length(rows));
            }
            stays
        });
    }

    fn make_room(&mut self, length: usize) {
        if self.bytes.saturating_add(length) > MOST_BYTES {
            *self = Self::default();
        }
        self.bytes = self.bytes.saturating_add(length);
    }
}

impl Scan {
    fn length(&self, rows: &[Row]) -> usize {
        let rows = rows.iter().map(|(key, value)| length_of(key, Some(value)));
        rows.fold(length_of(&self.prefix, Some(&self.from)), usize::saturating_add)
    }
}

fn length_of(key: &[u8], value: Option<&[u8]>) -> usize {
    key.len().saturating_add(value.map_or(0, <[u8]>::len))
}

impl<S: Storage> Storage for Cached<S> {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError> {
        if let Some(value) = self.known.borrow().values.get(key) {
            return Ok(value.clone());
        }
        let value = self.storage.read(key)?;
        self.known.borrow_mut().keep_value(key, value.as_deref());
        Ok(value)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, InternalError> {
        let scan = Scan { prefix: prefix.to_vec(), from: from.to_vec(), limit };
        if let Some(rows) = self.known.borrow().scans.get(&scan) {
            return Ok(rows.clone());
        }
        let rows = self.storage.scan(prefix, from, limit)?;
        self.known.borrow_mut().keep_scan(scan, &rows);
        Ok(rows)
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        let known = self.known.get_mut();
        // Before: whatever comes of it, nothing stale stays.
        for Write { key, .. } in &writes {
            known.forget_value(key);
            known.forget_scans(key);
        }
        // Of a key that is written twice the last one counts.
        let last: BTreeMap<_, _> = writes.iter().map(|Write { key, value }| (key, value)).collect();
        let small: Vec<Write> = last
            .into_iter()
            .filter(|(key, value)| length_of(key, value.as_deref()) <= MOST_VALUE_BYTES)
            .map(|(key, value)| Write { key: key.clone(), value: value.clone() })
            .collect();
        self.storage.apply(writes)?;
        for Write { key, value } in small {
            known.keep_value(&key, value.as_deref());
        }
        Ok(())
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storage::MemoryStorage;

    #[derive(Debug, Clone)]
    enum Act {
        Read(Vec<u8>),
        Scan(Vec<u8>, Vec<u8>, usize),
        Apply(Vec<Write>),
    }

    /// Few keys, so that acts meet.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0_u8..3, 0..4)
    }

    fn act() -> impl Strategy<Value = Act> {
        let length = prop::sample::select(vec![0, 1, 100, MOST_VALUE_BYTES, 60_000]);
        let value = prop::option::of((any::<u8>(), length).prop_map(|(byte, n)| vec![byte; n]));
        let write = (key(), value).prop_map(|(key, value)| Write { key, value });
        prop_oneof![
            3 => key().prop_map(Act::Read),
            3 => (key(), key(), prop::sample::select(vec![0, 1, 2, usize::MAX]))
                .prop_map(|(prefix, from, limit)| Act::Scan(prefix, from, limit)),
            2 => prop::collection::vec(write, 0..4).prop_map(Act::Apply),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_says_what_the_storage_says(acts in prop::collection::vec(act(), 0..200)) {
            let mut plain = MemoryStorage::default();
            let mut cached = Cached::new(MemoryStorage::default());
            for act in acts {
                match act {
                    Act::Read(key) => {
                        prop_assert!(cached.read(&key).unwrap() == plain.read(&key).unwrap());
                    }
                    Act::Scan(prefix, from, limit) => {
                        let rows = cached.scan(&prefix, &from, limit).unwrap();
                        prop_assert!(rows == plain.scan(&prefix, &from, limit).unwrap());
                    }
                    Act::Apply(writes) => {
                        plain.apply(writes.clone()).unwrap();
                        cached.apply(writes).unwrap();
                    }
                }
                let known = cached.known.borrow();
                prop_assert!(known.bytes <= MOST_BYTES && known.scans.len() <= MOST_SCANS);
                let values = known.values.iter().map(|(key, value)| length_of(key, value.as_deref()));
                let scans = known.scans.iter().map(|(scan, rows)| scan.length(rows));
                prop_assert_eq!(known.bytes, values.chain(scans).sum::<usize>());
            }
        }
    }
}
