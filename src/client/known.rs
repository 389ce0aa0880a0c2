//! The users of this device's rooms and their devices, as the leaves show them: the baseline from which
//! changes are told, each once, also those that came while this device was away.

use openmls::group::MlsGroup;

use super::{
    Event, RoomPhase,
    safety_number::KnownDevice,
    step::{self, Step},
    tables, verification,
};
use crate::{
    error::{InternalError, Result},
    mls::credential::client_uri_of,
    room::app_sync,
    sorted::{SortedMap, SortedSet},
    storage::{Transaction, decode_row, encode_row},
    wire::uri::{RoomUri, UserUri},
};

/// The users of a room: those on its list and those with a leaf, with their devices.
pub(super) type Known = SortedMap<UserUri, SortedSet<KnownDevice>>;

fn of(group: &MlsGroup) -> Result<Known> {
    let list = app_sync::participant_list(group.extensions())?;
    let mut known: Known = list.iter().map(|(user, _)| (user.clone(), SortedSet::new())).collect();
    for member in group.members() {
        let client = client_uri_of(&member.credential)
            .map_err(|_| InternalError::Mls("a leaf names no client"))?;
        let device = KnownDevice { client, signature_key: member.signature_key };
        let user = device.client.user();
        known.change(user, |devices| {
            devices.insert(device);
        });
    }
    Ok(known)
}

/// What is known in each of the rooms that this device is in.
pub(super) fn in_rooms(transaction: &Transaction<'_>) -> Result<Vec<(RoomUri, Known)>> {
    let mut all = Vec::new();
    for room in step::rooms(transaction)? {
        if room.phase == RoomPhase::Joined
            && let Some(known) = transaction.load(&tables::known(&room.uri))?
        {
            all.push((room.uri, known));
        }
    }
    Ok(all)
}

/// The group has another state, or this device has come into it.
pub(super) fn room_changed(step: &mut Step<'_>, room: &RoomUri, group: &MlsGroup) -> Result<()> {
    let (key, now) = (tables::known(room), of(group)?);
    let (stored, row) = (step.transaction.read(&key)?, encode_row(&now)?);
    if stored.as_ref() == Some(&row) {
        return Ok(());
    }
    let before: Known = stored.map_or_else(|| Ok(Known::new()), |row| decode_row(&row))?;
    step.transaction.write(key, row);
    let own = step.identity.client.user();
    let mut users: SortedSet<&UserUri> = before.keys().chain(now.keys()).collect();
    users.retain(|user| **user != own && before.get(user) != now.get(user));
    if users.is_empty() {
        return Ok(());
    }
    let mut others = in_rooms(&step.transaction)?;
    others.retain(|(other, _)| other != room);
    for user in users {
        let elsewhere = others.iter().filter_map(|(_, known)| known.get(user));
        let was = union(elsewhere.clone().chain(before.get(user)));
        let is = union(elsewhere.chain(now.get(user)));
        compare(step, user, was, is)?;
    }
    Ok(())
}

/// All devices of a user; `None` when no room has the user.
fn union<'k>(
    in_rooms: impl Iterator<Item = &'k SortedSet<KnownDevice>>,
) -> Option<SortedSet<KnownDevice>> {
    in_rooms.fold(None, |all, devices| {
        let mut all: SortedSet<KnownDevice> = all.unwrap_or_default();
        all.extend(devices.iter().cloned());
        Some(all)
    })
}

/// A user whose devices were `was` has these now.
fn compare(
    step: &mut Step<'_>,
    user: &UserUri,
    was: Option<SortedSet<KnownDevice>>,
    is: Option<SortedSet<KnownDevice>>,
) -> Result<()> {
    let was = match was {
        Some(was) => Some(was),
        None => verification::verified_devices(&step.transaction, user)?,
    };
    let (Some(was), Some(is)) = (was, is) else { return Ok(()) };
    let missing = |from: &SortedSet<KnownDevice>, others: &SortedSet<KnownDevice>| {
        from.difference(others).map(|device| device.client.clone()).collect::<Vec<_>>()
    };
    let (added, removed) = (missing(&is, &was), missing(&was, &is));
    if added.is_empty() && removed.is_empty() {
        return Ok(());
    }
    verification::devices_seen(step, user, &is)?;
    step.emit(Event::UserDevicesChanged { user: user.clone(), added, removed });
    Ok(())
}

/// This device is out of the room: what it knew there holds no longer, and nobody has changed.
pub(super) fn room_left(step: &mut Step<'_>, room: &RoomUri) {
    step.transaction.delete(tables::known(room));
}

/// Takes note of the rooms of which nothing is known yet, without a word: their storage is older than
/// this knowledge.
pub(super) fn complete(step: &mut Step<'_>) -> Result<()> {
    for room in step.rooms()? {
        let key = tables::known(&room.uri);
        if room.phase == RoomPhase::Joined && step.transaction.read(&key)?.is_none() {
            let known = of(&step.group(&room.uri)?)?;
            step.transaction.store(key, &known)?;
        }
    }
    Ok(())
}
