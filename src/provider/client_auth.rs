//! A user's devices: registration, and the proof that a request is a device's own.
//!
//! A device registers one signature key for ever (D9) and signs every request with it.

use openmls::prelude::SignatureScheme;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::user::table;
use crate::{
    config::Registration,
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, labels},
    object::Step,
    storage::{Key, Transaction},
    time::UnixMillis,
    transport::Response,
    wire::{
        DeviceAuth, DeviceRegistration, DeviceRequestTbs, decode_exact, encode,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Most devices of one user.
const MAX_DEVICES: usize = 32;
/// How far the time of a signed request may be from ours, in milliseconds (D14).
const MAX_CLOCK_DIFFERENCE_MILLIS: u64 = 5 * 60 * 1000;
/// Nonces are kept in spans of this length, the current one and the one before it, in milliseconds.
const NONCE_SPAN_MILLIS: u64 = 10 * 60 * 1000;
/// The length of a nonce.
const NONCE_BYTES: usize = 16;
/// How many old nonces a request clears away: more than it adds.
const NONCES_CLEARED: usize = 8;

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    /// RFC 8446's SignatureScheme.
    pub(super) signature_scheme: u16,
    /// The public key.
    pub(super) signature_key: Vec<u8>,
}

/// What a registration comes to.
pub(super) enum Registered {
    /// It is decided.
    Now(Response),
    /// The user is new, and its name may be a room's (D15).
    UnlessRoom(RoomUri),
}

/// Whether somebody has already been asked about the name of a new user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// Not yet.
    Unchecked,
    /// It is no room's.
    Free,
}

/// The device `client`, if it is registered.
pub(super) fn device(
    transaction: &Transaction<'_>,
    client: &ClientUri,
) -> Result<Option<Device>, InternalError> {
    transaction.load(&key(client))
}

/// All devices of the user, by URI.
pub(super) fn devices(transaction: &Transaction<'_>) -> Result<Vec<ClientUri>, InternalError> {
    let prefix = Key::table(table::DEVICES).build();
    transaction
        .scan(&prefix, &prefix, usize::MAX)?
        .iter()
        .map(|(key, _)| {
            // Table byte, length, text.
            let text = key.get(3..).and_then(|text| std::str::from_utf8(text).ok());
            let client = text.and_then(|text| ClientUri::parse(text).ok());
            client.ok_or(InternalError::Storage("a device's key"))
        })
        .collect()
}

/// Whether the user exists: it has a device.
pub(super) fn exists(transaction: &Transaction<'_>) -> Result<bool, InternalError> {
    let prefix = Key::table(table::DEVICES).build();
    Ok(!transaction.scan(&prefix, &prefix, 1)?.is_empty())
}

/// `POST devices`: 201, the same again 200, another key 409 (D9).
pub(super) fn register(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    user: &UserUri,
    body: &[u8],
    name: Name,
) -> Result<Registered> {
    let DeviceRegistration { tbs, signature } = decode_exact(body)?;
    let client = ClientUri::from_wire(&tbs.client_uri)
        .map_err(|_| ProtocolError::Malformed("client URI"))?;
    if client.user() != *user {
        return Err(ProtocolError::Malformed("client of another user").into());
    }
    let scheme = SignatureScheme::try_from(tbs.signature_scheme)
        .map_err(|_| ProtocolError::Malformed("signature scheme"))?;
    let signed_with = (scheme, tbs.signature_key.as_slice());
    let content = encode(&tbs)?;
    let algorithms = crypto.algorithms();
    if !labels::verifies_with_label(
        algorithms,
        signed_with,
        labels::DEVICE,
        &content,
        signature.as_slice(),
    ) {
        return Err(ProtocolError::Unauthenticated("signature").into());
    }
    let new = Device {
        signature_scheme: tbs.signature_scheme,
        signature_key: tbs.signature_key.as_slice().to_vec(),
    };
    match device(&step.transaction, &client)? {
        Some(known) if known == new => return Ok(Registered::Now(Response::empty(200))),
        Some(_) => return Err(ProtocolError::Conflict("the device has another key").into()),
        None => {}
    }
    if step.config.registration == Registration::Closed {
        return Err(ProtocolError::NotAllowed("registration is closed".into()).into());
    }
    let known = devices(&step.transaction)?.len();
    if known >= MAX_DEVICES {
        return Err(ProtocolError::TooManyRequests.into());
    }
    // The two `mimi://` forms never meet; of the other form, a room may have the name.
    if let (0, Name::Unchecked, Ok(room)) = (known, name, RoomUri::parse(user.as_str())) {
        return Ok(Registered::UnlessRoom(room));
    }
    step.transaction.store(key(&client), &new)?;
    Ok(Registered::Now(Response::empty(201)))
}

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
/// `Unauthenticated` otherwise (D21).
pub(super) fn authenticate(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    auth: &DeviceAuth,
    request: &SignedRequest<'_>,
) -> Result<ClientUri> {
    let refused = |reason| ProtocolError::Unauthenticated(reason);
    // That a device is registered says that it is this user's.
    let client = ClientUri::from_wire(&auth.client_uri).map_err(|_| refused("client URI"))?;
    let device = device(&step.transaction, &client)?.ok_or(refused("unknown device"))?;
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
    for (key, _) in transaction.scan(&prefix, &prefix, NONCES_CLEARED)? {
        if key < end {
            transaction.delete(key);
        }
    }
    transaction.write(nonce_key(span, client, nonce), Vec::new());
    Ok(())
}

fn nonce_key(span: u64, client: &ClientUri, nonce: &[u8]) -> Vec<u8> {
    Key::table(table::NONCES).number(span).text(client.as_str()).bytes(nonce).build()
}

fn key(client: &ClientUri) -> Vec<u8> {
    Key::table(table::DEVICES).text(client.as_str()).build()
}
