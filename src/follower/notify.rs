//! `POST /notify/{roomId}`: what the hub accepted (draft, "Fan out messages").

use openmls::{
    framing::{ContentType, MlsMessageBodyIn, MlsMessageIn},
    messages::Welcome,
};
use sha2::{Digest, Sha256};

use super::{
    LOG, Room, is_own, key_material, require_hub,
    roster::{self, Fit},
    table,
};
use crate::{
    error::{ProtocolError, Result},
    mls::MlsCrypto,
    object::{Step, UserEntry},
    room_log::Activity,
    storage::Key,
    transport::{Response, Source},
    wire::{
        FanoutMessage, RatchetTreeOption, decode_concatenated, encode,
        uri::{RoomUri, UserUri},
    },
};

/// MLSMessage's header, in bytes: version and wire format (RFC 9420 §6).
const HEADER_BYTES: usize = 4;

/// Takes in all messages of the body, or none (R78, R81, R82).
pub(super) fn receive(
    uri: &RoomUri,
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    source: &Source,
    body: &[u8],
) -> Result<Response> {
    require_hub(uri, source)?;
    let messages: Vec<FanoutMessage> = decode_concatenated(body)?;
    for message in &messages {
        let received = received_key(message);
        if step.transaction.read(&received)?.is_some() {
            continue;
        }
        step.transaction.write(received, Vec::new());
        receive_one(uri, crypto, step, message)?;
    }
    Ok(Response::empty(200))
}

/// R82: message and timestamp make a message the same one again.
fn received_key(message: &FanoutMessage) -> Vec<u8> {
    let hash = Sha256::new()
        .chain_update(message.message.bytes())
        .chain_update(message.timestamp.to_be_bytes())
        .finalize();
    Key::table(table::RECEIVED).bytes(&hash).build()
}

fn receive_one(
    uri: &RoomUri,
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    message: &FanoutMessage,
) -> Result<()> {
    let (group_id, content_type) = match MlsMessageIn::clone(&message.message).extract() {
        MlsMessageBodyIn::Welcome(welcome) => return receive_welcome(step, message, &welcome),
        MlsMessageBodyIn::PublicMessage(public) => {
            (public.group_id().to_vec(), public.content_type())
        }
        MlsMessageBodyIn::PrivateMessage(private) => {
            (private.group_id().to_vec(), private.content_type())
        }
        _ => return Err(ProtocolError::Malformed("not for fan-out").into()),
    };
    if group_id != uri.as_str().as_bytes() {
        return Err(ProtocolError::Malformed("another group").into());
    }
    let mut room = Room::require(&step.transaction)?;
    let position = LOG.append(&mut step.transaction, message)?;
    let handshake = message.message.bytes().get(HEADER_BYTES..).unwrap_or_default();
    let fit = match content_type {
        ContentType::Application => Fit::Fits,
        ContentType::Proposal => roster::note_proposal(crypto, step, &mut room, handshake)?,
        ContentType::Commit => roster::follow_commit(step, &mut room, handshake, position)?,
    };
    if fit == Fit::Gap {
        room.gap = Some(position);
        for effect in LOG.push_gap(&step.transaction, uri)? {
            step.effect(effect);
        }
    }
    room.store(&mut step.transaction)?;
    for effect in LOG.push(&step.transaction, uri, position)? {
        step.effect(effect);
    }
    Ok(())
}

/// R76, R81(a), D3: a Welcome with KeyPackages of ours that went out through this hub. The first one
/// makes the room known; its other KeyPackages are others' business.
fn receive_welcome(step: &mut Step<'_>, message: &FanoutMessage, welcome: &Welcome) -> Result<()> {
    let Some(RatchetTreeOption::Full(tree)) = &message.ratchet_tree_option else {
        return Err(ProtocolError::Malformed("a Welcome without a tree").into());
    };
    let leaves = roster::leaves_of(tree)?;
    let mut users: Vec<UserUri> = Vec::new();
    for secrets in welcome.secrets() {
        let user = key_material::user_of(&step.transaction, secrets.new_member().as_slice())?;
        users.extend(user.filter(|user| !users.contains(user)));
    }
    if users.is_empty() {
        // A leaf of ours whose KeyPackage this hub did not get from us came through another hub.
        let own = &step.config.domain;
        return Err(if leaves.iter().any(|(_, client)| is_own(client, own)) {
            ProtocolError::PeerRefused("a KeyPackage that went out through another hub").into()
        } else {
            ProtocolError::NotFound("room").into()
        });
    }
    let cipher_suite = u16::from(welcome.ciphersuite());
    let known = Room::load(&step.transaction)?;
    let mut room = known.unwrap_or(Room { cipher_suite, epoch: None, gap: None });
    roster::replace(step, &mut room, &leaves)?;
    room.store(&mut step.transaction)?;
    let end = LOG.end(&step.transaction)?;
    for user in users {
        UserEntry::Welcome(encode(message)?).enqueue(step, &user)?;
        roster::set_activity(step, &room, &user, end, Activity::Active)?;
    }
    Ok(())
}
