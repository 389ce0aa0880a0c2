//! The low layer as wasm exports; js/client/low has their types.

mod group;
mod structs;

use wasm_bindgen::prelude::*;

use crate::{error::Error, js::object, low::code_of};

/// What an export throws.
fn failure(error: impl Into<Error>) -> JsValue {
    let error = error.into();
    object([
        ("code", code_of(&error).into()),
        ("message", error.to_string().into()),
        ("retryable", false.into()),
    ])
}
