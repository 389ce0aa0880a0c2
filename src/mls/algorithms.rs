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
        Ok(Hpke::new(&config)?.derive_key_pair(seed))
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

/// Encrypts `data`; the tag is at the end.
fn aead_seal(
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
fn aead_open(
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

#[cfg(test)]
mod tests {
    use openmls_rust_crypto::RustCrypto;

    use super::*;

    /// Lengths around those of blocks, hashes and paddings, in bytes.
    const LENGTHS: [usize; 9] = [0, 1, 15, 16, 31, 32, 64, 65, 1000];

    fn text(length: usize) -> Vec<u8> {
        (0..=u8::MAX).cycle().skip(length).take(length).collect()
    }

    fn same<T: PartialEq + std::fmt::Debug>(ours: Result<T>, theirs: Result<T>) {
        assert_eq!(ours.unwrap(), theirs.unwrap());
    }

    #[test]
    fn hashes_and_derived_secrets_are_those_of_another_implementation() {
        let (ours, theirs) = (Algorithms, RustCrypto::default());
        for suite in ours.supported_ciphersuites() {
            let hash = suite.hash_algorithm();
            for length in LENGTHS {
                let data = text(length);
                same(ours.hash(hash, &data), theirs.hash(hash, &data));
                same(ours.hmac(hash, &data, b"message"), theirs.hmac(hash, &data, b"message"));
                same(ours.hmac(hash, b"key", &data), theirs.hmac(hash, b"key", &data));
                same(
                    ours.hkdf_extract(hash, &data, b"ikm"),
                    theirs.hkdf_extract(hash, &data, b"ikm"),
                );
                same(
                    ours.hkdf_extract(hash, b"salt", &data),
                    theirs.hkdf_extract(hash, b"salt", &data),
                );
                let prk = text(32);
                same(
                    ours.hkdf_expand(hash, &prk, &data, length),
                    theirs.hkdf_expand(hash, &prk, &data, length),
                );
            }
            for (prk, length) in [(text(31), 32), (text(32), 255 * 32 + 1)] {
                let refused = Err(CryptoError::HkdfOutputLengthInvalid);
                assert_eq!(ours.hkdf_expand(hash, &prk, b"", length), refused);
                assert_eq!(theirs.hkdf_expand(hash, &prk, b"", length), refused);
            }
        }
    }

    #[test]
    fn ciphertexts_are_those_of_another_implementation_and_are_opened_when_whole() {
        let (ours, theirs) = (Algorithms, RustCrypto::default());
        for suite in ours.supported_ciphersuites() {
            let aead = suite.aead_algorithm();
            let (key, nonce) = (text(suite.aead_key_length()), text(suite.aead_nonce_length()));
            for length in LENGTHS {
                let (data, aad) = (text(length), text(length / 2));
                let sealed = ours.aead_encrypt(aead, &key, &data, &nonce, &aad).unwrap();
                let theirs = theirs.aead_encrypt(aead, &key, &data, &nonce, &aad).unwrap();
                assert_eq!(sealed, theirs);
                let open = |sealed: &[u8], key: &[u8], nonce: &[u8], aad: &[u8]| {
                    ours.aead_decrypt(aead, key, sealed, nonce, aad)
                };
                assert_eq!(open(&sealed, &key, &nonce, &aad).unwrap(), data);

                let refused = Err(CryptoError::AeadDecryptionError);
                let mut other = sealed.clone();
                *other.last_mut().unwrap() ^= 1;
                assert_eq!(open(&other, &key, &nonce, &aad), refused);
                assert_eq!(open(&sealed[1..], &key, &nonce, &aad), refused);
                assert_eq!(open(&sealed, &key, &nonce, b"other"), refused);
                assert_eq!(open(&[], &key, &nonce, &aad), refused);
                let invalid = Err(CryptoError::InvalidLength);
                assert_eq!(open(&sealed, &key[1..], &nonce, &aad), invalid);
                assert_eq!(open(&sealed, &key, &nonce[1..], &aad), invalid);
            }
        }
    }

    #[test]
    fn the_other_implementation_has_every_suite_and_what_is_no_part_of_one_is_refused() {
        let ours = Algorithms;
        for suite in ours.supported_ciphersuites() {
            assert_eq!(RustCrypto::default().supports(suite), Ok(()));
            assert_eq!(ours.supports(suite), Ok(()));
        }
        let p521 = Ciphersuite::MLS_256_DHKEMP521_AES256GCM_SHA512_P521;
        assert_eq!(ours.supports(p521), Err(CryptoError::UnsupportedCiphersuite));
        let sha512 = ours.hash(HashType::Sha2_512, b"");
        assert_eq!(sha512, Err(CryptoError::UnsupportedHashAlgorithm));
        let aes256 = ours.aead_encrypt(AeadType::Aes256Gcm, &[0; 32], b"", &[0; 12], b"");
        assert_eq!(aes256, Err(CryptoError::UnsupportedAeadAlgorithm));
        let aes256 = ours.aead_decrypt(AeadType::Aes256Gcm, &[0; 32], &[0; 16], &[0; 12], b"");
        assert_eq!(aes256, Err(CryptoError::UnsupportedAeadAlgorithm));
    }
}
