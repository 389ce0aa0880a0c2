//! What a device was asked to do in a room and does until it is done, across restarts, lost answers
//! and commits of others (D5, D6, D20).

use openmls::key_packages::KeyPackageIn;
use serde::{Deserialize, Serialize};

use super::{
    ErrorCode, Event, IntentId, RoomPhase, commit, create,
    request::{Request, Settled},
    room::{Fate, Room, leaves_of, list_of},
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::key_package::{KeyPackageKind, check_key_package},
    room::app_sync::required_capabilities,
    storage::{Transaction, decode_row},
    time::UnixMillis,
    transport::Response,
    wire::{
        self, AppSync, ClientMaterial, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse,
        KeyMaterialUserCode, Mls10Request, Protocol, Role, UserRoles, Verbatim,
        uri::{RoomUri, UserUri},
    },
};

/// Most replays of an intent (D20).
const MOST_REPLAYS: u32 = 20;
/// Longest time for replays, in milliseconds (D20).
const REPLAY_MILLIS: u64 = 30_000;
/// The random delay before a replay grows by this many milliseconds with each (D20).
const REPLAY_DELAY_MILLIS: u64 = 250;

/// Whether the hub's key goes into the room, so that the hub may propose (A29, R77).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HubProposals {
    /// It may.
    #[default]
    On,
    /// It may not: for rooms with MLS stacks that cannot read external_senders.
    Off,
}

/// Whether last-resort KeyPackages will do (D16).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastResort {
    /// They will not (R23).
    #[default]
    Refused,
    /// They will, when a device has no other.
    Allowed,
}

/// Something to do in a room.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    /// Its name.
    pub(super) id: IntentId,
    /// What is to be done.
    pub(super) task: Task,
    /// How often others changed the room under it.
    pub(super) tries: u32,
    /// When they first did.
    replaying_since: Option<UnixMillis>,
    /// Nothing is done for it before this time.
    pub(super) not_before: UnixMillis,
    /// Whether a request of it is on its way.
    pub(super) asking: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Task {
    /// Create the room (D1).
    Create(HubProposals),
    /// Add a user with its clients (R40).
    Add(Add),
}

/// A user to add.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Add {
    user: UserUri,
    /// The encoded `UserRoles`.
    entry: Vec<u8>,
    last_resort: LastResort,
    /// The claimed KeyPackages, once they are there; kept across replays (D5).
    key_packages: Option<Vec<Vec<u8>>>,
}

/// What to do next for a user who is to be added.
enum Next {
    /// The user is in.
    Done,
    /// Ask for KeyPackages.
    Claim,
    /// Commit this.
    Commit(Option<AppSync>, Vec<Vec<u8>>),
}

impl Intent {
    fn new(id: IntentId, task: Task, now: UnixMillis) -> Self {
        Self { id, task, tries: 0, replaying_since: None, not_before: now, asking: false }
    }

    /// The user that it adds.
    pub(super) fn user(&self) -> Option<UserUri> {
        match &self.task {
            Task::Create(_) => None,
            Task::Add(add) => Some(add.user.clone()),
        }
    }

    /// Stores it.
    pub(super) fn store(&self, step: &mut Step<'_>, room: &RoomUri) -> Result<(), InternalError> {
        step.transaction.store(tables::intent(room, self.id), self)
    }

    /// It is fulfilled.
    pub(super) fn done(&self, step: &mut Step<'_>, room: &RoomUri) {
        step.transaction.delete(tables::intent(room, self.id));
        step.emit(Event::IntentDone { room: room.clone(), id: self.id });
    }

    /// It is given up.
    pub(super) fn failed(&self, step: &mut Step<'_>, room: &RoomUri, code: ErrorCode) {
        step.transaction.delete(tables::intent(room, self.id));
        let retryable = matches!(code, ErrorCode::Conflict | ErrorCode::NoKeyPackage)
            && matches!(self.task, Task::Add(_));
        step.emit(Event::IntentFailed { room: room.clone(), id: self.id, code, retryable });
    }

