//! `POST /keyMaterial/{targetUser}` for rooms of other providers: the draft's "Claim keys".
//!
//! A claim of one of our devices goes to the hub of its room; a claim that comes from the hub goes to
//! the target, one of our users. Claims that name no room take one hop only (R20, R21).

use super::{LOG, Then, require_hub, table};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{
        MlsCrypto,
        key_package::{LIFETIME_MARGIN_SECONDS, LIFETIME_SECONDS, key_package_ref},
    },
    object::{Ask, Call, Reply, Step},
    room_log::Activity,
    storage::{Key, Transaction, decode_row, encode_row},
    transport::{
        Endpoint, IncomingRequest, ObjectCall, ObjectName, Outcome, PeerCall, PeerEndpoint,
        Response, Source,
    },
    wire::{
        ClientMaterial, KeyMaterialRequest, KeyMaterialResponse, decode_exact,
        uri::{Domain, RoomUri, UserUri},
    },
};

/// For how long a Welcome may name a KeyPackageRef, from the claim on, in milliseconds: the longest life
/// of a KeyPackage and one day (D4, R33).
const KEPT_MILLIS: u64 =
    (LIFETIME_SECONDS + LIFETIME_MARGIN_SECONDS + 24 * 60 * 60).saturating_mul(1000);
/// How many ended KeyPackages one claim forgets at most.
const FORGOTTEN_AT_ONCE: usize = 64;

/// Passes a claim on, unchanged: the target's own object says what there is (R30, R31).
pub(super) fn claim(
    uri: &RoomUri,
    step: &Step<'_>,
    source: &Source,
    target: UserUri,
    body: Vec<u8>,
) -> Result<Reply> {
    let own = &step.config.domain;
    let request: KeyMaterialRequest = decode_exact(&body)?;
    let names_room = !request.room_id.0.is_empty();
    if names_room && request.room_id.0 != uri.as_str() {
        return Err(ProtocolError::Malformed("another room").into());
    }
    let (call, then) = match source {
        Source::Device(_) => {
            // Through the hub of the room of intended use (R19), or straight to the target.
            let next = if names_room { uri.domain() } else { target.domain() };
            let call = if next == own {
                own_user(target, body)
            } else {
                provider(next.clone(), &target, body)
            };
            (call, Then::Pass)
        }
        Source::Provider(domain) => {
            if names_room {
                require_hub(uri, source)?;
                require_known_requester(step, &request)?;
            } else {
                require_requester(&request, domain)?;
            }
            (own_user(target, body), Then::Claimed)
        }
        Source::Own => return Err(ProtocolError::PeerRefused("not for own objects").into()),
    };
    Ok(Reply::Ask(Ask { call, label: "keyMaterial".into(), then: encode_row(&then)? }))
}

/// R20: the hub passes on what an active participant asks. Who of ours is one is known here: a user's
/// own word, which needs no consent, is not the hub's to give.
fn require_known_requester(step: &Step<'_>, request: &KeyMaterialRequest) -> Result<()> {
    let requester = requester(request)?;
    if *requester.domain() != step.config.domain
        || LOG.activity(&step.transaction, &requester)? == Activity::Active
    {
        return Ok(());
    }
    Err(ProtocolError::PeerRefused("the requesting user is not in the room").into())
}

fn requester(request: &KeyMaterialRequest) -> Result<UserUri, ProtocolError> {
    UserUri::from_wire(&request.requesting_user)
        .map_err(|_| ProtocolError::Malformed("requestingUser"))
}

/// R20: without a room, the requester is a user of the provider that asks.
fn require_requester(request: &KeyMaterialRequest, source: &Domain) -> Result<(), ProtocolError> {
    if requester(request)?.domain() == source {
        return Ok(());
    }
    Err(ProtocolError::PeerRefused("not the requesting user's provider"))
}

fn own_user(target: UserUri, body: Vec<u8>) -> Call {
    Call::Object(ObjectCall {
        object: ObjectName::user(&target),
        request: IncomingRequest {
            source: Source::Own,
            endpoint: Endpoint::KeyMaterial { target },
            body,
        },
    })
}

fn provider(domain: Domain, target: &UserUri, body: Vec<u8>) -> Call {
    Call::Peer(PeerCall {
        domain,
        endpoint: PeerEndpoint::KeyMaterial,
        identifier: target.to_string(),
        sending_user: None,
        body,
    })
}

