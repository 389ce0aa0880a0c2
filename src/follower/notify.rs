//! `POST /notify/{roomId}`: what the hub accepted (draft, "Fan out messages").

use openmls::{
    framing::{ContentType, MlsMessageBodyIn, MlsMessageIn},
    messages::Welcome,
};
use sha2::{Digest, Sha256};

use super::{
    LOG, Room, is_own, joining, key_material,
    roster::{self, Fit, Leaf},
    table,
};
use crate::{
    error::{ProtocolError, Result},
    mls::MlsCrypto,
    object::{Reply, Step, UserEntry},
    room_log::Activity,
    storage::Key,
    transport::Response,
    wire::{
        FanoutMessage, RatchetTreeOption, decode_concatenated, encode,
        uri::{RoomUri, UserUri},
    },
};

/// MLSMessage's header, in bytes: version and wire format (RFC 9420 §6).
const HEADER_BYTES: usize = 4;
/// Most messages of one notification. A hub that has more to say says it in several (R82, 413).
const MAX_MESSAGES: usize = 1024;

/// Takes in a notification of the room's hub. KeyPackages that the room does not know may have been
/// claimed by the hub without naming a room (R21): that is asked first.
pub(super) fn receive(
    uri: &RoomUri,
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    body: Vec<u8>,
) -> Result<Reply> {
    let messages: Vec<FanoutMessage> = decode_concatenated(&body)?;
    if messages.len() > MAX_MESSAGES {
        return Err(ProtocolError::TooLarge.into());
    }
    let mut unknown = Vec::new();
    for message in &messages {
        if step.transaction.read(&received_key(message))?.is_none()
            && let MlsMessageBodyIn::Welcome(welcome) =
                MlsMessageIn::clone(&message.message).extract()
            && users_of(step, &welcome)?.is_empty()
        {
            unknown.extend(references_of(&welcome));
        }
    }
    if unknown.is_empty() {
        return Ok(Reply::Respond(take_in_all(uri, crypto, step, &messages)?));
    }
    key_material::ask_claimed_by(uri, unknown, body)
}

/// Takes in all messages of the body, or none (R78, R81, R82).
pub(super) fn take_in(
    uri: &RoomUri,
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    body: &[u8],
) -> Result<Response> {
    take_in_all(uri, crypto, step, &decode_concatenated::<FanoutMessage>(body)?)
}

fn take_in_all(
    uri: &RoomUri,
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    messages: &[FanoutMessage],
) -> Result<Response> {
    for message in messages {
        let received = received_key(message);
        if step.transaction.read(&received)?.is_some() {
            continue;
        }
        LOG.forget_along(&mut step.transaction, &received)?;
        step.transaction.write(received, Vec::new());
        take_in_one(uri, crypto, step, message)?;
    }
    Ok(Response::empty(200))
}

/// The KeyPackageRefs that a Welcome is for.
fn references_of(welcome: &Welcome) -> Vec<Vec<u8>> {
    let secrets = welcome.secrets().iter();
    secrets.map(|secrets| secrets.new_member().as_slice().to_vec()).collect()
}

/// The users of ours whose KeyPackages a Welcome is for, as far as this room knows them.
fn users_of(step: &Step<'_>, welcome: &Welcome) -> Result<Vec<UserUri>> {
    let mut users: Vec<UserUri> = Vec::new();
    for reference in references_of(welcome) {
        let user = key_material::user_of(&step.transaction, &reference)?;
        users.extend(user.filter(|user| !users.contains(user)));
    }
    Ok(users)
}

/// R82: message and timestamp make a message the same one again.
fn received_key(message: &FanoutMessage) -> Vec<u8> {
    let hash = Sha256::new()
        .chain_update(message.message.bytes())
        .chain_update(message.timestamp.to_be_bytes())
        .finalize();
    Key::table(table::RECEIVED).bytes(&hash).build()
}

