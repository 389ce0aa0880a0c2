//! What a device was asked to do in a room and does until it is done, across restarts, lost answers
//! and commits of others (D5, D6, D20).

use openmls::group::MlsGroup;
use serde::{Deserialize, Serialize};

use super::{
    ErrorCode, Event, IntentId, PendingIntent, PendingState, RoomPhase, claim,
    commit::{self, Plan},
    create, external, leave,
    outlook::Outlook,
    request::Request,
    room::{Fate, Room},
    step::Step,
    tables,
    task::{Next, Task},
    waiting,
};
use crate::{
    error::{Error, InternalError, Result},
    storage::{Transaction, decode_row},
    time::UnixMillis,
    wire::uri::RoomUri,
};

/// Most replays of an intent (D20).
const MOST_REPLAYS: u32 = 20;
/// Longest time for replays, in milliseconds (D20).
const REPLAY_MILLIS: u64 = 30_000;
/// The random delay before a replay grows by this many milliseconds with each (D20).
const REPLAY_DELAY_MILLIS: u64 = 250;

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
    /// What else it waits for.
    pub(super) waits_for: WaitsFor,
}

/// What has to come before anything more is done for an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum WaitsFor {
    /// Nothing.
    Nothing,
    /// The answer to a request of it.
    Answer,
    /// The room's next epoch.
    Epoch,
    /// A grant of the user who is to be added. The room's other intents do not wait with it.
    Consent,
    /// The answer to a request that was handed out: it may have its effect already.
    Outcome,
}

impl WaitsFor {
    /// Whether a request was made for it that has no answer.
    pub(super) const fn is_answer(self) -> bool {
        matches!(self, Self::Answer | Self::Outcome)
    }
}

impl Intent {
    fn new(id: IntentId, task: Task, not_before: UnixMillis) -> Self {
        let waits_for = WaitsFor::Nothing;
        Self { id, task, tries: 0, replaying_since: None, not_before, waits_for }
    }

    /// The intent as the application sees it, if it asked for it.
    pub(super) fn shown(&self, room: &Room) -> Option<PendingIntent> {
        let state = if self.waits_for == WaitsFor::Consent {
            PendingState::WaitingConsent
        } else if self.is_committing(room) {
            PendingState::Committing
        } else if self.tries > 0 {
            PendingState::Retrying
        } else {
            PendingState::Queued
        };
        let what = self.task.kind()?;
        Some(PendingIntent { id: self.id, what, user: self.task.user(), state, tries: self.tries })
    }

    /// Whether its commit is on its way.
    pub(super) fn is_committing(&self, room: &Room) -> bool {
        room.own_commit.as_ref().is_some_and(|own| own.intent == self.id)
    }

    /// Stores it.
    pub(super) fn store(&self, step: &mut Step<'_>, room: &RoomUri) -> Result<(), InternalError> {
        step.transaction.store(tables::intent(room, self.id), self)
    }

    /// It waits.
    pub(super) fn wait(
        mut self,
        step: &mut Step<'_>,
        room: &RoomUri,
        waits_for: WaitsFor,
    ) -> Result<(), InternalError> {
        self.waits_for = waits_for;
        self.store(step, room)
    }

    /// It is fulfilled.
    pub(super) fn done(&self, step: &mut Step<'_>, room: &RoomUri) {
        step.transaction.delete(tables::intent(room, self.id));
        if self.task.kind().is_some() {
            step.emit(Event::IntentDone { room: room.clone(), id: self.id });
        }
    }

    /// It is given up.
    pub(super) fn failed(&self, step: &mut Step<'_>, room: &RoomUri, code: ErrorCode) {
        step.transaction.delete(tables::intent(room, self.id));
        let Some(what) = self.task.kind() else { return };
        let may_pass = matches!(
            code,
            ErrorCode::Conflict | ErrorCode::NoKeyPackage | ErrorCode::HubUnresponsive
        );
        let retryable = may_pass && !matches!(self.task, Task::Create(_));
        let (room, id, user) = (room.clone(), self.id, self.task.user());
        step.emit(Event::IntentFailed { room, id, what, user, code, retryable });
    }

