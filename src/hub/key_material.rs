//! `POST /keyMaterial/{targetUser}` through the hub: the draft's "Claim keys".
//!
//! The hub passes the claim on to the target's provider and remembers which KeyPackages came back,
//! so that an Add is known to be of that provider and the Welcome finds its way (R19, R32, R51).

use serde::{Deserialize, Serialize};

use super::{HubRoom, Then, group::Room, table};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, key_package::check_key_package},
    object::{Ask, Call, Reply, Step},
    storage::{Key, Transaction, decode_row, encode_row},
    time::UnixMillis,
    transport::{
        Endpoint, IncomingRequest, ObjectCall, ObjectName, Outcome, PeerCall, PeerEndpoint,
        Response, Source,
    },
    wire::{
        self, ClientMaterial, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse,
        KeyMaterialUserCode, RequiredCapabilities, decode_exact,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// How long after its end a KeyPackage is still known, in milliseconds: one day (R33).
const KEPT_AFTER_END_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// How many ended KeyPackages one claim forgets at most.
const FORGOTTEN_AT_ONCE: usize = 64;

/// A KeyPackage that came back through this hub.
#[derive(Debug, Serialize, Deserialize)]
struct Claimed {
    provider: Domain,
    /// A client came in by it since.
    used: bool,
}

/// Passes a claim on to the target's provider, for an active participant (R17–R20, R22, R34).
pub(super) fn claim(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    source: &Source,
    target: &UserUri,
    body: Vec<u8>,
) -> Result<Reply> {
    if let Some(refusal) = refusal(hub, step, source, target, &body)? {
        return Ok(refusal);
    }
    let call = if *target.domain() == step.config.domain {
        Call::Object(ObjectCall {
            object: ObjectName::user(target),
            request: IncomingRequest {
                source: Source::Own,
                endpoint: Endpoint::KeyMaterial { target: target.clone() },
                body,
            },
        })
    } else {
        Call::Peer(PeerCall {
            domain: target.domain().clone(),
            endpoint: PeerEndpoint::KeyMaterial,
            identifier: target.to_string(),
            sending_user: None,
            body,
        })
    };
    let then = encode_row(&Then::Claimed { target: target.clone() })?;
    Ok(Reply::Ask(Ask { call, label: "keyMaterial".into(), then }))
}

/// Answers a claim of a device of ours with KeyPackages that came with a grant (R97): they are as
/// good as claimed through this hub.
pub(super) fn granted(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    source: &Source,
    target: &UserUri,
    body: &[u8],
) -> Result<Reply> {
    let (request, response): (Vec<u8>, Vec<u8>) = decode_row(body)?;
    if let Some(refusal) = refusal(hub, step, source, target, &request)? {
        return Ok(refusal);
    }
    resume(&hub.crypto, step, target, Some(Response::tls(200, response)))
}

/// The answer to a claim that goes no further.
fn refusal(
    hub: &mut HubRoom,
    step: &Step<'_>,
    source: &Source,
    target: &UserUri,
    body: &[u8],
) -> Result<Option<Reply>> {
    let request = parse(&hub.uri, target, body)?;
    let room = Room::cached(&mut hub.cache, &hub.uri, &step.transaction)?;
    let requester = requester(source, &request)?;
    if let KeyMaterialBody::Unknown(_) = request.body {
        return answer(&request, KeyMaterialUserCode::IncompatibleProtocol).map(Some);
    }
    if !room.roster.is_active(&requester) {
        return answer(&request, KeyMaterialUserCode::NoConsentForThisRoom).map(Some);
    }
    Ok(None)
}

/// R17, R18, R22: the one target is the path's, the room is this one, there is a cipher suite.
fn parse(
    room: &RoomUri,
    target: &UserUri,
    body: &[u8],
) -> Result<KeyMaterialRequest, ProtocolError> {
    let request: KeyMaterialRequest = decode_exact(body)?;
    let [body_target] = request.target_users.as_slice() else {
        return Err(ProtocolError::Malformed("not exactly one target user"));
    };
    if body_target.0 != target.as_str() {
        return Err(ProtocolError::Malformed("the target is not the path's"));
    }
    if request.room_id.0 != room.as_str() {
        return Err(ProtocolError::Malformed("another room"));
    }
    match &request.body {
        KeyMaterialBody::Mls10(body) if body.acceptable_ciphersuites.is_empty() => {
            Err(ProtocolError::Malformed("no cipher suite"))
        }
        _ => Ok(request),
    }
}

/// R20: the requesting user belongs to the provider that asks, or is the device's own.
fn requester(source: &Source, request: &KeyMaterialRequest) -> Result<UserUri, ProtocolError> {
    let user = UserUri::from_wire(&request.requesting_user)
        .map_err(|_| ProtocolError::Malformed("requestingUser"))?;
    let is_from_source = match source {
        Source::Provider(domain) => user.domain() == domain,
        Source::Device(client) => client.user() == user,
        Source::Own => false,
    };
    if is_from_source {
        return Ok(user);
    }
    Err(ProtocolError::PeerRefused("not the requesting user's provider"))
}

fn answer(request: &KeyMaterialRequest, user_status: KeyMaterialUserCode) -> Result<Reply> {
    let response = KeyMaterialResponse {
        protocol: request.protocol,
        user_status,
        user_uri: request.target_users.first().cloned().unwrap_or_default(),
        clients: Vec::new(),
    };
    Ok(Reply::Respond(Response::tls(200, wire::encode(&response)?)))
}

/// Remembers whose KeyPackages came back, and passes the answer on as it is.
///
/// # Errors
/// [`ProtocolError::HubUnresponsive`] when nothing came; [`ProtocolError::BadGateway`] when it is not
/// an answer to the claim.
pub(super) fn resume(
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    target: &UserUri,
    outcome: Outcome,
) -> Result<Reply> {
    let response = outcome.ok_or(ProtocolError::HubUnresponsive)?;
    if !response.is_success() {
        return Err(ProtocolError::BadGateway("the target's provider refused").into());
    }
    let material = KeyMaterialResponse::from_peer(&response.body)?;
    check_response(target, &material)?;
    forget_ended(step)?;
    for client in &material.clients {
        if let ClientMaterial::Success(key_package) = &client.material {
            let claimed = check_key_package(
                crypto.algorithms(),
                key_package.clone().into_value(),
                &RequiredCapabilities::default(),
                step.now,
            );
            let claimed = claimed.map_err(|_| ProtocolError::BadGateway("a KeyPackage"))?;
            if claimed.client.as_str() != client.client_uri.0 {
                return Err(ProtocolError::BadGateway("another client's KeyPackage").into());
            }
            record(step, &claimed.reference, target.domain(), claimed.not_after)?;
        }
    }
    Ok(Reply::Respond(Response::tls(200, response.body)))
}

/// R24, R25: the clients are the target's, and listed only where the status allows it.
fn check_response(target: &UserUri, material: &KeyMaterialResponse) -> Result<(), ProtocolError> {
    use KeyMaterialUserCode as Code;
    const WRONG: ProtocolError = ProtocolError::BadGateway("a contradictory KeyMaterialResponse");
    if material.user_uri.0 != target.as_str() {
        return Err(WRONG);
    }
    let is_targets = |uri| ClientUri::from_wire(uri).is_ok_and(|client| client.user() == *target);
    if !material.clients.iter().all(|client| is_targets(&client.client_uri)) {
        return Err(WRONG);
    }
    let total = material.clients.len();
    let successes = material
        .clients
        .iter()
        .filter(|client| matches!(client.material, ClientMaterial::Success(_)))
        .count();
    let fits = match material.user_status {
        Code::Success => total > 0 && successes == total,
        Code::PartialSuccess => successes > 0 && successes < total,
        Code::NoCompatibleMaterial => successes == 0,
        _ => total == 0,
    };
    if fits { Ok(()) } else { Err(WRONG) }
}

fn record(
    step: &mut Step<'_>,
    reference: &[u8],
    provider: &Domain,
    not_after: UnixMillis,
) -> Result<(), InternalError> {
    let claimed = Claimed { provider: provider.clone(), used: false };
    step.transaction.store(key(reference), &claimed)?;
    let end = not_after.plus(KEPT_AFTER_END_MILLIS);
    let end = Key::table(table::KEY_PACKAGE_ENDS).number(end.0).bytes(reference).build();
    step.transaction.store(end, &reference)
}

/// R33: forgets KeyPackages whose time is over.
fn forget_ended(step: &mut Step<'_>) -> Result<(), InternalError> {
    let prefix = [table::KEY_PACKAGE_ENDS];
    let bound = Key::table(table::KEY_PACKAGE_ENDS).number(step.now.0).build();
    for (ended, reference) in step.transaction.scan(&prefix, &prefix, FORGOTTEN_AT_ONCE)? {
        if ended >= bound {
            break;
        }
        let reference: Vec<u8> = decode_row(&reference)?;
        step.transaction.delete(key(&reference));
        step.transaction.delete(ended);
    }
    Ok(())
}

/// R51, R64: a client may come in by a KeyPackage that its own provider gave out through this hub, once
/// for each claim: whoever was removed comes in again with its user's consent only.
///
/// # Errors
/// [`ProtocolError::NotAllowed`] when that is not so.
pub(super) fn authorize_use(
    transaction: &Transaction<'_>,
    reference: &[u8],
    client: &ClientUri,
) -> Result<()> {
    let refused = |why: &str| Err(ProtocolError::NotAllowed(why.into()).into());
    match transaction.load::<Claimed>(&key(reference))? {
        Some(Claimed { provider, used: false }) if provider == *client.domain() => Ok(()),
        Some(Claimed { used: true, .. }) => refused("a KeyPackage that was used since its claim"),
        _ => refused("a KeyPackage that its provider did not give out through this hub"),
    }
}

/// A client came in by this KeyPackage. What is known of it stays (R33).
///
/// # Errors
/// When the storage fails.
pub(super) fn note_use(
    transaction: &mut Transaction<'_>,
    reference: &[u8],
) -> Result<(), InternalError> {
    let claimed: Option<Claimed> = transaction.load(&key(reference))?;
    match claimed {
        Some(claimed) => transaction.store(key(reference), &Claimed { used: true, ..claimed }),
        None => Ok(()),
    }
}

fn key(reference: &[u8]) -> Vec<u8> {
    Key::table(table::KEY_PACKAGES).bytes(reference).build()
}
