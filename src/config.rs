//! What a provider is told when it starts.

use crate::wire::uri::Domain;

/// Whether somebody may claim a user's KeyPackages without a word of the user (R102).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentDefault {
    /// Yes: development and tests.
    Allow,
    /// No: the user has to be asked first.
    Ask,
}

/// What a claim for a user who does not exist is answered (R34).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownUsers {
    /// The same as for one who gives no consent: nobody learns who exists.
    #[default]
    Hidden,
    /// `userUnknown`.
    Told,
}

/// Who may register a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anybody, under any name: the first device creates the user. Development only.
    Open,
    /// Nobody through the client API.
    Closed,
}

/// The provider's signature key of one scheme (D2).
#[derive(Clone, PartialEq, Eq)]
pub struct HubKey {
    /// RFC 8446's SignatureScheme.
    pub scheme: u16,
    /// The private key, as openmls takes it: the seed for Ed25519.
    pub private: Vec<u8>,
    /// The public key.
    pub public: Vec<u8>,
}

impl std::fmt::Debug for HubKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HubKey(scheme {:#06x})", self.scheme)
    }
}

/// A provider's settings: the same for all its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// The provider's domain, for ever.
    pub domain: Domain,
    /// One key per signature scheme.
    pub hub_keys: Vec<HubKey>,
    /// The answer to a claim that no consent entry decides.
    pub consent_default: ConsentDefault,
    /// The answer to a claim for a user who does not exist.
    pub unknown_users: UnknownUsers,
    /// Who may register a device.
    pub registration: Registration,
}

impl ProviderConfig {
    /// The hub's key for the signature scheme `scheme` (D2).
    #[must_use]
    pub fn hub_key(&self, scheme: u16) -> Option<&HubKey> {
        self.hub_keys.iter().find(|key| key.scheme == scheme)
    }
}
