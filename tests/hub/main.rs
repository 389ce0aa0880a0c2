//! A hub's room, driven request by request: exact answers, and nothing stored or sent by a refusal.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../common/mod.rs"]
mod common;

mod create;
mod departure;
mod durability;
mod external;
mod fanout;
mod group_info;
mod hostile;
mod key_material;
mod pending;
mod profile_a;
mod proposals;
mod retention;
mod story;
mod submit;
mod superseded;
mod update;

use common::{
    hub::{provider, source_of},
    member::member,
};
use mimi_edge::{transport::Source, wire::UpdateResponseCode as Code};

const BRAVO: &str = "bravo.example";
const CHARLIE: &str = "charlie.example";

/// The refusal of an update that is not valid.
fn invalid(description: &str) -> (u16, Code, &str) {
    (422, Code::InvalidProposal, description)
}

/// The refusal of an update that is not permitted.
fn not_allowed(description: &str) -> (u16, Code, &str) {
    (403, Code::NotAllowed, description)
}

fn alices() -> Source {
    source_of(&member("alice@alpha.example/phone").client)
}

fn bobs() -> Source {
    provider(BRAVO)
}

fn cathys() -> Source {
    provider(CHARLIE)
}
