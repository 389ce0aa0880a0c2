//! The participant list and how AppSyncs change it (R37–R39).

use crate::{
    error::{InternalError, ProtocolError},
    sorted::{SortedMap, SortedSet},
    wire::{
        self, AppSync, IdentifierUri, MimiParticipantList, Role, UserRoles,
        uri::{ClientUri, UserUri},
    },
};

/// How many entries a participant list has at most, the banned too (D18).
pub const MAX_PARTICIPANTS: usize = 4096;

/// A valid participant list: each user once, under a valid identifier, with valid roles.
///
/// Users are compared byte by byte (D15). The order is that in which they were added; the list's
/// encoding is part of the GroupContext, so every member and the hub have the same bytes (R39).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantList {
    participants: Vec<(UserUri, Vec<Role>)>,
}

impl ParticipantList {
    /// The list of a new room: its creator, as owner, admin and regular user (R15).
    #[must_use]
    pub fn of_creator(creator: UserUri) -> Self {
        let roles = vec![Role::Owner, Role::Admin, Role::RegularUser];
        Self { participants: vec![(creator, roles)] }
    }

    /// Decodes a `MimiParticipantList`.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidProposal`] when the bytes are none, or the list is not valid (R38).
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let list: MimiParticipantList =
            wire::decode_exact(bytes).map_err(|_| ProtocolError::InvalidProposal(UNDECODABLE))?;
        let mut seen = SortedSet::new();
        let mut participants = Vec::with_capacity(list.participants.len());
        for UserRoles { user, roles } in list.participants {
            let user = valid_user(&user)?;
            check_roles(&roles)?;
            if !seen.insert(user.clone()) {
                return Err(ProtocolError::InvalidProposal("a user stands twice on the list"));
            }
            participants.push((user, roles));
        }
        Ok(Self { participants })
    }

    /// Encodes the list as a `MimiParticipantList`.
    ///
    /// # Errors
    /// [`InternalError::Codec`] when it is longer than a vector can be (2^30 bytes).
    pub fn encode(&self) -> Result<Vec<u8>, InternalError> {
        wire::encode(&self.to_wire())
    }

    /// The list as it stands on the wire.
    #[must_use]
    pub fn to_wire(&self) -> MimiParticipantList {
        let entry = |(user, roles): &(UserUri, Vec<Role>)| UserRoles {
            user: user.to_wire(),
            roles: roles.clone(),
        };
        MimiParticipantList { participants: self.participants.iter().map(entry).collect() }
    }

    /// The list after the AppSyncs of one commit, given in the commit's order.
    ///
    /// Updates replace roles in place, removals keep the order of the rest, added users come to the
    /// end in the order given (R39). Without AppSyncs the list stays as it is.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidProposal`] when the AppSyncs, taken together, are not valid (R38): an
    /// added user who is on the list, an updated or removed one who is not, a user twice anywhere,
    /// invalid roles, an empty AppSync, a text that is no user's identifier; and when the list would
    /// have more than [`MAX_PARTICIPANTS`] entries (D18).
    pub fn apply(&self, app_syncs: &[AppSync]) -> Result<Self, ProtocolError> {
        let mut change = Change::default();
        for app_sync in app_syncs {
            change.take(app_sync)?;
        }
        let listed: SortedSet<&UserUri> = self.iter().map(|(user, _)| user).collect();
        if change.added.iter().any(|(user, _)| listed.contains(user)) {
            return Err(ProtocolError::InvalidProposal("an added user is on the list"));
        }
        if !change.updated.keys().chain(&change.removed).all(|user| listed.contains(user)) {
            return Err(ProtocolError::InvalidProposal("a user is not on the list"));
        }
        let kept =
            self.participants.iter().filter(|(user, _)| !change.removed.contains(user)).map(
                |(user, roles)| (user.clone(), change.updated.get(user).unwrap_or(roles).clone()),
            );
        let participants: Vec<_> = kept.chain(change.added.clone()).collect();
        if participants.len() > MAX_PARTICIPANTS {
            return Err(ProtocolError::InvalidProposal("the participant list is full"));
        }
        Ok(Self { participants })
    }

    /// The roles of `user`, when it is on the list.
    #[must_use]
    pub fn roles_of(&self, user: &UserUri) -> Option<&[Role]> {
        self.iter().find(|(listed, _)| *listed == user).map(|(_, roles)| roles)
    }

    /// Whether `user` takes part: is on the list and not banned.
    ///
    /// A participant may be without a client in the group.
    #[must_use]
    pub fn is_participant(&self, user: &UserUri) -> bool {
        self.roles_of(user).is_some_and(|roles| !is_banned(roles))
    }

    /// All entries in the list's order, the banned too.
    pub fn iter(&self) -> impl Iterator<Item = (&UserUri, &[Role])> {
        self.participants.iter().map(|(user, roles)| (user, roles.as_slice()))
    }

    /// The users who take part, in the list's order: without the banned.
    pub fn participants(&self) -> impl Iterator<Item = &UserUri> {
        self.iter().filter(|(_, roles)| !is_banned(roles)).map(|(user, _)| user)
    }

    /// Those of `clients` whose user does not take part (R9, R45).
    pub fn outsiders<'c>(
        &self,
        clients: impl IntoIterator<Item = &'c ClientUri>,
    ) -> Vec<&'c ClientUri> {
        let inside: SortedSet<&UserUri> = self.participants().collect();
        clients.into_iter().filter(|client| !inside.contains(&client.user())).collect()
    }
}

