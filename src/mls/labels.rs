//! SignWithLabel and VerifyWithLabel (RFC 9420 §5.1.2) for what is signed outside MLS.

use openmls::{
    ciphersuite::signature::SignContent,
    prelude::{OpenMlsCrypto, SignatureScheme},
};
use openmls_traits::signatures::Signer;

use crate::{error::InternalError, wire};

/// The label of a `GroupInfoRequestTBS`.
pub const GROUP_INFO_REQUEST: &str = "GroupInfoRequestTBS";
/// The label of a device's registration.
pub const DEVICE: &str = "MimiDevice";
/// The label of a device's request for a pseudonym, by the key that the pseudonym is to have.
pub const PSEUDONYM: &str = "MimiPseudonym";
/// The label of a device's request.
pub const DEVICE_REQUEST: &str = "MimiDeviceRequest";

/// SignWithLabel(., `label`, `content`).
///
/// # Errors
/// [`InternalError`] when the key does not sign.
pub fn sign_with_label(
    signer: &impl Signer,
    label: &str,
    content: &[u8],
) -> Result<Vec<u8>, InternalError> {
    let content = wire::encode(&SignContent::new(label, content.into()))?;
    signer.sign(&content).map_err(|_| InternalError::Mls("signature"))
}

/// Whether `signature` is SignWithLabel(., `label`, `content`) by the key `public_key`.
#[must_use]
pub fn verifies_with_label(
    crypto: &impl OpenMlsCrypto,
    (scheme, public_key): (SignatureScheme, &[u8]),
    label: &str,
    content: &[u8],
    signature: &[u8],
) -> bool {
    wire::encode(&SignContent::new(label, content.into())).is_ok_and(|content| {
        crypto.verify_signature(scheme, &content, public_key, signature).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mls::{Algorithms, SignatureKeyPair};

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
        hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }

    /// RFC 8032 §7.1, test 1: the key pair of this seed.
    fn rfc_8032_key() -> SignatureKeyPair {
        SignatureKeyPair::from_raw(
            SignatureScheme::ED25519,
            bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
            bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        )
    }

    #[test]
    fn the_label_is_prefixed_and_framed() {
        let key = rfc_8032_key();
        let crypto = Algorithms;
        let public_key = (SignatureScheme::ED25519, key.public());
        let signature = sign_with_label(&key, DEVICE, b"content").unwrap();
        // SignContent, written by hand: opaque label<V> = "MLS 1.0 MimiDevice", opaque content<V>.
        let by_hand = b"\x12MLS 1.0 MimiDevice\x07content";
        assert_eq!(signature, key.sign(by_hand).unwrap());

        let verifies = |label, content: &[u8], signature: &[u8]| {
            verifies_with_label(&crypto, public_key, label, content, signature)
        };
        assert!(verifies(DEVICE, b"content", &signature));
        assert!(!verifies(DEVICE_REQUEST, b"content", &signature));
        assert!(!verifies(DEVICE, b"contend", &signature));
        assert!(!verifies(DEVICE, b"content", &signature[..63]));
        assert!(!verifies(DEVICE, b"content", &[]));
    }

    #[test]
    fn the_official_vectors_sign_and_verify() {
        let Ok(json) = std::fs::read("../shared/vectors/crypto-basics.json") else { return };
        let vectors: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let mut checked = 0;
        for vector in vectors.as_array().unwrap() {
            let suite = u16::try_from(vector["cipher_suite"].as_u64().unwrap()).unwrap();
            let Some(suite) = crate::mls::accepted_suite(suite) else { continue };
            let vector = &vector["sign_with_label"];
            let field = |name: &str| bytes(vector[name].as_str().unwrap());
            let label = vector["label"].as_str().unwrap();
            let (scheme, public_key) = (suite.signature_algorithm(), field("pub"));
            let crypto = Algorithms;
            let verifies = |signature: &[u8]| {
                let content = field("content");
                verifies_with_label(&crypto, (scheme, &public_key), label, &content, signature)
            };
            assert!(verifies(&field("signature")));
            let key = SignatureKeyPair::from_raw(scheme, field("priv"), public_key.clone());
            assert!(verifies(&sign_with_label(&key, label, &field("content")).unwrap()));
            checked += 1;
        }
        assert_eq!(checked, crate::room::codepoints::cipher_suite::ACCEPTED.len());
    }
}
