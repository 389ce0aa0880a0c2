//! How a device proves to its provider that a request is its own (D14, D21).

use sha2::{Digest, Sha256};

use super::identity::Identity;
use crate::{
    error::InternalError,
    mls::{MlsCrypto, labels},
    time::UnixMillis,
    transport::Method,
    wire::{self, DeviceAuth, DeviceRequestTbs},
};

/// How many random bytes make a request unlike any other.
const NONCE_BYTES: usize = 16;

/// The proof for one request; `path` with its query, as sent.
pub(super) fn prove(
    identity: &Identity,
    crypto: &MlsCrypto,
    method: Method,
    path: &str,
    body: &[u8],
    now: UnixMillis,
) -> Result<DeviceAuth, InternalError> {
    let tbs = DeviceRequestTbs {
        client_uri: identity.client.to_wire(),
        created: now.0,
        nonce: crypto.random_bytes(NONCE_BYTES)?.into(),
        method: method.name().as_bytes().into(),
        path: path.as_bytes().into(),
        body_hash: Sha256::digest(body).to_vec().into(),
    };
    let signature =
        labels::sign_with_label(&identity.key_pair, labels::DEVICE_REQUEST, &wire::encode(&tbs)?)?;
    let DeviceRequestTbs { client_uri, created, nonce, .. } = tbs;
    Ok(DeviceAuth { client_uri, created, nonce, signature: signature.into() })
}
