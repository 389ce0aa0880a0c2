//! What a client asks its own provider, and in which order.

use serde::{Deserialize, Serialize};

use super::{
    Event, IntentId, RoomPhase, auth, claim, commit, consent, create, devices, external, hubs,
    identity, inbound, join, key_packages, leave, pseudonyms, rooms,
    send::{self, Prepared},
    step::Step,
};
use crate::{
    error::Result,
    room::codepoints::cipher_suite,
    time::UnixMillis,
    transport::{HttpCall, MESSAGE_MLS, Method, OCTET_STREAM, Response},
    wire::{
        ConsentEntry, REVOKED_CHALLENGE, decode_exact, percent_encode,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// How long to wait for an answer, in milliseconds (D18): the provider's own wait for a hub is shorter.
const TIMEOUT_MILLIS: u64 = 40_000;
/// How long another provider may be silent before what needs it is given up, in milliseconds (D20).
const PATIENCE_MILLIS: u64 = 180_000;
/// Refusals after which the same request is sent again (R82), beside every 5xx. A 401 is about the
/// device's clock or a provider that does not know it yet.
const RETRY_CODES: [u16; 4] = [401, 408, 425, 429];

/// Requests that are answered in order; lanes do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Lane {
    /// The device itself: registration, KeyPackages.
    Device,
    /// What the intents of a room need.
    Intents(RoomUri),
    /// The messages of a room.
    Messages(RoomUri),
    /// A room's log.
    Log(RoomUri),
    /// The inbox, and the list of the user's rooms.
    Inbox,
    /// Consent.
    Consent,
    /// What is asked about a hub.
    Hub(Domain),
}

/// One request, as it stands in the outbox. Whatever has to be the same bytes each time is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// `POST devices`.
    Register,
    /// `POST keyPackages` with this body.
    PublishKeyPackages(Vec<u8>),
    /// `GET keyPackages`.
    Stock,
    /// `GET devices`.
    Devices,
    /// `POST devices/{client}/revoke`.
    RevokeDevice(IntentId, ClientUri),
    /// `POST delete-user` (D19).
    DeleteUser(IntentId),
    /// `POST pseudonyms` with this public key (R91).
    Pseudonym(Vec<u8>),
    /// `GET external-sender/{suite}`, for the creation of this room (D2).
    ExternalSender(RoomUri),
    /// `POST rooms/{room}` with this body (D1).
    CreateRoom(RoomUri, Vec<u8>),
    /// `POST keyMaterial/{user}` for this intent of this room with this body.
    Claim(RoomUri, IntentId, UserUri, Vec<u8>),
    /// `POST update/{room}` with this body: the commit for this epoch.
    Update(RoomUri, u64, Vec<u8>),
    /// `POST update/{room}` with this body: the proposals of a leaver for this epoch.
    Propose(RoomUri, u64, Vec<u8>),
    /// `POST groupInfo/{room}`.
    GroupInfo(RoomUri),
    /// `POST update/{room}` with this body: the external commit for this epoch.
    Join(RoomUri, u64, Vec<u8>),
    /// `POST submitMessage/{room}` with the message of this key.
    Submit(RoomUri, String),
    /// `GET events/{room}` after this position.
    Log(RoomUri, u64),
    /// `GET inbox` after the cursor.
    Inbox,
    /// `POST consent` with this body; named if the application asked for it.
    Consent(Option<IntentId>, Vec<u8>),
    /// `GET consent`.
    ConsentState,
    /// `GET rooms`.
    Rooms,
    /// `GET directory/{domain}`.
    Directory(Domain),
    /// `GET keyPackages`, for this call.
    StockAsked(IntentId),
    /// `POST keyPackages` with this body, for this call, which makes so many.
    PublishAsked(IntentId, u32, Vec<u8>),
}

/// What a request in the outbox comes to when its turn is there.
pub(super) enum Made {
    /// Send this.
    Send(HttpCall, String),
    /// Not yet: what it needs is still to come.
    Wait,
    /// Never: it has no purpose any more.
    Drop,
}

/// What an answer means for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is done with, one way or the other.
    Delivered,
    /// The same again, not before this many milliseconds.
    Later(Option<u64>),
}