    /// D20: another commit ended the epoch. Waits a little, or gives up.
    pub(super) fn replay(&mut self, step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
        let since = *self.replaying_since.get_or_insert(step.now);
        self.tries += 1;
        if self.tries >= MOST_REPLAYS || step.now.since(since) >= REPLAY_MILLIS {
            self.failed(step, room, ErrorCode::Conflict);
            return Ok(());
        }
        let most = REPLAY_DELAY_MILLIS.saturating_mul(u64::from(self.tries));
        self.not_before = step.now.plus(step.random_delay(most)?);
        Ok(self.store(step, room)?)
    }
}

/// The intent of this name.
pub(super) fn load(step: &Step<'_>, room: &RoomUri, id: IntentId) -> Result<Option<Intent>> {
    Ok(step.transaction.load(&tables::intent(room, id))?)
}

/// A room's intents in the order in which they were asked for.
pub(super) fn all(
    transaction: &Transaction<'_>,
    room: &RoomUri,
) -> Result<Vec<Intent>, InternalError> {
    let prefix = tables::intents(room);
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.iter().map(|(_, row)| decode_row(row)).collect()
}

/// Takes note of something to do.
pub(super) fn add(step: &mut Step<'_>, room: &RoomUri, task: Task) -> Result<IntentId> {
    let mut account = step.account()?;
    let id = account.next_intent;
    account.next_intent += 1;
    step.store_account(&account)?;
    Intent::new(id, task, step.now).store(step, room)?;
    advance(step, room)?;
    Ok(id)
}

/// The task to add `user`.
pub(super) fn add_user(user: UserUri, roles: Vec<Role>, last_resort: LastResort) -> Result<Task> {
    let entry = wire::encode(&UserRoles { user: user.to_wire(), roles })?;
    Ok(Task::Add(Add { user, entry, last_resort, key_packages: None }))
}

/// Every intent of the room is given up.
pub(super) fn give_up_all(step: &mut Step<'_>, room: &RoomUri, code: ErrorCode) -> Result<()> {
    for intent in all(&step.transaction, room)? {
        intent.failed(step, room, code);
    }
    Ok(())
}

/// Does for the room's first intent what can be done now.
pub(super) fn advance(step: &mut Step<'_>, uri: &RoomUri) -> Result<()> {
    while let Some(mut room) = step.room(uri)? {
        let Some(mut intent) = all(&step.transaction, uri)?.into_iter().next() else { break };
        if intent.asking || intent.not_before > step.now || !step.is_registered()? {
            break;
        }
        if let Some(own) = &room.own_commit {
            // The log has to show who ended the epoch (D6).
            if own.fate == Fate::WrongEpoch && !room.fetching {
                room.fetch(step)?;
                step.store_room(&room)?;
            }
            break;
        }
        match (room.phase, &intent.task) {
            (RoomPhase::Creating, Task::Create(hub_proposals)) => {
                let hub_proposals = *hub_proposals;
                intent.asking = true;
                intent.store(step, uri)?;
                return create::start(step, uri, hub_proposals);
            }
            (RoomPhase::Creating, Task::Add(_)) => break,
            (RoomPhase::Joined, Task::Add(_)) => advance_add(step, &mut room, intent)?,
            (RoomPhase::Joined, Task::Create(_)) => intent.done(step, uri),
            (RoomPhase::Gap, _) => intent.failed(step, uri, ErrorCode::Gap),
            (RoomPhase::Diverged, _) => intent.failed(step, uri, ErrorCode::Diverged),
            (RoomPhase::Left, _) => intent.failed(step, uri, ErrorCode::NotAllowed),
        }
    }
    Ok(())
}

fn advance_add(step: &mut Step<'_>, room: &mut Room, mut intent: Intent) -> Result<()> {
    let Task::Add(add) = &intent.task else { return Ok(()) };
    match next(step, room, add)? {
        Next::Done => intent.done(step, &room.uri),
        Next::Claim => {
            let body = claim(step, room, add)?;
            let request = Request::Claim(room.uri.clone(), add.user.clone(), body);
            intent.asking = true;
            intent.store(step, &room.uri)?;
            step.enqueue(&request)?;
        }
        Next::Commit(app_sync, key_packages) => {
            match commit::start(step, room, intent.id, app_sync, &key_packages) {
                Ok(()) => {}
                // Our own state allows the commit, so it is the KeyPackages that do not.
                Err(_) => intent.failed(step, &room.uri, ErrorCode::Incompatible),
            }
        }
    }
    Ok(())
}

