//! Rows in memory, and what changed in them since the application last asked.

use std::collections::BTreeMap;

use crate::{
    error::InternalError,
    storage::{MemoryStorage, Row, Storage as _, Transaction, Write},
};

/// The rows of one group, or of one store of KeyPackages.
#[derive(Debug, Default)]
pub(super) struct Rows {
    storage: MemoryStorage,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Rows {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        Self { storage: MemoryStorage::with_rows(rows), changes: BTreeMap::new() }
    }

    /// A step over the rows.
    pub(super) fn transaction(&self) -> Transaction<'_> {
        Transaction::new(&self.storage)
    }

    /// Whether there is a row under `key`.
    pub(super) fn has(&self, key: &[u8]) -> Result<bool, InternalError> {
        Ok(self.storage.read(key)?.is_some())
    }

    /// Applies what a step changed.
    pub(super) fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        self.storage.apply(writes.clone())?;
        self.changes.extend(writes.into_iter().map(|Write { key, value }| (key, value)));
        Ok(())
    }

    /// Deletes all rows.
    pub(super) fn clear(&mut self) -> Result<(), InternalError> {
        let keys: Vec<_> = self.storage.rows().map(|(key, _)| key.to_vec()).collect();
        self.apply(keys.into_iter().map(|key| Write { key, value: None }).collect())
    }

    /// What changed since the last time, by key.
    pub(super) fn take_changes(&mut self) -> Vec<Write> {
        let changes = std::mem::take(&mut self.changes);
        changes.into_iter().map(|(key, value)| Write { key, value }).collect()
    }
}