const UNDECODABLE: &str = "the participant list does not decode";

/// What the AppSyncs of one commit do together.
#[derive(Default)]
struct Change {
    named: SortedSet<UserUri>,
    added: Vec<(UserUri, Vec<Role>)>,
    updated: SortedMap<UserUri, Vec<Role>>,
    removed: SortedSet<UserUri>,
}

impl Change {
    fn take(&mut self, app_sync: &AppSync) -> Result<(), ProtocolError> {
        let AppSync { add_users, update_users, remove_users } = app_sync;
        if add_users.is_empty() && update_users.is_empty() && remove_users.is_empty() {
            return Err(ProtocolError::InvalidProposal("an AppSync is empty"));
        }
        for UserRoles { user, roles } in add_users {
            check_roles(roles)?;
            let user = self.name(user)?;
            self.added.push((user, roles.clone()));
        }
        for UserRoles { user, roles } in update_users {
            check_roles(roles)?;
            let user = self.name(user)?;
            self.updated.insert(user, roles.clone());
        }
        for user in remove_users {
            let user = self.name(user)?;
            self.removed.insert(user);
        }
        Ok(())
    }

    /// Takes note that `user` is named; nobody may be named twice in one commit.
    fn name(&mut self, user: &IdentifierUri) -> Result<UserUri, ProtocolError> {
        let user = valid_user(user)?;
        if !self.named.insert(user.clone()) {
            return Err(ProtocolError::InvalidProposal("a user is named twice"));
        }
        Ok(user)
    }
}

fn is_banned(roles: &[Role]) -> bool {
    roles.contains(&Role::Banned)
}

fn valid_user(user: &IdentifierUri) -> Result<UserUri, ProtocolError> {
    UserUri::from_wire(user).map_err(|_| ProtocolError::InvalidProposal("not a user's identifier"))
}

/// At least one role, none twice, `banned` alone (R37, R38). Unknown numbers do not decode.
fn check_roles(roles: &[Role]) -> Result<(), ProtocolError> {
    if roles.is_empty() {
        return Err(ProtocolError::InvalidProposal("no role"));
    }
    if roles.iter().collect::<SortedSet<_>>().len() != roles.len() {
        return Err(ProtocolError::InvalidProposal("a role stands twice"));
    }
    if is_banned(roles) && roles.len() > 1 {
        return Err(ProtocolError::InvalidProposal("banned stands with other roles"));
    }
    Ok(())
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests;
