//! Values as plain JavaScript objects, and back: shared by the two bindings (wasm32 only).

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::transport::{HttpCall, Outcome, Response};

/// A plain object with these members; a member that is `undefined` is left out.
pub(crate) fn object<const N: usize>(members: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in members {
        if !value.is_undefined() {
            // Setting a member of a new plain object does not fail.
            let _ = Reflect::set(&object, &name.into(), &value);
        }
    }
    object.into()
}

/// A copy of the bytes over a buffer of its own.
pub(crate) fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// Milliseconds or a number of ours as a JavaScript number.
pub(crate) fn number(number: u64) -> JsValue {
    JsValue::from_f64(as_f64(number))
}

/// As [`number`], for an export that returns one: exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

/// A time or a number of ours, as JavaScript gives it back.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

/// Header names and values, as an array of pairs.
pub(crate) fn headers(headers: &[(String, String)]) -> JsValue {
    headers
        .iter()
        .map(|(name, value)| Array::of2(&name.into(), &value.into()))
        .collect::<Array>()
        .into()
}

/// Header names and values out of an array of pairs.
pub(crate) fn read_headers(headers: &Array) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|pair| {
            let pair = Array::from(&pair);
            Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
        })
        .collect()
}

/// The members of an HTTP request, without its name.
pub(crate) fn http_call(call: &HttpCall) -> [(&'static str, JsValue); 5] {
    [
        ("method", call.method.name().into()),
        ("url", call.url.as_str().into()),
        ("headers", headers(&call.headers)),
        ("body", bytes(&call.body)),
        ("timeoutMillis", number(call.timeout_millis)),
    ]
}

/// An answer as JavaScript gives it: `undefined` when there was none in time.
pub(crate) fn outcome(value: &JsValue) -> Outcome {
    if value.is_undefined() {
        return None;
    }
    let member = |name: &str| Reflect::get(value, &name.into()).ok();
    Some(Response {
        status: u16::try_from(whole(member("status")?.as_f64()?)).ok()?,
        headers: read_headers(&Array::from(&member("headers")?)),
        body: Uint8Array::new(&member("body")?).to_vec(),
    })
}
