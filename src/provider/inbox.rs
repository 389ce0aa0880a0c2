//! A user's inbox, which holds the Welcomes of its devices, and the list of its rooms.
//!
//! A device sees the Welcomes that carry a KeyPackageRef of its own (R76). A Welcome stays until
//! every device that it is for has it.

use std::collections::BTreeSet;

use openmls::framing::{MlsMessageBodyIn, MlsMessageIn};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    devices,
    key_packages::{Issued, issued, note_welcome},
    user::{ratchet_tree_support, table},
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    object::Step,
    storage::{Key, Transaction, decode_row},
    transport::{Effect, Response, RoomFacts},
    wire::{
        EventPage, FanoutMessage, FromProvider, LogEvent, RoomList, RoomSummary, decode_exact,
        encode,
        uri::{ClientUri, RoomUri},
    },
};

/// Most events of one page.
const MAX_PAGE_EVENTS: usize = 256;
/// A page ends with the event that brings it to this size, in bytes.
const PAGE_BYTES: usize = 1 << 20;
/// How many rows are read at once.
const SCAN_ROWS: usize = 16;

/// A Welcome that somebody still has to fetch.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    room: RoomUri,
    message: Vec<u8>,
    /// Who has to, each with the position of the Welcome for it before this one.
    devices: Vec<(ClientUri, u64)>,
}

impl Stored {
    fn event_for(&self, device: &ClientUri, position: u64) -> Result<Option<LogEvent>> {
        let Some((_, previous)) = self.devices.iter().find(|(client, _)| client == device) else {
            return Ok(None);
        };
        Ok(Some(LogEvent {
            room_id: self.room.to_wire(),
            position,
            previous: *previous,
            message: decode_exact(&self.message)
                .map_err(|_| InternalError::Storage("a Welcome does not decode"))?,
        }))
    }
}

/// Takes in a Welcome for devices of this user. One that came before has no effect (D3), nor has one
/// for revoked devices alone, or for KeyPackages that are used up.
///
/// # Errors
/// `Malformed` when the message is no Welcome, `NotFound` when no KeyPackageRef in it is of this
/// user.
pub(super) fn deliver(step: &mut Step<'_>, room: &RoomUri, body: &[u8]) -> Result<Response> {
    let fanout: FanoutMessage = decode_exact(body)?;
    let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::clone(&fanout.message).extract() else {
        return Err(ProtocolError::Malformed("not a Welcome").into());
    };
    let hash =
        Sha256::new_with_prefix(Key::table(table::WELCOMES_SEEN).text(room.as_str()).build())
            .chain_update(body)
            .finalize();
    let known = devices::devices(&step.transaction)?;
    let mut is_for_user = false;
    let mut owners = BTreeSet::new();
    for secret in welcome.secrets() {
        let reference = secret.new_member();
        let reference = reference.as_slice();
        let Some(Issued { client, kind, .. }) = issued(&step.transaction, reference)? else {
            continue;
        };
        is_for_user = true;
        if known.contains(&client)
            && note_welcome(&mut step.transaction, reference, kind, room.domain(), &hash)?
        {
            owners.insert(client);
        }
    }
    if !is_for_user {
        return Err(ProtocolError::NotFound("no KeyPackage of this user").into());
    }
    if owners.is_empty() {
        return Ok(Response::empty(200));
    }

    let position = end(&step.transaction)?.saturating_add(1);
    step.transaction.store(vec![table::INBOX_END], &position)?;
    let mut devices = Vec::new();
    for client in owners {
        let last_key = Key::table(table::INBOX_LAST).text(client.as_str()).build();
        let previous = step.transaction.load(&last_key)?.unwrap_or(0);
        step.transaction.store(last_key, &position)?;
        devices.push((client, previous));
    }
    let stored = Stored { room: room.clone(), message: body.to_vec(), devices };
    step.transaction.store(key(position), &stored)?;
    for (device, _) in &stored.devices {
        if let Some(event) = stored.event_for(device, position)? {
            let frame = encode(&FromProvider::Inbox(event))?;
            step.effect(Effect::Send { device: device.clone(), frame });
        }
    }
    Ok(Response::empty(200))
}

