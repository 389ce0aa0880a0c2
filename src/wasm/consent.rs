//! Consent to be added to rooms (R95–R103). The results are numbers, which the events `consentDone` and
//! `consentFailed` name.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::{ClientCore, as_f64, at, convert, failure, room_uri, user_uri};
use crate::{
    client::{Client, IntentId},
    error::Result as CoreResult,
    wire::uri::{RoomUri, UserUri},
};

#[wasm_bindgen]
impl ClientCore {
    /// Asks a user to allow the own one to add it to a room, or to any.
    ///
    /// # Errors
    /// When the addresses are none, or the user is the own one.
    #[wasm_bindgen(js_name = requestConsent)]
    pub fn request_consent(
        &mut self,
        user: &str,
        room: Option<String>,
        now: f64,
    ) -> Result<f64, JsValue> {
        self.say(user, room, |client, user, room| client.request_consent(user, room, at(now)))
    }

    /// Takes a request of the same scope back.
    ///
    /// # Errors
    /// As `requestConsent`.
    #[wasm_bindgen(js_name = cancelConsent)]
    pub fn cancel_consent(
        &mut self,
        user: &str,
        room: Option<String>,
        now: f64,
    ) -> Result<f64, JsValue> {
        self.say(user, room, |client, user, room| client.cancel_consent(user, room, at(now)))
    }

    /// Allows a user to add the own one to a room, or to any; with a KeyPackage of this device, if
    /// asked for.
    ///
    /// # Errors
    /// As `requestConsent`.
    #[wasm_bindgen(js_name = grantConsent)]
    pub fn grant_consent(
        &mut self,
        user: &str,
        room: Option<String>,
        key_package: bool,
        now: f64,
    ) -> Result<f64, JsValue> {
        let grant = if key_package {
            Client::grant_consent_with_key_package
        } else {
            Client::grant_consent
        };
        self.say(user, room, |client, user, room| grant(client, user, room, at(now)))
    }

    /// Does not allow it, or no longer.
    ///
    /// # Errors
    /// As `requestConsent`.
    #[wasm_bindgen(js_name = revokeConsent)]
    pub fn revoke_consent(
        &mut self,
        user: &str,
        room: Option<String>,
        now: f64,
    ) -> Result<f64, JsValue> {
        self.say(user, room, |client, user, room| client.revoke_consent(user, room, at(now)))
    }

    /// Open requests of others: objects `{user, room?, at}`.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = consentIncoming)]
    pub fn consent_incoming(&self) -> Result<Array, JsValue> {
        Ok(convert::consents(&self.client.consent_incoming().map_err(failure)?))
    }

    /// Who may add the user: objects `{user, room?, at}`.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = consentGranted)]
    pub fn consent_granted(&self) -> Result<Array, JsValue> {
        Ok(convert::consents(&self.client.consent_granted().map_err(failure)?))
    }
}

impl ClientCore {
    fn say(
        &mut self,
        user: &str,
        room: Option<String>,
        act: impl FnOnce(&mut Client, &UserUri, Option<&RoomUri>) -> CoreResult<IntentId>,
    ) -> Result<f64, JsValue> {
        let room = room.as_deref().map(room_uri).transpose()?;
        act(&mut self.client, &user_uri(user)?, room.as_ref()).map(as_f64).map_err(failure)
    }
}
