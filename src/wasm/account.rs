//! The user's devices.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::{ClientCore, at, client_uri, convert, failure};

#[wasm_bindgen]
impl ClientCore {
    /// The user's devices, as the own provider said last: objects `{uri, registeredAt}`.
    ///
    /// # Errors
    /// When the state is broken.
    pub fn devices(&self) -> Result<Array, JsValue> {
        Ok(convert::devices(&self.client.devices().map_err(failure)?))
    }

    /// Revokes another device of the user at the own provider; the event `devicesChanged` says when
    /// that is done.
    ///
    /// # Errors
    /// When it is this device, or not one of the user.
    #[wasm_bindgen(js_name = revokeDevice)]
    pub fn revoke_device(&mut self, device: &str, now: f64) -> Result<(), JsValue> {
        self.client.revoke_device(&client_uri(device)?, at(now)).map_err(failure)
    }

    /// Deletes the user at the own provider, for good; the event `revoked` says when that is done.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = deleteUser)]
    pub fn delete_user(&mut self, now: f64) -> Result<(), JsValue> {
        self.client.delete_user(at(now)).map_err(failure)
    }
}
