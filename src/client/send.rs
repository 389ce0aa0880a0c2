//! Messages of this device: encrypted when their turn comes, the same bytes until the hub refuses
//! them, recognised when they come back (D12, R72). One that is given up is kept until the
//! application says what is to become of it.

use openmls::group::MlsGroup;

use super::{
    Client, ErrorCode, Event, Message, MessageKey, RoomPhase, history,
    identity::hexadecimal,
    intent, leave,
    outgoing::{self, Encrypted, Outgoing, OutgoingState},
    outlook::Outlook,
    request::{Lane, Request, Settled},
    room::{Room, hash, mls_error},
    step::Step,
};
use crate::{
    error::{ProtocolError, Result, UsageError},
    room::app_sync,
    storage::encode_row,
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

impl Client {
    /// Queues a message under a new key, which names it from now on.
    ///
    /// # Errors
    /// Those of [`Client::send_as`].
    pub fn send(
        &mut self,
        room: &RoomUri,
        content: Vec<u8>,
        now: UnixMillis,
    ) -> Result<MessageKey> {
        self.step(now, |step| {
            let key = new_key(step)?;
            queue(step, room, &key, content)?;
            Ok(key)
        })
    }

    /// Queues a message under a key of the caller's: 32 lowercase hexadecimal digits, of which 128 bits
    /// are random. Whoever does not know whether the call was heard makes it again: nothing is done
    /// when this device has such a message in the room, wherever that is by now.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when the key is none, [`UsageError::RoomUnknown`];
    /// [`UsageError::BadState`] when this device is leaving (R57); `TooLarge` for a content that no hub
    /// takes (D18).
    pub fn send_as(
        &mut self,
        room: &RoomUri,
        key: &str,
        content: Vec<u8>,
        now: UnixMillis,
    ) -> Result<()> {
        self.step(now, |step| queue(step, room, key, content))
    }

    /// Takes a message back, and says whether that was in time: then the hub has certainly not had it,
    /// and it is gone. One that was handed out by [`Client::poll_request`] is on its way.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn cancel_message(&mut self, room: &RoomUri, key: &str, now: UnixMillis) -> Result<bool> {
        self.step(now, |step| match outgoing::load(step, room, key)? {
            Some(message) if message.is_here_alone() => {
                message.take_back(step, room)?;
                Ok(true)
            }
            Some(_) => Ok(false),
            // The same call again.
            None => Ok(outgoing::is_taken_back(step, room, key)?),
        })
    }

    /// Forgets a message that was given up. If it had no answer before that, others may have it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn discard_message(&mut self, room: &RoomUri, key: &str, now: UnixMillis) -> Result<()> {
        self.step(now, |step| match outgoing::load(step, room, key)? {
            Some(message) if message.is_given_up() => Ok(message.take_back(step, room)?),
            _ => Ok(()),
        })
    }

    /// Sends a message again that was given up, after those that wait; others are left alone.
    ///
    /// # Errors
    /// [`UsageError::BadState`] when this device is leaving (R57).
    pub fn retry_message(&mut self, room: &RoomUri, key: &str, now: UnixMillis) -> Result<()> {
        self.step(now, |step| {
            let Some(mut message) = outgoing::load(step, room, key)? else { return Ok(()) };
            let OutgoingState::Failed { unanswered, .. } = message.state else { return Ok(()) };
            require_staying(step, room)?;
            // The hub answers bytes that it has taken as it did then (R67); others would be a second
            // message.
            message.state = unanswered.map_or(OutgoingState::Queued, OutgoingState::Encrypted);
            message.number = intent::new_id(step)?;
            message.tries = 0;
            fetch_log(step, room)?;
            enqueue(step, room, &message)
        })
    }
}

/// A key for a message.
fn new_key(step: &Step<'_>) -> Result<MessageKey> {
    Ok(hexadecimal(&step.crypto.random_bytes(KEY_BYTES)?))
}

