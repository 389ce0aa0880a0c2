//! Devices of ours that join a room by an external commit (draft, "Joining"; D7, R69, R81b).
//!
//! No Welcome comes here with a tree. What the follower starts from is the hub's answer to
//! `/groupInfo`, which passes through: it is kept until the Commit of its epoch arrives. That we
//! forwarded an external commit makes the room's notifications welcome before the room is known, and
//! the hub's success gives the device its leaf before the Commit comes around.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{LOG, Room, notify, table};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::credential::client_uri_of,
    object::Step,
    room::{Profile, app_sync::participant_list},
    room_log::Activity,
    storage::{Key, Transaction, decode_row},
    transport::Outcome,
    wire::{
        CommitBundle, GroupInfoResponse, RatchetTreeOption, RoomProfile, commit_outline,
        decode_exact, path_credential,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

use super::roster::{Leaf, leaves_of};

/// Leaves of a kept tree that go into one row.
const LEAVES_PER_ROW: usize = 1024;
/// Most epochs of which the hub's answer is kept at a time; several devices may be joining.
const MAX_STATES: usize = 4;

/// An external commit that was forwarded: unanswered, or answered success. One per device.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Join {
    /// The epoch that it ends.
    epoch: u64,
    body_hash: Vec<u8>,
    cipher_suite: u16,
    accepted: bool,
}

/// Names an external commit while the hub is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Forwarded {
    device: ClientUri,
    body_hash: Vec<u8>,
}

/// The group in one epoch, as the hub told a device of ours.
pub(super) struct State {
    /// The clients by leaf index.
    pub(super) leaves: Vec<Leaf>,
    /// Our users on the participant list, those who are banned left out.
    pub(super) participants: Vec<UserUri>,
    pub(super) profile: RoomProfile,
}

/// Checks an external commit of `device` as far as the hub cannot, and notes that it goes out.
///
/// # Errors
/// [`ProtocolError::NotAllowed`] when the new leaf is another client's (R64), or the device's user
/// is known not to be on the list in this epoch (R69, R90).
pub(super) fn expect(
    step: &mut Step<'_>,
    device: &ClientUri,
    commit: &[u8],
    bundle: &CommitBundle,
    body: &[u8],
) -> Result<Forwarded> {
    let joiner = path_credential(commit)?.and_then(|credential| client_uri_of(&credential).ok());
    if joiner.as_ref() != Some(device) {
        return Err(ProtocolError::NotAllowed("the leaf of another client".into()).into());
    }
    let epoch = commit_outline(commit)?.epoch;
    let current = Room::load(&step.transaction)?.and_then(|room| room.epoch);
    let activity = LOG.known_activity(&step.transaction, &device.user())?;
    if current == Some(epoch) && activity == Some(Activity::Inactive) {
        return Err(ProtocolError::NotAllowed("not an active participant".into()).into());
    }
    let body_hash = Sha256::digest(body).to_vec();
    let key = join_key(device);
    let earlier: Option<Join> = step.transaction.load(&key)?;
    // A repetition whose Commit has come around already has nothing to wait for (R67).
    let has_ended = current.is_some_and(|current| current > epoch);
    if !has_ended && earlier.is_none_or(|join| join.body_hash != body_hash) {
        let cipher_suite = bundle.group_info.ciphersuite().into();
        let join = Join { epoch, body_hash: body_hash.clone(), cipher_suite, accepted: false };
        step.transaction.store(key, &join)?;
    }
    Ok(Forwarded { device: device.clone(), body_hash })
}