/// R40, D5: what is still to do, seen from the room as it stands.
fn next(step: &mut Step<'_>, room: &Room, add: &Add) -> Result<Next> {
    let group = step.group(&room.uri)?;
    let list = list_of(&group)?;
    let leaves = leaves_of(&group, &add.user)?;
    let takes_part = list.is_participant(&add.user);
    if takes_part && !leaves.is_empty() {
        return Ok(Next::Done);
    }
    let Some(key_packages) = &add.key_packages else { return Ok(Next::Claim) };
    let entry: UserRoles = wire::decode_exact(&add.entry)?;
    let app_sync = match list.roles_of(&add.user) {
        None => Some(AppSync { add_users: vec![entry], ..AppSync::default() }),
        Some(_) if takes_part => None,
        Some(_) => Some(AppSync { update_users: vec![entry], ..AppSync::default() }),
    };
    let required = required_capabilities();
    let mut valid = Vec::new();
    for bytes in key_packages {
        let key_package = Verbatim::<KeyPackageIn>::own(bytes.clone())?.into_value();
        valid.extend(check_key_package(step.algorithms(), key_package, &required, step.now).ok());
    }
    if valid.is_empty() {
        // They were valid when they came: too much time has passed.
        return Ok(Next::Claim);
    }
    valid.retain(|key_package| !leaves.contains(&key_package.client));
    let wanted: Vec<_> = valid.into_iter().map(|key_package| key_package.bytes).collect();
    if wanted.is_empty() && app_sync.is_none() {
        return Ok(Next::Done);
    }
    Ok(Next::Commit(app_sync, wanted))
}

/// The claim for `add` (R17, R19, R21–R23).
fn claim(step: &mut Step<'_>, room: &Room, add: &Add) -> Result<Vec<u8>> {
    let suite = step.group(&room.uri)?.ciphersuite();
    Ok(wire::encode(&KeyMaterialRequest {
        protocol: Protocol::MLS10,
        requesting_user: step.identity.client.user().to_wire(),
        target_users: vec![add.user.to_wire()],
        room_id: room.uri.to_wire(),
        body: KeyMaterialBody::Mls10(Mls10Request {
            acceptable_ciphersuites: vec![suite.into()],
            required_capabilities: required_capabilities(),
            last_resort_allowed: add.last_resort == LastResort::Allowed,
        }),
    })?)
}

/// The provider answered a claim.
pub(super) fn claim_answered(
    step: &mut Step<'_>,
    room: &RoomUri,
    response: &Response,
) -> Result<Settled> {
    let waiting = all(&step.transaction, room)?.into_iter().find(|intent| intent.asking);
    let Some(mut intent) = waiting else { return Ok(Settled::Delivered) };
    let Task::Add(add) = &mut intent.task else { return Ok(Settled::Delivered) };
    let suite = step.group(room)?.ciphersuite();
    match read_claim(step, add, suite.into(), response) {
        Ok(key_packages) => {
            add.key_packages = Some(key_packages);
            intent.asking = false;
            intent.store(step, room)?;
        }
        Err(code) => intent.failed(step, room, code),
    }
    advance(step, room)?;
    Ok(Settled::Delivered)
}

/// The usable KeyPackages of an answer (R24, R25, R30, D4).
fn read_claim(
    step: &Step<'_>,
    add: &Add,
    suite: u16,
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
    let lists_clients = matches!(
        answer.user_status,
        KeyMaterialUserCode::Success
            | KeyMaterialUserCode::PartialSuccess
            | KeyMaterialUserCode::NoCompatibleMaterial
    );
    if !lists_clients && !answer.clients.is_empty() {
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
        if is_usable(step, add, suite, &client.client_uri.0, key_package).is_ok() {
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
    suite: u16,
    client: &str,
    key_package: &Verbatim<KeyPackageIn>,
) -> Result<(), ProtocolError> {
    let value = KeyPackageIn::clone(key_package);
    let required = required_capabilities();
    let valid = check_key_package(step.algorithms(), value, &required, step.now)?;
    let fits = u16::from(valid.key_package.ciphersuite()) == suite
        && valid.client.as_str() == client
        && valid.client.user() == add.user
        && (valid.kind == KeyPackageKind::SingleUse || add.last_resort == LastResort::Allowed);
    if fits {
        Ok(())
    } else {
        Err(ProtocolError::InvalidProposal("a KeyPackage of something else"))
    }
}
