//! A user's devices: registration, the list of them, and revocation by another one.
//!
//! A device registers one signature key for ever (D9). One that was revoked stays on record, so that
//! its name does not come back.

use openmls::prelude::SignatureScheme;
use serde::{Deserialize, Serialize};

use super::{deletion, inbox, key_packages, pseudonyms, socket::NOT_SIGNED_IN, user::table};
use crate::{
    config::Registration,
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, labels},
    object::Step,
    storage::{Key, Transaction, decode_row},
    time::UnixMillis,
    transport::{Effect, Response},
    wire::{
        DeviceList, DeviceRegistration, DeviceSummary, FromProvider, decode_exact, encode,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    /// RFC 8446's SignatureScheme.
    pub(super) signature_scheme: u16,
    /// The public key.
    pub(super) signature_key: Vec<u8>,
    /// When it was registered.
    registered_at: UnixMillis,
    /// When it was revoked, if it was.
    revoked_at: Option<UnixMillis>,
}

impl Device {
    /// Whether it is no longer one of the user's.
    pub(super) const fn is_revoked(&self) -> bool {
        self.revoked_at.is_some()
    }

    /// The public key.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.signature_key
    }

    fn has_the_key_of(&self, other: &Self) -> bool {
        (self.signature_scheme, &self.signature_key)
            == (other.signature_scheme, &other.signature_key)
    }
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

/// The device `client`, if it was ever registered.
pub(super) fn on_record(
    transaction: &Transaction<'_>,
    client: &ClientUri,
) -> Result<Option<Device>, InternalError> {
    transaction.load(&key(client))
}

/// The device `client`, if it is one of the user's.
pub(super) fn device(
    transaction: &Transaction<'_>,
    client: &ClientUri,
) -> Result<Option<Device>, InternalError> {
    Ok(on_record(transaction, client)?.filter(|device| !device.is_revoked()))
}

/// All devices of the user, by URI.
pub(super) fn devices(transaction: &Transaction<'_>) -> Result<Vec<ClientUri>, InternalError> {
    Ok(all(transaction)?.into_iter().map(|(client, _)| client).collect())
}

/// `GET devices`: all devices of the user, by URI.
pub(super) fn list(transaction: &Transaction<'_>) -> Result<DeviceList, InternalError> {
    let devices = all(transaction)?.into_iter().map(|(client, device)| DeviceSummary {
        client_uri: client.to_wire(),
        registered_at: device.registered_at.0,
    });
    Ok(DeviceList { devices: devices.collect() })
}

/// For the operator: the user and its devices.
pub(super) fn describe(transaction: &Transaction<'_>, user: &UserUri) -> Result<Response> {
    let devices = all(transaction)?.into_iter().map(|(client, device)| {
        serde_json::json!({ "device": client.as_str(), "since": device.registered_at.0 })
    });
    let devices: Vec<_> = devices.collect();
    Ok(Response::json(&serde_json::json!({ "user": user.as_str(), "devices": devices }))?)
}

fn all(transaction: &Transaction<'_>) -> Result<Vec<(ClientUri, Device)>, InternalError> {
    let prefix = Key::table(table::DEVICES).build();
    let mut devices = Vec::new();
    for (key, row) in transaction.scan(&prefix, &prefix, usize::MAX)? {
        // Table byte, length, text.
        let text = key.get(3..).and_then(|text| std::str::from_utf8(text).ok());
        let client = text.and_then(|text| ClientUri::parse(text).ok());
        let client = client.ok_or(InternalError::Storage("a device's key"))?;
        let device: Device = decode_row(&row)?;
        if !device.is_revoked() {
            devices.push((client, device));
        }
    }
    Ok(devices)
}

/// Whether `client` is a device of the user with the key of `device`.
pub(super) fn is_registered(
    transaction: &Transaction<'_>,
    client: &ClientUri,
    device: &Device,
) -> Result<bool, InternalError> {
    Ok(self::device(transaction, client)?.is_some_and(|known| known.has_the_key_of(device)))
}

/// Whether a device of the user has the key of `device`.
pub(super) fn is_key_of_one(
    transaction: &Transaction<'_>,
    device: &Device,
) -> Result<bool, InternalError> {
    Ok(all(transaction)?.iter().any(|(_, known)| known.has_the_key_of(device)))
}

/// Puts a device on record.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    client: &ClientUri,
    device: &Device,
) -> Result<(), InternalError> {
    transaction.store(key(client), device)
}

/// Whether the user exists: it has, or had, a device.
pub(super) fn exists(transaction: &Transaction<'_>) -> Result<bool, InternalError> {
    let prefix = Key::table(table::DEVICES).build();
    Ok(!transaction.scan(&prefix, &prefix, 1)?.is_empty())
}

