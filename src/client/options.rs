//! How an application wants things done.

use serde::{Deserialize, Serialize};

use super::Pseudonym;
use crate::{
    room::Profile,
    wire::{Role, uri::UserUri},
};

/// Whose client to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// The user.
    pub user: UserUri,
    /// The name of a new device; at random when it is not given.
    pub device: Option<String>,
    /// The pseudonym that the user is; its client is then the device (R92).
    pub pseudonym: Option<Pseudonym>,
}

impl ClientOptions {
    /// The client of `user`, of any name.
    #[must_use]
    pub const fn new(user: UserUri) -> Self {
        Self { user, device: None, pseudonym: None }
    }

    /// The client of a pseudonym, for one room (R91).
    #[must_use]
    pub fn of_pseudonym(pseudonym: Pseudonym) -> Self {
        Self { user: pseudonym.user(), device: None, pseudonym: Some(pseudonym) }
    }
}

/// How a room is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOptions {
    /// Whether the hub may send proposals.
    pub hub_proposals: HubProposals,
    /// How the room carries its list.
    pub profile: Profile,
}

/// Who is added, as what, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddOptions {
    /// The user's roles, at least one (R38).
    pub roles: Vec<Role>,
    /// Whether last-resort KeyPackages will do (D16).
    pub last_resort: LastResort,
    /// Whether to ask the user for consent if it has to be asked, and wait for it (R31). Otherwise the
    /// intent fails then.
    pub request_consent: bool,
}

impl Default for AddOptions {
    fn default() -> Self {
        Self {
            roles: vec![Role::RegularUser],
            last_resort: LastResort::Refused,
            request_consent: false,
        }
    }
}

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