impl Request {
    /// The lane that it waits in.
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Register
            | Self::PublishKeyPackages(_)
            | Self::PublishAsked(..)
            | Self::Stock
            | Self::StockAsked(_)
            | Self::Devices
            | Self::RevokeDevice(..)
            | Self::DeleteUser(_)
            | Self::Pseudonym(_) => Lane::Device,
            Self::ExternalSender(room)
            | Self::CreateRoom(room, _)
            | Self::Claim(room, ..)
            | Self::Update(room, ..)
            | Self::Propose(room, ..)
            | Self::GroupInfo(room)
            | Self::Join(room, ..) => Lane::Intents(room.clone()),
            Self::Submit(room, _) => Lane::Messages(room.clone()),
            Self::Log(room, _) => Lane::Log(room.clone()),
            Self::Inbox | Self::Rooms => Lane::Inbox,
            Self::Consent(..) | Self::ConsentState => Lane::Consent,
            Self::Directory(domain) => Lane::Hub(domain.clone()),
        }
    }

    /// The HTTP request.
    pub(super) fn make(&self, step: &mut Step<'_>) -> Result<Made> {
        let path = |path: &str, identifier: &str| format!("{path}/{}", percent_encode(identifier));
        Ok(match self {
            Self::Register => {
                let body = step.identity.registration()?;
                Made::Send(call(Method::Post, "devices", body), "device".into())
            }
            Self::PublishKeyPackages(body) | Self::PublishAsked(_, _, body) => {
                sized(step, "KeyPackages", Method::Post, "keyPackages", body.clone())?
            }
            Self::Stock | Self::StockAsked(_) => get(step, "keyPackages", "stock")?,
            Self::Devices => get(step, "devices", "devices")?,
            Self::RevokeDevice(_, client) => {
                let path = format!("{}/revoke", path("devices", client.as_str()));
                sized(step, "revocation", Method::Post, &path, Vec::new())?
            }
            Self::DeleteUser(_) => {
                sized(step, "deletion", Method::Post, "delete-user", Vec::new())?
            }
            Self::Pseudonym(key) => match pseudonyms::body(step, key)? {
                Some(body) => sized(step, "pseudonym", Method::Post, "pseudonyms", body)?,
                None => Made::Drop,
            },
            Self::ExternalSender(room) => {
                if !create::needs_hub_key(step, room)? {
                    return Ok(Made::Drop);
                }
                let path = format!("external-sender/{}", cipher_suite::DEFAULT);
                get(step, &path, "external sender")?
            }
            Self::CreateRoom(room, body) => {
                if !create::hand_out(step, room, body)? {
                    return Ok(Made::Drop);
                }
                let path = path("rooms", room.as_str());
                sized(step, "room", Method::Post, &path, body.clone())?
            }
            Self::Claim(room, id, target, body) => {
                if claim::waiting(step, room, *id)?.is_none() {
                    return Ok(Made::Drop);
                }
                let path = path("keyMaterial", target.as_str());
                sized(step, "claim", Method::Post, &path, body.clone())?
            }
            Self::Update(room, epoch, body) => {
                if !step.room(room)?.is_some_and(|room| room.awaits(RoomPhase::Joined, *epoch)) {
                    return Ok(Made::Drop);
                }
                let path = path("update", room.as_str());
                sized(step, "commit", Method::Post, &path, body.clone())?
            }
            Self::Propose(room, epoch, body) => {
                if !leave::hand_out(step, room, *epoch)? {
                    return Ok(Made::Drop);
                }
                let path = path("update", room.as_str());
                sized(step, "proposals", Method::Post, &path, body.clone())?
            }
            Self::GroupInfo(room) => {
                if !external::is_asking(step, room)? {
                    return Ok(Made::Drop);
                }
                let path = path("groupInfo", room.as_str());
                let body = external::request(step, room)?;
                sized(step, "GroupInfo", Method::Post, &path, body)?
            }
            Self::Join(room, epoch, body) => {
                if !step.room(room)?.is_some_and(|room| room.awaits(RoomPhase::Joining, *epoch)) {
                    return Ok(Made::Drop);
                }
                let path = path("update", room.as_str());
                sized(step, "external commit", Method::Post, &path, body.clone())?
            }
            Self::Submit(room, key) => match send::prepare(step, room, key)? {
                Prepared::Send(body) => {
                    let path = path("submitMessage", room.as_str());
                    sized(step, "message", Method::Post, &path, body)?
                }
                Prepared::Wait => Made::Wait,
                Prepared::Drop => Made::Drop,
            },
            Self::Log(room, after) => match step.room(room)? {
                Some(known) if *after <= known.cursor => {
                    let path = path("events", room.as_str());
                    get(step, &format!("{path}?after={after}"), "events")?
                }
                Some(_) | None => Made::Drop,
            },
            Self::Rooms => get(step, "rooms", "rooms")?,
            Self::Directory(domain) => get(step, &path("directory", domain.as_str()), "directory")?,
            Self::Inbox => {
                let after = step.account()?.inbox;
                get(step, &format!("inbox?after={after}"), "inbox")?
            }
            Self::Consent(_, body) => {
                let entry: ConsentEntry = decode_exact(body)?;
                sized(step, entry.operation.label(), Method::Post, "consent", body.clone())?
            }
            Self::ConsentState => get(step, "consent", "consent")?,
        })
    }

    /// Takes the answer in.
    pub(super) fn answered(&self, step: &mut Step<'_>, response: &Response) -> Result<Settled> {
        if response.header("www-authenticate") == Some(REVOKED_CHALLENGE) {
            if let Self::DeleteUser(id) = self {
                // The first answer was lost: it is done, by this request or by another device's.
                step.emit(Event::AccountDone { id: *id });
            }
            devices::revoked(step)?;
            return Ok(Settled::Delivered);
        }
        let lacks_proposals = commit::pending_proposals(response).is_some();
        let comes_again = response.status >= 500 || RETRY_CODES.contains(&response.status);
        // Another provider's silence is an answer where somebody waits for it, and others behind it.
        let is_answer = lacks_proposals
            || is_silent(response)
                && matches!(self, Self::Claim(..) | Self::GroupInfo(_) | Self::Join(..));
        if comes_again && !is_answer {
            return Ok(Settled::Later(response.retry_after_millis()));
        }
        match self {
            Self::Register => identity::registration_answered(step, response),
            Self::PublishKeyPackages(_) => key_packages::publish_answered(step, None, response),
            Self::PublishAsked(id, made, _) => {
                key_packages::publish_answered(step, Some((*id, *made)), response)
            }
            Self::Stock => key_packages::stock_answered(step, response),
            Self::StockAsked(id) => key_packages::asked_stock_answered(step, *id, response),
            Self::Devices => devices::listed(step, response),
            Self::RevokeDevice(id, client) => {
                devices::revocation_answered(step, *id, client, response)
            }
            Self::DeleteUser(id) => devices::deletion_answered(step, *id, response),
            Self::Pseudonym(key) => pseudonyms::answered(step, key, response),
            Self::ExternalSender(room) => create::external_sender_answered(step, room, response),
            Self::CreateRoom(room, _) => create::answered(step, room, response),
            Self::Claim(room, id, ..) => claim::answered(step, room, *id, response),
            Self::Update(room, epoch, _) => commit::answered(step, room, *epoch, response),
            Self::Propose(room, epoch, _) => leave::answered(step, room, *epoch, response),
            Self::GroupInfo(room) => external::group_info_answered(step, room, response),
            Self::Join(room, epoch, _) => external::answered(step, room, *epoch, response),
            Self::Submit(room, key) => send::answered(step, room, key, response),
            Self::Log(room, after) => inbound::page_answered(step, room, *after, response),
            Self::Inbox => join::page_answered(step, response),
            Self::Consent(id, body) => consent::answered(step, *id, body, response),
            Self::ConsentState => consent::state_answered(step, response),
            Self::Rooms => rooms::answered(step, response),
            Self::Directory(domain) => hubs::answered(step, domain, response),
        }
    }
}

