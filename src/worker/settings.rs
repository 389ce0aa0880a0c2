//! The provider's settings as the runtime's bindings give them.

use std::rc::Rc;

use base64ct::{Base64, Encoding as _};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::{
    config::{ConsentDefault, HubKey, ProviderConfig, Registration, UnknownUsers},
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

/// A provider's settings, checked once and shared by all objects of an isolate.
#[wasm_bindgen]
pub struct Settings {
    pub(super) config: Rc<ProviderConfig>,
}

#[wasm_bindgen]
impl Settings {
    /// Settings from the text of the bindings: the domain, the hub's keys as JSON, `allow` or `ask`,
    /// `hidden` or `told`, `open` or `closed`.
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
        };
        Ok(Self { config: Rc::new(config) })
    }
}
