//! KeyPackages in grants (R97): of a user of ours on their way out, and of others until they are used.
//!
//! Those of others serve claims for rooms of this provider alone, so that their hub knows them and
//! their provider finds the Welcome.

use openmls::key_packages::KeyPackageIn;
use serde::{Deserialize, Serialize};

use super::{Entry, book};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{
        MlsCrypto,
        key_package::{KeyPackageKind, ValidKeyPackage, check_key_package},
    },
    object::Step,
    provider::{
        claims::is_compatible,
        devices,
        key_packages::{InStock, Issued, Reservation, check_owner, issued, record},
        outgoing,
        user::table,
    },
    storage::{Key, Transaction, decode_row},
    time::UnixMillis,
    wire::{
        ClientKeyMaterial, ClientMaterial, KeyMaterialBody, KeyMaterialRequest,
        KeyMaterialResponse, KeyMaterialUserCode, Mls10Request, RequiredCapabilities, Verbatim,
        encode,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Most KeyPackages of one grant: one for each device that a user of ours can have.
const MAX_PER_GRANT: usize = 32;
/// Most KeyPackages of one other user, the used ones too, until they end.
const MAX_PER_USER: usize = 256;

/// A KeyPackage that came with a grant and is valid.
pub(super) struct Granted {
    client: ClientUri,
    key_package: InStock,
}

/// A KeyPackage that came with a grant, by the user of whom it is and its ref.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    client: ClientUri,
    room: Option<RoomUri>,
    reference: Vec<u8>,
    not_after: UnixMillis,
    /// `None` once it is used: the same does not come again (R27).
    key_package: Option<InStock>,
}

/// Checks what came with a grant of `target`, as an answer to a claim is checked (R29, R30).
///
/// # Errors
/// `Malformed` for too many, or one that is not valid, not the target's or a last-resort one.
pub(super) fn check(
    crypto: &MlsCrypto,
    now: UnixMillis,
    list: Vec<Verbatim<KeyPackageIn>>,
    target: &UserUri,
) -> Result<Vec<Granted>, ProtocolError> {
    const REFUSED: ProtocolError = ProtocolError::Malformed("KeyPackages of a grant");
    if list.len() > MAX_PER_GRANT {
        return Err(REFUSED);
    }
    let check = |key_package: Verbatim<KeyPackageIn>| {
        let valid = valid(crypto, now, key_package).ok().filter(|it| it.client.user() == *target);
        let valid = valid.ok_or(REFUSED)?;
        Ok(Granted { client: valid.client.clone(), key_package: InStock::new(valid) })
    };
    list.into_iter().map(check).collect()
}

fn valid(
    crypto: &MlsCrypto,
    now: UnixMillis,
    key_package: Verbatim<KeyPackageIn>,
) -> Result<ValidKeyPackage, ProtocolError> {
    let required = RequiredCapabilities::default();
    let value = key_package.into_value();
    let valid = check_key_package(crypto.algorithms(), value, &required, now)?;
    match valid.kind {
        KeyPackageKind::SingleUse => Ok(valid),
        KeyPackageKind::LastResort => Err(ProtocolError::InvalidProposal("a last-resort one")),
    }
}

/// Keeps what came with a grant of `target` and is not among `held`; what has ended goes.
pub(super) fn keep(
    step: &mut Step<'_>,
    target: &UserUri,
    room: Option<&RoomUri>,
    held: &[Held],
    mut granted: Vec<Granted>,
) -> Result<(), InternalError> {
    for old in held.iter().filter(|old| old.not_after < step.now) {
        step.transaction.delete(key(target, &old.reference));
    }
    granted.retain(|new| !held.iter().any(|old| old.reference == new.key_package.reference));
    granted.truncate(MAX_PER_USER.saturating_sub(held.len()));
    for Granted { client, key_package } in granted {
        let held = Held {
            client,
            room: room.cloned(),
            reference: key_package.reference.clone(),
            not_after: key_package.not_after,
            key_package: Some(key_package),
        };
        held.store(step, target)?;
    }
    Ok(())
}

/// What came with grants of `target`.
pub(super) fn held(
    transaction: &Transaction<'_>,
    target: &UserUri,
) -> Result<Vec<Held>, InternalError> {
    let prefix = Key::table(table::CONSENT_KEY_PACKAGES).text(target.as_str()).build();
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.iter().map(|(_, row)| decode_row(row)).collect()
}

