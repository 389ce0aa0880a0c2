//! What the log of a room brings: commits, messages, and the echo of what this device sent.
//!
//! Every event is taken in once, in order of position, in the same transaction as the cursor (D6,
//! D11). Members reject what breaks R38, R39, R44, R65 or a signature, and repeat nothing else of the
//! hub's policy (D8).

use openmls::{
    framing::{
        MlsMessageBodyIn, MlsMessageIn, PrivateMessageIn, ProcessedMessageContent, ProtocolMessage,
        PublicMessageIn,
    },
    group::{MlsGroup, ProcessMessageError, ValidationError},
    key_packages::errors::KeyPackageVerifyError,
    prelude::ContentType,
};

use super::{
    Event, Message, RoomPhase, Undecryptable, commit, history,
    identity::hexadecimal,
    intent, join, proposals,
    request::Settled,
    room::{Ending, Room, hash, mls_error},
    send,
    step::Step,
};
use crate::{
    error::{Error, InternalError, Result},
    mls::{commit::stage_at_member, credential::client_uri_of},
    time::UnixMillis,
    transport::Response,
    wire::{self, EventPage, LogEvent, uri::RoomUri},
};

/// How many bytes of a ciphertext's hash name a message of somebody else.
const KEY_BYTES: usize = 16;

/// An event was pushed.
pub(super) fn pushed(step: &mut Step<'_>, event: &LogEvent) -> Result<()> {
    let Some(mut room) = known(step, event)? else { return Ok(()) };
    if event.position <= room.cursor || !room.follows_the_log() {
        return Ok(());
    }
    if event.previous != room.cursor {
        room.fetch(step)?;
        return Ok(step.store_room(&room)?);
    }
    take_all(step, &mut room, std::slice::from_ref(event))?;
    finish(step, &mut room)
}

/// The room of an event. One that is not known yet has a Welcome in the inbox.
fn known(step: &mut Step<'_>, event: &LogEvent) -> Result<Option<Room>> {
    let Ok(uri) = RoomUri::from_wire(&event.room_id) else { return Ok(None) };
    let room = step.room(&uri)?;
    if room.is_none() {
        join::fetch(step)?;
    }
    Ok(room)
}

/// The provider answered `GET events` after `after`.
pub(super) fn page_answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    after: u64,
    response: &Response,
) -> Result<Settled> {
    let Some(mut room) = step.room(uri)? else { return Ok(Settled::Delivered) };
    if after > room.cursor {
        // Asked for before this device came in anew; what it asked for then is on its way.
        return Ok(Settled::Delivered);
    }
    room.fetching = false;
    let page = match wire::decode_exact::<EventPage>(&response.body) {
        Ok(page) if response.is_success() => page,
        // The provider has no such log, or not yet.
        _ => EventPage { events: Vec::new(), end: room.cursor, more: false, gap: false },
    };
    if !room.follows_the_log() {
        return Ok(step.store_room(&room).map(|()| Settled::Delivered)?);
    }
    if page.gap && room.phase == RoomPhase::Joined && !room.awaits_own_join {
        room.end(step, Ending::Gap)?;
    }
    let before = room.cursor;
    take_all(step, &mut room, &page.events)?;
    // A page that brings nothing new is the last one, whatever the provider says of more.
    if page.more && room.cursor > before {
        room.fetch(step)?;
    } else if room.phase == RoomPhase::Joined && room.closed {
        room.end(step, Ending::Left)?;
    } else if room.phase == RoomPhase::Joined {
        commit::settle_at_end_of_log(step, &mut room)?;
    }
    finish(step, &mut room)?;
    Ok(Settled::Delivered)
}

/// Events of this room are gone (D22).
pub(super) fn gap(step: &mut Step<'_>, uri: &RoomUri) -> Result<()> {
    match step.room(uri)? {
        Some(mut room) if room.phase == RoomPhase::Joined && !room.awaits_own_join => {
            room.end(step, Ending::Gap)
        }
        _ => Ok(()),
    }
}

fn finish(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    step.store_room(room)?;
    step.acknowledge(Some(room.uri.clone()), room.cursor);
    if room.phase == RoomPhase::Left {
        join::after_removal(step, room)?;
    }
    intent::advance(step, &room.uri)
}

fn take_all(step: &mut Step<'_>, room: &mut Room, events: &[LogEvent]) -> Result<()> {
    let mut group = None;
    for event in events {
        if event.position <= room.cursor || event.room_id != room.uri.to_wire() {
            continue;
        }
        room.cursor = event.position;
        if room.phase != RoomPhase::Joined {
            continue;
        }
        let group = match &mut group {
            Some(group) => group,
            none => none.insert(step.group(&room.uri)?),
        };
        take(step, room, group, event)?;
    }
    Ok(())
}

