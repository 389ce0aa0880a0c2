//! Who a device is: its client and its signature key.

use openmls::prelude::Ciphersuite;
use serde::{Deserialize, Serialize};

use crate::{
    error::{InternalError, Result, UsageError},
    mls::{self, MlsCrypto, SignatureKeyPair, entry::Entrant},
    storage::{decode_row, encode_row},
    wire::uri::ClientUri,
};

/// The version of [`Identity::save`].
const VERSION: u8 = 1;

/// A client, the key that it signs with, and the cipher suite of its groups and KeyPackages.
#[derive(Debug, Serialize, Deserialize)]
pub struct Identity {
    client: ClientUri,
    key_pair: SignatureKeyPair,
    suite: u16,
}

impl Identity {
    /// A client with a new key.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when rooms of this cipher suite are not accepted.
    pub fn create(client: ClientUri, suite: u16, crypto: &MlsCrypto) -> Result<Self> {
        let key_pair = crypto.signature_key_pair(accepted(suite)?)?;
        Ok(Self { client, key_pair, suite })
    }

    /// The identity that [`Self::save`] gave.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when the bytes are none, [`UsageError::StorageNewer`] when they are of
    /// a newer version.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        const NONE: UsageError = UsageError::BadArgument("not an identity");
        match bytes.split_first() {
            Some((&VERSION, row)) => {
                let identity: Self = decode_row(row).map_err(|_| NONE)?;
                accepted(identity.suite)?;
                Ok(identity)
            }
            Some((version, _)) if *version > VERSION => Err(UsageError::StorageNewer.into()),
            _ => Err(NONE.into()),
        }
    }

    /// The identity with its private key.
    ///
    /// # Errors
    /// [`InternalError::Codec`] never in practice.
    pub fn save(&self) -> Result<Vec<u8>, InternalError> {
        Ok([&[VERSION], encode_row(self)?.as_slice()].concat())
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &ClientUri {
        &self.client
    }

    /// The public signature key.
    #[must_use]
    pub fn signature_key(&self) -> &[u8] {
        self.key_pair.public()
    }

    /// The cipher suite, by its number.
    #[must_use]
    pub const fn suite_number(&self) -> u16 {
        self.suite
    }

    pub(super) const fn key_pair(&self) -> &SignatureKeyPair {
        &self.key_pair
    }

    pub(super) const fn entrant(&self) -> Entrant<'_> {
        Entrant { client: &self.client, key_pair: &self.key_pair }
    }

    pub(super) fn suite(&self) -> Result<Ciphersuite> {
        accepted(self.suite)
    }
}

fn accepted(suite: u16) -> Result<Ciphersuite> {
    Ok(mls::accepted_suite(suite).ok_or(UsageError::BadArgument("the cipher suite"))?)
}
