//! The client core as wasm exports for the npm package (wasm32 only).
//!
//! In scope: turning JavaScript values into the core's and back. Out of scope: any decision, any IO.
//! Every export is synchronous. What fails throws a plain object `{code, message, retryable}`.

mod account;
mod consent;
mod convert;
mod low;
mod rooms;
#[cfg(feature = "testing")]
mod trap;
mod trust;

use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{
    client::{Client, ClientOptions, ErrorCode, KeyPackageChoice, Pseudonym},
    error::{Error, UsageError},
    js::{self, as_f64, number, object, whole},
    mls::MlsCrypto,
    time::UnixMillis,
    transport::Outgoing,
    wire::uri::{ClientUri, RoomUri, UserUri},
};

/// The core of one device. Times are milliseconds since 1970.
#[wasm_bindgen]
pub struct ClientCore {
    client: Client,
}

/// What an export throws. What it refuses at once it refuses again while things stand as they do, so
/// none of it is worth a second try.
fn failure(error: impl Into<Error>) -> JsValue {
    let error = error.into();
    object([
        ("code", ErrorCode::of(&error).as_str().into()),
        ("message", error.to_string().into()),
        ("retryable", false.into()),
    ])
}

fn at(now: f64) -> UnixMillis {
    UnixMillis(whole(now))
}

fn room_uri(text: &str) -> Result<RoomUri, JsValue> {
    RoomUri::parse(text).map_err(failure)
}

fn user_uri(text: &str) -> Result<UserUri, JsValue> {
    UserUri::parse(text).map_err(failure)
}

fn client_uri(text: &str) -> Result<ClientUri, JsValue> {
    ClientUri::parse(text).map_err(failure)
}

#[wasm_bindgen]
impl ClientCore {
    /// The device that these rows are of (objects `{key, value}`); a new device of `user` when there
    /// are none, or the one of a pseudonym, if its bytes are given. A number of KeyPackages, or of days
    /// for which they are valid, holds from now on (by default 20 and 84).
    ///
    /// # Errors
    /// When the rows or the pseudonym are of another user, the rows of a newer version, or the numbers out
    /// of bounds.
    #[wasm_bindgen(constructor)]
    pub fn new(
        user: &str,
        rows: Array,
        pseudonym: Option<Vec<u8>>,
        now: f64,
        key_packages: Option<u32>,
        lifetime_days: Option<u32>,
    ) -> Result<ClientCore, JsValue> {
        let user = user_uri(user)?;
        let member = |row: &JsValue, name: &str| {
            Reflect::get(row, &name.into()).map(|value| Uint8Array::new(&value).to_vec())
        };
        let rows = rows
            .iter()
            .map(|row| Ok((member(&row, "key")?, member(&row, "value")?)))
            .collect::<Result<_, JsValue>>()?;
        let mut options = match pseudonym {
            None => ClientOptions::new(user),
            Some(bytes) => {
                let pseudonym = Pseudonym::from_bytes(&bytes).map_err(failure)?;
                if pseudonym.user() != user {
                    return Err(failure(UsageError::BadArgument("another user's pseudonym")));
                }
                ClientOptions::of_pseudonym(pseudonym)
            }
        };
        options.key_packages = KeyPackageChoice { target: key_packages, lifetime_days };
        let client = Client::open(&options, rows, MlsCrypto::new(), at(now)).map_err(failure)?;
        Ok(Self { client })
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> String {
        self.client.device().user().to_string()
    }

    /// This device's address.
    #[must_use]
    pub fn device(&self) -> String {
        self.client.device().to_string()
    }

    /// Whether the own provider knows this device.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = isRegistered)]
    pub fn is_registered(&self) -> Result<bool, JsValue> {
        self.client.is_registered().map_err(failure)
    }

    /// The path of this device's socket.
    #[wasm_bindgen(js_name = socketPath)]
    #[must_use]
    pub fn socket_path(&self) -> String {
        self.client.socket_path()
    }

    /// The next request to the own provider, `undefined` when none is due.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = pollRequest)]
    pub fn poll_request(&mut self, now: f64) -> Result<JsValue, JsValue> {
        let Some(request) = self.client.poll_request(at(now)).map_err(failure)? else {
            return Ok(JsValue::UNDEFINED);
        };
        let Outgoing::Http(call) = &request.outgoing else { return Ok(JsValue::UNDEFINED) };
        let [method, url, headers, body, timeout] = js::http_call(call);
        let id = ("id", number(request.id));
        Ok(object([id, method, url, headers, body, timeout, ("label", request.label.into())]))
    }

    /// What came of a request: the answer or `undefined`.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = handleResponse)]
    pub fn handle_response(&mut self, id: f64, outcome: &JsValue, now: f64) -> Result<(), JsValue> {
        self.client.handle_response(whole(id), js::outcome(outcome), at(now)).map_err(failure)
    }

    /// The provider can be reached again: what waits to be sent once more is due now.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = retryNow)]
    pub fn retry_now(&mut self, now: f64) -> Result<(), JsValue> {
        self.client.retry_now(at(now)).map_err(failure)
    }

    /// The first frame for a new socket.
    ///
    /// # Errors
    /// When the state is broken.
    pub fn hello(&mut self, now: f64) -> Result<Vec<u8>, JsValue> {
        self.client.hello(at(now)).map_err(failure)
    }

    /// A frame from the socket.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = handleFrame)]
    pub fn handle_frame(&mut self, frame: &[u8], now: f64) -> Result<(), JsValue> {
        self.client.handle_frame(frame, at(now)).map_err(failure)
    }

    /// Frames to be sent, after what `takeChanges` gave is stored.
    ///
    /// # Errors
    /// When a frame cannot be encoded.
    #[wasm_bindgen(js_name = takeFrames)]
    pub fn take_frames(&mut self) -> Result<Array, JsValue> {
        let frames = self.client.take_frames().map_err(failure)?;
        Ok(frames.iter().map(|frame| js::bytes(frame)).collect())
    }

    /// What changed since the last time: objects `{key, value}`, `null` for a deletion.
    #[wasm_bindgen(js_name = takeChanges)]
    pub fn take_changes(&mut self) -> Array {
        let change = |write: crate::storage::Write| {
            let value = write.value.map_or(JsValue::NULL, |value| js::bytes(&value));
            object([("key", js::bytes(&write.key)), ("value", value)])
        };
        self.client.take_changes().into_iter().map(change).collect()
    }

    /// What happened since the last time, in order.
    #[wasm_bindgen(js_name = takeEvents)]
    pub fn take_events(&mut self) -> Array {
        self.client.take_events().into_iter().map(convert::event).collect()
    }

    /// When to poll next; `undefined` when nothing waits.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = nextWake)]
    pub fn next_wake(&self) -> Result<Option<f64>, JsValue> {
        Ok(self.client.next_wake().map_err(failure)?.map(|wake| as_f64(wake.0)))
    }

    /// The rooms' addresses.
    ///
    /// # Errors
    /// When the state is broken.
    pub fn rooms(&self) -> Result<Vec<String>, JsValue> {
        let rooms = self.client.rooms().map_err(failure)?;
        Ok(rooms.iter().map(|(room, _)| room.to_string()).collect())
    }

    /// The addresses of the rooms that the user is in and this device is not, nor on its way.
    ///
    /// # Errors
    /// When the state is broken.
    #[wasm_bindgen(js_name = availableRooms)]
    pub fn available_rooms(&self) -> Result<Vec<String>, JsValue> {
        let rooms = self.client.available_rooms().map_err(failure)?;
        Ok(rooms.iter().map(RoomUri::to_string).collect())
    }

    /// The last `limit` entries of a room's history before this position of its log (of all:
    /// `undefined`), the oldest first, as the events `message` and `undecryptable` have them.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    pub fn history(&self, room: &str, before: Option<f64>, limit: u32) -> Result<Array, JsValue> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let entries = self
            .client
            .history_before(&room_uri(room)?, before.map(whole), limit)
            .map_err(failure)?;
        Ok(entries.iter().map(convert::history_entry).collect())
    }

