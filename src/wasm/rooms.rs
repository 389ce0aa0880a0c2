//! What an application wishes for in a room. Where a result is a number, it names the intent, as the
//! events `intentDone` and `intentFailed` do.

use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::*;

use super::{ClientCore, as_f64, at, client_uri, failure, room_uri, user_uri};
use crate::{
    client::{AddOptions, Client, CreateOptions, HubProposals, IntentId, LastResort, Profile},
    error::{Result as CoreResult, UsageError},
    js::whole,
    wire::{
        Role,
        uri::{RoomUri, UserUri},
    },
};

#[wasm_bindgen]
impl ClientCore {
    /// Creates a room of profile `A` or `B`, and adds these users (objects `{user, roles}`).
    ///
    /// # Errors
    /// When an address is none, or the room's of another provider, or this device has such a room, or
    /// for roles that nobody can have; then nothing is done.
    #[wasm_bindgen(js_name = createRoom)]
    pub fn create_room(
        &mut self,
        room: &str,
        profile: &str,
        hub_proposals: bool,
        users: &Array,
        now: f64,
    ) -> Result<f64, JsValue> {
        let profile = match profile {
            "A" => Profile::A,
            "B" => Profile::B,
            _ => return Err(failure(UsageError::BadArgument("profile"))),
        };
        let hub_proposals = if hub_proposals { HubProposals::On } else { HubProposals::Off };
        let options = CreateOptions { hub_proposals, profile };
        let users = users.iter().map(|user| added(&user)).collect::<Result<Vec<_>, _>>()?;
        self.wish(room, |client, room| client.create_room_with(room, options, users, at(now)))
    }

    /// Adds a user.
    ///
    /// # Errors
    /// When the addresses or roles are none, or this device is not in the room.
    #[wasm_bindgen(js_name = addUser)]
    pub fn add_user(
        &mut self,
        room: &str,
        user: &str,
        roles: Vec<String>,
        last_resort: bool,
        request_consent: bool,
        now: f64,
    ) -> Result<f64, JsValue> {
        let user = user_uri(user)?;
        let roles = roles_of(&roles)?;
        let last_resort = if last_resort { LastResort::Allowed } else { LastResort::Refused };
        let options = AddOptions { roles, last_resort, request_consent };
        self.wish(room, |client, room| client.add_user(room, &user, options, at(now)))
    }

    /// Removes a user.
    ///
    /// # Errors
    /// When the addresses are none, or this device is not in the room.
    #[wasm_bindgen(js_name = removeUser)]
    pub fn remove_user(&mut self, room: &str, user: &str, now: f64) -> Result<f64, JsValue> {
        let user = user_uri(user)?;
        self.wish(room, |client, room| client.remove_user(room, &user, at(now)))
    }

    /// Gives a user other roles; `banned` bans it.
    ///
    /// # Errors
    /// When the addresses or roles are none, or this device is not in the room.
    #[wasm_bindgen(js_name = setRoles)]
    pub fn set_roles(
        &mut self,
        room: &str,
        user: &str,
        roles: Vec<String>,
        now: f64,
    ) -> Result<f64, JsValue> {
        let user = user_uri(user)?;
        let roles = roles_of(&roles)?;
        self.wish(room, |client, room| client.set_roles(room, &user, roles, at(now)))
    }

    /// Leaves with all devices of the user.
    ///
    /// # Errors
    /// When the address is none, or this device is not in the room.
    pub fn leave(&mut self, room: &str, now: f64) -> Result<f64, JsValue> {
        self.wish(room, |client, room| client.leave(room, at(now)))
    }

    /// Takes a device out.
    ///
    /// # Errors
    /// When the addresses are none, or this device is not in the room.
    #[wasm_bindgen(js_name = removeDevice)]
    pub fn remove_device(&mut self, room: &str, device: &str, now: f64) -> Result<f64, JsValue> {
        let device = client_uri(device)?;
        self.wish(room, |client, room| client.remove_device(room, &device, at(now)))
    }

