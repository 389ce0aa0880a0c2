//! Bytes under keys, read in key order, written in one step.
//!
//! The same on both sides: a Durable Object keeps the rows in SQLite, a browser in IndexedDB, tests
//! in a [`MemoryStorage`]. A key is a table byte followed by big-endian parts; each role lists its
//! tables in one place.

mod cached;
mod memory;
mod transaction;

pub use cached::Cached;
pub use memory::MemoryStorage;
pub use transaction::{Transaction, decode_row, decode_start, encode_row};

use crate::error::InternalError;

/// Largest value of a row, in bytes: a Durable Object takes rows of up to 2 MB with their keys.
pub const MAX_VALUE_BYTES: usize = 2_000_000 - 1024;

/// One change: the new value of a key, or its deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Vec<u8>,
    /// The new value; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

/// One row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// A place that keeps rows.
pub trait Storage {
    /// The value under `key`.
    ///
    /// # Errors
    /// When the storage fails.
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError>;

    /// At most `limit` rows with `from <= key` and `key` starting with `prefix`, in key order.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, InternalError>;

    /// Applies all writes, or none.
    ///
    /// # Errors
    /// When the storage fails; then nothing was written.
    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError>;
}

/// Builds a key: a table byte and its parts, so that keys of one table sort by their parts.
///
/// `text` and `bytes` parts carry their length (two bytes, big-endian), numbers eight bytes.
#[derive(Debug, Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key of the table `table`.
    #[must_use]
    pub fn table(table: u8) -> Self {
        Self(vec![table])
    }

    /// Adds bytes. A part longer than 65,535 bytes is cut there; identifiers are far shorter.
    #[must_use]
    pub fn bytes(mut self, part: &[u8]) -> Self {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend(part.iter().take(usize::from(length)));
        self
    }

    /// Adds text.
    #[must_use]
    pub fn text(self, part: &str) -> Self {
        self.bytes(part.as_bytes())
    }

    /// Adds a number that sorts by its value.
    #[must_use]
    pub fn number(mut self, part: u64) -> Self {
        self.0.extend_from_slice(&part.to_be_bytes());
        self
    }

    /// The key's bytes.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        self.0
    }
}
