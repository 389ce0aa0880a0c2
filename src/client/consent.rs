//! Consent to be added to rooms, asked and given (R95–R103): the calls, and what the own provider says
//! of it, of which the device keeps a copy.
//!
//! Out of scope: what an intent to add somebody does while it waits (`waiting`).

use serde::{Deserialize, Serialize};

use super::{
    Client, ErrorCode, Event, IntentId, intent, key_packages,
    request::{Request, Settled},
    step::Step,
    tables, waiting,
};
use crate::{
    error::{InternalError, Result, UsageError},
    sorted::SortedSet,
    storage::Transaction,
    time::UnixMillis,
    transport::Response,
    wire::{
        self, ConsentEntry, ConsentItem, ConsentOperation, ConsentState, IdentifierUri,
        uri::{RoomUri, UserUri},
    },
};

/// One thing that was said between the own user and another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The other user.
    pub user: UserUri,
    /// The one room that it is about; `None`: any room.
    pub room: Option<RoomUri>,
    /// When the own provider took note of it.
    pub at: UnixMillis,
}

/// What a device knows about the state of consent at its provider.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Sync {
    /// Whether it is asked for.
    fetching: bool,
    /// The version that the provider has told of.
    announced: u64,
}

impl Client {
    /// Asks `user` to allow the own user to add it to a room, or to any. Whether the user sees it is
    /// never told (R99); a grant is an event.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] for the own user.
    pub fn request_consent(
        &mut self,
        user: &UserUri,
        room: Option<&RoomUri>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        self.step(now, |step| say(step, ConsentOperation::Request, user, room))
    }

    /// Takes a request of the same scope back (R103).
    ///
    /// # Errors
    /// As [`Client::request_consent`].
    pub fn cancel_consent(
        &mut self,
        user: &UserUri,
        room: Option<&RoomUri>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        self.step(now, |step| say(step, ConsentOperation::Cancel, user, room))
    }

    /// Allows `user` to add the own user to a room, or to any, asked or not (R96).
    ///
    /// # Errors
    /// As [`Client::request_consent`].
    pub fn grant_consent(
        &mut self,
        user: &UserUri,
        room: Option<&RoomUri>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        self.step(now, |step| say(step, ConsentOperation::Grant(Vec::new()), user, room))
    }

    /// As [`Client::grant_consent`], with a KeyPackage of this device: a room of the other user's
    /// provider can add it without a claim (R97).
    ///
    /// # Errors
    /// As [`Client::request_consent`].
    pub fn grant_consent_with_key_package(
        &mut self,
        user: &UserUri,
        room: Option<&RoomUri>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        self.step(now, |step| {
            let key_packages = vec![key_packages::make_single_use(step)?];
            say(step, ConsentOperation::Grant(key_packages), user, room)
        })
    }

    /// Does not allow it, or no longer. The other user is not told (R100).
    ///
    /// # Errors
    /// As [`Client::request_consent`].
    pub fn revoke_consent(
        &mut self,
        user: &UserUri,
        room: Option<&RoomUri>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        self.step(now, |step| say(step, ConsentOperation::Revoke, user, room))
    }

    /// The open requests of others, by user and room.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn consent_incoming(&self) -> Result<Vec<Consent>> {
        Ok(consents(&known(&Transaction::new(&self.storage))?.incoming))
    }

    /// Whom the user allows to add it, by user and room.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn consent_granted(&self) -> Result<Vec<Consent>> {
        Ok(consents(&known(&Transaction::new(&self.storage))?.given))
    }

    /// The user's own open requests, by user and room.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn consent_requested(&self) -> Result<Vec<Consent>> {
        Ok(consents(&known(&Transaction::new(&self.storage))?.requested))
    }
}

fn say(
    step: &mut Step<'_>,
    operation: ConsentOperation,
    user: &UserUri,
    room: Option<&RoomUri>,
) -> Result<IntentId> {
    if *user == step.identity.client.user() {
        return Err(UsageError::BadArgument("consent of oneself").into());
    }
    let id = intent::new_id(step)?;
    let body = entry(step, operation, user, room)?;
    step.enqueue(&Request::Consent(Some(id), body))?;
    Ok(id)
}

/// The encoded entry with which the own user says something to `other`.
pub(super) fn entry(
    step: &Step<'_>,
    operation: ConsentOperation,
    other: &UserUri,
    room: Option<&RoomUri>,
) -> Result<Vec<u8>, InternalError> {
    let (own, other) = (step.identity.client.user().to_wire(), other.to_wire());
    let (requester_user, target_user) = match operation {
        ConsentOperation::Request | ConsentOperation::Cancel => (own, other),
        ConsentOperation::Grant(_) | ConsentOperation::Revoke => (other, own),
    };
    let room_id = room.map(RoomUri::to_wire);
    wire::encode(&ConsentEntry { operation, requester_user, target_user, room_id })
}

/// The provider answered `POST consent`; what was said there for the application has a name.
pub(super) fn answered(
    step: &mut Step<'_>,
    id: Option<IntentId>,
    body: &[u8],
    response: &Response,
) -> Result<Settled> {
    if response.is_success() {
        take_answer(step, response)?;
        if let Some(id) = id {
            step.emit(Event::ConsentDone { id });
        }
        return Ok(Settled::Delivered);
    }
    let code = ErrorCode::of_status(response.status);
    match id {
        Some(id) => step.emit(Event::ConsentFailed { id, code }),
        None => waiting::request_failed(step, &wire::decode_exact(body)?)?,
    }
    Ok(Settled::Delivered)
}

