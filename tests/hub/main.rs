//! A hub's room, driven request by request: exact answers, and nothing stored or sent by a refusal.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../common/mod.rs"]
mod common;

mod create;
mod durability;
mod fanout;
mod key_material;
mod profile_a;
mod story;
mod submit;
mod update;