    /// Sets the base policy.
    ///
    /// # Errors
    /// When the address is none, this device is not in the room, or the policy is too large.
    #[wasm_bindgen(js_name = setPolicy)]
    pub fn set_policy(&mut self, room: &str, policy: Vec<u8>, now: f64) -> Result<f64, JsValue> {
        self.wish(room, |client, room| client.set_policy(room, policy, at(now)))
    }

    /// Replaces this device's keys.
    ///
    /// # Errors
    /// When the address is none, or this device is not in the room.
    #[wasm_bindgen(js_name = updateKeys)]
    pub fn update_keys(&mut self, room: &str, now: f64) -> Result<f64, JsValue> {
        self.wish(room, |client, room| client.update_keys(room, at(now)))
    }

    /// Joins, or joins again, by an external commit.
    ///
    /// # Errors
    /// When the address is none, or this device is in the room.
    #[wasm_bindgen(js_name = joinRoom)]
    pub fn join_room(&mut self, room: &str, now: f64) -> Result<f64, JsValue> {
        self.wish(room, |client, room| client.join_room(room, at(now)))
    }

    /// Asks the own provider for the user's rooms; the events `roomAvailable` tell of those that this
    /// device is not in.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = syncRooms)]
    pub fn sync_rooms(&mut self, now: f64) -> Result<(), JsValue> {
        self.client.sync_rooms(at(now)).map_err(failure)
    }

    /// Takes an intent back; false when it is done or cannot be stopped any more.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    pub fn cancel(&mut self, room: &str, intent: f64, now: f64) -> Result<bool, JsValue> {
        self.client.cancel_intent(&room_uri(room)?, whole(intent), at(now)).map_err(failure)
    }

    /// Sends a message under this key: 32 lowercase hexadecimal digits, at random. Nothing is done when
    /// there is one of this key.
    ///
    /// # Errors
    /// When the key is none, this device is not in the room or leaves it, or for too large a content.
    pub fn send(
        &mut self,
        room: &str,
        key: &str,
        content: Vec<u8>,
        now: f64,
    ) -> Result<(), JsValue> {
        self.client.send_as(&room_uri(room)?, key, content, at(now)).map_err(failure)
    }

    /// Takes a message back; false when it is on its way or over.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    #[wasm_bindgen(js_name = cancelMessage)]
    pub fn cancel_message(&mut self, room: &str, key: &str, now: f64) -> Result<bool, JsValue> {
        self.client.cancel_message(&room_uri(room)?, key, at(now)).map_err(failure)
    }

    /// Sends a message again that was given up.
    ///
    /// # Errors
    /// When the address is none, or this device leaves the room.
    #[wasm_bindgen(js_name = retryMessage)]
    pub fn retry_message(&mut self, room: &str, key: &str, now: f64) -> Result<(), JsValue> {
        self.client.retry_message(&room_uri(room)?, key, at(now)).map_err(failure)
    }

    /// Forgets a message that was given up.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    #[wasm_bindgen(js_name = discardMessage)]
    pub fn discard_message(&mut self, room: &str, key: &str, now: f64) -> Result<(), JsValue> {
        self.client.discard_message(&room_uri(room)?, key, at(now)).map_err(failure)
    }
}

impl ClientCore {
    fn wish(
        &mut self,
        room: &str,
        act: impl FnOnce(&mut Client, &RoomUri) -> CoreResult<IntentId>,
    ) -> Result<f64, JsValue> {
        act(&mut self.client, &room_uri(room)?).map(as_f64).map_err(failure)
    }
}

/// A user to be added, and how.
fn added(user: &JsValue) -> Result<(UserUri, AddOptions), JsValue> {
    let roles = Array::from(&Reflect::get(user, &"roles".into())?);
    let roles: Vec<_> = roles.iter().filter_map(|role| role.as_string()).collect();
    let address = Reflect::get(user, &"user".into())?.as_string().unwrap_or_default();
    Ok((user_uri(&address)?, AddOptions { roles: roles_of(&roles)?, ..AddOptions::default() }))
}

fn roles_of(names: &[String]) -> Result<Vec<Role>, JsValue> {
    let roles: Option<_> = names.iter().map(|name| Role::from_name(name)).collect();
    roles.ok_or_else(|| failure(UsageError::BadArgument("role")))
}
