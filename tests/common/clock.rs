//! The real clock. openmls reads it for lifetimes, so every played world begins now (D4).

use mimi_edge::time::UnixMillis;

/// Now.
#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::disallowed_methods, reason = "the clock of a played world starts at the real one")]
pub fn real_time() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

/// Now, by the browser's clock.
#[cfg(target_arch = "wasm32")]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
pub fn real_time() -> UnixMillis {
    UnixMillis(js_sys::Date::now() as u64)
}
