//! What a provider is beside its rooms: its two doors and its users.

mod answer_code;
mod claims;
mod client_api;
mod client_auth;
mod consent;
mod deletion;
mod devices;
mod inbox;
mod key_packages;
mod outgoing;
mod peer_rates;
mod pseudonyms;
mod route;
mod socket;
mod user;

pub use answer_code::answer_code;
pub use peer_rates::PeerRates;
pub use route::{Peer, Routed, Via, calling_device, route};
pub use user::User;
