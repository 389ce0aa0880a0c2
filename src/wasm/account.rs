//! The user's devices and pseudonyms.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::{ClientCore, as_f64, at, client_uri, convert, failure};
use crate::client::Pseudonym;

#[wasm_bindgen]
impl ClientCore {
    /// The user's devices, as the own provider said last: objects `{uri, registeredAt}`.
    ///
    /// # Errors
    /// When the state is broken.
    pub fn devices(&self) -> Result<Array, JsValue> {
        Ok(convert::devices(&self.client.devices().map_err(failure)?))
    }

    /// Asks the own provider for the list of the user's devices; it says then, too, when this one is
    /// none of them any more.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = refreshDevices)]
    pub fn refresh_devices(&mut self, now: f64) -> Result<(), JsValue> {
        self.client.refresh_devices(at(now)).map_err(failure)
    }

    /// Revokes another device of the user at the own provider; the events `accountDone`
    /// and `accountFailed` name the result.
    ///
    /// # Errors
    /// When it is this device, or not one of the user.
    #[wasm_bindgen(js_name = revokeDevice)]
    pub fn revoke_device(&mut self, device: &str, now: f64) -> Result<f64, JsValue> {
        self.client.revoke_device(&client_uri(device)?, at(now)).map(as_f64).map_err(failure)
    }

    /// Deletes the user at the own provider, for good; the events `accountDone` and
    /// `accountFailed` name the result.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = deleteUser)]
    pub fn delete_user(&mut self, now: f64) -> Result<f64, JsValue> {
        self.client.delete_user(at(now)).map(as_f64).map_err(failure)
    }

    /// Asks the own provider for a pseudonym; the event `pseudonymIssued` says when it is there.
    ///
    /// # Errors
    /// When this is itself the client of a pseudonym.
    #[wasm_bindgen(js_name = requestPseudonym)]
    pub fn request_pseudonym(&mut self, now: f64) -> Result<(), JsValue> {
        self.client.request_pseudonym(at(now)).map_err(failure)
    }

    /// The pseudonyms that were issued to this device: objects `{user, pseudonym}`, with the bytes that
    /// the constructor takes.
    ///
    /// # Errors
    /// When the state is broken.
    pub fn pseudonyms(&self) -> Result<Array, JsValue> {
        Ok(convert::pseudonyms(&self.client.pseudonyms().map_err(failure)?))
    }

    /// Forgets a pseudonym with its key.
    ///
    /// # Errors
    /// When the bytes are none of a pseudonym.
    #[wasm_bindgen(js_name = forgetPseudonym)]
    pub fn forget_pseudonym(&mut self, pseudonym: &[u8], now: f64) -> Result<(), JsValue> {
        let pseudonym = Pseudonym::from_bytes(pseudonym).map_err(failure)?;
        self.client.forget_pseudonym(&pseudonym, at(now)).map_err(failure)
    }
}
