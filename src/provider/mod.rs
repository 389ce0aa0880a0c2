//! What a provider is beside its rooms: its two doors and its users.

mod route;

pub use route::{Peer, Routed, Via, route};
