//! `POST /submitMessage/{roomId}`: the draft's "Submit provisional message".

use openmls::{
    framing::{MlsMessageBodyIn, MlsMessageIn},
    prelude::ContentType,
};

use super::{Acceptance, HubRoom, fanout, group::Room, next_timestamp};
use crate::{
    error::{ProtocolError, Result},
    object::Step,
    room::policy,
    transport::{Response, Source},
    wire::{
        self, FanoutMessage, Protocol, SubmitMessageResponse, SubmitStatus, Verbatim, decode_exact,
        uri::{RoomUri, UserUri},
    },
};

/// An application message, read as far as it stands in clear (R70).
struct Submitted {
    message: Verbatim<MlsMessageIn>,
    epoch: u64,
}

impl Submitted {
    /// # Errors
    /// [`ProtocolError::Malformed`] for anything but an application PrivateMessage of this room.
    fn parse(room: &RoomUri, body: &[u8]) -> Result<Self, ProtocolError> {
        let message: Verbatim<MlsMessageIn> = decode_exact(body)?;
        let MlsMessageBodyIn::PrivateMessage(private) = MlsMessageIn::clone(&message).extract()
        else {
            return Err(ProtocolError::Malformed("not a PrivateMessage"));
        };
        if private.content_type() != ContentType::Application {
            return Err(ProtocolError::Malformed("not an application message"));
        }
        if private.group_id().as_slice() != room.as_str().as_bytes() {
            return Err(ProtocolError::Malformed("another group"));
        }
        Ok(Self { epoch: private.epoch().as_u64(), message })
    }
}

/// Answers a submitted message: accepted at most once, in the current epoch, from a provider with an
/// active participant (R67, R70–R72).
pub(super) fn submit(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    source: &Source,
    sending_user: Option<&UserUri>,
    body: &[u8],
) -> Result<Response> {
    let HubRoom { uri, cache, .. } = hub;
    let submitted = Submitted::parse(uri, body)?;
    let room = Room::cached(cache, uri, &step.transaction)?;
    let acceptance = Acceptance::of(source, body);
    if let Some(timestamp) = acceptance.earlier(&step.transaction)? {
        return accepted(timestamp);
    }
    check_epoch(room, submitted.epoch)?;
    authorize(room, source, sending_user)?;

    let timestamp = next_timestamp(step)?;
    let message =
        FanoutMessage { message: submitted.message, timestamp, ratchet_tree_option: None };
    let position = fanout::LOG.append(&mut step.transaction, &message)?;
    let providers = room.roster.active_providers();
    fanout::send_logged(step, uri, position, fanout::Kind::Message, &providers)?;
    acceptance.record(&mut step.transaction, timestamp)?;
    accepted(timestamp)
}

fn check_epoch(room: &Room, epoch: u64) -> Result<(), ProtocolError> {
    let current = room.epoch();
    match epoch.cmp(&current) {
        std::cmp::Ordering::Less => Err(ProtocolError::EpochTooOld { current }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => {
            Err(ProtocolError::NotAllowed("an epoch that has not begun".into()))
        }
    }
}

/// The sender is not visible (R71): of another provider the hub knows that it has an active
/// participant, and whom it names; of its own device it knows the leaf and the user (R45).
fn authorize(
    room: &Room,
    source: &Source,
    sending_user: Option<&UserUri>,
) -> Result<(), ProtocolError> {
    let refused = |why: &str| Err(ProtocolError::NotAllowed(why.into()));
    match source {
        Source::Provider(domain) => {
            if !room.roster.active_providers().contains(domain) {
                return refused("no active participant of this provider");
            }
            match sending_user {
                Some(user) if user.domain() != domain => refused("another provider's user"),
                Some(user) if !room.roster.is_active(user) => refused("not an active participant"),
                _ => Ok(()),
            }
        }
        Source::Device(client) => {
            policy::authorize_application_message(&room.roster.list, &client.user())?;
            if room.roster.has_leaf(client) {
                return Ok(());
            }
            refused("this device is not in the room")
        }
        Source::Own => refused("not from an object"),
    }
}

fn accepted(timestamp: u64) -> Result<Response> {
    let response = SubmitMessageResponse {
        protocol: Protocol::MLS10,
        status: SubmitStatus::Accepted(timestamp),
    };
    Ok(Response::tls(200, wire::encode(&response)?))
}
