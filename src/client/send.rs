//! Messages of this device: encrypted when their turn comes, the same bytes until the hub refuses
//! them, recognised when they come back (D12, R72).

use openmls::group::MlsGroup;
use serde::{Deserialize, Serialize};

use super::{
    Delivery, ErrorCode, Event, Message, MessageKey, RoomPhase,
    identity::hexadecimal,
    intent, leave,
    outlook::Outlook,
    request::{Lane, Request, Settled},
    room::{Room, hash, mls_error},
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, ProtocolError, Result, UsageError},
    mls::MlsCrypto,
    room::app_sync,
    storage::{decode_row, encode_row},
    time::UnixMillis,
    transport::Response,
    wire::{self, MAX_BODY_BYTES, SubmitMessageResponse, SubmitStatus, uri::RoomUri},
};

/// How many random bytes a message's key is made of.
const KEY_BYTES: usize = 16;
/// What encryption may add to a content, in bytes, with some to spare.
const OVERHEAD_BYTES: usize = 4 << 10;
/// Most encryptions of one message (D12).
const MOST_TRIES: u32 = 20;

/// A message of this device until its echo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outgoing {
    key: MessageKey,
    content: Vec<u8>,
    state: OutgoingState,
    /// How often it was encrypted for an epoch that had ended.
    tries: u32,
    /// The epoch that it has to be encrypted for at least.
    least_epoch: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum OutgoingState {
    /// Not encrypted.
    Queued,
    /// These bytes are what the hub gets.
    Encrypted { bytes: Vec<u8>, epoch: u64 },
    /// The hub took it; its timestamp is not known. By the hash of the bytes.
    Taken { hash: Vec<u8>, epoch: u64 },
    /// The hub took it, and the application knows. By the hash of the bytes.
    Accepted { hash: Vec<u8>, epoch: u64 },
}

/// What a message in the outbox comes to.
pub(super) enum Prepared {
    /// Send these bytes.
    Send(Vec<u8>),
    /// The room is not ready for it.
    Wait,
    /// There is nothing to send any more.
    Drop,
}

/// A key for a message.
pub(super) fn new_key(crypto: &MlsCrypto) -> Result<MessageKey> {
    Ok(hexadecimal(&crypto.random_bytes(KEY_BYTES)?))
}

/// Queues a message, unless there is one of this key.
pub(super) fn queue(
    step: &mut Step<'_>,
    room: &RoomUri,
    key: &str,
    content: Vec<u8>,
) -> Result<()> {
    if !is_key(key) {
        return Err(UsageError::BadArgument("the key of a message").into());
    }
    if load(step, room, key)?.is_some()
        || step.transaction.read(&tables::logged(room, key))?.is_some()
    {
        return Ok(());
    }
    step.room(room)?.ok_or(UsageError::RoomUnknown)?;
    if leave::is_asked_for(step, room)? {
        return Err(UsageError::BadState("this device is leaving").into());
    }
    if content.len() > MAX_BODY_BYTES - OVERHEAD_BYTES {
        return Err(ProtocolError::TooLarge.into());
    }
    let message = Outgoing {
        key: key.to_owned(),
        content,
        state: OutgoingState::Queued,
        tries: 0,
        least_epoch: 0,
    };
    step.transaction.store(tables::outgoing(room, key), &message)?;
    tell(step, room, &message, Delivery::Queued);
    Ok(step.enqueue(&Request::Submit(room.clone(), key.to_owned()))?)
}

