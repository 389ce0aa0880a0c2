//! MIMI for the web: the client core and the provider core of mimi-edge.
//!
//! Everything here is synchronous and without IO; `wasm` and `worker` bind it to browsers and to
//! edge runtimes.

pub mod config;
pub mod error;
#[cfg(feature = "hub")]
pub mod object;
pub mod outbox;
pub mod storage;
pub mod time;
pub mod transport;
pub mod wire;