fn take(
    step: &mut Step<'_>,
    room: &mut Room,
    group: &mut MlsGroup,
    event: &LogEvent,
) -> Result<()> {
    let message_hash = hash(event.message.message.bytes());
    match MlsMessageIn::clone(&event.message.message).extract() {
        MlsMessageBodyIn::PublicMessage(message) if *message.group_id() == *group.group_id() => {
            match message.content_type() {
                ContentType::Commit => take_commit(step, room, group, message, &message_hash),
                ContentType::Proposal => {
                    proposals::take(step, group, message)?;
                    proposals::close_if_empty(step, room, group)
                }
                ContentType::Application => Ok(()),
            }
        }
        MlsMessageBodyIn::PrivateMessage(message) if *message.group_id() == *group.group_id() => {
            take_message(step, room, group, message, event, &message_hash)
        }
        _ => Ok(()),
    }
}

/// What a commit turned out to be.
enum Commit {
    Own,
    Other,
    Rejected(Ending),
}

fn take_commit(
    step: &mut Step<'_>,
    room: &mut Room,
    group: &mut MlsGroup,
    message: PublicMessageIn,
    message_hash: &[u8],
) -> Result<()> {
    let (epoch, current) = (message.epoch().as_u64(), group.epoch().as_u64());
    if epoch >= room.joined_epoch || room.has_own_commit(message_hash) {
        room.awaits_own_join = false;
    }
    if epoch < current {
        // D11; only the end of an epoch that this device ended itself can be checked again.
        let other = room
            .last_own_commit
            .as_ref()
            .is_some_and(|(own, hash)| *own == epoch && hash != message_hash);
        return if other { room.end(step, Ending::Diverged) } else { Ok(()) };
    }
    if epoch > current {
        return room.end(step, Ending::Gap);
    }
    match stage_and_merge(step, group, message)? {
        Commit::Own => return commit::merge_own(step, room, group),
        Commit::Rejected(ending) => return room.end(step, ending),
        Commit::Other => {}
    }
    if !group.is_active() {
        return room.end(step, Ending::Left);
    }
    room.rejoined = false;
    commit::replay_own(step, room)?;
    room.epoch_changed(step, group)
}

/// Verifies, stages and merges somebody else's commit; an own one is left pending.
fn stage_and_merge(
    step: &mut Step<'_>,
    group: &mut MlsGroup,
    message: PublicMessageIn,
) -> Result<Commit> {
    let provider = step.provider();
    let processed = match group.process_message(&provider, ProtocolMessage::from(message)) {
        Ok(processed) => processed,
        Err(ProcessMessageError::StorageError(error)) => return Err(error.into()),
        Err(error) => return Ok(Commit::Rejected(rejection(&error))),
    };
    if matches!(processed.content(), ProcessedMessageContent::OwnPendingCommit) {
        return Ok(Commit::Own);
    }
    let staged = stage_at_member(group, &provider, processed)
        .and_then(|commit| Ok(commit.check_credentials(group.public_group()).map(|()| commit)?));
    match staged {
        Ok(commit) => group
            .merge_staged_commit(&provider, commit.staged)
            .map_err(mls_error("a commit cannot be merged"))?,
        Err(Error::Internal(error)) => return Err(error.into()),
        Err(_) => return Ok(Commit::Rejected(Ending::Diverged)),
    }
    Ok(Commit::Other)
}

/// D4: a KeyPackage that was valid when the hub took it and is not any more is a gap.
fn rejection(error: &ProcessMessageError<InternalError>) -> Ending {
    match error {
        ProcessMessageError::ValidationError(ValidationError::KeyPackageVerifyError(
            KeyPackageVerifyError::LifetimeError(_),
        )) => Ending::Gap,
        _ => Ending::Diverged,
    }
}

fn take_message(
    step: &mut Step<'_>,
    room: &Room,
    group: &mut MlsGroup,
    message: PrivateMessageIn,
    event: &LogEvent,
    message_hash: &[u8],
) -> Result<()> {
    let (position, epoch) = (event.position, message.epoch().as_u64());
    let accepted_at = UnixMillis(event.message.timestamp);
    if send::echoed(step, &room.uri, message_hash, position, accepted_at)? {
        return Ok(());
    }
    if epoch < room.joined_epoch {
        return Ok(());
    }
    let (room, key) =
        (room.uri.clone(), hexadecimal(message_hash.get(..KEY_BYTES).unwrap_or_default()));
    let provider = step.provider();
    let processed = match group.process_message(&provider, ProtocolMessage::from(message)) {
        Ok(processed) => Some(processed),
        Err(ProcessMessageError::StorageError(error)) => return Err(error.into()),
        Err(_) => None,
    };
    let read = processed.map(|processed| {
        let sender = client_uri_of(processed.credential());
        (processed.into_content(), sender)
    });
    match read {
        Some((ProcessedMessageContent::ApplicationMessage(content), Ok(sender))) => {
            let content = content.into_bytes();
            let message = Message { room, key, sender, epoch, accepted_at, position, content };
            history::record(step, &message)?;
            step.emit(Event::Message(message));
        }
        Some((ProcessedMessageContent::OwnPrivateMessage, _)) => {}
        _ => {
            let message = Undecryptable { room, key, epoch, accepted_at, position };
            history::record_undecryptable(step, message)?;
        }
    }
    Ok(())
}