/// Whether it is what [`new_key`] makes.
fn is_key(key: &str) -> bool {
    key.len() == 2 * KEY_BYTES
        && key.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Queues a message, unless there is one of this key.
fn queue(step: &mut Step<'_>, room: &RoomUri, key: &str, content: Vec<u8>) -> Result<()> {
    if !is_key(key) {
        return Err(UsageError::BadArgument("the key of a message").into());
    }
    if outgoing::is_known(step, room, key)? {
        return Ok(());
    }
    step.room(room)?.ok_or(UsageError::RoomUnknown)?;
    require_staying(step, room)?;
    if content.len() > MAX_BODY_BYTES - OVERHEAD_BYTES {
        return Err(ProtocolError::TooLarge.into());
    }
    let message = Outgoing::new(step, key, content)?;
    enqueue(step, room, &message)
}

/// R57: who leaves sends nothing more.
fn require_staying(step: &Step<'_>, room: &RoomUri) -> Result<()> {
    if leave::is_asked_for(step, room)? {
        return Err(UsageError::BadState("this device is leaving").into());
    }
    Ok(())
}

fn enqueue(step: &mut Step<'_>, room: &RoomUri, message: &Outgoing) -> Result<()> {
    message.store_and_tell(step, room)?;
    Ok(step.enqueue(&Request::Submit(room.clone(), message.key.clone()))?)
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

/// The bytes to send for a message, encrypted now if they are not yet.
pub(super) fn prepare(step: &mut Step<'_>, uri: &RoomUri, key: &str) -> Result<Prepared> {
    let Some(mut message) = outgoing::load(step, uri, key)? else { return Ok(Prepared::Drop) };
    if !message.waits_for_the_hub() {
        return Ok(Prepared::Drop);
    }
    let unanswered = message.unanswered().cloned();
    let room = step.room(uri)?;
    let code = match room.as_ref().map(|room| room.phase) {
        Some(RoomPhase::Joined) => None,
        Some(RoomPhase::Creating | RoomPhase::Joining) => return Ok(Prepared::Wait),
        Some(RoomPhase::Left) => Some(ErrorCode::NotAllowed),
        Some(RoomPhase::Gap) => Some(ErrorCode::Gap),
        Some(RoomPhase::Diverged) => Some(ErrorCode::Diverged),
        None => Some(ErrorCode::RoomUnknown),
    };
    let (None, Some(room)) = (code, room) else {
        message.fail(step, uri, code.unwrap_or(ErrorCode::RoomUnknown), unanswered)?;
        return Ok(Prepared::Drop);
    };
    if let Some(Encrypted { bytes, .. }) = unanswered {
        return Ok(Prepared::Send(bytes));
    }
    let group = step.group(uri)?;
    if !app_sync::participant_list(group.extensions())?.is_participant(&step.identity.client.user())
    {
        // R45: the hub would say so.
        message.fail(step, uri, ErrorCode::NotAllowed, None)?;
        return Ok(Prepared::Drop);
    }
    let Some(encrypted) = encrypt(step, &room, group, &message)? else {
        return Ok(Prepared::Wait);
    };
    let bytes = encrypted.bytes.clone();
    message.state = OutgoingState::Encrypted(encrypted);
    message.store_and_tell(step, uri)?;
    Ok(Prepared::Send(bytes))
}

/// The MLSMessage; nothing while the log has not brought the epoch that it needs, or proposals wait
/// for a commit.
fn encrypt(
    step: &mut Step<'_>,
    room: &Room,
    mut group: MlsGroup,
    message: &Outgoing,
) -> Result<Option<Encrypted>> {
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
    Ok(Some(Encrypted { bytes: wire::encode(&encrypted)?, epoch }))
}

/// The hub answered a message (R72).
pub(super) fn answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    key: &str,
    response: &Response,
) -> Result<Settled> {
    // Without it, the echo was faster, or it was discarded.
    let Some(mut message) = outgoing::load(step, uri, key)? else { return Ok(Settled::Delivered) };
    let Some(Encrypted { bytes, epoch }) = message.unanswered() else {
        return Ok(Settled::Delivered);
    };
    let (hash, epoch) = (hash(bytes), *epoch);
    let status = wire::decode_exact::<SubmitMessageResponse>(&response.body)
        .ok()
        .map(|answer| answer.status);
    match (status, response.is_success()) {
        (Some(SubmitStatus::Accepted(at)), true) => {
            message.state = OutgoingState::Accepted { hash, epoch, at: UnixMillis(at) };
            message.store_and_tell(step, uri)?;
        }
        (_, true) => {
            message.state = OutgoingState::Taken { hash, epoch };
            message.store(step, uri)?;
        }
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
            message.fail(step, uri, code, None)?;
        }
    }
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
    message.least_epoch = least_epoch;
    if message.tries >= MOST_TRIES {
        message.fail(step, uri, ErrorCode::EpochTooOld, None)?;
        return Ok(Settled::Delivered);
    }
    if let OutgoingState::Failed { code, .. } = message.state {
        message.state = OutgoingState::Failed { code, unanswered: None };
        message.store(step, uri)?;
        return Ok(Settled::Delivered);
    }
    message.state = OutgoingState::Queued;
    message.store_and_tell(step, uri)?;
    fetch_log(step, uri)?;
    Ok(Settled::Later(None))
}

