//! Rows in memory.

use std::{collections::BTreeMap, ops::Bound};

use super::{Row, Storage, Write};
use crate::error::InternalError;

/// A [`Storage`] that keeps its rows in memory, for tests and as a mirror of a browser's store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStorage {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryStorage {
    /// A storage that holds `rows`.
    pub fn with_rows(rows: impl IntoIterator<Item = Row>) -> Self {
        Self { rows: rows.into_iter().collect() }
    }

    /// All rows in key order.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// The last `limit` rows with `key` starting with `prefix` and `key < before`, in key order.
    /// `before` starts with `prefix` itself.
    #[must_use]
    pub fn scan_back(&self, prefix: &[u8], before: &[u8], limit: usize) -> Vec<Row> {
        let range = (Bound::Included(prefix), Bound::Excluded(before.max(prefix)));
        let rows = self.rows.range::<[u8], _>(range).rev().take(limit);
        let mut rows: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
        rows.reverse();
        rows
    }
}

impl Storage for MemoryStorage {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, InternalError> {
        let start = prefix.max(from);
        Ok(self
            .rows
            .range::<[u8], _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        for Write { key, value } in writes {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
        Ok(())
    }
}
