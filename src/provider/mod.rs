//! What a provider is beside its rooms: its two doors and its users.

mod claims;
mod client_api;
mod client_auth;
mod consent;
mod inbox;
mod key_packages;
mod route;
mod socket;
mod user;

pub use route::{Peer, Routed, Via, route};
pub use user::User;
