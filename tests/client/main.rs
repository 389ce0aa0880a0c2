//! Client cores around a scripted provider.
#![cfg(not(target_arch = "wasm32"))]

mod catching_up;
mod changes;
#[path = "../common/clock.rs"]
mod clock;
mod commits;
mod consent;
mod crash;
mod deliveries;
mod desk;
mod devices;
mod figures;
mod fixtures;
mod hostile;
mod hubs;
mod identity;
mod intents;
mod joining;
mod key_packages;
mod leaving;
mod messages;
mod pending;
mod pseudonyms;
mod reading;
mod rogue;
mod rooms;
mod silence;
mod spoiled;
mod story;
mod trust;
mod world;