/// Whether it is what [`new_key`] makes.
fn is_key(key: &str) -> bool {
    key.len() == 2 * KEY_BYTES
        && key.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The bytes to send for a message, encrypted now if they are not yet.
pub(super) fn prepare(step: &mut Step<'_>, uri: &RoomUri, key: &str) -> Result<Prepared> {
    let Some(mut message) = load(step, uri, key)? else { return Ok(Prepared::Drop) };
    let Some(room) = step.room(uri)? else {
        fail(step, uri, &message, ErrorCode::RoomUnknown);
        return Ok(Prepared::Drop);
    };
    match room.phase {
        RoomPhase::Joined => {}
        RoomPhase::Creating | RoomPhase::Joining => return Ok(Prepared::Wait),
        RoomPhase::Left => {
            fail(step, uri, &message, ErrorCode::NotAllowed);
            return Ok(Prepared::Drop);
        }
        RoomPhase::Gap => {
            fail(step, uri, &message, ErrorCode::Gap);
            return Ok(Prepared::Drop);
        }
        RoomPhase::Diverged => {
            fail(step, uri, &message, ErrorCode::Diverged);
            return Ok(Prepared::Drop);
        }
    }
    match message.state {
        OutgoingState::Encrypted { bytes, .. } => Ok(Prepared::Send(bytes)),
        OutgoingState::Taken { .. } | OutgoingState::Accepted { .. } => Ok(Prepared::Drop),
        OutgoingState::Queued => {
            let group = step.group(uri)?;
            let user = step.identity.client.user();
            if !app_sync::participant_list(group.extensions())?.is_participant(&user) {
                // R45: the hub would say so.
                fail(step, uri, &message, ErrorCode::NotAllowed);
                return Ok(Prepared::Drop);
            }
            let Some((bytes, epoch)) = encrypt(step, &room, group, &message)? else {
                return Ok(Prepared::Wait);
            };
            message.state = OutgoingState::Encrypted { bytes: bytes.clone(), epoch };
            step.transaction.store(tables::outgoing(uri, key), &message)?;
            tell(step, uri, &message, Delivery::Sending);
            Ok(Prepared::Send(bytes))
        }
    }
}

/// The MLSMessage and its epoch; nothing while the log has not brought the epoch that it needs, or
/// proposals wait for a commit.
fn encrypt(
    step: &mut Step<'_>,
    room: &Room,
    mut group: MlsGroup,
    message: &Outgoing,
) -> Result<Option<(Vec<u8>, u64)>> {
    let identity = step.identity;
    let epoch = group.epoch().as_u64();
    if epoch < message.least_epoch {
        return Ok(None);
    }
    if leave::is_asked_for(step, &room.uri)? {
        return Ok(None);
    }
    if group.has_pending_proposals() {
        intent::commit_pending(step, room, &Outlook::of(&group)?)?;
        return Ok(None);
    }
    let encrypted = group
        .create_message(&step.provider(), &identity.key_pair, &message.content)
        .map_err(mls_error("a message cannot be encrypted"))?;
    Ok(Some((wire::encode(&encrypted)?, epoch)))
}

/// The hub answered a message (R72).
pub(super) fn answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    key: &str,
    response: &Response,
) -> Result<Settled> {
    // Without it, the echo was faster.
    let Some(mut message) = load(step, uri, key)? else { return Ok(Settled::Delivered) };
    let OutgoingState::Encrypted { bytes, epoch } = &message.state else {
        return Ok(Settled::Delivered);
    };
    let (hash, epoch) = (hash(bytes), *epoch);
    let status = wire::decode_exact::<SubmitMessageResponse>(&response.body)
        .ok()
        .map(|answer| answer.status);
    match (status, response.is_success()) {
        (Some(SubmitStatus::Accepted(at)), true) => {
            message.state = OutgoingState::Accepted { hash, epoch };
            tell(step, uri, &message, Delivery::Accepted { at: UnixMillis(at) });
        }
        (_, true) => message.state = OutgoingState::Taken { hash, epoch },
        (Some(SubmitStatus::EpochTooOld(current)), false) => {
            return too_old(step, uri, message, current.max(epoch + 1));
        }
        (None, false) if response.status == 409 => {
            return too_old(step, uri, message, epoch + 1);
        }
        (_, false) => {
            let code = match status {
                Some(SubmitStatus::NotAllowed) => ErrorCode::NotAllowed,
                _ => ErrorCode::of_status(response.status),
            };
            fail(step, uri, &message, code);
            return Ok(Settled::Delivered);
        }
    }
    step.transaction.store(tables::outgoing(uri, key), &message)?;
    Ok(Settled::Delivered)
}