/// The log may bring the epoch that a message waits for.
fn fetch_log(step: &mut Step<'_>, uri: &RoomUri) -> Result<()> {
    if let Some(mut room) = step.room(uri)? {
        room.fetch(step)?;
        step.store_room(&room)?;
    }
    Ok(())
}

/// Whether the message of this hash is one of this device; if so, it is accepted at that time (D12).
pub(super) fn echoed(
    step: &mut Step<'_>,
    uri: &RoomUri,
    message_hash: &[u8],
    position: u64,
    accepted_at: UnixMillis,
) -> Result<bool> {
    for mut message in outgoing::all(&step.transaction, uri)? {
        let (epoch, is_told) = match &message.state {
            OutgoingState::Taken { hash, epoch } if hash == message_hash => (*epoch, false),
            OutgoingState::Accepted { hash, epoch, .. } if hash == message_hash => (*epoch, true),
            _ => match message.unanswered() {
                Some(Encrypted { bytes, epoch }) if hash(bytes) == message_hash => (*epoch, false),
                _ => continue,
            },
        };
        if !is_told {
            let hash = message_hash.to_vec();
            message.state = OutgoingState::Accepted { hash, epoch, at: accepted_at };
            message.store_and_tell(step, uri)?;
        }
        message.log(step, uri, position)?;
        let sender = step.identity.client.clone();
        let Outgoing { key, content, .. } = message;
        let message =
            Message { room: uri.clone(), key, sender, epoch, accepted_at, position, content };
        history::record(step, &message)?;
        step.emit(Event::Echoed(message));
        return Ok(true);
    }
    Ok(false)
}

/// What the room's messages waited for may be there: another epoch, or the end of a wish to leave.
pub(super) fn go_on(step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
    let lane = encode_row(&Lane::Messages(room.clone()))?;
    Ok(step.outbox.wake(&mut step.transaction, &lane, step.now)?)
}

/// The room was never there: nobody can have its messages.
pub(super) fn take_back_all(step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
    for message in outgoing::all(&step.transaction, room)? {
        message.take_back(step, room)?;
    }
    Ok(())
}

/// Every message that the hub has not taken is given up.
pub(super) fn give_up_all(step: &mut Step<'_>, room: &RoomUri, code: ErrorCode) -> Result<()> {
    for message in outgoing::all(&step.transaction, room)? {
        if message.waits_for_the_hub() {
            let unanswered = message.unanswered().cloned();
            message.fail(step, room, code, unanswered)?;
        }
    }
    Ok(())
}