    /// The messages of this device in a room that have not come back from its log, in order, as the
    /// event `delivery` has them.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    pub fn unsent(&self, room: &str) -> Result<Array, JsValue> {
        let messages = self.client.unsent(&room_uri(room)?).map_err(failure)?;
        Ok(messages.iter().map(convert::own_message).collect())
    }

    /// What is to be read in a room, and to be sent: an object `{readTo, unread, last, waiting, failed}`,
    /// `last` as the event `message` has it.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    pub fn reading(&self, room: &str) -> Result<JsValue, JsValue> {
        let reading = self.client.reading(&room_uri(room)?).map_err(failure)?;
        Ok(convert::reading(&reading))
    }

    /// The user has read a room up to this position of its log.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    #[wasm_bindgen(js_name = markRead)]
    pub fn mark_read(&mut self, room: &str, position: f64, now: f64) -> Result<(), JsValue> {
        self.client.mark_read(&room_uri(room)?, whole(position), at(now)).map_err(failure)
    }

    /// What this device has still to do in a room, in order, as `roomState` has it; also in one of which
    /// it has nothing yet.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    pub fn pending(&self, room: &str) -> Result<Array, JsValue> {
        let pending = self.client.pending(&room_uri(room)?).map_err(failure)?;
        Ok(pending.iter().map(convert::pending).collect())
    }

    /// A room as it stands; `undefined` when this device has none of this address.
    ///
    /// # Errors
    /// When the address is none, or the state is broken.
    #[wasm_bindgen(js_name = roomState)]
    pub fn room_state(&mut self, room: &str) -> Result<JsValue, JsValue> {
        let state = self.client.room_state(&room_uri(room)?).map_err(failure)?;
        Ok(state.map_or(JsValue::UNDEFINED, |state| convert::room_state(&state)))
    }
}
