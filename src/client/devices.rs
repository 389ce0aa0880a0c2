//! The user's devices: the list of them, revoking one, deleting the user (D9, D19).
//!
//! The own provider keeps the list. What is stored here is what it said last.

use serde::{Deserialize, Serialize};

use super::{
    Client, ErrorCode, Event, IntentId, RoomPhase,
    identity::Registration,
    intent,
    outlook::Outlook,
    request::{Request, Settled},
    step::Step,
    tables,
    task::Task,
};
use crate::{
    error::{Result, UsageError},
    storage::Transaction,
    time::UnixMillis,
    transport::Response,
    wire::{
        DeviceList, decode_exact,
        uri::{ClientUri, RoomUri},
    },
};

/// A device of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The client.
    pub client: ClientUri,
    /// When it was registered, by the provider's clock.
    pub registered_at: UnixMillis,
}

impl Client {
    /// The user's devices by identifier, this one among them, as the own provider said last.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn devices(&self) -> Result<Vec<Device>> {
        stored(&Transaction::new(&self.storage))
    }

    /// Asks the own provider for the list of the user's devices.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn refresh_devices(&mut self, now: UnixMillis) -> Result<()> {
        self.step(now, fetch)
    }

    /// Revokes another device of the user: the own provider knows it no more, and it is taken out of
    /// every room that this device is in. The result names the call in [`Event::AccountDone`] and
    /// [`Event::AccountFailed`].
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] for this device, and for one of another user.
    pub fn revoke_device(&mut self, device: &ClientUri, now: UnixMillis) -> Result<IntentId> {
        let own = &self.identity.client;
        if device == own || device.user() != own.user() {
            return Err(UsageError::BadArgument("not another device of the user").into());
        }
        self.step(now, |step| {
            let id = intent::new_id(step)?;
            step.enqueue(&Request::RevokeDevice(id, device.clone()))?;
            for room in step.rooms()? {
                if room.phase == RoomPhase::Joined && has_leaf(step, &room.uri, device)? {
                    intent::add(step, &room.uri, Task::RemoveDevice(device.clone()))?;
                }
            }
            Ok(id)
        })
    }

    /// Deletes the user at the own provider, with all its devices and for good (D19). It ends with
    /// [`Event::AccountDone`] and [`Event::Revoked`], or with [`Event::AccountFailed`].
    ///
    /// # Errors
    /// When the storage fails.
    pub fn delete_user(&mut self, now: UnixMillis) -> Result<IntentId> {
        self.step(now, |step| {
            let id = intent::new_id(step)?;
            step.enqueue(&Request::DeleteUser(id))?;
            Ok(id)
        })
    }
}

fn stored(transaction: &Transaction<'_>) -> Result<Vec<Device>> {
    Ok(transaction.load(&tables::devices())?.unwrap_or_default())
}

fn has_leaf(step: &mut Step<'_>, room: &RoomUri, device: &ClientUri) -> Result<bool> {
    let outlook = Outlook::of(&step.group(room)?)?;
    Ok(outlook.leaves_of(&device.user()).any(|(_, client)| client == device))
}

/// Asks for the list.
pub(super) fn fetch(step: &mut Step<'_>) -> Result<()> {
    if step.is_registered()? { Ok(step.enqueue(&Request::Devices)?) } else { Ok(()) }
}

/// The provider answered `GET devices`.
pub(super) fn listed(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    let list = match decode_exact::<DeviceList>(&response.body) {
        Ok(list) if response.is_success() => list,
        _ => return Ok(Settled::Delivered),
    };
    let user = step.identity.client.user();
    let devices = list
        .devices
        .iter()
        .filter_map(|device| {
            let client = ClientUri::from_wire(&device.client_uri).ok()?;
            let registered_at = UnixMillis(device.registered_at);
            (client.user() == user).then_some(Device { client, registered_at })
        })
        .collect();
    take_in(step, devices)?;
    Ok(Settled::Delivered)
}

/// These are the user's devices now.
fn take_in(step: &mut Step<'_>, devices: Vec<Device>) -> Result<()> {
    let known = stored(&step.transaction)?;
    if devices != known {
        step.transaction.store(tables::devices(), &devices)?;
        let (added, removed) = (missing(&devices, &known), missing(&known, &devices));
        step.emit(Event::DevicesChanged { added, removed });
    }
    Ok(())
}

/// The clients of `devices` that are not among `others`.
fn missing(devices: &[Device], others: &[Device]) -> Vec<ClientUri> {
    let is_there = |client: &ClientUri| others.iter().any(|other| other.client == *client);
    let clients = devices.iter().map(|device| &device.client);
    clients.filter(|client| !is_there(client)).cloned().collect()
}

/// The provider answered a revocation: whatever it said, its list says what holds now.
pub(super) fn revocation_answered(
    step: &mut Step<'_>,
    id: IntentId,
    device: &ClientUri,
    response: &Response,
) -> Result<Settled> {
    if response.is_success() {
        let mut devices = stored(&step.transaction)?;
        devices.retain(|known| known.client != *device);
        take_in(step, devices)?;
    }
    account_answered(step, id, response);
    fetch(step)?;
    Ok(Settled::Delivered)
}

/// The provider answered the deletion of the user.
pub(super) fn deletion_answered(
    step: &mut Step<'_>,
    id: IntentId,
    response: &Response,
) -> Result<Settled> {
    account_answered(step, id, response);
    if response.is_success() {
        revoked(step)?;
    }
    Ok(Settled::Delivered)
}

/// Tells what came of something that was asked for the account.
fn account_answered(step: &mut Step<'_>, id: IntentId, response: &Response) {
    step.emit(match response.status {
        _ if response.is_success() => Event::AccountDone { id },
        // Not a room: a device that the provider does not know.
        404 => Event::AccountFailed { id, code: ErrorCode::BadArgument },
        status => Event::AccountFailed { id, code: ErrorCode::of_status(status) },
    });
}

/// The provider says that this device is no more: nothing more is sent (D21).
pub(super) fn revoked(step: &mut Step<'_>) -> Result<()> {
    let mut account = step.account()?;
    if account.registration != Registration::Refused {
        account.registration = Registration::Refused;
        step.store_account(&account)?;
        step.emit(Event::Revoked);
    }
    Ok(())
}