/// The hub answered, or did not: after a refusal nothing is expected any more (R81b). When a later
/// epoch is known already, the Commit of a success is lost (D22).
///
/// # Errors
/// When the storage fails.
pub(super) fn settle(
    uri: &RoomUri,
    step: &mut Step<'_>,
    forwarded: &Forwarded,
    outcome: &Outcome,
) -> Result<()> {
    const UNDECIDED: [u16; 4] = [408, 421, 425, 429];
    let key = join_key(&forwarded.device);
    let join: Option<Join> = step.transaction.load(&key)?;
    // The Commit may have come around before the answer, or the device have sent another.
    let Some(join) = join.filter(|join| join.body_hash == forwarded.body_hash) else {
        return Ok(());
    };
    match outcome {
        Some(response) if response.is_success() => {
            step.transaction.store(key, &Join { accepted: true, ..join })?;
            let Some(mut room) = Room::load(&step.transaction)? else { return Ok(()) };
            let (epoch, end) = (room.epoch.unwrap_or(0), LOG.end(&step.transaction)?);
            if give_up(step, epoch, end)? {
                notify::mark_gap(uri, step, &mut room, end)?;
                room.store(&mut step.transaction)?;
            }
        }
        Some(response)
            if matches!(response.status, 400..=499) && !UNDECIDED.contains(&response.status) =>
        {
            step.transaction.delete(key);
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Something of `epoch` stands at `position` of the log: Commits of earlier epochs do not come any
/// more. Says whether one is lost by which the hub gave a device its leaf (D22). That device can see
/// `position`, so that it hears of the gap, and nothing after it until it has rejoined.
///
/// # Errors
/// When the storage fails.
pub(super) fn give_up(
    step: &mut Step<'_>,
    epoch: u64,
    position: u64,
) -> Result<bool, InternalError> {
    let mut is_lost = false;
    let prefix = [table::JOINS];
    for (key, row) in step.transaction.scan(&prefix, &prefix, usize::MAX)? {
        let join: Join = decode_row(&row)?;
        if !join.accepted || epoch <= join.epoch {
            continue;
        }
        is_lost = true;
        // Table byte, length, text.
        let device = key.get(3..).and_then(|text| str::from_utf8(text).ok());
        let device = device.and_then(|text| ClientUri::parse(text).ok());
        let device = device.ok_or(InternalError::Storage("the key of a join"))?;
        if !LOG.has_open_window(&step.transaction, &device)? {
            LOG.open_window(&mut step.transaction, &device, position.saturating_sub(1))?;
            LOG.close_window(&mut step.transaction, &device, position)?;
        }
        step.transaction.delete(key);
    }
    Ok(is_lost)
}

/// R69: whether the hub has given `device` a leaf by a Commit that has not come around yet.
///
/// # Errors
/// When the storage fails.
pub(super) fn is_accepted(
    transaction: &Transaction<'_>,
    device: &ClientUri,
) -> Result<bool, InternalError> {
    let join: Option<Join> = transaction.load(&join_key(device))?;
    Ok(join.is_some_and(|join| join.accepted))
}

/// R81b: the room that an external commit of ours may have led into.
///
/// # Errors
/// When the storage fails.
pub(super) fn expected_room(transaction: &Transaction<'_>) -> Result<Option<Room>, InternalError> {
    let prefix = [table::JOINS];
    let rows = transaction.scan(&prefix, &prefix, 1)?;
    let join: Option<Join> = rows.first().map(|(_, row)| decode_row(row)).transpose()?;
    Ok(join.map(|join| Room::new(join.cipher_suite)))
}

/// The device's external commit came around: the log says from here on that it is in the room.
pub(super) fn arrived(step: &mut Step<'_>, device: &ClientUri) {
    step.transaction.delete(join_key(device));
}

/// Keeps what the hub told a device of ours about the group, when the follower does not know it as
/// well. An answer that says nothing of the kind is the device's alone.
///
/// # Errors
/// When the storage fails.
pub(super) fn keep_state(
    uri: &RoomUri,
    step: &mut Step<'_>,
    body: &[u8],
) -> Result<(), InternalError> {
    let Ok(GroupInfoResponse::Success { group_info, ratchet_tree_option }) = decode_exact(body)
    else {
        return Ok(());
    };
    let RatchetTreeOption::Full(tree) = ratchet_tree_option else { return Ok(()) };
    let extensions = group_info.group_context().extensions();
    let (Ok(list), Ok(profile)) = (participant_list(extensions), Profile::of(extensions)) else {
        return Ok(());
    };
    let Ok(leaves) = leaves_of(&tree) else { return Ok(()) };
    let epoch = group_info.epoch().as_u64();
    let is_known = Room::load(&step.transaction)?
        .is_some_and(|room| room.leaves_known && room.epoch == Some(epoch));
    if is_known || group_info.group_id().as_slice() != uri.as_str().as_bytes() {
        return Ok(());
    }
    forget_states(step, |kept| kept == epoch)?;
    while epochs(&step.transaction)?.len() >= MAX_STATES {
        let oldest = epochs(&step.transaction)?.first().copied();
        forget_states(step, |kept| Some(kept) == oldest)?;
    }
    let own = &step.config.domain;
    let participants: Vec<_> = list.participants().filter(|user| user.domain() == own).collect();
    step.transaction.store(state_key(epoch), &(participants, RoomProfile::from(profile)))?;
    for (part, leaves) in leaves.chunks(LEAVES_PER_ROW).enumerate() {
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        step.transaction.store(leaves_key(epoch).number(part).build(), &leaves)?;
    }
    Ok(())
}

/// The group in `epoch`, if a device of ours was told. It and those before it are needed no more.
///
/// # Errors
/// When the storage fails.
pub(super) fn take_state(step: &mut Step<'_>, epoch: u64) -> Result<Option<State>, InternalError> {
    let state: Option<(Vec<UserUri>, RoomProfile)> = step.transaction.load(&state_key(epoch))?;
    let prefix = leaves_key(epoch).build();
    let mut leaves: Vec<Leaf> = Vec::new();
    for (_, row) in step.transaction.scan(&prefix, &prefix, usize::MAX)? {
        leaves.extend(decode_row::<Vec<Leaf>>(&row)?);
    }
    forget_states(step, |kept| kept <= epoch)?;
    Ok(state.map(|(participants, profile)| State { leaves, participants, profile }))
}

/// The epochs of which something is kept, in order.
fn epochs(transaction: &Transaction<'_>) -> Result<Vec<u64>, InternalError> {
    let prefix = [table::STATES];
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    Ok(rows
        .iter()
        .filter_map(|(key, _)| key.last_chunk())
        .map(|n| u64::from_be_bytes(*n))
        .collect())
}

fn forget_states(step: &mut Step<'_>, is_old: impl Fn(u64) -> bool) -> Result<(), InternalError> {
    for epoch in epochs(&step.transaction)?.into_iter().filter(|epoch| is_old(*epoch)) {
        step.transaction.delete(state_key(epoch));
        let prefix = leaves_key(epoch).build();
        for (key, _) in step.transaction.scan(&prefix, &prefix, usize::MAX)? {
            step.transaction.delete(key);
        }
    }
    Ok(())
}

fn join_key(device: &ClientUri) -> Vec<u8> {
    Key::table(table::JOINS).text(device.as_str()).build()
}

fn state_key(epoch: u64) -> Vec<u8> {
    Key::table(table::STATES).number(epoch).build()
}

fn leaves_key(epoch: u64) -> Key {
    Key::table(table::STATE_LEAVES).number(epoch)
}
