//! KeyPackages of one device: made, listed, expired, deleted (D4).

use openmls::prelude::KeyPackageRef;
use openmls_traits::{OpenMlsProvider, storage::StorageProvider};
use serde::{Deserialize, Serialize};
use tls_codec::VLBytes;

use super::{Identity, rows::Rows};
use crate::{
    error::{InternalError, ProtocolError, Result, UsageError},
    mls::{
        self, MlsCrypto, MlsProvider,
        key_package::{
            KeyPackageKind, LIFETIME_DAYS, ValidKeyPackage, check_key_package, create_key_package,
        },
    },
    storage::{Key, Row, Transaction, Write, decode_row},
    time::UnixMillis,
    wire::{self, RequiredCapabilities},
};

const TABLE: u8 = b'k';

/// Which KeyPackages are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// How often each may be handed out.
    pub kind: KeyPackageKind,
    /// How many.
    pub count: u32,
    /// For how many days they are valid, at most 84 (D4).
    pub days: u32,
}

/// A KeyPackage whose private keys are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKeyPackage {
    /// Its KeyPackageRef.
    pub reference: Vec<u8>,
    /// How often it may be handed out.
    pub kind: KeyPackageKind,
    /// Until when it is valid.
    pub not_after: UnixMillis,
    /// Whether a Welcome was opened with it; one for single use is gone then.
    pub used: bool,
}

/// The KeyPackages of one device with their private keys.
#[derive(Debug, Default)]
pub struct KeyPackageStore {
    rows: Rows,
}

impl KeyPackageStore {
    /// The store that these rows are of.
    #[must_use]
    pub fn open(rows: Vec<Row>) -> Self {
        Self { rows: Rows::new(rows) }
    }

    /// Makes KeyPackages that are valid from an hour before `now` on; gives their bytes, without
    /// MLSMessage header.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when they are to be valid for no day, or longer than is accepted (D4).
    pub fn create(
        &mut self,
        identity: &Identity,
        crypto: &MlsCrypto,
        Wanted { kind, count, days }: Wanted,
        now: UnixMillis,
    ) -> Result<Vec<Vec<u8>>> {
        if !(1..=LIFETIME_DAYS).contains(&days) {
            return Err(UsageError::BadArgument("the days of a KeyPackage").into());
        }
        let mut transaction = self.rows.transaction();
        let mut made = Vec::new();
        for _ in 0..count {
            let ValidKeyPackage { bytes, reference, not_after, .. } = create_key_package(
                &MlsProvider::new(&mut transaction, crypto),
                identity.key_pair(),
                (identity.client(), identity.signature_key()),
                identity.suite()?,
                kind,
                mls::key_package_lifetime_of_days(now, days),
            )?;
            let stored = StoredKeyPackage { reference, kind, not_after, used: false };
            transaction.store(row(&stored.reference), &stored)?;
            made.push(bytes);
        }
        let changes = transaction.into_changes();
        self.rows.apply(changes)?;
        Ok(made)
    }

    /// All of them, by reference.
    ///
    /// # Errors
    /// [`InternalError::Storage`] when the rows are not a store's.
    pub fn list(&self) -> Result<Vec<StoredKeyPackage>, InternalError> {
        let prefix = Key::table(TABLE).build();
        let rows = self.rows.transaction().scan(&prefix, &prefix, usize::MAX)?;
        rows.iter().map(|(_, row)| decode_row(row)).collect()
    }

    /// Deletes the KeyPackage of this reference with its private keys: a Welcome for it cannot be opened
    /// any more. Nothing happens when there is none.
    ///
    /// # Errors
    /// [`InternalError::Storage`] when the rows are not a store's.
    pub fn delete(&mut self, reference: &[u8], crypto: &MlsCrypto) -> Result<()> {
        let mut transaction = self.rows.transaction();
        let key = row(reference);
        if transaction.read(&key)?.is_none() {
            return Ok(());
        }
        transaction.delete(key);
        let known: KeyPackageRef = wire::decode_exact(&wire::encode(&VLBytes::from(reference))?)?;
        let provider = MlsProvider::new(&mut transaction, crypto);
        provider.storage().delete_key_package(&known)?;
        let changes = transaction.into_changes();
        Ok(self.rows.apply(changes)?)
    }

    /// What changed since the last time: to be persisted before the KeyPackages are published.
    pub fn take_writes(&mut self) -> Vec<Write> {
        self.rows.take_changes()
    }

    /// A step over the store's rows.
    pub(super) fn transaction(&self) -> Transaction<'_> {
        self.rows.transaction()
    }

    /// Takes what a step that opened a Welcome changed here, and notes with which KeyPackage; gives what
    /// it changed elsewhere.
    pub(super) fn take_own(
        &mut self,
        changes: Vec<Write>,
        references: &[Vec<u8>],
    ) -> Result<Vec<Write>, InternalError> {
        let mut own = Vec::new();
        let mut others = Vec::new();
        for write in changes {
            if self.rows.has(&write.key)? { own.push(write) } else { others.push(write) }
        }
        let mut transaction = self.rows.transaction();
        for reference in references {
            let key = row(reference);
            match transaction.load::<StoredKeyPackage>(&key)? {
                Some(stored) if stored.kind == KeyPackageKind::LastResort => {
                    transaction.store(key, &StoredKeyPackage { used: true, ..stored })?;
                }
                Some(_) => transaction.delete(key),
                None => {}
            }
        }
        own.extend(transaction.into_changes());
        self.rows.apply(own)?;
        Ok(others)
    }
}

fn row(reference: &[u8]) -> Vec<u8> {
    Key::table(TABLE).bytes(reference).build()
}

/// Checks a KeyPackage of anybody (R29, R30): signatures, lifetime at `now`, cipher suite, credential.
///
/// # Errors
/// [`ProtocolError::Malformed`] when the bytes are none, [`ProtocolError::InvalidProposal`] when
/// something does not hold.
pub fn inspect_key_package(
    bytes: &[u8],
    crypto: &MlsCrypto,
    now: UnixMillis,
) -> Result<ValidKeyPackage, ProtocolError> {
    let key_package = wire::decode_exact(bytes)?;
    check_key_package(crypto.algorithms(), key_package, &RequiredCapabilities::default(), now)
}
