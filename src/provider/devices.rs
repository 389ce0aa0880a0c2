//! A user's devices: registration and the list of them.
//!
//! A device registers one signature key for ever (D9).

use openmls::prelude::SignatureScheme;
use serde::{Deserialize, Serialize};

use super::{deletion, user::table};
use crate::{
    config::Registration,
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, labels},
    object::Step,
    storage::{Key, Transaction},
    transport::Response,
    wire::{
        DeviceRegistration, decode_exact, encode,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Most devices of one user.
const MAX_DEVICES: usize = 32;

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

/// `POST devices`: 201, the same again 200, another key 409 (D9), a deleted user's 409 (D19).
pub(super) fn register(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    user: &UserUri,
    body: &[u8],
    name: Name,
) -> Result<Registered> {
    let (client, new) = signed_registration(crypto, user, body)?;
    if deletion::is_deleted(&step.transaction)? {
        return Err(ProtocolError::Conflict("the user was deleted").into());
    }
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

/// The device in a registration that is signed by the key which it registers.
fn signed_registration(
    crypto: &MlsCrypto,
    user: &UserUri,
    body: &[u8],
) -> Result<(ClientUri, Device)> {
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
    let device = Device {
        signature_scheme: tbs.signature_scheme,
        signature_key: tbs.signature_key.as_slice().to_vec(),
    };
    Ok((client, device))
}

fn key(client: &ClientUri) -> Vec<u8> {
    Key::table(table::DEVICES).text(client.as_str()).build()
}
