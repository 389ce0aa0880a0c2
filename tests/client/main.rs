//! Client cores around a scripted provider.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../common/clock.rs"]
mod clock;
mod commits;
mod crash;
mod desk;
mod devices;
mod identity;
mod messages;
mod rogue;
mod rooms;
mod story;
mod world;
