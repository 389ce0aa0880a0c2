//! Cryptography and randomness, one of each per object.

use std::cell::Cell;

use openmls::prelude::{Ciphersuite, OpenMlsRand};
use openmls_traits::{crypto::OpenMlsCrypto, types::CryptoError};
use sha2::{Digest, Sha256};

use super::{
    algorithms::{Algorithms, system_random},
    signature::SignatureKeyPair,
};
use crate::error::InternalError;

/// The cryptography of one object. It asks for randomness when it needs some: at start, some edge
/// runtimes have none yet.
#[derive(Debug, Default)]
pub struct MlsCrypto {
    random: Random,
}

#[derive(Debug, Default)]
enum Random {
    /// The platform's.
    #[default]
    System,
    /// SHA-256 of seed and counter.
    Seeded { seed: [u8; 32], counter: Cell<u64> },
}

impl MlsCrypto {
    /// Cryptography with the platform's randomness.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cryptography whose randomness follows from `seed`, as far as openmls asks the object for it.
    /// For tests: whoever knows the seed knows the keys.
    #[must_use]
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self { random: Random::Seeded { seed, counter: Cell::new(0) } }
    }

    /// The algorithms.
    #[must_use]
    pub const fn algorithms(&self) -> &Algorithms {
        &Algorithms
    }

    /// A new signature key for `suite`.
    ///
    /// # Errors
    /// [`InternalError::Mls`] when there is no randomness.
    pub fn signature_key_pair(
        &self,
        suite: Ciphersuite,
    ) -> Result<SignatureKeyPair, InternalError> {
        let scheme = suite.signature_algorithm();
        let (private, public) = self
            .algorithms()
            .signature_key_gen(scheme)
            .map_err(|_| InternalError::Mls("signature key"))?;
        Ok(SignatureKeyPair::from_raw(scheme, private, public))
    }

    /// `length` random bytes.
    ///
    /// # Errors
    /// [`InternalError::Mls`] when there is no randomness.
    pub fn random_bytes(&self, length: usize) -> Result<Vec<u8>, InternalError> {
        self.random_vec(length).map_err(|_| InternalError::Mls("randomness"))
    }
}

impl OpenMlsRand for MlsCrypto {
    type Error = CryptoError;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], CryptoError> {
        let bytes = self.random_vec(N)?;
        bytes.try_into().map_err(|_| CryptoError::InsufficientRandomness)
    }

    fn random_vec(&self, length: usize) -> Result<Vec<u8>, CryptoError> {
        match &self.random {
            Random::System => {
                let mut bytes = vec![0; length];
                system_random(&mut bytes)?;
                Ok(bytes)
            }
            Random::Seeded { seed, counter } => {
                let mut bytes = Vec::with_capacity(length + 32);
                while bytes.len() < length {
                    let number = counter.replace(counter.get() + 1);
                    let block = Sha256::new_with_prefix(seed).chain_update(number.to_be_bytes());
                    bytes.extend_from_slice(&block.finalize());
                }
                bytes.truncate(length);
                Ok(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_reproduces_and_does_not_repeat() {
        let (first, second) = (MlsCrypto::seeded([7; 32]), MlsCrypto::seeded([7; 32]));
        let bytes = first.random_bytes(100).unwrap();
        assert_eq!(bytes, second.random_bytes(100).unwrap());
        assert_ne!(bytes, first.random_bytes(100).unwrap());
        assert_ne!(bytes, MlsCrypto::seeded([8; 32]).random_bytes(100).unwrap());
    }
}
