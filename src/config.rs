//! What a provider is told when it starts.

use serde::Deserialize;

use crate::{rate::Rate, wire::uri::Domain};

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
    /// Whoever the operator's accounts say: the user whose account the request is of, and no other.
    Jwt,
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

/// How much of everything a provider takes (D18). The bounds of the protocol hold beside these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Entries of a room's participant list, banned users included; 429 and `notAllowed` beyond.
    pub participants_per_room: usize,
    /// Proposals that wait in a room; 429 beyond, but for those that leave.
    pub pending_proposals: usize,
    /// Devices of a user that are not revoked; 429 beyond.
    pub devices_per_user: usize,
    /// KeyPackages of a device at its provider; 429 beyond.
    pub key_packages_per_device: u32,
    /// Rooms of a user with which it may create another one; 429 beyond.
    pub rooms_per_user: usize,
    /// Requests of a device per second; 429 with `Retry-After` beyond.
    pub requests_per_device: u32,
    /// Requests of a device at once, after a rest.
    pub burst_per_device: u32,
    /// Requests of another provider per second, counted where they come in.
    pub requests_per_peer: u32,
    /// Requests of another provider at once, after a rest.
    pub burst_per_peer: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            participants_per_room: 4096,
            pending_proposals: 256,
            devices_per_user: 32,
            key_packages_per_device: 300,
            rooms_per_user: 10_000,
            requests_per_device: 50,
            burst_per_device: 500,
            requests_per_peer: 1000,
            burst_per_peer: 5000,
        }
    }
}

impl Limits {
    /// How often a device may ask.
    #[must_use]
    pub const fn device_rate(&self) -> Rate {
        Rate { per_second: self.requests_per_device, burst: self.burst_per_device }
    }

    /// How often another provider may ask.
    #[must_use]
    pub const fn peer_rate(&self) -> Rate {
        Rate { per_second: self.requests_per_peer, burst: self.burst_per_peer }
    }
}

/// Which other providers there are for this one (R2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers {
    /// If it names any, these alone.
    pub allow: Vec<Domain>,
    /// Not these, whatever `allow` says.
    pub deny: Vec<Domain>,
}

impl Peers {
    /// Whether anything is taken from this provider, or sent to it.
    #[must_use]
    pub fn admits(&self, domain: &Domain) -> bool {
        !self.deny.contains(domain) && (self.allow.is_empty() || self.allow.contains(domain))
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
    /// How much of everything it takes.
    pub limits: Limits,
    /// Which other providers there are for it.
    pub peers: Peers,
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

    #[test]
    fn d18_the_usual_limits_are_those_of_the_settings() {
        let limits = Limits::default();
        for (name, usual) in [
            ("participantsPerRoom", limits.participants_per_room as u64),
            ("pendingProposals", limits.pending_proposals as u64),
            ("devicesPerUser", limits.devices_per_user as u64),
            ("keyPackagesPerDevice", limits.key_packages_per_device.into()),
            ("roomsPerUser", limits.rooms_per_user as u64),
            ("requestsPerDevice", limits.requests_per_device.into()),
            ("burstPerDevice", limits.burst_per_device.into()),
            ("requestsPerPeer", limits.requests_per_peer.into()),
            ("burstPerPeer", limits.burst_per_peer.into()),
        ] {
            assert_eq!(setting(&format!("limits.{name}")), usual, "{name}");
        }
    }

    #[test]
    fn r2_who_is_denied_is_not_admitted_and_of_those_that_are_allowed_alone_no_others_are() {
        let domain = |text| Domain::parse(text).expect("a domain");
        let (one, other) = (domain("one.example"), domain("other.example"));
        assert!(Peers::default().admits(&one));
        let peers = Peers { allow: vec![one.clone()], deny: Vec::new() };
        assert!(peers.admits(&one) && !peers.admits(&other));
        let peers = Peers { allow: vec![one.clone()], deny: vec![one.clone()] };
        assert!(!peers.admits(&one));
    }
}
