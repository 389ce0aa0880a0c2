//! The draft's structs as plain JavaScript values.

use js_sys::{Array, BigInt, Object, Uint8Array};
use wasm_bindgen::prelude::*;

use super::failure;
use crate::{
    error::UsageError,
    js::{bytes, number, object},
    low::structs::{self, Direction, Field, Given, Type, Value},
};

/// How deep the members of a struct are nested: more is none of ours.
const MOST_LEVELS: u32 = 8;

/// Decodes exactly one struct of this name.
///
/// # Errors
/// When the bytes are anything else.
#[wasm_bindgen(js_name = decodeStruct)]
pub fn decode_struct(name: &str, encoded: &[u8]) -> Result<JsValue, JsValue> {
    Ok(plain(&structs::decode(name, encoded).map_err(failure)?, encoded))
}

/// Encodes the members of a struct of this name.
///
/// # Errors
/// When the members make none.
#[wasm_bindgen(js_name = encodeStruct)]
pub fn encode_struct(name: &str, members: &JsValue) -> Result<Vec<u8>, JsValue> {
    let members = given(members, MOST_LEVELS).map_err(failure)?;
    structs::encode(name, &members).map_err(failure)
}

/// The fields of a body; `undefined` when it is none that is known. `direction` is `request` or
/// `response`.
#[wasm_bindgen(js_name = inspectBody)]
#[must_use]
pub fn inspect_body(endpoint: &str, direction: &str, body: &[u8]) -> JsValue {
    let direction = match direction {
        "request" => Direction::Request,
        _ => Direction::Response,
    };
    let field = structs::inspect(endpoint, direction, body);
    field.map_or(JsValue::UNDEFINED, |field| shown(field.name, &field, body))
}

/// A value for those who know its type.
fn plain(field: &Field, encoded: &[u8]) -> JsValue {
    match &field.value {
        Value::Fields(items) if is_list(field.of) => {
            items.iter().map(|item| plain(item, encoded)).collect::<Array>().into()
        }
        Value::Fields(members) => {
            let value = Object::new();
            for member in members {
                set(&value, member.name, plain(member, encoded));
            }
            value.into()
        }
        _ => scalar(field, encoded),
    }
}

/// A value with its name, its type and its place.
fn shown(name: &str, field: &Field, encoded: &[u8]) -> JsValue {
    let fields = match &field.value {
        Value::Fields(fields) => {
            let child = |(index, child): (usize, &Field)| match child.name {
                "" => shown(&index.to_string(), child, encoded),
                name => shown(name, child, encoded),
            };
            fields.iter().enumerate().map(child).collect::<Array>().into()
        }
        _ => JsValue::UNDEFINED,
    };
    object([
        ("name", name.into()),
        ("type", field.of.name().into()),
        ("start", field.range.start.into()),
        ("end", field.range.end.into()),
        ("value", scalar(field, encoded)),
        ("fields", fields),
    ])
}

/// A value without parts; `undefined` for one with parts, and for none.
fn scalar(field: &Field, encoded: &[u8]) -> JsValue {
    match &field.value {
        Value::Number(value) if matches!(field.of, Type::Uint(8)) => BigInt::from(*value).into(),
        Value::Number(value) => number(*value),
        Value::Name(name) => (*name).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(range) => bytes(encoded.get(range.clone()).unwrap_or_default()),
        Value::Nothing | Value::Fields(_) => JsValue::UNDEFINED,
    }
}

fn is_list(of: &Type) -> bool {
    match of {
        Type::Vector(_) | Type::Concatenated(_) => true,
        Type::Optional(inner) | Type::Framed(inner) | Type::Verbatim(inner) => is_list(inner),
        _ => false,
    }
}

fn set(object: &Object, name: &str, value: JsValue) {
    if !value.is_undefined() {
        // Setting a member of a new plain object does not fail.
        let _ = js_sys::Reflect::set(object, &name.into(), &value);
    }
}

/// What JavaScript gives, by what it is.
fn given(value: &JsValue, levels: u32) -> Result<Given, UsageError> {
    const UNUSABLE: UsageError = UsageError::BadArgument("a member is of no type that fits");
    let below = levels.checked_sub(1).ok_or(UNUSABLE)?;
    if value.is_undefined() || value.is_null() {
        return Ok(Given::Nothing);
    }
    if let Some(flag) = value.as_bool() {
        return Ok(Given::Flag(flag));
    }
    if let Some(text) = value.as_string() {
        return Ok(Given::Text(text));
    }
    if let Some(number) = value.as_f64() {
        let is_whole = (0.0..=9_007_199_254_740_991.0).contains(&number) && number.fract() == 0.0;
        return if is_whole { Ok(Given::Number(crate::js::whole(number))) } else { Err(UNUSABLE) };
    }
    if value.is_bigint() {
        return u64::try_from(value.clone()).map(Given::Number).map_err(|_| UNUSABLE);
    }
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        return Ok(Given::Bytes(bytes.to_vec()));
    }
    if Array::is_array(value) {
        let items = Array::from(value);
        return items
            .iter()
            .map(|item| given(&item, below))
            .collect::<Result<_, _>>()
            .map(Given::List);
    }
    let entries = Object::entries(value.dyn_ref::<Object>().ok_or(UNUSABLE)?);
    let member = |entry: JsValue| {
        let entry = Array::from(&entry);
        Ok((entry.get(0).as_string().ok_or(UNUSABLE)?, given(&entry.get(1), below)?))
    };
    entries.iter().map(member).collect::<Result<_, _>>().map(Given::Members)
}
