//! The provider's settings as the runtime's bindings give them.

use std::rc::Rc;

use base64ct::{Base64, Encoding as _};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::{
    config::{ConsentDefault, HubKey, ProviderConfig, Registration, Retention, UnknownUsers},
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

/// The binding `RETENTION`: what is not there is as usual (D22).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetentionDays {
    give_up_days: Option<u64>,
    log_days: Option<u64>,
    log_events: Option<u64>,
}

fn parse_retention(text: &str) -> Result<Retention, JsError> {
    const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
    let usual = Retention::default();
    if text.is_empty() {
        return Ok(usual);
    }
    let RetentionDays { give_up_days, log_days, log_events } = serde_json::from_str(text)
        .map_err(|_| JsError::new("RETENTION is not the JSON it should be"))?;
    let millis =
        |days: Option<u64>, usual: u64| days.map_or(usual, |days| days.saturating_mul(DAY_MILLIS));
    Ok(Retention {
        give_up_millis: millis(give_up_days, usual.give_up_millis),
        log_millis: millis(log_days, usual.log_millis),
        log_events: log_events.unwrap_or(usual.log_events),
    })
}

/// A provider's settings, checked once and shared by all objects of an isolate.
#[wasm_bindgen]
pub struct Settings {
    pub(super) config: Rc<ProviderConfig>,
}

#[wasm_bindgen]
impl Settings {
    /// Settings from the text of the bindings: the domain, the hub's keys as JSON, `allow` or `ask`,
    /// `hidden` or `told`, `open` or `closed`, and how long things are kept as JSON, or nothing.
    ///
    /// # Errors
    /// A text that says which of them is not as it should be; it never holds a key.
    #[wasm_bindgen(constructor)]
    pub fn new(
        domain: &str,
        hub_keys: &str,
        consent: &str,
        unknown_users: &str,
        registration: &str,
        retention: &str,
    ) -> Result<Settings, JsError> {
        let domain = Domain::parse(domain).map_err(|_| JsError::new("DOMAIN is no domain"))?;
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
        let consent_default = match consent {
            "allow" => ConsentDefault::Allow,
            "ask" => ConsentDefault::Ask,
            _ => return Err(JsError::new("CONSENT is allow or ask")),
        };
        let unknown_users = match unknown_users {
            "hidden" => UnknownUsers::Hidden,
            "told" => UnknownUsers::Told,
            _ => return Err(JsError::new("UNKNOWN_USERS is hidden or told")),
        };
        let registration = match registration {
            "open" => Registration::Open,
            "closed" => Registration::Closed,
            _ => return Err(JsError::new("REGISTRATION is open or closed")),
        };
        let config = ProviderConfig {
            domain,
            hub_keys: vec![hub_key],
            consent_default,
            unknown_users,
            registration,
            retention: parse_retention(retention)?,
        };
        Ok(Self { config: Rc::new(config) })
    }
}
