//! The algorithms of the cipher suites that rooms may have, and of no other: what a module does not
//! name, it need not carry.
//!
//! In scope: [`OpenMlsCrypto`] over RustCrypto and dalek. Out of scope: which suites are accepted
//! (`room::codepoints`).

use aes_gcm::Aes128Gcm;
use chacha20poly1305::{
    ChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use openmls_traits::{
    crypto::OpenMlsCrypto,
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig,
        HpkeKeyPair, KemOutput, SignatureScheme,
    },
};
use sha2::{Digest, Sha256};
use tls_codec::SecretVLBytes;

use super::{accepted_suite, hpke::Hpke, signature};
use crate::room::codepoints::cipher_suite;

/// The length of every AEAD's nonce, in bytes.
const NONCE_BYTES: usize = 12;
/// The length of an uncompressed point of P-256, in bytes.
const POINT_BYTES: usize = 65;
/// What an uncompressed point begins with (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

type Result<T> = core::result::Result<T, CryptoError>;

/// The algorithms. Their randomness is the platform's.
#[derive(Debug, Default, Clone, Copy)]
pub struct Algorithms;

impl OpenMlsCrypto for Algorithms {
    fn supports(&self, suite: Ciphersuite) -> Result<()> {
        match accepted_suite(suite.into()) {
            Some(_) => Ok(()),
            None => Err(CryptoError::UnsupportedCiphersuite),
        }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        cipher_suite::ACCEPTED.into_iter().filter_map(accepted_suite).collect()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes> {
        sha256_only(hash)?;
        Ok(Hkdf::<Sha256>::extract(Some(salt), ikm).0.as_slice().into())
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes> {
        sha256_only(hash)?;
        let hmac = <Hmac<Sha256> as Mac>::new_from_slice(key);
        let hmac = hmac.map_err(|_| CryptoError::InvalidLength)?.chain_update(message);
        Ok(hmac.finalize().into_bytes().as_slice().into())
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        length: usize,
    ) -> Result<SecretVLBytes> {
        sha256_only(hash)?;
        let invalid = |()| CryptoError::HkdfOutputLengthInvalid;
        let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| invalid(()))?;
        let mut output = vec![0; length];
        hkdf.expand(info, &mut output).map_err(|_| invalid(()))?;
        Ok(output.into())
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>> {
        sha256_only(hash)?;
        Ok(Sha256::digest(data).to_vec())
    }

    fn aead_encrypt(
        &self,
        algorithm: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        aead_seal(algorithm, key, nonce, aad, data)
    }

    fn aead_decrypt(
        &self,
        algorithm: AeadType,
        key: &[u8],
        ciphertext: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        aead_open(algorithm, key, nonce, aad, ciphertext)
    }

    fn signature_key_gen(&self, scheme: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>)> {
        signature::generate(scheme)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        public_key: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        signature::verify(scheme, public_key, data, signature)
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>> {
        signature::sign(scheme, key, data)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        public_key: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext> {
        Hpke::new(&config)?.seal(public_key, info, aad, plaintext)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        private_key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        Hpke::new(&config)?.open(input, private_key, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        public_key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<(KemOutput, ExporterSecret)> {
        Hpke::new(&config)?.send_export(public_key, info, exporter_context, length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        kem_output: &[u8],
        private_key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<ExporterSecret> {
        Hpke::new(&config)?.receive_export(kem_output, private_key, info, exporter_context, length)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, seed: &[u8]) -> Result<HpkeKeyPair> {
        Hpke::new(&config)?.derive_key_pair(seed)
    }
}

/// All accepted suites have SHA-256.
const fn sha256_only(hash: HashType) -> Result<()> {
    match hash {
        HashType::Sha2_256 => Ok(()),
        _ => Err(CryptoError::UnsupportedHashAlgorithm),
    }
}

/// Fills `bytes` with the platform's randomness.
pub(super) fn system_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::getrandom(bytes).map_err(|_| CryptoError::InsufficientRandomness)
}

/// The bytes, when they can be a point of P-256 as MLS and HPKE write it: uncompressed.
pub(super) fn p256_point(bytes: &[u8]) -> Result<&[u8]> {
    match bytes {
        [UNCOMPRESSED, ..] if bytes.len() == POINT_BYTES => Ok(bytes),
        _ => Err(CryptoError::InvalidPublicKey),
    }
}

/// Encrypts `data`; the tag is at the end.
pub(super) fn aead_seal(
    algorithm: AeadType,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    data: &[u8],
) -> Result<Vec<u8>> {
    let nonce = checked_nonce(nonce)?;
    let payload = Payload { msg: data, aad };
    let sealed = match algorithm {
        AeadType::Aes128Gcm => cipher::<Aes128Gcm>(key)?.encrypt(&nonce.into(), payload),
        AeadType::ChaCha20Poly1305 => {
            cipher::<ChaCha20Poly1305>(key)?.encrypt(&nonce.into(), payload)
        }
        AeadType::Aes256Gcm => return Err(CryptoError::UnsupportedAeadAlgorithm),
    };
    sealed.map_err(|_| CryptoError::CryptoLibraryError)
}

/// Decrypts what [`aead_seal`] has encrypted.
pub(super) fn aead_open(
    algorithm: AeadType,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>> {
    let nonce = checked_nonce(nonce)?;
    let payload = Payload { msg: ciphertext, aad };
    let opened = match algorithm {
        AeadType::Aes128Gcm => cipher::<Aes128Gcm>(key)?.decrypt(&nonce.into(), payload),
        AeadType::ChaCha20Poly1305 => {
            cipher::<ChaCha20Poly1305>(key)?.decrypt(&nonce.into(), payload)
        }
        AeadType::Aes256Gcm => return Err(CryptoError::UnsupportedAeadAlgorithm),
    };
    opened.map_err(|_| CryptoError::AeadDecryptionError)
}

fn cipher<C: KeyInit>(key: &[u8]) -> Result<C> {
    C::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)
}

fn checked_nonce(nonce: &[u8]) -> Result<[u8; NONCE_BYTES]> {
    nonce.try_into().map_err(|_| CryptoError::InvalidLength)
}
