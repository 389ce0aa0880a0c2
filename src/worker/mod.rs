//! The provider's objects as wasm exports for an edge runtime (wasm32 only).
//!
//! In scope: turning JavaScript values into the core's and back, storage over the runtime's SQL, the
//! peer's domains out of its certificate. Out of scope: any decision. Every export is synchronous; the
//! only thing that Rust calls in JavaScript is an object's storage, synchronous too.

mod convert;
mod objects;
mod peer_auth;
mod settings;
mod storage;

use wasm_bindgen::prelude::*;

use self::{convert::http_request, settings::Settings};
use crate::{
    js::{object, whole},
    provider::{Routed, Via, answer_code, calling_device, route},
    time::UnixMillis,
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Response, Source},
    wire::uri::{RoomUri, UserUri},
};

/// Who called, on which of the two listeners.
///
/// `clients`: the client API's listener, with the account that a verified token is of, if there was one. Else the listener for providers, with what the TLS
/// terminator says of the peer's certificate.
#[wasm_bindgen(js_name = routeRequest)]
#[allow(clippy::too_many_arguments, reason = "one request, flat, across the boundary")]
pub fn route_request(
    settings: &Settings,
    method: String,
    path: String,
    headers: js_sys::Array,
    body: Vec<u8>,
    tls_client_auth: Option<js_sys::Object>,
    account: Option<String>,
    now: f64,
) -> JsValue {
    let via = match tls_client_auth {
        None => account.map_or(Via::Clients, |account| Via::SignedIn { account }),
        Some(auth) => Via::Providers { peer: peer_auth::peer(&auth) },
    };
    let request = http_request(method, path, &headers, body);
    let routed = route(&settings.config, &request, &via);
    match settings.peer_rates.admit(&settings.config, routed, UnixMillis(whole(now))) {
        Routed::Respond(response) => convert::tagged("respond", convert::response(response)),
        Routed::Socket(name) => {
            let class = ("class", name.class.name().into());
            convert::tagged("socket", object([class, ("name", name.name.into())]))
        }
        Routed::Call(call) => match convert::object_call(call) {
            Ok(call) => convert::tagged("call", call),
            Err(_) => convert::tagged("respond", convert::response(Response::empty(500))),
        },
    }
}

/// What an operator asks of an object, as a call: `list` and `reports` of the index, `describe` of a room
/// and `delete` of a user; `name` is the class and what comes after it, or the object's identifier.
#[wasm_bindgen(js_name = operatorCall)]
#[must_use]
pub fn operator_call(settings: &Settings, what: &str, name: &str, after: &str) -> Option<JsValue> {
    let own = &settings.config.domain;
    let class = |name: &str| {
        use ObjectClass::{FollowedRoom, HubRoom, User};
        [HubRoom, FollowedRoom, User].into_iter().find(|class| class.name() == name)
    };
    let (object, endpoint) = match what {
        "list" => {
            (ObjectName::provider(own), Endpoint::List { class: class(name)?, after: after.into() })
        }
        "reports" => (ObjectName::provider(own), Endpoint::Reports),
        "describe" => (ObjectName::room(&RoomUri::parse(name).ok()?, own), Endpoint::Describe),
        "delete" => (ObjectName::user(&UserUri::parse(name).ok()?), Endpoint::DeleteUser),
        _ => return None,
    };
    let request = IncomingRequest { source: Source::Own, endpoint, body: Vec::new() };
    convert::object_call(ObjectCall { object, request }).ok()
}

/// What an answer says, in the draft's words, for a trace: `success`, `wrongEpoch`, `accepted`;
/// `undefined` when the status says it all.
#[wasm_bindgen(js_name = answerCode)]
#[must_use]
pub fn answer_code_of(path: &str, status: u16, body: Vec<u8>) -> Option<String> {
    let response = Response { status, headers: Vec::new(), body };
    answer_code(path, &response).map(ToOwned::to_owned)
}

/// The device that a request to the client API says it is from, unchecked, for a trace; `undefined`
/// when it says none.
#[wasm_bindgen(js_name = callingDevice)]
#[must_use]
pub fn calling_device_of(
    method: String,
    path: String,
    headers: js_sys::Array,
    body: Vec<u8>,
) -> Option<String> {
    calling_device(&http_request(method, path, &headers, body)).map(|device| device.to_string())
}
