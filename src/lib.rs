//! MIMI for the web: the client core and the provider core of mimi-edge.
//!
//! Everything here is synchronous and without IO; `wasm` and `worker` bind it to browsers and to
//! edge runtimes.

// Here and not in Cargo.toml: a test may stop at what it did not expect.
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::todo,
    clippy::unreachable,
    clippy::unwrap_used
)]

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "hub")]
pub mod config;
pub mod error;
#[cfg(feature = "hub")]
pub mod follower;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "hub")]
pub mod index;
#[cfg(all(feature = "bindgen", target_arch = "wasm32"))]
mod js;
#[cfg(feature = "client")]
pub mod low;
pub mod mls;
#[cfg(feature = "hub")]
pub mod object;
pub mod outbox;
#[cfg(feature = "hub")]
pub mod provider;
#[cfg(all(feature = "testing", target_arch = "wasm32"))]
pub mod public_room;
#[cfg(feature = "hub")]
pub mod rate;
pub mod room;
#[cfg(feature = "hub")]
pub mod room_log;
pub mod sorted;
pub mod storage;
pub mod time;
pub mod transport;
#[cfg(all(feature = "testing", target_arch = "wasm32"))]
pub mod vectors;
#[cfg(all(feature = "wasm-client", target_arch = "wasm32"))]
pub mod wasm;
pub mod wire;
#[cfg(all(feature = "worker", target_arch = "wasm32"))]
pub mod worker;
