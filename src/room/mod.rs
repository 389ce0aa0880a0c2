//! What a room is beyond its MLS group: who takes part, how that changes, what is permitted.
//!
//! In scope: the participant list and the AppSyncs that change it (R35–R42), their place in MLS
//! (the two profiles of WIRE a.5), the policy (R9, R40, R43, R45). All of it is pure. Out of scope: MLS
//! itself (`mls`) and who asks (`hub`, `client`).

pub mod app_sync;
pub mod codepoints;
pub mod policy;

mod participant_list;
mod profile;

pub use participant_list::{MAX_PARTICIPANTS, ParticipantList};
pub use profile::Profile;
