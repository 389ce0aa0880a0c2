//! openmls' provider, for the time of one call.

use openmls_traits::OpenMlsProvider;

use super::{Algorithms, MlsCrypto, MlsStorage};
use crate::storage::Transaction;

/// What openmls needs of a member: the step's transaction and the object's cryptography.
///
/// Made for a call or a few and dropped, so that the step has its transaction back.
#[derive(Debug)]
pub struct MlsProvider<'t, 's> {
    storage: MlsStorage<'t, 's>,
    crypto: &'t MlsCrypto,
}

impl<'t, 's> MlsProvider<'t, 's> {
    /// A provider over the tables of `transaction`.
    pub fn new(transaction: &'t mut Transaction<'s>, crypto: &'t MlsCrypto) -> Self {
        Self { storage: MlsStorage::new(transaction), crypto }
    }
}

impl<'t, 's> OpenMlsProvider for MlsProvider<'t, 's> {
    type CryptoProvider = Algorithms;
    type RandProvider = MlsCrypto;
    type StorageProvider = MlsStorage<'t, 's>;

    fn storage(&self) -> &Self::StorageProvider {
        &self.storage
    }

    fn crypto(&self) -> &Self::CryptoProvider {
        self.crypto.algorithms()
    }

    fn rand(&self) -> &Self::RandProvider {
        self.crypto
    }
}
