//! What a provider is told when it starts.

use serde::Deserialize;

use crate::wire::uri::Domain;

/// Whether somebody may claim a user's KeyPackages without a word of the user (R102).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConsentDefault {
    /// Yes: development and tests.
    Allow,
    /// No: the user has to be asked first.
    Ask,
}

/// What a claim for a user who does not exist is answered (R34).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnknownUsers {
    /// The same as for one who gives no consent: nobody learns who exists.
    #[default]
    Hidden,
    /// `userUnknown`.
    Told,
}

/// Who may register a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Registration {
    /// Anybody, under any name: the first device creates the user. Development only.
    Open,
    /// Nobody through the client API.
    Closed,
}

/// How long a provider tries, and how much it keeps (D22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long the fan-out to a provider may fail before it is given up, in milliseconds.
    pub give_up_millis: u64,
    /// How long the log of a room is kept for who has not fetched it yet, in milliseconds.
    pub log_millis: u64,
    /// How many events of a log are kept for who has not fetched them yet.
    pub log_events: u64,
}

impl Default for Retention {
    /// Three days; 28 days and 65,536 events.
    fn default() -> Self {
        const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
        Self { give_up_millis: 3 * DAY_MILLIS, log_millis: 28 * DAY_MILLIS, log_events: 1 << 16 }
    }
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
    /// How long it tries, and how much it keeps.
    pub retention: Retention,
}

impl ProviderConfig {
    /// The hub's key for the signature scheme `scheme` (D2).
    #[must_use]
    pub fn hub_key(&self, scheme: u16) -> Option<&HubKey> {
        self.hub_keys.iter().find(|key| key.scheme == scheme)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The default of a setting in the table that operators read.
    fn setting(path: &str) -> Value {
        let table = include_str!("../js/hub/config/settings.json");
        let table: Vec<Value> = serde_json::from_str(table).expect("the table is JSON");
        let row = table.into_iter().find(|row| row["path"] == path).expect("the setting");
        row["default"].clone()
    }

    #[test]
    fn d22_the_usual_retention_is_the_one_of_the_settings() {
        const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
        let Retention { give_up_millis, log_millis, log_events } = Retention::default();
        assert_eq!(setting("retention.giveUpDays"), give_up_millis / DAY_MILLIS);
        assert_eq!(setting("retention.logDays"), log_millis / DAY_MILLIS);
        assert_eq!(setting("retention.logEvents"), log_events);
    }
}