/// The provider says which version it has.
pub(super) fn announced(step: &mut Step<'_>, version: u64) -> Result<()> {
    if version <= known(&step.transaction)?.version {
        return Ok(());
    }
    let mut account = step.account()?;
    account.consent.announced = account.consent.announced.max(version);
    step.store_account(&account)?;
    fetch(step)
}

/// Asks for the state, unless that is on its way.
pub(super) fn fetch(step: &mut Step<'_>) -> Result<()> {
    let mut account = step.account()?;
    if account.consent.fetching {
        return Ok(());
    }
    account.consent.fetching = true;
    step.store_account(&account)?;
    Ok(step.enqueue(&Request::ConsentState)?)
}

/// The provider answered `GET consent`.
pub(super) fn state_answered(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    let mut account = step.account()?;
    account.consent.fetching = false;
    let announced = account.consent.announced;
    step.store_account(&account)?;
    let before = known(&step.transaction)?.version;
    if response.is_success() {
        take_answer(step, response)?;
    }
    // An answer that brings nothing new is the last one, whatever the provider announced.
    if (before + 1..announced).contains(&known(&step.transaction)?.version) {
        fetch(step)?;
    }
    Ok(Settled::Delivered)
}

fn take_answer(step: &mut Step<'_>, response: &Response) -> Result<()> {
    match wire::decode_exact::<ConsentState>(&response.body) {
        Ok(state) => take_in(step, &state),
        // As if it had not changed.
        Err(_) => Ok(()),
    }
}

/// Keeps the newest state, and tells what is new in it.
fn take_in(step: &mut Step<'_>, new: &ConsentState) -> Result<()> {
    let is_first = step.transaction.read(&tables::consent())?.is_none();
    let old = known(&step.transaction)?;
    if new.version <= old.version && !is_first {
        return Ok(());
    }
    step.transaction.write(tables::consent(), wire::encode(new)?);
    if (&new.incoming, &new.given) != (&old.incoming, &old.given) {
        step.emit(Event::ConsentChanged);
    }
    for Consent { user, room, at } in consents(&missing_in(&old.incoming, &new.incoming)) {
        step.emit(Event::ConsentRequested { from: user, room, at });
    }
    let mut gone = missing_in(&new.incoming, &old.incoming);
    gone.retain(|item| !is_answered(item, new) && !is_among(item, &new.incoming));
    for Consent { user, room, .. } in consents(&gone) {
        step.emit(Event::ConsentCancelled { from: user, room });
    }
    if is_first {
        // What was granted before this device came is no news.
        return Ok(());
    }
    for Consent { user, room, .. } in consents(&missing_in(&old.received, &new.received)) {
        step.emit(Event::ConsentGranted { by: user.clone(), room: room.clone() });
        waiting::claim_again(step, &user, room.as_ref())?;
    }
    // R103: another device of the user took a request back that an intent here still waits for.
    let mut gone = missing_in(&new.requested, &old.requested);
    gone.retain(|item| !is_among(item, &new.requested) && !is_among(item, &new.received));
    for Consent { user, room, .. } in consents(&gone) {
        waiting::claim_again(step, &user, room.as_ref())?;
    }
    Ok(())
}

/// What is in `these` and not in `those`, in order.
fn missing_in(those: &[ConsentItem], these: &[ConsentItem]) -> Vec<ConsentItem> {
    let key = |item: &ConsentItem| (item.user.clone(), item.room_id.clone(), item.at);
    let those: SortedSet<_> = those.iter().map(key).collect();
    these.iter().filter(|item| !those.contains(&key(item))).cloned().collect()
}

/// Whether the same was said again.
fn is_among(item: &ConsentItem, items: &[ConsentItem]) -> bool {
    items.iter().any(|other| other.user == item.user && other.room_id == item.room_id)
}

/// Whether the user has answered a request that is not open any more, on this device or another.
fn is_answered(request: &ConsentItem, state: &ConsentState) -> bool {
    let is_about = |scope: &Option<IdentifierUri>| scope.is_none() || *scope == request.room_id;
    let is_later = |item: &&ConsentItem| item.user == request.user && item.at >= request.at;
    state.given.iter().filter(is_later).any(|it| is_about(&it.room_id) || request.room_id.is_none())
        || state.refused.iter().filter(is_later).any(|it| is_about(&it.room_id))
}

/// The state as it was last known here.
fn known(transaction: &Transaction<'_>) -> Result<ConsentState> {
    match transaction.read(&tables::consent())? {
        Some(state) => Ok(wire::decode_exact(&state)
            .map_err(|_| InternalError::Storage("the state of consent does not decode"))?),
        None => Ok(ConsentState::default()),
    }
}

/// The items of which the identifiers are identifiers.
fn consents(items: &[ConsentItem]) -> Vec<Consent> {
    let consent = |item: &ConsentItem| {
        let room = item.room_id.as_ref().map(RoomUri::from_wire).transpose().ok()?;
        Some(Consent { user: UserUri::from_wire(&item.user).ok()?, room, at: UnixMillis(item.at) })
    };
    items.iter().filter_map(consent).collect()
}
