//! A room as the hub holds it in memory: its MLS group, and who that says is in the room.

use std::collections::{BTreeMap, BTreeSet};

use openmls::{group::PublicGroup, prelude::GroupId};

use super::{departure::Departures, queue::Queue, table};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{HubGroupStore, commit::leaves},
    room::{ParticipantList, Profile, app_sync},
    storage::Transaction,
    wire::uri::{ClientUri, Domain, RoomUri, UserUri},
};

/// The room's group in its current epoch.
pub(super) struct Room {
    pub(super) group: PublicGroup,
    pub(super) store: HubGroupStore,
    pub(super) roster: Roster,
    /// The proposals that wait for a commit.
    pub(super) queue: Queue,
    /// Who is on the way out.
    pub(super) departures: Departures,
}

/// Who is in the room in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Roster {
    /// The participant list.
    pub(super) list: ParticipantList,
    /// The client of each leaf.
    pub(super) leaves: BTreeMap<u32, ClientUri>,
    /// How the list changes: the same in all epochs.
    pub(super) profile: Profile,
}

impl Room {
    /// The room that is cached, or else in this storage.
    ///
    /// # Errors
    /// [`ProtocolError::NotFound`] when there is none; [`InternalError`] when the storage holds what
    /// we did not write.
    pub(super) fn cached<'c>(
        cache: &'c mut Option<Self>,
        uri: &RoomUri,
        transaction: &Transaction<'_>,
    ) -> Result<&'c mut Self> {
        if cache.is_none() {
            *cache = Self::load(uri, transaction)?;
        }
        cache.as_mut().ok_or_else(|| ProtocolError::NotFound("room").into())
    }

    fn load(uri: &RoomUri, transaction: &Transaction<'_>) -> Result<Option<Self>> {
        let Some(store) = HubGroupStore::load(transaction, table::GROUP)? else { return Ok(None) };
        let group_id = GroupId::from_slice(uri.as_str().as_bytes());
        let group = PublicGroup::load(&store, &group_id)?
            .ok_or(InternalError::Storage("the room's group is not whole"))?;
        let queue = Queue::load(&group, &store, transaction)?;
        let departures = Departures::load(transaction)?;
        let roster = Roster::of(&group)?;
        Ok(Some(Self { group, store, roster, queue, departures }))
    }

    /// The new room of `group`, which stands in `store`.
    ///
    /// # Errors
    /// [`InternalError::Mls`] when it is not a group that the hub would have accepted.
    pub(super) fn new(group: PublicGroup, store: HubGroupStore) -> Result<Self, InternalError> {
        let roster = Roster::of(&group)?;
        let (queue, departures) = (Queue::default(), Departures::default());
        Ok(Self { group, store, roster, queue, departures })
    }

    pub(super) fn epoch(&self) -> u64 {
        self.group.group_context().epoch().as_u64()
    }
}

impl Roster {
    /// # Errors
    /// [`InternalError::Mls`] when it is not a group that the hub would have accepted.
    pub(super) fn of(group: &PublicGroup) -> Result<Self, InternalError> {
        let list = app_sync::participant_list(group.group_context().extensions())
            .map_err(|_| InternalError::Mls("the group has no participant list"))?;
        let profile = Profile::of(group.group_context().extensions())
            .map_err(|_| InternalError::Mls("the group has no profile"))?;
        Ok(Self { list, leaves: leaves(group)?.into_iter().collect(), profile })
    }

    /// Whether this client has a leaf.
    pub(super) fn has_leaf(&self, client: &ClientUri) -> bool {
        self.leaves.values().any(|leaf| leaf == client)
    }

    /// Whether a client of this user has a leaf.
    pub(super) fn has_leaf_of(&self, user: &UserUri) -> bool {
        self.leaves.values().any(|leaf| leaf.user() == *user)
    }

    /// Whether `user` is an active participant: on the list, not banned, with a leaf (R68).
    pub(super) fn is_active(&self, user: &UserUri) -> bool {
        self.list.is_participant(user) && self.has_leaf_of(user)
    }

    /// The providers of active participants (R68): application messages go to them and come from
    /// them.
    pub(super) fn active_providers(&self) -> BTreeSet<Domain> {
        let participants: BTreeSet<&UserUri> = self.list.participants().collect();
        let active = self.leaves.values().filter(|client| participants.contains(&client.user()));
        active.map(|client| client.domain().clone()).collect()
    }

    /// The providers of all leaves: commits go to them, the one that takes their last leaf too (R83).
    pub(super) fn providers(&self) -> BTreeSet<Domain> {
        self.leaves.values().map(|client| client.domain().clone()).collect()
    }

    /// The participants whose provider is `domain`.
    pub(super) fn participants_of(&self, domain: &Domain) -> BTreeSet<UserUri> {
        self.list.participants().filter(|user| user.domain() == domain).cloned().collect()
    }

    /// The clients with a leaf whose provider is `domain`.
    pub(super) fn clients_of(&self, domain: &Domain) -> BTreeSet<ClientUri> {
        self.leaves.values().filter(|client| client.domain() == domain).cloned().collect()
    }
}
