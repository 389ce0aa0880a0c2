//! One object of a provider, of any class.

use std::rc::Rc;

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::{
    convert,
    settings::Settings,
    storage::{Rows, SqlStorage},
};
use crate::{
    error::Error,
    follower::FollowedRoom,
    hub::HubRoom,
    index::Index,
    js::{number, outcome as read_outcome, whole},
    object::Object,
    provider::User,
    storage::Cached,
    time::UnixMillis,
    transport::{ObjectClass, ObjectName},
    wire::uri::{ClientUri, RoomUri, UserUri},
};

enum Role {
    HubRoom(Object<HubRoom>),
    FollowedRoom(Object<FollowedRoom>),
    User(Object<User>),
    Provider(Object<Index>),
}

macro_rules! each {
    ($role:expr, $object:ident => $call:expr) => {
        match $role {
            Role::HubRoom($object) => $call,
            Role::FollowedRoom($object) => $call,
            Role::User($object) => $call,
            Role::Provider($object) => $call,
        }
    };
}

/// The core of one Durable Object. Times are milliseconds since 1970.
#[wasm_bindgen]
pub struct ObjectCore {
    role: Role,
}

/// The object as the index and its own outbox know it.
fn named<R: crate::object::Role>(object: Object<R>, class: ObjectClass, name: &str) -> Object<R> {
    object.spread_by(name).announcing(ObjectName { class, name: name.to_owned() })
}

fn js_error(error: impl Into<Error>) -> JsError {
    JsError::new(&error.into().to_string())
}

#[wasm_bindgen]
impl ObjectCore {
    /// The object `name` of the class `class` over its stored rows.
    ///
    /// # Errors
    /// When there is no such class, or the name is none of it.
    #[wasm_bindgen(constructor)]
    pub fn new(
        class: &str,
        name: &str,
        settings: &Settings,
        rows: Rows,
    ) -> Result<ObjectCore, JsError> {
        // The shell drops this object when a transaction of its storage is rolled back.
        let storage = Box::new(Cached::new(SqlStorage(rows)));
        let config = Rc::clone(&settings.config);
        let role = match class {
            "HubRoom" => {
                let room = RoomUri::parse(name).map_err(js_error)?;
                let object = Object::new(HubRoom::new(room), storage, config);
                Role::HubRoom(named(object, ObjectClass::HubRoom, name))
            }
            "FollowedRoom" => {
                let object = Object::new(FollowedRoom::new(name), storage, config);
                Role::FollowedRoom(named(object, ObjectClass::FollowedRoom, name))
            }
            "User" => {
                let user = UserUri::parse(name).map_err(js_error)?;
                let object = Object::new(User::new(user), storage, config);
                Role::User(named(object, ObjectClass::User, name))
            }
            "Provider" => Role::Provider(Object::new(Index, storage, config)),
            _ => return Err(JsError::new("no such class")),
        };
        Ok(Self { role })
    }

    /// Decides about a request: `{respond}` or `{forward}`.
    ///
    /// # Errors
    /// When the envelope is not one of ours.
    pub fn handle(&mut self, envelope: &[u8], body: Vec<u8>, now: f64) -> Result<JsValue, JsError> {
        let request = convert::incoming(envelope, body).map_err(js_error)?;
        let action =
            each!(&mut self.role, object => object.handle(request, UnixMillis(whole(now))));
        convert::action(action).map_err(js_error)
    }

    /// Goes on after a forward, with the answer or `undefined`.
    ///
    /// # Errors
    /// When the action cannot be encoded.
    pub fn resume(&mut self, then: &[u8], outcome: &JsValue, now: f64) -> Result<JsValue, JsError> {
        let outcome = read_outcome(outcome);
        let action =
            each!(&mut self.role, object => object.resume(then, outcome, UnixMillis(whole(now))));
        convert::action(action).map_err(js_error)
    }

    /// The next request of the outbox, `undefined` when none is due.
    ///
    /// # Errors
    /// When the storage fails.
    #[wasm_bindgen(js_name = pollRequest)]
    pub fn poll_request(&mut self, now: f64) -> Result<JsValue, JsError> {
        let now = UnixMillis(whole(now));
        let request =
            each!(&mut self.role, object => object.poll_request(now)).map_err(js_error)?;
        request.map_or(Ok(JsValue::UNDEFINED), |request| {
            convert::outgoing_request(request).map_err(js_error)
        })
    }

    /// What came of a request of `pollRequest`: the answer or `undefined`.
    ///
    /// # Errors
    /// When the storage fails.
    #[wasm_bindgen(js_name = handleResponse)]
    pub fn handle_response(&mut self, id: f64, outcome: &JsValue, now: f64) -> Result<(), JsError> {
        let (outcome, now) = (read_outcome(outcome), UnixMillis(whole(now)));
        each!(&mut self.role, object => object.handle_response(whole(id), outcome, now))
            .map_err(js_error)
    }

    /// When to poll next; `undefined` when nothing waits.
    ///
    /// # Errors
    /// When the storage fails.
    #[wasm_bindgen(js_name = nextWake)]
    pub fn next_wake(&self) -> Result<JsValue, JsError> {
        let wake = each!(&self.role, object => object.next_wake()).map_err(js_error)?;
        Ok(wake.map_or(JsValue::UNDEFINED, |wake| number(wake.0)))
    }

    /// The push of this number found no device of this user's connected.
    #[wasm_bindgen(js_name = foundNone)]
    pub fn found_none(&mut self, user: String, push: f64, now: f64) {
        let user = ObjectName { class: ObjectClass::User, name: user };
        let now = UnixMillis(whole(now));
        each!(&mut self.role, object => object.found_none(&user, whole(push), now));
    }

    /// What the calls since the last time cause beside their answers.
    ///
    /// # Errors
    /// When an effect cannot be encoded.
    #[wasm_bindgen(js_name = takeEffects)]
    pub fn take_effects(&mut self) -> Result<Array, JsError> {
        let effects = each!(&mut self.role, object => object.take_effects());
        let effects: Result<Array, _> = effects.into_iter().map(convert::effect).collect();
        effects.map_err(js_error)
    }

    /// A frame from a socket; `device` when the socket is bound to one. Only a `User` has sockets.
    ///
    /// # Errors
    /// When the storage fails.
    #[wasm_bindgen(js_name = handleFrame)]
    pub fn handle_frame(
        &mut self,
        socket: f64,
        device: Option<String>,
        frame: &[u8],
        now: f64,
    ) -> Result<(), JsError> {
        let Role::User(object) = &mut self.role else { return Ok(()) };
        let device = device.as_deref().and_then(|device| ClientUri::parse(device).ok());
        let now = UnixMillis(whole(now));
        object
            .step(now, |user, step| user.handle_frame(step, whole(socket), device.as_ref(), frame))
            .map_err(js_error)
    }
}
