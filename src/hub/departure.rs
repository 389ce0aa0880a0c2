//! Users who are on their way out while the list still has them (R56, R77, D19).
//!
//! A user who was deleted at this provider is removed by proposals of the hub, again in every epoch
//! until its leaves are gone. Only a member can take it off the list: the next commit has to. A room
//! whose creator wanted no proposals of the hub (`external_senders`, D1) gets none; there the demand
//! on the next commit is all, and whoever makes it removes the leaves too.
//!
//! The other case is a user whose own proposals an external commit voided in part: its leaf went by
//! SelfRemove, its AppSync did not come into effect (R55).

use std::collections::{BTreeMap, BTreeSet};

use openmls::{framing::PublicMessageIn, prelude::SignatureScheme};
use serde::{Deserialize, Serialize};

use super::{
    HubRoom,
    closing::close_if_deserted,
    group::{Room, Roster},
    queue::Pending,
    table,
    update::{enqueue, supersede},
};
use crate::{
    config::ProviderConfig,
    error::{InternalError, ProtocolError, Result},
    mls::{
        Algorithms, SignatureKeyPair,
        proposals::{external_removal, superseded, verify_proposal},
    },
    object::Step,
    room::{ParticipantList, app_sync::Resolution},
    storage::Transaction,
    transport::{Response, Source},
    wire::{
        Verbatim,
        uri::{RoomUri, UserUri},
    },
};

/// Why a user is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Departure {
    /// Its last leaf went, and an external commit voided the AppSync.
    Left,
    /// Its provider, this one, deleted it.
    Deleted,
}

/// The users of the list who are on their way out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Departures(BTreeMap<UserUri, Departure>);

impl Departures {
    /// Those that were stored.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn load(transaction: &Transaction<'_>) -> Result<Self, InternalError> {
        Ok(transaction.load(&[table::DEPARTURES])?.unwrap_or_default())
    }

    /// Whether this provider deleted `user`.
    pub(super) fn is_deleted(&self, user: &UserUri) -> bool {
        self.0.get(user) == Some(&Departure::Deleted)
    }

    /// Whether a commit of a member after which the list is `list` takes them off it (R56).
    ///
    /// # Errors
    /// [`ProtocolError::NotAllowed`] with `appsync-remove` and a user whom it leaves there.
    pub(super) fn check_are_off(&self, list: &ParticipantList) -> Result<(), ProtocolError> {
        match self.0.keys().find(|user| list.is_participant(user)) {
            Some(user) => Err(ProtocolError::NotAllowed(format!("appsync-remove {user}"))),
            None => Ok(()),
        }
    }

    /// Whether proposals that make this of the list, and let these users' clients in, leave it open to
    /// the commit to take those on their way out off the list (R53, R56).
    ///
    /// # Errors
    /// [`ProtocolError::NotAllowed`] when somebody stays on the list who is named by an AppSync, and so
    /// not to be named again (R38), or has a client enter (R40).
    pub(super) fn check_can_go(
        &self,
        resolution: &Resolution,
        entering: &BTreeSet<UserUri>,
    ) -> Result<(), ProtocolError> {
        let is_bound = |user: &&UserUri| {
            let named = resolution.app_syncs.iter().any(|app_sync| app_sync.names(user));
            resolution.list.is_participant(user) && (named || entering.contains(user))
        };
        match self.0.keys().find(is_bound) {
            Some(user) => Err(ProtocolError::NotAllowed(format!("{user} is on the way out"))),
            None => Ok(()),
        }
    }

    /// Notes that `user` is on its way out.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn note(
        &mut self,
        user: UserUri,
        why: Departure,
        transaction: &mut Transaction<'_>,
    ) -> Result<(), InternalError> {
        self.0.insert(user, why);
        transaction.store(vec![table::DEPARTURES], self)
    }

    /// Forgets those who are gone, and those who left and came back.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn settle(
        &mut self,
        roster: &Roster,
        transaction: &mut Transaction<'_>,
    ) -> Result<(), InternalError> {
        let before = self.0.len();
        self.0.retain(|user, why| match why {
            Departure::Left => roster.list.is_participant(user) && !roster.has_leaf_of(user),
            Departure::Deleted => roster.list.is_participant(user) || roster.has_leaf_of(user),
        });
        if self.0.len() == before {
            return Ok(());
        }
        transaction.store(vec![table::DEPARTURES], self)
    }
}

/// A user of this provider was deleted: the room loses it (R56, R77).
///
/// # Errors
/// [`ProtocolError::PeerRefused`] for anybody but the own objects, and for another provider's user;
/// [`ProtocolError::NotFound`] when there is no such room.
pub(super) fn user_deleted(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    source: &Source,
    user: &UserUri,
) -> Result<Response> {
    if *source != Source::Own || *user.domain() != step.config.domain {
        return Err(ProtocolError::PeerRefused("not of an own user").into());
    }
    let HubRoom { uri, crypto, cache } = hub;
    let room = Room::cached(cache, uri, &step.transaction)?;
    let superseded = superseded(&room.group, room.queue.queued(), user)?;
    supersede(room, step, &superseded)?;
    if room.roster.list.is_participant(user) || room.roster.has_leaf_of(user) {
        room.departures.note(user.clone(), Departure::Deleted, &mut step.transaction)?;
        propose_removals(room, uri, step, crypto.algorithms())?;
        close_if_deserted(cache, step)?;
    }
    Ok(Response::empty(200))
}

/// The hub's Removes for the leaves of users who were deleted, as far as none waits yet (R77).
///
/// # Errors
/// When the storage fails, or the hub has lost the key that the room knows.
pub(super) fn propose_removals(
    room: &mut Room,
    uri: &RoomUri,
    step: &mut Step<'_>,
    crypto: &Algorithms,
) -> Result<()> {
    if room.group.group_context().extensions().external_senders().is_none() {
        return Ok(());
    }
    let waiting = room.queue.removed_leaves();
    let is_due = |(leaf, client): &(&u32, &crate::wire::uri::ClientUri)| {
        !waiting.contains(leaf) && room.departures.is_deleted(&client.user())
    };
    let leaves: Vec<u32> =
        room.roster.leaves.iter().filter(is_due).map(|(leaf, _)| *leaf).collect();
    if leaves.is_empty() {
        return Ok(());
    }
    let signer = signer(step.config, room.group.ciphersuite().signature_algorithm())?;
    let mut removals = Vec::new();
    for leaf in leaves {
        let message = external_removal(&room.group, &signer, leaf)?;
        let verbatim = Verbatim::<PublicMessageIn>::own(message.clone())?;
        let queued = verify_proposal(&room.group, crypto, verbatim.into_value())
            .map_err(|_| InternalError::Mls("the room does not know the hub's key"))?;
        removals.push(Pending { message, queued });
    }
    enqueue(room, uri, step, removals)
}

fn signer(
    config: &ProviderConfig,
    scheme: SignatureScheme,
) -> Result<SignatureKeyPair, InternalError> {
    let key = config
        .hub_key(scheme as u16)
        .ok_or(InternalError::Mls("the hub has no key of this scheme"))?;
    Ok(SignatureKeyPair::from_raw(scheme, key.private.clone(), key.public.clone()))
}