fn take_in_one(
    uri: &RoomUri,
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    message: &FanoutMessage,
) -> Result<()> {
    let (group_id, content_type, epoch) = match MlsMessageIn::clone(&message.message).extract() {
        MlsMessageBodyIn::Welcome(welcome) => return take_in_welcome(step, message, &welcome),
        MlsMessageBodyIn::PublicMessage(public) => {
            (public.group_id().to_vec(), public.content_type(), public.epoch())
        }
        MlsMessageBodyIn::PrivateMessage(private) => {
            (private.group_id().to_vec(), private.content_type(), private.epoch())
        }
        _ => return Err(ProtocolError::Malformed("not for fan-out").into()),
    };
    if group_id != uri.as_str().as_bytes() {
        return Err(ProtocolError::Malformed("another group").into());
    }
    let mut room = room(step)?;
    let position = LOG.append(&mut step.transaction, message)?;
    let handshake = message.message.bytes().get(HEADER_BYTES..).unwrap_or_default();
    let fit = match content_type {
        ContentType::Application => roster::follow_epoch(&mut room, epoch.as_u64()),
        ContentType::Proposal => roster::note_proposal(crypto, step, &mut room, handshake)?,
        ContentType::Commit => roster::follow_commit(step, &mut room, handshake, position)?,
    };
    if joining::give_up(step, epoch.as_u64(), position)? || fit == Fit::Gap {
        mark_gap(uri, step, &mut room, position)?;
    }
    room.store(&mut step.transaction)?;
    for push in LOG.push(&step.transaction, uri, position, |user| step.may_listen(user))? {
        step.push(&push.user, push.devices, &push.frame)?;
    }
    if LOG.is_due(&mut step.transaction, step.now)? {
        let retention = step.config.retention;
        LOG.trim(&mut step.transaction, step.now, &retention, None)?;
    }
    Ok(())
}

/// What came before `position` is not all there: the devices that can see it are told (D7, D22).
pub(super) fn mark_gap(
    uri: &RoomUri,
    step: &mut Step<'_>,
    room: &mut Room,
    position: u64,
) -> Result<()> {
    room.gap = Some(position);
    for push in LOG.push_gap(&step.transaction, uri, position)? {
        step.push(&push.user, push.devices, &push.frame)?;
    }
    Ok(())
}

/// R81: the room is known, by a Welcome, or an external commit of ours may have led into it.
fn room(step: &Step<'_>) -> Result<Room> {
    if let Some(room) = Room::load(&step.transaction)? {
        return Ok(room);
    }
    Ok(joining::expected_room(&step.transaction)?.ok_or(ProtocolError::NotFound("room"))?)
}

/// R76, R81(a), D3: a Welcome with KeyPackages of ours that went out through this hub. The first one
/// makes the room known; its other KeyPackages are others' business.
fn take_in_welcome(step: &mut Step<'_>, message: &FanoutMessage, welcome: &Welcome) -> Result<()> {
    let Some(RatchetTreeOption::Full(tree)) = &message.ratchet_tree_option else {
        return Err(ProtocolError::Malformed("a Welcome without a tree").into());
    };
    let leaves = roster::leaves_of(tree)?;
    let users = users_of(step, welcome)?;
    if users.is_empty() {
        return Err(if has_foreign_leaf(step, &leaves)? {
            ProtocolError::PeerRefused("a KeyPackage that went out through another hub").into()
        } else {
            ProtocolError::NotFound("room").into()
        });
    }
    let cipher_suite = u16::from(welcome.ciphersuite());
    let known = Room::load(&step.transaction)?;
    let mut room = known.unwrap_or(Room::new(cipher_suite));
    roster::replace(step, &mut room, &leaves)?;
    room.store(&mut step.transaction)?;
    let end = LOG.end(&step.transaction)?;
    for user in users {
        UserEntry::Welcome(encode(message)?).enqueue(step, &user)?;
        roster::set_activity(step, &room, &user, end, Activity::Active)?;
    }
    Ok(())
}

/// Whether a client of ours has a leaf that the log does not explain: its KeyPackage, which this hub
/// did not get from us, came through another hub.
fn has_foreign_leaf(step: &Step<'_>, leaves: &[Leaf]) -> Result<bool> {
    for (_, client) in leaves.iter().filter(|(_, client)| is_own(client, &step.config.domain)) {
        if !LOG.has_open_window(&step.transaction, client)? {
            return Ok(true);
        }
    }
    Ok(false)
}
