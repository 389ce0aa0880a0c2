//! Consent: at a provider, between providers, and for whom it decides.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod decisions;
mod key_packages;
mod provider;
mod story;