    /// D20: another commit ended the epoch. Waits a little, or gives up; a device that lost the thread
    /// does not, since nobody would ask it to join again.
    pub(super) fn replay(&mut self, step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
        let since = *self.replaying_since.get_or_insert(step.now);
        self.tries += 1;
        let is_over = self.tries >= MOST_REPLAYS || step.now.since(since) >= REPLAY_MILLIS;
        if is_over && !matches!(&self.task, Task::Join(join) if join.is_automatic) {
            self.failed(step, room, ErrorCode::Conflict);
            return Ok(());
        }
        let most = REPLAY_DELAY_MILLIS.saturating_mul(u64::from(self.tries.min(MOST_REPLAYS)));
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

/// A room's intents as the application sees them, in order.
pub(super) fn shown(
    transaction: &Transaction<'_>,
    room: &Room,
) -> Result<Vec<PendingIntent>, InternalError> {
    Ok(all(transaction, &room.uri)?.iter().filter_map(|intent| intent.shown(room)).collect())
}

/// The intent of a room whose turn it is: one that has been asked for something, else the oldest, but
/// for those that wait for consent.
pub(super) fn first(
    transaction: &Transaction<'_>,
    room: &RoomUri,
) -> Result<Option<Intent>, InternalError> {
    let mut intents = all(transaction, room)?;
    intents.retain(|intent| intent.waits_for != WaitsFor::Consent);
    let rank = |intent: &Intent| match intent {
        // Nothing else can be done before this device is in the room.
        Intent { task: Task::Join(_), .. } => 0,
        Intent { waits_for, .. } if waits_for.is_answer() => 1,
        _ => 2,
    };
    Ok(intents.into_iter().min_by_key(rank))
}

/// Takes note of something to do.
pub(super) fn add(step: &mut Step<'_>, room: &RoomUri, task: Task) -> Result<IntentId> {
    let id = insert(step, room, task, step.now)?;
    advance(step, room)?;
    Ok(id)
}

fn insert(
    step: &mut Step<'_>,
    room: &RoomUri,
    task: Task,
    not_before: UnixMillis,
) -> Result<IntentId> {
    let id = new_id(step)?;
    Intent::new(id, task, not_before).store(step, room)?;
    Ok(id)
}

/// A name for something that is asked for.
pub(super) fn new_id(step: &mut Step<'_>) -> Result<IntentId> {
    let mut account = step.account()?;
    let id = account.next_intent;
    account.next_intent += 1;
    step.store_account(&account)?;
    Ok(id)
}

/// Messages wait for a commit of what is pending: makes one a little later, unless something else
/// that is to be done here brings one (D20).
pub(super) fn commit_pending(step: &mut Step<'_>, room: &Room, outlook: &Outlook) -> Result<()> {
    if outlook.own_leaf_goes() || first(&step.transaction, &room.uri)?.is_some() {
        return Ok(());
    }
    let not_before = step.now.plus(step.random_delay(REPLAY_DELAY_MILLIS)?);
    insert(step, &room.uri, Task::CommitPending, not_before)?;
    Ok(())
}

/// Every intent of the room is given up.
pub(super) fn give_up_all(step: &mut Step<'_>, room: &RoomUri, code: ErrorCode) -> Result<()> {
    for intent in all(&step.transaction, room)? {
        waiting::give_up(step, room, &intent, code)?;
    }
    Ok(())
}

/// The room is in another epoch: what waited for that may go on, and a leaver's proposals are void.
pub(super) fn epoch_changed(step: &mut Step<'_>, room: &RoomUri, group: &MlsGroup) -> Result<()> {
    for intent in all(&step.transaction, room)? {
        if intent.waits_for == WaitsFor::Epoch || matches!(intent.task, Task::Leave(_)) {
            intent.wait(step, room, WaitsFor::Nothing)?;
        } else if intent.waits_for == WaitsFor::Consent
            && let Next::Done = intent.task.next(step, group, &Outlook::of(group)?)?
        {
            waiting::done(step, room, &intent)?;
        }
    }
    Ok(())
}

/// Does for the room's first intent what can be done now.
pub(super) fn advance(step: &mut Step<'_>, uri: &RoomUri) -> Result<()> {
    while let Some(mut room) = step.room(uri)? {
        let Some(intent) = first(&step.transaction, uri)? else { break };
        if intent.waits_for != WaitsFor::Nothing
            || intent.not_before > step.now
            || !step.is_registered()?
        {
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
            (RoomPhase::Creating, Task::Create(options)) => {
                let options = *options;
                intent.wait(step, uri, WaitsFor::Answer)?;
                return create::start(step, uri, options);
            }
            (RoomPhase::Joining, Task::Join(_)) => external::ask(step, uri, intent)?,
            (RoomPhase::Creating | RoomPhase::Joining, _) => break,
            (RoomPhase::Joined, _) => advance_joined(step, &mut room, intent)?,
            (RoomPhase::Gap, _) => intent.failed(step, uri, ErrorCode::Gap),
            (RoomPhase::Diverged, _) => intent.failed(step, uri, ErrorCode::Diverged),
            (RoomPhase::Left, _) => intent.failed(step, uri, ErrorCode::NotAllowed),
        }
    }
    Ok(())
}

/// Gives up the intent whose turn it is: it cannot be gone on with, and the others can.
pub(super) fn give_up_first(step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
    match first(&step.transaction, room)? {
        Some(intent) => waiting::give_up(step, room, &intent, ErrorCode::Internal),
        None => Ok(()),
    }
}

fn advance_joined(step: &mut Step<'_>, room: &mut Room, intent: Intent) -> Result<()> {
    let mut group = step.group(&room.uri)?;
    let outlook = Outlook::of(&group)?;
    match intent.task.next(step, &group, &outlook)? {
        Next::Done => intent.done(step, &room.uri),
        Next::Fail(code) => intent.failed(step, &room.uri, code),
        // Somebody else commits, and then this device is out (R54, R57).
        _ if outlook.own_leaf_goes() => intent.wait(step, &room.uri, WaitsFor::Epoch)?,
        Next::Propose => leave::propose(step, room, intent, &mut group, &outlook)?,
        Next::Claim => {
            let Task::Add(add) = &intent.task else { return Ok(()) };
            let body = claim::body(step, room, add)?;
            let request = Request::Claim(room.uri.clone(), intent.id, add.user.clone(), body);
            intent.wait(step, &room.uri, WaitsFor::Answer)?;
            step.enqueue(&request)?;
        }
        Next::Commit(plan) => start_commit(step, room, &intent, Some(plan))?,
        Next::CommitPending => start_commit(step, room, &intent, None)?,
    }
    Ok(())
}

fn start_commit(
    step: &mut Step<'_>,
    room: &mut Room,
    intent: &Intent,
    plan: Option<Plan>,
) -> Result<()> {
    match commit::start(step, room, intent.id, plan) {
        Err(Error::Internal(error @ (InternalError::Storage(_) | InternalError::Codec(_)))) => {
            return Err(error.into());
        }
        // Our own state allows the commit, so it is what the intent brings that does not.
        Err(_) => intent.failed(step, &room.uri, ErrorCode::Incompatible),
        Ok(()) => {}
    }
    Ok(())
}
