//! The core's values as plain JavaScript objects, and back.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::{
    error::InternalError,
    js::{bytes, headers, http_call, number, object, read_headers},
    storage::{decode_row, encode_row},
    transport::{
        Action, Effect, Endpoint, Forward, HttpRequest, IncomingRequest, ObjectCall, Outgoing,
        OutgoingRequest, Response, Source,
    },
};

pub(super) fn tagged(tag: &str, value: JsValue) -> JsValue {
    object([(tag, value)])
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

fn outgoing(outgoing: Outgoing) -> Result<JsValue, InternalError> {
    Ok(match outgoing {
        Outgoing::Object(call) => tagged("object", object_call(call)?),
        Outgoing::Http(call) => tagged("http", object(http_call(&call))),
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
        ("id", number(request.id)),
        ("outgoing", outgoing(request.outgoing)?),
        ("label", request.label.into()),
        ("since", request.since.map_or(JsValue::UNDEFINED, |since| number(since.0))),
    ]))
}

pub(super) fn effect(effect: Effect) -> Result<JsValue, InternalError> {
    Ok(match effect {
        Effect::Push { call, number: push } => {
            tagged("push", object([("call", object_call(call)?), ("number", number(push))]))
        }
        Effect::Call(call) => tagged("call", object_call(call)?),
        Effect::Ask(ask) => tagged("ask", forward(ask)?),
        Effect::Bind { socket, device } => {
            tagged("bind", object([("socket", number(socket)), ("device", device.as_str().into())]))
        }
        Effect::Send { device, frame } => {
            tagged("send", object([("device", device.as_str().into()), ("frame", bytes(&frame))]))
        }
        Effect::Disconnect { device, code } => tagged(
            "disconnect",
            object([("device", device.as_str().into()), ("code", code.into())]),
        ),
        Effect::Report { line } => tagged("report", JsValue::from_str(&line)),
        Effect::Close { socket, code } => {
            tagged("close", object([("socket", number(socket)), ("code", code.into())]))
        }
    })
}
