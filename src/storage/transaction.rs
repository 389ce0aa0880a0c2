//! Writes that wait for the handler's `Ok`.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use super::{Row, Storage, Write};
use crate::error::InternalError;

/// A storage seen through the changes of one step.
///
/// Reads see the step's own writes. Nothing reaches the storage until the owner applies
/// [`Transaction::into_changes`], which it does only when the step ended well; dropping the
/// transaction drops the step.
pub struct Transaction<'s> {
    storage: &'s dyn Storage,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'s> Transaction<'s> {
    /// A step on `storage`.
    pub fn new(storage: &'s dyn Storage) -> Self {
        Self { storage, writes: BTreeMap::new() }
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.storage.read(key),
        }
    }

    /// At most `limit` rows with `from <= key` and `key` starting with `prefix`, in key order.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, InternalError> {
        let start = prefix.max(from);
        let own: Vec<_> = self
            .writes
            .range::<[u8], _>((std::ops::Bound::Included(start), std::ops::Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .collect();
        // At most `own.len()` of the stored rows can be deleted or replaced here.
        let stored = self.storage.scan(prefix, from, limit.saturating_add(own.len()))?;
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        for (key, value) in own {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    /// Sets the value under `key`.
    pub fn write(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    /// Deletes `key`.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// The value under `key`, decoded by postcard.
    ///
    /// # Errors
    /// When the storage fails or the row is not what [`Transaction::store`] wrote.
    pub fn load<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, InternalError> {
        self.read(key)?.as_deref().map(decode_row).transpose()
    }

    /// Sets the value under `key`, encoded by postcard.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    pub fn store<T: Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), InternalError> {
        let value = encode_row(value)?;
        self.write(key, value);
        Ok(())
    }

    /// Whether this step changes anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// What this step changes, in key order.
    #[must_use]
    pub fn into_changes(self) -> Vec<Write> {
        self.writes.into_iter().map(|(key, value)| Write { key, value }).collect()
    }
}

/// The value of a row, encoded by postcard.
///
/// # Errors
/// When the value cannot be encoded.
pub fn encode_row<T: Serialize>(value: &T) -> Result<Vec<u8>, InternalError> {
    postcard::to_allocvec(value).map_err(|_| InternalError::Codec("postcard"))
}

/// The value of a row that [`encode_row`] wrote.
///
/// # Errors
/// When the bytes are something else.
pub fn decode_row<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InternalError> {
    postcard::from_bytes(bytes).map_err(|_| InternalError::Storage("a row does not decode"))
}

/// The fields at the start of a row that [`encode_row`] wrote.
///
/// # Errors
/// When the bytes are something else.
pub fn decode_start<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InternalError> {
    postcard::take_from_bytes(bytes)
        .map(|(value, _)| value)
        .map_err(|_| InternalError::Storage("a row does not decode"))
}
