//! How an application wants things done.

use serde::{Deserialize, Serialize};

use super::Pseudonym;
use crate::{
    error::UsageError,
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
    /// Which KeyPackages the device is to have.
    pub key_packages: KeyPackageChoice,
}

impl ClientOptions {
    /// The client of `user`, of any name.
    #[must_use]
    pub const fn new(user: UserUri) -> Self {
        Self {
            user,
            device: None,
            pseudonym: None,
            key_packages: KeyPackageChoice { target: None, lifetime_days: None },
        }
    }

    /// The client of a pseudonym, for one room (R91).
    #[must_use]
    pub fn of_pseudonym(pseudonym: Pseudonym) -> Self {
        Self { pseudonym: Some(pseudonym.clone()), ..Self::new(pseudonym.user()) }
    }
}

/// What an application says of [`KeyPackageOptions`]; `None`: as it was, at first the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyPackageChoice {
    /// [`KeyPackageOptions::target`].
    pub target: Option<u32>,
    /// [`KeyPackageOptions::lifetime_days`].
    pub lifetime_days: Option<u32>,
}

/// Which KeyPackages a device has at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPackageOptions {
    /// How many for one use each the provider should hold: 1 to [`Self::MOST`]. Below half of it, they
    /// are replenished.
    pub target: u32,
    /// For how long a new one is valid, in days: [`Self::SHORTEST_DAYS`] to [`Self::LONGEST_DAYS`] (D4).
    pub lifetime_days: u32,
}

impl KeyPackageOptions {
    /// The largest target. Up to three generations are in stock at once, which providers take.
    pub const MOST: u32 = 100;
    /// The shortest life, in days: providers hand out what is valid for 28 days more (D4).
    pub const SHORTEST_DAYS: u32 = 30;
    /// The longest life, in days (D4).
    pub const LONGEST_DAYS: u32 = 84;

    /// What they are after this choice.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when that is out of bounds.
    pub(super) fn after(self, choice: KeyPackageChoice) -> Result<Self, UsageError> {
        let target = choice.target.unwrap_or(self.target);
        let lifetime_days = choice.lifetime_days.unwrap_or(self.lifetime_days);
        Self { target, lifetime_days }.check()
    }

    fn check(self) -> Result<Self, UsageError> {
        if !(1..=Self::MOST).contains(&self.target) {
            return Err(UsageError::BadArgument("a target of 1 to 100 KeyPackages"));
        }
        if !(Self::SHORTEST_DAYS..=Self::LONGEST_DAYS).contains(&self.lifetime_days) {
            return Err(UsageError::BadArgument("a lifetime of 30 to 84 days"));
        }
        Ok(self)
    }
}

/// Twenty KeyPackages of 84 days.
impl Default for KeyPackageOptions {
    fn default() -> Self {
        Self { target: 20, lifetime_days: Self::LONGEST_DAYS }
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