/// The Welcomes for `device` after the position `after`.
pub(super) fn page(
    transaction: &Transaction<'_>,
    device: &ClientUri,
    after: u64,
) -> Result<EventPage> {
    let mut page =
        EventPage { events: Vec::new(), end: end(transaction)?, more: false, gap: false };
    let mut bytes = 0;
    let mut next = after.saturating_add(1);
    loop {
        let rows = transaction.scan(&[table::INBOX], &key(next), SCAN_ROWS)?;
        for (row_key, row) in &rows {
            let position = position_of(row_key);
            next = position.saturating_add(1);
            let stored: Stored = decode_row(row)?;
            let Some(event) = stored.event_for(device, position)? else { continue };
            if page.events.len() >= MAX_PAGE_EVENTS || bytes >= PAGE_BYTES {
                page.more = true;
                return Ok(page);
            }
            bytes += row.len();
            page.events.push(event);
        }
        if rows.len() < SCAN_ROWS {
            return Ok(page);
        }
    }
}

/// `device` has stored every Welcome for it up to `position`; those that nobody lacks are deleted.
pub(super) fn acknowledge(
    transaction: &mut Transaction<'_>,
    device: &ClientUri,
    position: u64,
) -> Result<(), InternalError> {
    let mut next = 0;
    loop {
        let rows = transaction.scan(&[table::INBOX], &key(next), SCAN_ROWS)?;
        for (row_key, row) in &rows {
            let this = position_of(row_key);
            if this > position {
                return Ok(());
            }
            next = this.saturating_add(1);
            let mut stored: Stored = decode_row(row)?;
            let waiting = stored.devices.len();
            stored.devices.retain(|(client, _)| client != device);
            if stored.devices.is_empty() {
                transaction.delete(row_key.clone());
            } else if stored.devices.len() < waiting {
                transaction.store(row_key.clone(), &stored)?;
            }
        }
        if rows.len() < SCAN_ROWS {
            return Ok(());
        }
    }
}

/// The user is in a room now, or no longer (D10).
pub(super) fn set_membership(
    transaction: &mut Transaction<'_>,
    room: &RoomUri,
    facts: Option<RoomFacts>,
) -> Result<(), InternalError> {
    let key = Key::table(table::ROOMS).text(room.as_str()).build();
    match facts {
        Some(facts) => transaction.store(key, &(room, facts)),
        None => {
            transaction.delete(key);
            Ok(())
        }
    }
}

/// The rooms of the user, with what they are like, by identifier.
pub(super) fn rooms(
    transaction: &Transaction<'_>,
) -> Result<Vec<(RoomUri, RoomFacts)>, InternalError> {
    let prefix = [table::ROOMS];
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    let mut rooms: Vec<(RoomUri, RoomFacts)> =
        rows.iter().map(|(_, row)| decode_row(row)).collect::<Result<_, _>>()?;
    rooms.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(rooms)
}

/// The same as devices are told it, with what is known of the rooms' hubs (D10).
pub(super) fn room_list(step: &Step<'_>) -> Result<RoomList, InternalError> {
    let mut list = RoomList { rooms: Vec::new() };
    for (room, RoomFacts { cipher_suite, profile }) in rooms(&step.transaction)? {
        let ratchet_tree = ratchet_tree_support(step, room.domain())?;
        let room_id = room.to_wire();
        list.rooms.push(RoomSummary { room_id, cipher_suite, profile, ratchet_tree });
    }
    Ok(list)
}

fn end(transaction: &Transaction<'_>) -> Result<u64, InternalError> {
    Ok(transaction.load(&[table::INBOX_END])?.unwrap_or(0))
}

fn key(position: u64) -> Vec<u8> {
    Key::table(table::INBOX).number(position).build()
}

fn position_of(key: &[u8]) -> u64 {
    key.last_chunk().copied().map_or(0, u64::from_be_bytes)
}