/// D12: to be encrypted again, once the log has brought the epoch.
fn too_old(
    step: &mut Step<'_>,
    uri: &RoomUri,
    mut message: Outgoing,
    least_epoch: u64,
) -> Result<Settled> {
    message.tries += 1;
    if message.tries >= MOST_TRIES {
        fail(step, uri, &message, ErrorCode::EpochTooOld);
        return Ok(Settled::Delivered);
    }
    message.state = OutgoingState::Queued;
    message.least_epoch = least_epoch;
    step.transaction.store(tables::outgoing(uri, &message.key), &message)?;
    if let Some(mut room) = step.room(uri)? {
        room.fetch(step)?;
        step.store_room(&room)?;
    }
    Ok(Settled::Later(None))
}

/// Whether the message of this hash is one of this device; if so, it is accepted at that time (D12).
pub(super) fn echoed(
    step: &mut Step<'_>,
    uri: &RoomUri,
    message_hash: &[u8],
    position: u64,
    accepted_at: UnixMillis,
) -> Result<bool> {
    for message in all(step, uri)? {
        let (epoch, announced) = match &message.state {
            OutgoingState::Encrypted { bytes, epoch } if hash(bytes) == message_hash => {
                (*epoch, false)
            }
            OutgoingState::Taken { hash, epoch } if hash == message_hash => (*epoch, false),
            OutgoingState::Accepted { hash, epoch } if hash == message_hash => (*epoch, true),
            _ => continue,
        };
        if !announced {
            tell(step, uri, &message, Delivery::Accepted { at: accepted_at });
        }
        step.transaction.delete(tables::outgoing(uri, &message.key));
        step.transaction.store(tables::logged(uri, &message.key), &position)?;
        let sender = step.identity.client.clone();
        let Outgoing { key, content, .. } = message;
        let message =
            Message { room: uri.clone(), key, sender, epoch, accepted_at, position, content };
        step.transaction.store(tables::history(uri, position), &message)?;
        return Ok(true);
    }
    Ok(false)
}

/// The room is in another epoch: what waited for it may go.
pub(super) fn epoch_changed(step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
    let lane = encode_row(&Lane::Messages(room.clone()))?;
    Ok(step.outbox.wake(&mut step.transaction, &lane, step.now)?)
}

/// Every message that the hub has not taken is given up.
pub(super) fn give_up_all(step: &mut Step<'_>, room: &RoomUri, code: ErrorCode) -> Result<()> {
    for message in all(step, room)? {
        if matches!(message.state, OutgoingState::Queued | OutgoingState::Encrypted { .. }) {
            fail(step, room, &message, code);
        }
    }
    Ok(())
}

/// Tells the application where a message is.
fn tell(step: &mut Step<'_>, room: &RoomUri, message: &Outgoing, state: Delivery) {
    let (key, content) = (message.key.clone(), message.content.clone());
    step.emit(Event::Delivery { room: room.clone(), key, content, state });
}

fn fail(step: &mut Step<'_>, room: &RoomUri, message: &Outgoing, code: ErrorCode) {
    step.transaction.delete(tables::outgoing(room, &message.key));
    let state = Delivery::Failed { code, retryable: code == ErrorCode::EpochTooOld };
    tell(step, room, message, state);
}

fn load(step: &Step<'_>, room: &RoomUri, key: &str) -> Result<Option<Outgoing>, InternalError> {
    step.transaction.load(&tables::outgoing(room, key))
}

fn all(step: &Step<'_>, room: &RoomUri) -> Result<Vec<Outgoing>, InternalError> {
    let prefix = tables::all_outgoing(room);
    let rows = step.transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.iter().map(|(_, row)| decode_row(row)).collect()
}