/// Whether the own provider is there and the one behind it is not (R62).
pub(super) const fn is_silent(response: &Response) -> bool {
    matches!(response.status, 502 | 504)
}

/// Whether to ask another provider again that is silent since this time, or from now on.
pub(super) fn has_patience(since: &mut Option<UnixMillis>, now: UnixMillis) -> bool {
    now.since(*since.get_or_insert(now)) < PATIENCE_MILLIS
}

/// The path of the client API below the provider's base URL.
pub(super) fn api_path(path: &str) -> String {
    format!("/client/v1/{path}")
}

fn call(method: Method, path: &str, body: Vec<u8>) -> HttpCall {
    let headers = match method {
        Method::Get => Vec::new(),
        Method::Post => {
            let message = path.starts_with("submitMessage/");
            let media_type = if message { MESSAGE_MLS } else { OCTET_STREAM };
            vec![("content-type".into(), media_type.into())]
        }
    };
    HttpCall { method, url: api_path(path), headers, body, timeout_millis: TIMEOUT_MILLIS }
}

fn get(step: &Step<'_>, path: &str, label: &str) -> Result<Made> {
    Ok(Made::Send(signed(step, call(Method::Get, path, Vec::new()))?, label.into()))
}

fn sized(step: &Step<'_>, label: &str, method: Method, path: &str, body: Vec<u8>) -> Result<Made> {
    let tenths = body.len().saturating_add(50) / 100;
    let label = format!("{label} {}.{} kB", tenths / 10, tenths % 10);
    Ok(Made::Send(signed(step, call(method, path, body))?, label))
}

fn signed(step: &Step<'_>, mut call: HttpCall) -> Result<HttpCall> {
    let proof =
        auth::prove(step.identity, step.crypto, call.method, &call.url, &call.body, step.now)?;
    call.headers.push(("authorization".into(), proof.to_header()?));
    Ok(call)
}
