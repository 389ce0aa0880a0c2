//! The version of what an object stores: of its keys and of the values under them.
//!
//! It stands in a row of its own from the object's first change on. A later version of this program
//! that stores something in another way has a greater number, and turns rows of each earlier one
//! into its own; what is of a later version than this one is neither read nor changed.

use super::table;
use crate::{
    error::InternalError,
    storage::{Storage, Transaction, decode_row, encode_row},
};

/// The version that this program writes.
pub const STORAGE_VERSION: u32 = 1;

/// Whether what is stored is of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nobody has looked yet.
    Unknown,
    /// Nothing is stored: the first change says the version.
    Nothing,
    /// It is.
    Current,
}

impl Stored {
    /// Looks, unless it is known.
    ///
    /// # Errors
    /// [`InternalError::Storage`] when what is stored is of another version.
    pub(super) fn known(self, storage: &dyn Storage) -> Result<Self, InternalError> {
        if self != Self::Unknown {
            return Ok(self);
        }
        match storage.read(&[table::VERSION])? {
            Some(row) if decode_row::<u32>(&row)? == STORAGE_VERSION => Ok(Self::Current),
            Some(_) => Err(InternalError::Storage("rows of another version of this program")),
            None => Ok(Self::Nothing),
        }
    }

    /// Says the version with an object's first change.
    pub(super) fn say(self, transaction: &mut Transaction<'_>) -> Result<(), InternalError> {
        if self == Self::Nothing {
            transaction.write(vec![table::VERSION], encode_row(&STORAGE_VERSION)?);
        }
        Ok(())
    }
}
