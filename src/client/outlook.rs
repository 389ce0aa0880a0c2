//! What a room is and what it will be once its pending proposals are committed (R53, R54, R57).
//!
//! Every commit has to cover all of them, so whatever a device still wants is seen from there.

use openmls::{
    framing::Sender,
    group::{MlsGroup, QueuedProposal},
    messages::proposals::Proposal,
};

use crate::{
    error::Result,
    mls::{commit::leaves, credential::client_uri_of},
    room::{ParticipantList, Profile, app_sync},
    sorted::SortedSet,
    wire::{
        AppSync,
        uri::{ClientUri, UserUri},
    },
};

/// A room's list and leaves, before and after its pending proposals.
pub(super) struct Outlook {
    /// The list of this epoch.
    pub(super) list: ParticipantList,
    /// The leaves of this epoch, by index.
    pub(super) leaves: Vec<(u32, ClientUri)>,
    /// The list after the pending proposals.
    pub(super) list_after: ParticipantList,
    /// This device's leaf.
    own_leaf: u32,
    /// Whether anything is pending.
    is_pending: bool,
    /// The pending AppSyncs.
    app_syncs: Vec<AppSync>,
    /// The leaves that pending proposals remove.
    removed: SortedSet<u32>,
    /// Those of them that the hub proposes to remove.
    removed_by_hub: SortedSet<u32>,
    /// The clients that pending proposals add.
    added: Vec<ClientUri>,
}

impl Outlook {
    /// The outlook of a group.
    ///
    /// # Errors
    /// When the group is not one that a hub would have accepted.
    pub(super) fn of(group: &MlsGroup) -> Result<Self> {
        let list = app_sync::participant_list(group.extensions())?;
        let mut outlook = Self {
            list_after: list.clone(),
            list,
            leaves: leaves(group.public_group())?,
            own_leaf: group.own_leaf_index().u32(),
            is_pending: false,
            app_syncs: Vec::new(),
            removed: SortedSet::new(),
            removed_by_hub: SortedSet::new(),
            added: Vec::new(),
        };
        let profile = Profile::of(group.extensions())?;
        for queued in group.pending_proposals() {
            outlook.take(profile, queued);
        }
        // The hub takes no AppSyncs that are not valid together (R53).
        if let Ok(after) = outlook.list.apply(&outlook.app_syncs) {
            outlook.list_after = after;
        }
        Ok(outlook)
    }

    fn take(&mut self, profile: Profile, queued: &QueuedProposal) {
        self.is_pending = true;
        match queued.proposal() {
            Proposal::Remove(remove) => {
                let leaf = remove.removed().u32();
                self.removed.insert(leaf);
                if matches!(queued.sender(), Sender::External(_)) {
                    self.removed_by_hub.insert(leaf);
                }
            }
            Proposal::SelfRemove => {
                if let Sender::Member(leaf) = queued.sender() {
                    self.removed.insert(leaf.u32());
                }
            }
            Proposal::Add(add) => {
                self.added.extend(client_uri_of(add.key_package().leaf_node().credential()).ok());
            }
            other => self.app_syncs.extend(app_sync::app_sync_of(profile, other).ok().flatten()),
        }
    }

    /// Whether any proposal waits for a commit.
    pub(super) const fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// Whether a pending proposal changes the list.
    pub(super) const fn list_changes(&self) -> bool {
        !self.app_syncs.is_empty()
    }

    /// Whether a pending proposal takes this device out: then it commits nothing (R54, R57).
    pub(super) fn own_leaf_goes(&self) -> bool {
        self.removed.contains(&self.own_leaf)
    }

    /// Whether a pending AppSync names `user`, who then must not be named again (R38).
    pub(super) fn names(&self, user: &UserUri) -> bool {
        self.app_syncs.iter().any(|app_sync| app_sync.names(user))
    }

    /// Whether pending proposals are about `user` or its devices.
    pub(super) fn is_about(&self, user: &UserUri) -> bool {
        self.names(user)
            || self.added.iter().any(|client| client.user() == *user)
            || self
                .leaves
                .iter()
                .any(|(leaf, client)| self.removed.contains(leaf) && client.user() == *user)
    }

    /// The leaves of `user` in this epoch.
    pub(super) fn leaves_of<'o>(
        &'o self,
        user: &'o UserUri,
    ) -> impl Iterator<Item = (u32, &'o ClientUri)> {
        let of_user = self.leaves.iter().filter(move |(_, client)| client.user() == *user);
        of_user.map(|(leaf, client)| (*leaf, client))
    }

    /// The leaves of `user` in this epoch that no pending proposal removes.
    pub(super) fn staying_leaves_of(&self, user: &UserUri) -> Vec<u32> {
        let leaves = self.leaves_of(user).map(|(leaf, _)| leaf);
        leaves.filter(|leaf| !self.removed.contains(leaf)).collect()
    }

    /// Whether `user` has no device in the room after the pending proposals.
    pub(super) fn is_without_devices(&self, user: &UserUri) -> bool {
        self.staying_leaves_of(user).is_empty()
            && !self.added.iter().any(|client| client.user() == *user)
    }

    /// The users who have to leave the list because the hub takes their last leaf (R56): those who
    /// stand on it and take part.
    pub(super) fn departing(&self) -> Vec<UserUri> {
        let removed = self.leaves.iter().filter(|(leaf, _)| self.removed_by_hub.contains(leaf));
        let users: SortedSet<UserUri> = removed.map(|(_, client)| client.user()).collect();
        let goes =
            |user: &UserUri| self.list_after.is_participant(user) && self.is_without_devices(user);
        users.into_iter().filter(goes).collect()
    }

    /// Whether nobody is left who could commit the pending proposals, nor anybody who could come in by
    /// an external commit: the hub closes the room (R57).
    pub(super) fn is_closed(&self) -> bool {
        self.is_pending
            && self.committers().next().is_none()
            && self.list_after.participants().next().is_none()
    }

    /// The clients who can commit the pending proposals.
    fn committers(&self) -> impl Iterator<Item = &ClientUri> {
        let stays = |(leaf, client): &&(u32, ClientUri)| {
            !self.removed.contains(leaf) && self.list_after.is_participant(&client.user())
        };
        self.leaves.iter().filter(stays).map(|(_, client)| client)
    }
}
