//! What a device was asked to do in a room and does until it is done, across restarts, lost answers
//! and commits of others (D5, D6, D20).

use openmls::key_packages::KeyPackageIn;
use serde::{Deserialize, Serialize};

use super::{
    ErrorCode, Event, IntentId, IntentKind, RoomPhase, claim, commit, create,
    request::Request,
    room::{Fate, Room, leaves_of, list_of, required_by},
    step::Step,
    tables,
};
use crate::{
    error::{Error, InternalError, Result},
    mls::key_package::check_key_package,
    storage::{Transaction, decode_row},
    time::UnixMillis,
    wire::{
        self, AppSync, Role, UserRoles, Verbatim,
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
    pub(super) user: UserUri,
    /// The encoded `UserRoles`.
    entry: Vec<u8>,
    pub(super) last_resort: LastResort,
    /// The claimed KeyPackages, once they are there; kept across replays (D5).
    pub(super) key_packages: Option<Vec<Vec<u8>>>,
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

    /// What it does.
    pub(super) const fn kind(&self) -> IntentKind {
        match &self.task {
            Task::Create(_) => IntentKind::Create,
            Task::Add(_) => IntentKind::Add,
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
            (RoomPhase::Creating | RoomPhase::Joining, _) => break,
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
            let body = claim::body(step, room, add)?;
            let request = Request::Claim(room.uri.clone(), add.user.clone(), body);
            intent.asking = true;
            intent.store(step, &room.uri)?;
            step.enqueue(&request)?;
        }
        Next::Commit(app_sync, key_packages) => {
            match commit::start(step, room, intent.id, app_sync, &key_packages) {
                Err(Error::Internal(
                    error @ (InternalError::Storage(_) | InternalError::Codec(_)),
                )) => {
                    return Err(error.into());
                }
                // Our own state allows the commit, so it is the KeyPackages that do not.
                Err(_) => intent.failed(step, &room.uri, ErrorCode::Incompatible),
                Ok(()) => {}
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
    let required = required_by(&group)?;
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
