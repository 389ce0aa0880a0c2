//! The participant list and the patch to it (draft, "Change room policy/participation").

use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{IdentifierUri, uri::UserUri};

/// What a participant may be.
///
/// ```text
/// enum { reserved(0), system(1), owner(2), admin(3), regular_user(4), visitor(5), banned(6), (255) } Role;
/// ```
/// In this version all participants are equal except the banned (R43).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    TlsSerialize,
    TlsDeserializeBytes,
    TlsSize,
)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the draft's")]
pub enum Role {
    System = 1,
    Owner = 2,
    Admin = 3,
    RegularUser = 4,
    Visitor = 5,
    Banned = 6,
}

impl Role {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::System, "system"),
        (Self::Owner, "owner"),
        (Self::Admin, "admin"),
        (Self::RegularUser, "regular_user"),
        (Self::Visitor, "visitor"),
        (Self::Banned, "banned"),
    ];

    /// The draft's name of the role.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }
}

/// A user and its roles, in the order given.
///
/// ```text
/// struct { IdentifierUri user; Role roles<V>; } UserRoles;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct UserRoles {
    /// The user.
    pub user: IdentifierUri,
    /// At least one, without repetition; `banned` alone (R38).
    pub roles: Vec<Role>,
}

/// The patch to a room's participant list.
///
/// ```text
/// struct { UserRoles addUsers<V>; UserRoles updateUsers<V>; IdentifierUri removeUsers<V>; } AppSync;
/// ```
/// How it is applied: R38, R39 (`room::participant_list`). How it travels in an MLS proposal: WIRE a.5
/// (`room::app_sync`).
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Default, TlsSerialize, TlsDeserializeBytes, TlsSize,
)]
pub struct AppSync {
    /// Users that come onto the list, in this order, at its end.
    pub add_users: Vec<UserRoles>,
    /// Users whose roles are replaced, in place.
    pub update_users: Vec<UserRoles>,
    /// Users that leave the list.
    pub remove_users: Vec<IdentifierUri>,
}

impl AppSync {
    /// Whether it names this user, who then must not be named again in the same commit (R38).
    #[must_use]
    pub fn names(&self, user: &UserUri) -> bool {
        let entries = self.add_users.iter().chain(&self.update_users);
        let mut named = entries.map(|entry| &entry.user).chain(&self.remove_users);
        named.any(|named| named.0 == user.as_str())
    }

    /// Whether all it does is to take users out: off the list, or banned.
    #[must_use]
    pub fn only_takes_out(&self) -> bool {
        let is_ban = |entry: &UserRoles| entry.roles.contains(&Role::Banned);
        self.add_users.is_empty() && self.update_users.iter().all(is_ban)
    }
}

/// A room's participant list, as it stands in the GroupContext.
///
/// ```text
/// struct { UserRoles participants<V>; } MimiParticipantList;
/// ```
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Default, TlsSerialize, TlsDeserializeBytes, TlsSize,
)]
pub struct MimiParticipantList {
    /// In the order in which they were added; no user twice.
    pub participants: Vec<UserRoles>,
}
