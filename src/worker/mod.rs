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
    object::STORAGE_VERSION,
    provider::{Routed, Via, answer_code, calling_device, route},
    time::UnixMillis,
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Response, Source},
    wire::uri::{ClientUri, Domain, RoomUri, UserUri},
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

/// What an operator asks of an object, as a call.
///
/// Of the index: `list` with a class as `name` and the last name of the page before as `more`, `reports`,
/// `peers`. Of a room: `describe`. Of a user: `describe-user`, `delete`, and `revoke` with the device as
/// `more`. Of any object, `name` being class and name with a space between: `waiting`, and `retry` and `drop` with
/// another provider as `more`.
#[wasm_bindgen(js_name = operatorCall)]
#[must_use]
pub fn operator_call(settings: &Settings, what: &str, name: &str, more: &str) -> Option<JsValue> {
    let own = &settings.config.domain;
    let class = |name: &str| {
        use ObjectClass::{FollowedRoom, HubRoom, User};
        [HubRoom, FollowedRoom, User].into_iter().find(|class| class.name() == name)
    };
    let (object, endpoint) = match what {
        "list" => {
            (ObjectName::provider(own), Endpoint::List { class: class(name)?, after: more.into() })
        }
        "reports" => (ObjectName::provider(own), Endpoint::Reports),
        "peers" => (ObjectName::provider(own), Endpoint::Peers),
        "describe" => (ObjectName::room(&RoomUri::parse(name).ok()?, own), Endpoint::Describe),
        "describe-user" => (ObjectName::user(&UserUri::parse(name).ok()?), Endpoint::Describe),
        "delete" => (ObjectName::user(&UserUri::parse(name).ok()?), Endpoint::DeleteUser),
        "revoke" => {
            let client = ClientUri::parse(more).ok()?;
            (ObjectName::user(&UserUri::parse(name).ok()?), Endpoint::RevokeDevice { client })
        }
        "waiting" | "retry" | "drop" => {
            let (class_name, name) = name.split_once(' ')?;
            let endpoint = match what {
                "waiting" => Endpoint::Waiting,
                "retry" => Endpoint::Retry { peer: Domain::parse(more).ok()? },
                _ => Endpoint::Drop { peer: Domain::parse(more).ok()? },
            };
            (ObjectName { class: class(class_name)?, name: name.into() }, endpoint)
        }
        _ => return None,
    };
    let request = IncomingRequest { source: Source::Own, endpoint, body: Vec::new() };
    convert::object_call(ObjectCall { object, request }).ok()
}

/// The version of what objects store.
#[wasm_bindgen(js_name = storageVersion)]
#[must_use]
pub fn storage_version() -> u32 {
    STORAGE_VERSION
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
