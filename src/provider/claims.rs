//! Claims of a user's KeyPackages (E1), as the target's provider answers them.
//!
//! They come from an object of a room, which checked who asks on whose behalf (R19, R20).

use super::{
    consent, deletion, devices,
    key_packages::{InStock, Reservation, clear_expired, in_stock, reserve},
    pseudonyms,
    route::room_of_claim,
};
use crate::{
    config::UnknownUsers,
    error::{InternalError, ProtocolError, Result},
    mls::key_package::{KeyPackageKind, covers},
    object::Step,
    transport::Response,
    wire::{
        ClientKeyMaterial, ClientMaterial, KeyMaterialBody, KeyMaterialRequest,
        KeyMaterialResponse, KeyMaterialUserCode, Mls10Request, Verbatim, decode_exact, encode,
        uri::{ClientUri, UserUri},
    },
};

/// Claims one KeyPackage of each of the user's devices.
///
/// # Errors
/// `Malformed` when the target is not exactly this user (R17, R18), no suite is acceptable (R22), or
/// an identifier is none.
pub(super) fn claim(
    step: &mut Step<'_>,
    user: &UserUri,
    path_target: &UserUri,
    body: &[u8],
) -> Result<Response> {
    let request: KeyMaterialRequest = decode_exact(body)?;
    let wanted = request.target_users.as_slice();
    if path_target != user || wanted != [user.to_wire()] {
        return Err(ProtocolError::Malformed("target user").into());
    }
    let requester = UserUri::from_wire(&request.requesting_user)
        .map_err(|_| ProtocolError::Malformed("requesting user"))?;
    let room = room_of_claim(&request.room_id)?;
    let (user_status, clients) = match &request.body {
        KeyMaterialBody::Unknown(_) => (KeyMaterialUserCode::IncompatibleProtocol, Vec::new()),
        KeyMaterialBody::Mls10(wanted) if wanted.acceptable_ciphersuites.is_empty() => {
            return Err(ProtocolError::Malformed("no acceptable cipher suite").into());
        }
        KeyMaterialBody::Mls10(wanted) => {
            decide(step, user, wanted, &Reservation { requester, room })?
        }
    };
    let response = KeyMaterialResponse {
        protocol: request.protocol,
        user_status,
        user_uri: user.to_wire(),
        clients,
    };
    Ok(Response::tls(200, encode(&response)?))
}

fn decide(
    step: &mut Step<'_>,
    user: &UserUri,
    wanted: &Mls10Request,
    reservation: &Reservation,
) -> Result<(KeyMaterialUserCode, Vec<ClientKeyMaterial>)> {
    let Reservation { requester, room } = reservation;
    let refusal = consent::refusal(step, requester, user, room.as_ref())?;
    if deletion::is_deleted(&step.transaction)? {
        return Ok((KeyMaterialUserCode::UserDeleted, Vec::new()));
    }
    if !devices::exists(&step.transaction)? {
        return Ok((unknown(step.config.unknown_users), Vec::new()));
    }
    if let Some(code) = refusal {
        return Ok((code, Vec::new()));
    }
    let room = reservation.room.as_ref();
    if !pseudonyms::may_use(&step.transaction, room)? {
        return Ok((KeyMaterialUserCode::NoConsent, Vec::new()));
    }
    clear_expired(&mut step.transaction, step.now)?;
    let mut clients = Vec::new();
    for client in devices::devices(&step.transaction)? {
        let material = claim_of_client(step, &client, wanted, reservation)?;
        clients.push(ClientKeyMaterial { client_uri: client.to_wire(), material });
    }
    let succeeded = clients
        .iter()
        .filter(|client| matches!(client.material, ClientMaterial::Success(_)))
        .count();
    if succeeded > 0 {
        pseudonyms::bind(step, room)?;
    }
    // R24: every client is listed, whatever became of it.
    let code = match succeeded {
        0 => KeyMaterialUserCode::NoCompatibleMaterial,
        all if all == clients.len() => KeyMaterialUserCode::Success,
        _ => KeyMaterialUserCode::PartialSuccess,
    };
    Ok((code, clients))
}

/// R34: a user who does not exist is one who gives no consent, unless the operator tells who exists.
const fn unknown(told: UnknownUsers) -> KeyMaterialUserCode {
    match told {
        UnknownUsers::Hidden => KeyMaterialUserCode::NoConsent,
        UnknownUsers::Told => KeyMaterialUserCode::UserUnknown,
    }
}

fn claim_of_client(
    step: &mut Step<'_>,
    client: &ClientUri,
    wanted: &Mls10Request,
    reservation: &Reservation,
) -> Result<ClientMaterial, InternalError> {
    let mut anything_live = false;
    for kind in [KeyPackageKind::SingleUse, KeyPackageKind::LastResort] {
        for row in in_stock(&step.transaction, client, kind)? {
            if !row.is_live(step.now) {
                continue;
            }
            anything_live = true;
            if !is_compatible(&row, wanted) {
                continue;
            }
            if kind == KeyPackageKind::LastResort && !wanted.last_resort_allowed {
                return Ok(ClientMaterial::OnlyLastResort);
            }
            reserve(&mut step.transaction, client, kind, &row, reservation.clone())?;
            return Ok(ClientMaterial::Success(Box::new(Verbatim::own(row.bytes)?)));
        }
    }
    Ok(match anything_live {
        // R26: what the client can do is nobody's business.
        true => ClientMaterial::NothingCompatible(None),
        false => ClientMaterial::KeyMaterialExhausted,
    })
}

/// R30: the suite is acceptable and the leaf can do what is required.
pub(super) fn is_compatible(row: &InStock, wanted: &Mls10Request) -> bool {
    wanted.acceptable_ciphersuites.contains(&row.cipher_suite)
        && covers(&row.capabilities, &wanted.required_capabilities)
}
