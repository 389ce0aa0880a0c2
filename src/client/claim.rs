//! Claiming the KeyPackages of a user who is to be added (R19–R30).

use openmls::key_packages::KeyPackageIn;

use super::{
    ErrorCode, IntentId, LastResort,
    intent::{self, Intent, WaitsFor},
    request::{self, Settled},
    room::{Room, required_by},
    step::Step,
    task::{Add, Task},
    waiting,
};
use crate::{
    error::{ProtocolError, Result},
    mls::key_package::{KeyPackageKind, check_key_package},
    transport::Response,
    wire::{
        self, ClientMaterial, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse,
        KeyMaterialUserCode, Mls10Request, Protocol, RequiredCapabilities, Verbatim, uri::RoomUri,
    },
};

/// The claim for `add` (R17, R19, R21–R23).
pub(super) fn body(step: &mut Step<'_>, room: &Room, add: &Add) -> Result<Vec<u8>> {
    let group = step.group(&room.uri)?;
    let suite = group.ciphersuite();
    Ok(wire::encode(&KeyMaterialRequest {
        protocol: Protocol::MLS10,
        requesting_user: step.identity.client.user().to_wire(),
        target_users: vec![add.user.to_wire()],
        room_id: room.uri.to_wire(),
        body: KeyMaterialBody::Mls10(Mls10Request {
            acceptable_ciphersuites: vec![suite.into()],
            required_capabilities: required_by(&group)?,
            last_resort_allowed: add.last_resort == LastResort::Allowed,
        }),
    })?)
}

/// The intent of this name, while it waits for the answer to its claim.
pub(super) fn waiting(
    step: &Step<'_>,
    room: &RoomUri,
    id: IntentId,
) -> Result<Option<(Intent, Add)>> {
    let intent = intent::load(step, room, id)?;
    Ok(intent.filter(|intent| intent.waits_for == WaitsFor::Answer).and_then(|intent| match intent
        .task
        .clone()
    {
        Task::Add(add) => Some((intent, add)),
        _ => None,
    }))
}

/// The provider answered the claim of this intent.
pub(super) fn answered(
    step: &mut Step<'_>,
    room: &RoomUri,
    id: IntentId,
    response: &Response,
) -> Result<Settled> {
    let Some((mut intent, mut add)) = waiting(step, room, id)? else {
        return Ok(Settled::Delivered);
    };
    if request::is_silent(response) && request::has_patience(&mut add.silent_since, step.now) {
        intent.task = Task::Add(add);
        intent.store(step, room)?;
        return Ok(Settled::Later(response.retry_after_millis()));
    }
    let group = step.group(room)?;
    let fitting = Fitting { suite: group.ciphersuite().into(), required: required_by(&group)? };
    match read(step, &add, &fitting, response) {
        Ok(key_packages) => {
            add.key_packages = Some(key_packages);
            intent.task = Task::Add(add);
            intent.wait(step, room, WaitsFor::Nothing)?;
        }
        Err(ErrorCode::NoConsent) => waiting::refused(step, room, intent)?,
        Err(code) => intent.failed(step, room, code),
    }
    intent::advance(step, room)?;
    Ok(Settled::Delivered)
}

/// What a KeyPackage has to be of and able to do in the room.
struct Fitting {
    suite: u16,
    required: RequiredCapabilities,
}

/// The usable KeyPackages of an answer (R24, R30, D4). Clients where none may be do not decode (R25).
fn read(
    step: &Step<'_>,
    add: &Add,
    fitting: &Fitting,
    response: &Response,
) -> Result<Vec<Vec<u8>>, ErrorCode> {
    if !response.is_success() {
        return Err(ErrorCode::of_status(response.status));
    }
    let answer: KeyMaterialResponse =
        wire::decode_exact(&response.body).map_err(|_| ErrorCode::Incompatible)?;
    if answer.protocol != Protocol::MLS10 || answer.user_uri != add.user.to_wire() {
        return Err(ErrorCode::Incompatible);
    }
    match answer.user_status {
        KeyMaterialUserCode::Success | KeyMaterialUserCode::PartialSuccess => {}
        KeyMaterialUserCode::NoCompatibleMaterial => return Err(nothing_there(&answer)),
        KeyMaterialUserCode::IncompatibleProtocol => return Err(ErrorCode::Incompatible),
        KeyMaterialUserCode::UserUnknown | KeyMaterialUserCode::UserDeleted => {
            return Err(ErrorCode::UserUnknown);
        }
        KeyMaterialUserCode::NoConsent | KeyMaterialUserCode::NoConsentForThisRoom => {
            return Err(ErrorCode::NoConsent);
        }
    }
    let mut usable = Vec::new();
    for client in &answer.clients {
        let ClientMaterial::Success(key_package) = &client.material else { continue };
        if is_usable(step, add, fitting, &client.client_uri.0, key_package).is_ok() {
            usable.push(key_package.bytes().to_vec());
        }
    }
    if usable.is_empty() { Err(ErrorCode::Incompatible) } else { Ok(usable) }
}

/// Why a user has nothing to give: nothing fits, or nothing is left.
fn nothing_there(answer: &KeyMaterialResponse) -> ErrorCode {
    let unfit = answer
        .clients
        .iter()
        .any(|client| matches!(client.material, ClientMaterial::NothingCompatible(_)));
    if unfit { ErrorCode::Incompatible } else { ErrorCode::NoKeyPackage }
}

/// R30: valid, of the room's suite, of this client of this user, and no last-resort one unasked.
fn is_usable(
    step: &Step<'_>,
    add: &Add,
    fitting: &Fitting,
    client: &str,
    key_package: &Verbatim<KeyPackageIn>,
) -> Result<(), ProtocolError> {
    let value = KeyPackageIn::clone(key_package);
    let valid = check_key_package(step.algorithms(), value, &fitting.required, step.now)?;
    let fits = u16::from(valid.key_package.ciphersuite()) == fitting.suite
        && valid.client.as_str() == client
        && valid.client.user() == add.user
        && (valid.kind == KeyPackageKind::SingleUse || add.last_resort == LastResort::Allowed);
    if fits {
        Ok(())
    } else {
        Err(ProtocolError::InvalidProposal("a KeyPackage of something else"))
    }
}
