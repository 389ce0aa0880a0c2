//! The provider's settings as the runtime's bindings give them.

use std::rc::Rc;

use base64ct::{Base64, Encoding as _};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::{
    config::{
        ConsentDefault, HubKey, Limits, Peers, ProviderConfig, Registration, Retention,
        UnknownUsers,
    },
    js::whole,
    provider::PeerRates,
    wire::uri::Domain,
};

/// RFC 8446's code of Ed25519.
const ED25519: u16 = 0x0807;

/// The binding `HUB_KEYS`: the Ed25519 key, seed and public key, in base64.
#[derive(Deserialize)]
struct HubKeys {
    ed25519: String,
    public: String,
}

/// What the core needs of the operator's settings, whole: `js/hub/config` has put the defaults in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CoreSettings {
    domain: String,
    consent: ConsentDefault,
    unknown_users: UnknownUsers,
    registration: Registration,
    retention: RetentionDays,
    limits: Limits,
    peers: PeerNames,
}

#[derive(Deserialize)]
struct PeerNames {
    allow: Vec<String>,
    deny: Vec<String>,
}

impl PeerNames {
    fn parse(&self) -> Result<Peers, JsError> {
        let read = |names: &[String]| {
            let domains = names.iter().map(|name| Domain::parse(name));
            domains.collect::<Result<_, _>>().map_err(|_| JsError::new("peers: no domain"))
        };
        Ok(Peers { allow: read(&self.allow)?, deny: read(&self.deny)? })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionDays {
    give_up_days: f64,
    log_days: f64,
    log_events: u64,
}

impl From<RetentionDays> for Retention {
    fn from(RetentionDays { give_up_days, log_days, log_events }: RetentionDays) -> Self {
        const DAY_MILLIS: f64 = 24.0 * 60.0 * 60.0 * 1000.0;
        Self {
            give_up_millis: whole(give_up_days * DAY_MILLIS),
            log_millis: whole(log_days * DAY_MILLIS),
            log_events,
        }
    }
}

/// A provider's settings, checked once and shared by all objects of an isolate.
#[wasm_bindgen]
pub struct Settings {
    pub(super) config: Rc<ProviderConfig>,
    pub(super) peer_rates: PeerRates,
}

#[wasm_bindgen]
impl Settings {
    /// Settings from the binding `HUB_KEYS` and the operator's settings, both JSON.
    ///
    /// # Errors
    /// A text that says which of them is not as it should be; it never holds a key.
    #[wasm_bindgen(constructor)]
    pub fn new(hub_keys: &str, settings: &str) -> Result<Settings, JsError> {
        let settings: CoreSettings = serde_json::from_str(settings)
            .map_err(|error| JsError::new(&format!("the settings: {error}")))?;
        let domain =
            Domain::parse(&settings.domain).map_err(|_| JsError::new("domain is no domain"))?;
        let keys: HubKeys = serde_json::from_str(hub_keys)
            .map_err(|_| JsError::new("HUB_KEYS is not the JSON it should be"))?;
        let decode = |text: &str| {
            Base64::decode_vec(text).map_err(|_| JsError::new("HUB_KEYS holds no base64"))
        };
        let hub_key = HubKey {
            scheme: ED25519,
            private: decode(&keys.ed25519)?,
            public: decode(&keys.public)?,
        };
        let config = ProviderConfig {
            domain,
            hub_keys: vec![hub_key],
            consent_default: settings.consent,
            unknown_users: settings.unknown_users,
            registration: settings.registration,
            retention: settings.retention.into(),
            limits: settings.limits,
            peers: settings.peers.parse()?,
        };
        Ok(Self { config: Rc::new(config), peer_rates: PeerRates::default() })
    }
}
