//! Intents to add somebody who has not consented yet: they ask, wait, and go on when the grant is
//! there.

use super::{
    Client, ErrorCode, Event, IntentId, consent, create, external,
    intent::{self, Intent, WaitsFor},
    leave,
    request::{Lane, Request},
    step::Step,
    tables,
    task::Task,
};
use crate::{
    error::Result,
    storage::encode_row,
    time::UnixMillis,
    wire::{
        ConsentEntry, ConsentOperation,
        uri::{RoomUri, UserUri},
    },
};

/// How often an intent asks for consent: after this many grants that were of no use, it gives up.
const MOST_REQUESTS: u32 = 5;

impl Client {
    /// Gives up something that is still to be done in a room, and says whether it was not too late:
    /// what is sent already is not called back, but for a request for consent. With a creation goes
    /// all that was to be done and said in the room. The same call again says the same.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn cancel_intent(&mut self, room: &RoomUri, id: IntentId, now: UnixMillis) -> Result<bool> {
        self.step(now, |step| {
            let (Some(intent), Some(known)) = (intent::load(step, room, id)?, step.room(room)?)
            else {
                return Ok(step.transaction.read(&tables::cancelled(room, id))?.is_some());
            };
            match &intent.task {
                _ if intent.is_committing(&known) => return Ok(false),
                Task::Join(join) => external::cancel(step, known, &intent, join)?,
                Task::Create(_) if !create::cancel(step, room, &intent)? => return Ok(false),
                Task::Leave(_) if !leave::cancel(step, room, &intent)? => return Ok(false),
                Task::CommitPending => return Ok(false),
                Task::Create(_) | Task::Leave(_) => {}
                // Nothing of it is to be seen before its commit. (A claim is never undone, D5.)
                _ => give_up(step, room, &intent, ErrorCode::Aborted)?,
            }
            // What it asked for and is not answered yet has no purpose any more and is in the way.
            let lane = encode_row(&Lane::Intents(room.clone()))?;
            step.outbox.wake(&mut step.transaction, &lane, step.now)?;
            step.transaction.store(tables::cancelled(room, id), &())?;
            intent::advance(step, room)?;
            Ok(true)
        })
    }
}

/// The target's provider refused a claim for want of consent: asks for it, if the application wants
/// that.
pub(super) fn refused(step: &mut Step<'_>, room: &RoomUri, mut intent: Intent) -> Result<()> {
    let Task::Add(add) = &mut intent.task else { return Ok(()) };
    if !add.request_consent || add.requests >= MOST_REQUESTS {
        intent.failed(step, room, ErrorCode::NoConsent);
        return Ok(());
    }
    add.requests += 1;
    let body = consent::entry(step, ConsentOperation::Request, &add.user, Some(room))?;
    step.enqueue(&Request::Consent(None, body))?;
    step.emit(Event::WaitingForConsent { room: room.clone(), id: intent.id });
    Ok(intent.wait(step, room, WaitsFor::Consent)?)
}

/// Consent to be added to a room, or to any, was given, or its request taken back: what waited for
/// that goes on, and asks anew if it has to.
pub(super) fn claim_again(step: &mut Step<'_>, by: &UserUri, room: Option<&RoomUri>) -> Result<()> {
    let mut rooms = step.rooms()?;
    rooms.retain(|known| room.is_none_or(|room| *room == known.uri));
    for room in rooms {
        for intent in waiting_for(step, &room.uri, by)? {
            intent.wait(step, &room.uri, WaitsFor::Nothing)?;
        }
        intent::advance(step, &room.uri)?;
    }
    Ok(())
}

/// The provider does not take the request, so that no grant will come.
pub(super) fn request_failed(step: &mut Step<'_>, entry: &ConsentEntry) -> Result<()> {
    let user = UserUri::from_wire(&entry.target_user)?;
    let Some(room) = entry.room_id.as_ref().map(RoomUri::from_wire).transpose()? else {
        return Ok(());
    };
    if entry.operation == ConsentOperation::Request {
        for intent in waiting_for(step, &room, &user)? {
            intent.failed(step, &room, ErrorCode::NoConsent);
        }
    }
    Ok(())
}

/// The intent is given up; if it waits for consent, the request is taken back (R103).
pub(super) fn give_up(
    step: &mut Step<'_>,
    room: &RoomUri,
    intent: &Intent,
    code: ErrorCode,
) -> Result<()> {
    intent.failed(step, room, code);
    take_back(step, room, intent)
}

/// An intent that waits for consent has nothing left to do: somebody else added the user.
pub(super) fn done(step: &mut Step<'_>, room: &RoomUri, intent: &Intent) -> Result<()> {
    intent.done(step, room);
    take_back(step, room, intent)
}

fn take_back(step: &mut Step<'_>, room: &RoomUri, intent: &Intent) -> Result<()> {
    let (WaitsFor::Consent, Task::Add(add)) = (intent.waits_for, &intent.task) else {
        return Ok(());
    };
    let body = consent::entry(step, ConsentOperation::Cancel, &add.user, Some(room))?;
    Ok(step.enqueue(&Request::Consent(None, body))?)
}

fn waiting_for(step: &Step<'_>, room: &RoomUri, user: &UserUri) -> Result<Vec<Intent>> {
    let mut intents = intent::all(&step.transaction, room)?;
    intents.retain(|intent| {
        intent.waits_for == WaitsFor::Consent && intent.task.user().as_ref() == Some(user)
    });
    Ok(intents)
}
