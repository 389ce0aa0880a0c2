//! The core's values as plain JavaScript objects, and back.

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{
    error::InternalError,
    storage::{decode_row, encode_row},
    transport::{
        Action, Effect, Endpoint, Forward, HttpCall, HttpRequest, IncomingRequest, ObjectCall,
        Outcome, Outgoing, OutgoingRequest, Response, Source,
    },
};

/// A plain object with these members.
fn object<const N: usize>(members: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in members {
        // Setting a member of a new plain object does not fail.
        let _ = Reflect::set(&object, &name.into(), &value);
    }
    object.into()
}

pub(super) fn tagged(tag: &str, value: JsValue) -> JsValue {
    object([(tag, value)])
}

fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

fn headers(headers: &[(String, String)]) -> JsValue {
    headers
        .iter()
        .map(|(name, value)| Array::of2(&name.into(), &value.into()))
        .collect::<Array>()
        .into()
}

fn read_headers(headers: &Array) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|pair| {
            let pair = Array::from(&pair);
            Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
        })
        .collect()
}

pub(super) fn http_request(
    method: String,
    path: String,
    headers: &Array,
    body: Vec<u8>,
) -> HttpRequest {
    HttpRequest { method, path, headers: read_headers(headers), body }
}

pub(super) fn response(response: Response) -> JsValue {
    object([
        ("status", response.status.into()),
        ("headers", headers(&response.headers)),
        ("body", bytes(&response.body)),
    ])
}

/// An answer as JavaScript gives it: `undefined` when there was none in time.
pub(super) fn outcome(value: &JsValue) -> Outcome {
    let member = |name: &str| Reflect::get(value, &name.into()).ok();
    if value.is_undefined() {
        return None;
    }
    // A status is a small whole number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    let status = member("status")?.as_f64()? as u16;
    Some(Response {
        status,
        headers: read_headers(&Array::from(&member("headers")?)),
        body: Uint8Array::new(&member("body")?).to_vec(),
    })
}

/// Source and endpoint travel between objects as bytes that JavaScript only carries.
pub(super) fn object_call(call: ObjectCall) -> Result<JsValue, InternalError> {
    let envelope = encode_row(&(&call.request.source, &call.request.endpoint))?;
    Ok(object([
        ("class", call.object.class.name().into()),
        ("name", call.object.name.into()),
        ("envelope", bytes(&envelope)),
        ("body", bytes(&call.request.body)),
    ]))
}

pub(super) fn incoming(envelope: &[u8], body: Vec<u8>) -> Result<IncomingRequest, InternalError> {
    let (source, endpoint): (Source, Endpoint) = decode_row(envelope)?;
    Ok(IncomingRequest { source, endpoint, body })
}

fn http_call(call: HttpCall) -> JsValue {
    object([
        ("method", call.method.name().into()),
        ("url", call.url.into()),
        ("headers", headers(&call.headers)),
        ("body", bytes(&call.body)),
        ("timeoutMillis", millis(call.timeout_millis)),
    ])
}

/// Milliseconds as a JavaScript number: exact for the next 285,000 years.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub(super) fn millis(millis: u64) -> JsValue {
    JsValue::from_f64(millis as f64)
}

fn outgoing(outgoing: Outgoing) -> Result<JsValue, InternalError> {
    Ok(match outgoing {
        Outgoing::Object(call) => tagged("object", object_call(call)?),
        Outgoing::Http(call) => tagged("http", http_call(call)),
    })
}

fn forward(forward: Forward) -> Result<JsValue, InternalError> {
    Ok(object([
        ("outgoing", outgoing(forward.outgoing)?),
        ("label", forward.label.into()),
        ("then", bytes(&forward.then)),
    ]))
}

pub(super) fn action(action: Action) -> Result<JsValue, InternalError> {
    Ok(match action {
        Action::Respond(answer) => tagged("respond", response(answer)),
        Action::Forward(ask) => tagged("forward", forward(ask)?),
    })
}

pub(super) fn outgoing_request(request: OutgoingRequest) -> Result<JsValue, InternalError> {
    Ok(object([
        ("id", millis(request.id)),
        ("outgoing", outgoing(request.outgoing)?),
        ("label", request.label.into()),
    ]))
}

pub(super) fn effect(effect: Effect) -> Result<JsValue, InternalError> {
    Ok(match effect {
        Effect::Call(call) => tagged("call", object_call(call)?),
        Effect::Ask(ask) => tagged("ask", forward(ask)?),
        Effect::Bind { socket, device } => tagged(
            "bind",
            object([("socket", millis(socket)), ("device", device.as_str().into())]),
        ),
        Effect::Send { device, frame } => {
            tagged("send", object([("device", device.as_str().into()), ("frame", bytes(&frame))]))
        }
        Effect::Close { socket, code } => {
            tagged("close", object([("socket", millis(socket)), ("code", code.into())]))
        }
    })
}
