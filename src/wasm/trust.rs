//! KeyPackages, verification of people, and what follows from a room's epoch.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::{ClientCore, as_f64, at, convert, failure, room_uri, user_uri};
use crate::{
    client::{SafetyNumber, epoch_code},
    error::UsageError,
    js::{bytes, object},
};

#[wasm_bindgen]
impl ClientCore {
    /// What the own provider holds of this device's KeyPackages: an object as the event `keyPackages`.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = keyPackageStock)]
    pub fn key_package_stock(&self) -> Result<JsValue, JsValue> {
        self.client.key_package_stock().map(convert::stock).map_err(failure)
    }

    /// Brings the stock up to its target; the events `keyPackagesMade` and `accountFailed` name the result.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = replenishKeyPackages)]
    pub fn replenish_key_packages(&mut self, now: f64) -> Result<f64, JsValue> {
        self.client.replenish_key_packages(at(now)).map(as_f64).map_err(failure)
    }

    /// Publishes a new last-resort KeyPackage; the events `keyPackagesMade` and `accountFailed` name the
    /// result.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = rotateLastResort)]
    pub fn rotate_last_resort(&mut self, now: f64) -> Result<f64, JsValue> {
        self.client.rotate_last_resort(at(now)).map(as_f64).map_err(failure)
    }

    /// The safety number of the own user and another one: an object `{digits, qr}`.
    ///
    /// # Errors
    /// When the address is none or the own one, or this device is in no room with the user.
    #[wasm_bindgen(js_name = safetyNumber)]
    pub fn safety_number(&self, user: &str) -> Result<JsValue, JsValue> {
        let SafetyNumber { digits, qr } =
            self.client.safety_number(&user_uri(user)?).map_err(failure)?;
        Ok(object([("digits", digits.into()), ("qr", bytes(&qr))]))
    }

    /// The users who were verified: objects `{user, trust}`.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = verifiedUsers)]
    pub fn verified_users(&self) -> Result<Array, JsValue> {
        let users = self.client.verified_users().map_err(failure)?;
        Ok(users.iter().map(|(user, trust)| convert::trusted(user, *trust)).collect())
    }

    /// Takes a user's devices for verified, if need be those alone of the number with this QR content.
    ///
    /// # Errors
    /// As of `safetyNumber`, and when the number is another one by now.
    pub fn verify(&mut self, user: &str, qr: Option<Vec<u8>>, now: f64) -> Result<(), JsValue> {
        self.client.verify(&user_uri(user)?, qr.as_deref(), at(now)).map_err(failure)
    }

    /// Takes a user's devices for verified no more.
    ///
    /// # Errors
    /// When the address is none.
    #[wasm_bindgen(js_name = forgetVerification)]
    pub fn forget_verification(&mut self, user: &str, now: f64) -> Result<(), JsValue> {
        self.client.forget_verification(&user_uri(user)?, at(now)).map_err(failure)
    }

    /// The code of the room's epoch: 6 groups of 5 digits.
    ///
    /// # Errors
    /// When the address is none, or this device has nothing of the room.
    #[wasm_bindgen(js_name = epochCode)]
    pub fn epoch_code(&mut self, room: &str) -> Result<String, JsValue> {
        let state = self.client.room_state(&room_uri(room)?).map_err(failure)?;
        let state = state.ok_or_else(|| failure(UsageError::RoomUnknown))?;
        epoch_code(&state.epoch_authenticator).map_err(failure)
    }

    /// A secret of the room's epoch.
    ///
    /// # Errors
    /// When the address is none, this device is not in the room, or the length out of bounds.
    #[wasm_bindgen(js_name = exportSecret)]
    pub fn export_secret(
        &mut self,
        room: &str,
        label: &str,
        context: &[u8],
        length: u32,
    ) -> Result<Vec<u8>, JsValue> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.client.export_secret(&room_uri(room)?, label, context, length).map_err(failure)
    }
}