/// Remembers whose KeyPackages go out with this answer, before it does (R32).
pub(super) fn record(
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    outcome: Outcome,
) -> Result<Response> {
    let response = outcome.ok_or(ProtocolError::HubUnresponsive)?;
    if !response.is_success() {
        return Ok(response);
    }
    let material = KeyMaterialResponse::from_peer(&response.body)?;
    let user = UserUri::from_wire(&material.user_uri)
        .map_err(|_| ProtocolError::BadGateway("not a KeyMaterialResponse"))?;
    forget_ended(step)?;
    for client in &material.clients {
        if let ClientMaterial::Success(key_package) = &client.material {
            let reference = key_package_ref(crypto.algorithms(), key_package.bytes())?;
            remember(step, &reference, &user)?;
        }
    }
    Ok(response)
}

/// Remembers whose KeyPackages a grant takes to a provider: it may use them in its own rooms (R97).
pub(super) fn record_granted(step: &mut Step<'_>, user: &UserUri, body: &[u8]) -> Result<Response> {
    let references: Vec<Vec<u8>> = decode_row(body)?;
    forget_ended(step)?;
    for reference in references {
        remember(step, &reference, user)?;
    }
    Ok(Response::empty(200))
}

/// Answers the object of a room whose hub claimed without naming a room.
pub(super) fn claimed_by(transaction: &Transaction<'_>, body: &[u8]) -> Result<Response> {
    let references: Vec<Vec<u8>> = decode_row(body)?;
    let users: Vec<Option<UserUri>> = references
        .iter()
        .map(|reference| user_of(transaction, reference))
        .collect::<Result<_>>()?;
    Ok(Response::tls(200, encode_row(&users)?))
}

/// The question that [`claimed_by`] answers.
pub(super) fn ask_claimed_by(
    uri: &RoomUri,
    references: Vec<Vec<u8>>,
    body: Vec<u8>,
) -> Result<Reply> {
    let request = IncomingRequest {
        source: Source::Own,
        endpoint: Endpoint::ClaimedBy,
        body: encode_row(&references)?,
    };
    let call = Call::Object(ObjectCall { object: ObjectName::claims(uri.domain()), request });
    let then = encode_row(&Then::Notify { references, body })?;
    Ok(Reply::Ask(Ask { call, label: "claims".into(), then }))
}

/// Takes over what [`claimed_by`] answered.
pub(super) fn record_claimed_by(
    step: &mut Step<'_>,
    references: &[Vec<u8>],
    outcome: Outcome,
) -> Result<()> {
    let response = outcome.filter(Response::is_success).ok_or(ProtocolError::HubUnresponsive)?;
    let users: Vec<Option<UserUri>> = decode_row(&response.body)?;
    for (reference, user) in references.iter().zip(users) {
        if let Some(user) = user {
            remember(step, reference, &user)?;
        }
    }
    Ok(())
}

fn remember(step: &mut Step<'_>, reference: &[u8], user: &UserUri) -> Result<(), InternalError> {
    step.transaction.store(key(reference), user)?;
    let end = step.now.plus(KEPT_MILLIS);
    let end = Key::table(table::CLAIM_ENDS).number(end.0).bytes(reference).build();
    step.transaction.store(end, &reference)
}

/// R33: forgets refs of KeyPackages that have ended.
fn forget_ended(step: &mut Step<'_>) -> Result<(), InternalError> {
    let prefix = [table::CLAIM_ENDS];
    let first_kept = Key::table(table::CLAIM_ENDS).number(step.now.0).build();
    for (end, reference) in step.transaction.scan(&prefix, &prefix, FORGOTTEN_AT_ONCE)? {
        if end >= first_kept {
            break;
        }
        let reference: Vec<u8> = decode_row(&reference)?;
        step.transaction.delete(key(&reference));
        step.transaction.delete(end);
    }
    Ok(())
}

/// The user whose KeyPackage went out through this hub, if it did.
pub(super) fn user_of(transaction: &Transaction<'_>, reference: &[u8]) -> Result<Option<UserUri>> {
    Ok(transaction.load(&key(reference))?)
}

fn key(reference: &[u8]) -> Vec<u8> {
    Key::table(table::CLAIMS).bytes(reference).build()
}
