//! The proof that a request is a device's own: it signs each with the key that it registered.

use openmls::prelude::SignatureScheme;
use sha2::{Digest, Sha256};

use super::{deletion, devices, user::table};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, labels},
    object::Step,
    storage::{Key, Transaction},
    time::UnixMillis,
    wire::{DeviceAuth, DeviceRequestTbs, decode_exact, encode, uri::ClientUri},
};

/// How far the time of a signed request may be from ours, in milliseconds (D14).
const MAX_CLOCK_DIFFERENCE_MILLIS: u64 = 5 * 60 * 1000;
/// Nonces are kept in spans of this length, the current one and the one before it, in milliseconds.
const NONCE_SPAN_MILLIS: u64 = 10 * 60 * 1000;
/// The length of a nonce.
const NONCE_BYTES: usize = 16;
/// How many old nonces a request clears away: more than it adds.
const NONCES_CLEARED: usize = 8;

/// A request as it was signed.
pub(super) struct SignedRequest<'r> {
    /// The HTTP method.
    pub(super) method: &'r str,
    /// Path and query, as sent.
    pub(super) path: &'r str,
    /// The body.
    pub(super) body: &'r [u8],
}

/// The device that signed a request: a device of the user, now, and only once (D14).
///
/// # Errors
/// `DeviceRevoked` when it was revoked, or its user deleted; `Unauthenticated` otherwise (D21).
pub(super) fn authenticate(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    auth: &DeviceAuth,
    request: &SignedRequest<'_>,
) -> Result<ClientUri> {
    let refused = |reason| ProtocolError::Unauthenticated(reason);
    // That a device is registered says that it is this user's.
    let client = ClientUri::from_wire(&auth.client_uri).map_err(|_| refused("client URI"))?;
    if deletion::is_deleted(&step.transaction)? {
        return Err(ProtocolError::DeviceRevoked.into());
    }
    let device = devices::on_record(&step.transaction, &client)?;
    let device = device.ok_or(refused("unknown device"))?;
    let scheme = SignatureScheme::try_from(device.signature_scheme)
        .map_err(|_| InternalError::Storage("a device's signature scheme"))?;
    if step.now.0.abs_diff(auth.created) > MAX_CLOCK_DIFFERENCE_MILLIS {
        return Err(refused("time").into());
    }
    if auth.nonce.as_slice().len() != NONCE_BYTES {
        return Err(refused("nonce").into());
    }
    let content = encode(&DeviceRequestTbs {
        client_uri: auth.client_uri.clone(),
        created: auth.created,
        nonce: auth.nonce.clone(),
        method: request.method.as_bytes().into(),
        path: request.path.as_bytes().into(),
        body_hash: Sha256::digest(request.body).as_slice().into(),
    })?;
    if !labels::verifies_with_label(
        crypto.algorithms(),
        (scheme, &device.signature_key),
        labels::DEVICE_REQUEST,
        &content,
        auth.signature.as_slice(),
    ) {
        return Err(refused("signature").into());
    }
    if device.is_revoked() {
        return Err(ProtocolError::DeviceRevoked.into());
    }
    use_nonce(&mut step.transaction, &client, auth.nonce.as_slice(), step.now)?;
    Ok(client)
}

/// Decodes the `DeviceAuth` of an `Authorization` header.
pub(super) fn decode_auth(auth: &[u8]) -> Result<DeviceAuth, ProtocolError> {
    decode_exact(auth).map_err(|_| ProtocolError::Unauthenticated("authorization"))
}

/// Keeps a nonce for 10 to 20 minutes, which is longer than its request can be repeated.
fn use_nonce(
    transaction: &mut Transaction<'_>,
    client: &ClientUri,
    nonce: &[u8],
    now: UnixMillis,
) -> Result<()> {
    let span = now.0 / NONCE_SPAN_MILLIS;
    let oldest = span.saturating_sub(1);
    for span in [span, oldest] {
        if transaction.read(&nonce_key(span, client, nonce))?.is_some() {
            return Err(ProtocolError::Unauthenticated("nonce").into());
        }
    }
    let prefix = Key::table(table::NONCES).build();
    let end = Key::table(table::NONCES).number(oldest).build();
    let first = transaction.scan(&prefix, &prefix, 1)?.pop();
    if first.is_some_and(|(key, _)| key < end) {
        for (key, _) in transaction.scan(&prefix, &prefix, NONCES_CLEARED)? {
            if key < end {
                transaction.delete(key);
            }
        }
    }
    transaction.write(nonce_key(span, client, nonce), Vec::new());
    Ok(())
}

fn nonce_key(span: u64, client: &ClientUri, nonce: &[u8]) -> Vec<u8> {
    Key::table(table::NONCES).number(span).text(client.as_str()).bytes(nonce).build()
}