/// `POST devices`: 201, the same again 200; 409 for another key (D9), a revoked device and one of a
/// deleted user (D19).
pub(super) fn register(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    user: &UserUri,
    body: &[u8],
    name: Name,
) -> Result<Registered> {
    let (client, new) = signed_key(step.now, crypto, labels::DEVICE, body)?;
    if client.user() != *user {
        return Err(ProtocolError::Malformed("client of another user").into());
    }
    if deletion::is_deleted(&step.transaction)? {
        return Err(ProtocolError::Conflict("the user was deleted").into());
    }
    match on_record(&step.transaction, &client)? {
        Some(known) if known.is_revoked() => {
            return Err(ProtocolError::Conflict("the device was revoked").into());
        }
        Some(known) if known.has_the_key_of(&new) => {
            return Ok(Registered::Now(Response::empty(200)));
        }
        Some(_) => return Err(ProtocolError::Conflict("the device has another key").into()),
        None if pseudonyms::has_form(user) => {
            let why = "a name for pseudonyms, which are asked for";
            return Err(ProtocolError::NotAllowed(why.into()).into());
        }
        None => {}
    }
    if step.config.registration == Registration::Closed {
        return Err(ProtocolError::NotAllowed("registration is closed".into()).into());
    }
    let known = devices(&step.transaction)?.len();
    if known >= step.config.limits.devices_per_user {
        return Err(ProtocolError::TooManyRequests.into());
    }
    // The two `mimi://` forms never meet; of the other form, a room may have the name.
    if let (0, Name::Unchecked, Ok(room)) = (known, name, RoomUri::parse(user.as_str())) {
        return Ok(Registered::UnlessRoom(room));
    }
    tell_all(step)?;
    store(&mut step.transaction, &client, &new)?;
    Ok(Registered::Now(Response::empty(201)))
}

/// The client in a registration, and the key that it names and is signed by, with this label.
pub(super) fn signed_key(
    now: UnixMillis,
    crypto: &MlsCrypto,
    label: &str,
    body: &[u8],
) -> Result<(ClientUri, Device)> {
    let DeviceRegistration { tbs, signature } = decode_exact(body)?;
    let client = ClientUri::from_wire(&tbs.client_uri)
        .map_err(|_| ProtocolError::Malformed("client URI"))?;
    let scheme = SignatureScheme::try_from(tbs.signature_scheme)
        .map_err(|_| ProtocolError::Malformed("signature scheme"))?;
    let signed_with = (scheme, tbs.signature_key.as_slice());
    let content = encode(&tbs)?;
    let algorithms = crypto.algorithms();
    if !labels::verifies_with_label(algorithms, signed_with, label, &content, signature.as_slice())
    {
        return Err(ProtocolError::Unauthenticated("signature").into());
    }
    let device = Device {
        signature_scheme: tbs.signature_scheme,
        signature_key: tbs.signature_key.as_slice().to_vec(),
        registered_at: now,
        revoked_at: None,
    };
    Ok((client, device))
}

/// `POST devices/{client}/revoke`, by a device: as [`revoke`].
///
/// # Errors
/// As [`revoke`]; `NotAllowed` for the device that asks.
pub(super) fn revoke_by(step: &mut Step<'_>, by: &ClientUri, client: &ClientUri) -> Result<()> {
    if by == client {
        let why = "a device is revoked by another one";
        return Err(ProtocolError::NotAllowed(why.into()).into());
    }
    revoke(step, client)
}

/// The device is no longer one of the user's. Its KeyPackages are not handed out any more, nothing waits
/// for it, its sockets are closed, and the pseudonyms that it had asked for are deleted; again has no
/// effect.
///
/// Its leaves are for the user's other devices to remove.
///
/// # Errors
/// `NotFound` for a device that never was.
pub(super) fn revoke(step: &mut Step<'_>, client: &ClientUri) -> Result<()> {
    let device = on_record(&step.transaction, client)?;
    let mut device = device.ok_or(ProtocolError::NotFound("device"))?;
    if device.is_revoked() {
        return Ok(());
    }
    device.revoked_at = Some(step.now);
    store(&mut step.transaction, client, &device)?;
    pseudonyms::delete_of(step, client)?;
    key_packages::withdraw(&mut step.transaction, client)?;
    inbox::acknowledge(&mut step.transaction, client, u64::MAX)?;
    dismiss(step, client.clone())?;
    tell_all(step)
}

/// Tells a device that it is no longer known, and closes its sockets.
pub(super) fn dismiss(step: &mut Step<'_>, device: ClientUri) -> Result<()> {
    let frame = encode(&FromProvider::Revoked)?;
    step.effect(Effect::Send { device: device.clone(), frame });
    step.effect(Effect::Disconnect { device, code: NOT_SIGNED_IN });
    Ok(())
}

/// Tells the user's devices that there are others now.
fn tell_all(step: &mut Step<'_>) -> Result<()> {
    let frame = encode(&FromProvider::DevicesChanged)?;
    for device in devices(&step.transaction)? {
        step.effect(Effect::Send { device, frame: frame.clone() });
    }
    Ok(())
}

fn key(client: &ClientUri) -> Vec<u8> {
    Key::table(table::DEVICES).text(client.as_str()).build()
}
