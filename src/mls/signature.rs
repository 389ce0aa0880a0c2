//! Signature keys of the schemes that rooms may have: Ed25519, and ECDSA over P-256 with SHA-256.

use ed25519_dalek::Signer as _;
use openmls_traits::{
    signatures::{Signer, SignerError},
    types::{CryptoError, SignatureScheme},
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::algorithms::system_random;

/// The length of a private key of either scheme, in bytes.
const PRIVATE_KEY_BYTES: usize = 32;
/// The length of an uncompressed point of P-256, in bytes.
const POINT_BYTES: usize = 65;
/// What an uncompressed point begins with (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

type Result<T> = core::result::Result<T, CryptoError>;

/// A signature key and its scheme. Its private part is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
pub struct SignatureKeyPair {
    private: Vec<u8>,
    public: Vec<u8>,
    scheme: SignatureScheme,
}

impl SignatureKeyPair {
    /// The pair of these keys, as MLS writes them: the private one as Ed25519's seed or P-256's
    /// scalar.
    #[must_use]
    pub const fn from_raw(scheme: SignatureScheme, private: Vec<u8>, public: Vec<u8>) -> Self {
        Self { private, public, scheme }
    }

    /// The public key, as MLS writes it.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The scheme.
    #[must_use]
    pub const fn signature_scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl Signer for SignatureKeyPair {
    fn sign(&self, payload: &[u8]) -> core::result::Result<Vec<u8>, SignerError> {
        sign(self.scheme, &self.private, payload).map_err(SignerError::CryptoError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl Drop for SignatureKeyPair {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

impl std::fmt::Debug for SignatureKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignatureKeyPair")
    }
}

/// A new key: private and public.
pub(super) fn generate(scheme: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut private = Zeroizing::new([0; PRIVATE_KEY_BYTES]);
    loop {
        system_random(&mut *private)?;
        match public_key(scheme, &private) {
            Ok(public) => return Ok((private.to_vec(), public)),
            // One number in 2^32 is no scalar of P-256.
            Err(CryptoError::InvalidLength) => {}
            Err(error) => return Err(error),
        }
    }
}

fn public_key(scheme: SignatureScheme, private: &[u8; PRIVATE_KEY_BYTES]) -> Result<Vec<u8>> {
    match scheme {
        SignatureScheme::ED25519 => {
            Ok(ed25519_dalek::SigningKey::from_bytes(private).verifying_key().to_bytes().into())
        }
        SignatureScheme::ECDSA_SECP256R1_SHA256 => {
            let key = p256_key(private)?;
            Ok(key.verifying_key().to_encoded_point(false).as_bytes().into())
        }
        _ => Err(CryptoError::UnsupportedSignatureScheme),
    }
}

/// Signs `data`.
pub(super) fn sign(scheme: SignatureScheme, private: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    let private: &[u8; PRIVATE_KEY_BYTES] =
        private.try_into().map_err(|_| CryptoError::SigningError)?;
    match scheme {
        SignatureScheme::ED25519 => {
            Ok(ed25519_dalek::SigningKey::from_bytes(private).sign(data).to_bytes().into())
        }
        SignatureScheme::ECDSA_SECP256R1_SHA256 => {
            let signature: p256::ecdsa::Signature = p256_key(private)?.sign(data);
            Ok(signature.to_der().as_bytes().into())
        }
        _ => Err(CryptoError::UnsupportedSignatureScheme),
    }
}

/// Verifies a signature of `data`.
pub(super) fn verify(
    scheme: SignatureScheme,
    public_key: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<()> {
    match scheme {
        SignatureScheme::ED25519 => {
            let key = ed25519_dalek::VerifyingKey::try_from(public_key)
                .map_err(|_| CryptoError::InvalidPublicKey)?;
            let signature = ed25519_dalek::Signature::try_from(signature);
            signature.and_then(|signature| key.verify_strict(data, &signature))
        }
        SignatureScheme::ECDSA_SECP256R1_SHA256 => {
            use p256::ecdsa::signature::Verifier;
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(p256_point(public_key)?)
                .map_err(|_| CryptoError::InvalidPublicKey)?;
            let signature = p256::ecdsa::Signature::from_der(signature);
            signature.and_then(|signature| key.verify(data, &signature))
        }
        _ => return Err(CryptoError::UnsupportedSignatureScheme),
    }
    .map_err(|_| CryptoError::InvalidSignature)
}

/// The bytes, when they can be a point of P-256 as MLS writes it: uncompressed.
fn p256_point(bytes: &[u8]) -> Result<&[u8]> {
    match bytes {
        [UNCOMPRESSED, ..] if bytes.len() == POINT_BYTES => Ok(bytes),
        _ => Err(CryptoError::InvalidPublicKey),
    }
}

fn p256_key(private: &[u8; PRIVATE_KEY_BYTES]) -> Result<p256::ecdsa::SigningKey> {
    p256::ecdsa::SigningKey::from_bytes(private.into()).map_err(|_| CryptoError::InvalidLength)
}

#[cfg(test)]
mod tests {
    use openmls_rust_crypto::RustCrypto;
    use openmls_traits::crypto::OpenMlsCrypto;

    use super::*;
    use crate::storage::{decode_row, encode_row};

    const SCHEMES: [SignatureScheme; 2] =
        [SignatureScheme::ED25519, SignatureScheme::ECDSA_SECP256R1_SHA256];

    #[test]
    fn another_implementation_verifies_what_is_signed_and_signs_what_is_verified() {
        let theirs = RustCrypto::default();
        for scheme in SCHEMES {
            let (private, public) = generate(scheme).unwrap();
            let signature = sign(scheme, &private, b"content").unwrap();
            assert_eq!(theirs.verify_signature(scheme, b"content", &public, &signature), Ok(()));
            // Both are deterministic (RFC 8032, RFC 6979).
            assert_eq!(theirs.sign(scheme, b"content", &private).unwrap(), signature);
            assert_eq!(verify(scheme, &public, b"content", &signature), Ok(()));
            let refused = Err(CryptoError::InvalidSignature);
            assert_eq!(verify(scheme, &public, b"contend", &signature), refused);
            assert_eq!(verify(scheme, &public, b"content", &signature[1..]), refused);
            let refused = Err(CryptoError::InvalidPublicKey);
            assert_eq!(verify(scheme, &public[1..], b"content", &signature), refused);
        }
    }

    #[test]
    fn a_key_of_another_length_or_scheme_does_not_sign() {
        for scheme in SCHEMES {
            assert_eq!(sign(scheme, &[1; 31], b""), Err(CryptoError::SigningError));
        }
        let unsupported = Err(CryptoError::UnsupportedSignatureScheme);
        assert_eq!(sign(SignatureScheme::ED448, &[1; 32], b""), unsupported);
        assert_eq!(generate(SignatureScheme::ED448).map(|_| ()), unsupported.map(|_: Vec<u8>| ()));
    }

    /// Devices have stored their keys in these bytes.
    #[test]
    fn a_stored_key_is_its_private_part_its_public_part_and_the_number_of_its_scheme() {
        let pair = SignatureKeyPair::from_raw(SignatureScheme::ED25519, vec![1, 2], vec![3]);
        let row = encode_row(&pair).unwrap();
        assert_eq!(row, [2, 1, 2, 1, 3, 3]);
        let again: SignatureKeyPair = decode_row(&row).unwrap();
        assert_eq!((again.private.as_slice(), again.public()), (&[1, 2][..], &[3][..]));
    }
}