/// Those for this scope are not used any more.
pub(super) fn drop_touched(
    step: &mut Step<'_>,
    target: &UserUri,
    room: Option<&RoomUri>,
    held: Vec<Held>,
) -> Result<(), InternalError> {
    for mut held in held {
        if held.key_package.is_some() && book::touches(room, held.room.as_ref()) {
            held.key_package = None;
            held.store(step, target)?;
        }
    }
    Ok(())
}

/// All of `target` go, and that they were there.
pub(super) fn forget(step: &mut Step<'_>, target: &UserUri) -> Result<(), InternalError> {
    for held in held(&step.transaction, target)? {
        step.transaction.delete(key(target, &held.reference));
    }
    Ok(())
}

/// The encoded answer to a claim for a room of ours, if KeyPackages that came with a grant fit it; those
/// in it are used from now on.
///
/// # Errors
/// When the storage fails.
pub(in crate::provider) fn granted_answer(
    step: &mut Step<'_>,
    target: &UserUri,
    room: &RoomUri,
    claim: &KeyMaterialRequest,
) -> Result<Option<Vec<u8>>> {
    let KeyMaterialBody::Mls10(wanted) = &claim.body else { return Ok(None) };
    if *room.domain() != step.config.domain {
        return Ok(None);
    }
    let clients = take(step, target, room, wanted)?;
    if clients.is_empty() {
        return Ok(None);
    }
    Ok(Some(encode(&KeyMaterialResponse {
        protocol: claim.protocol,
        user_status: KeyMaterialUserCode::Success,
        user_uri: target.to_wire(),
        clients,
    })?))
}

/// One KeyPackage of each client of `target` that came with a grant for this room and fits.
fn take(
    step: &mut Step<'_>,
    target: &UserUri,
    room: &RoomUri,
    wanted: &Mls10Request,
) -> Result<Vec<ClientKeyMaterial>> {
    let mut clients: Vec<ClientKeyMaterial> = Vec::new();
    for mut held in held(&step.transaction, target)? {
        let client_uri = held.client.to_wire();
        if !book::covers(held.room.as_ref(), Some(room))
            || clients.iter().any(|client| client.client_uri == client_uri)
        {
            continue;
        }
        let fits = |it: &mut InStock| {
            it.not_before <= step.now && step.now < it.not_after && is_compatible(it, wanted)
        };
        let Some(key_package) = held.key_package.take_if(fits) else { continue };
        held.store(step, target)?;
        let material = ClientMaterial::Success(Box::new(Verbatim::own(key_package.bytes)?));
        clients.push(ClientKeyMaterial { client_uri, material });
    }
    Ok(clients)
}

/// The KeyPackages of a grant that a user of ours gives go out: they belong to its devices and are
/// nobody else's (R27).
///
/// # Errors
/// `InvalidProposal` for too many, or one that is not valid, not of a device of the user, or a
/// last-resort one; `Conflict` for one that is known already.
pub(super) fn issue(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    entry: &Entry,
    list: &[Verbatim<KeyPackageIn>],
) -> Result<()> {
    if list.len() > MAX_PER_GRANT {
        return Err(ProtocolError::InvalidProposal("too many KeyPackages").into());
    }
    let reservation = Reservation { requester: entry.requester.clone(), room: entry.room.clone() };
    let mut references = Vec::new();
    for key_package in list {
        let valid = valid(crypto, step.now, key_package.clone())?;
        let client = valid.client.clone();
        let device = devices::device(&step.transaction, &client)?
            .ok_or(ProtocolError::InvalidProposal("a KeyPackage of another client"))?;
        check_owner(&valid, &client, &device)?;
        let new = InStock::new(valid);
        references.push(new.reference.clone());
        match issued(&step.transaction, &new.reference)? {
            None => {
                let kind = KeyPackageKind::SingleUse;
                let row = Issued { client, kind, reserved: Some(reservation.clone()) };
                record(&mut step.transaction, &new, &row)?;
            }
            // The same call again.
            Some(row) if row.reserved.as_ref() == Some(&reservation) => {}
            Some(_) => return Err(ProtocolError::Conflict("a KeyPackage is known").into()),
        }
    }
    if !references.is_empty() && *entry.requester.domain() != step.config.domain {
        outgoing::record_granted(step, &entry.requester, references)?;
    }
    Ok(())
}

impl Held {
    fn store(&self, step: &mut Step<'_>, target: &UserUri) -> Result<(), InternalError> {
        step.transaction.store(key(target, &self.reference), self)
    }
}

fn key(target: &UserUri, reference: &[u8]) -> Vec<u8> {
    Key::table(table::CONSENT_KEY_PACKAGES).text(target.as_str()).bytes(reference).build()
}
