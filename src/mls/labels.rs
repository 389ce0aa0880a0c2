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
