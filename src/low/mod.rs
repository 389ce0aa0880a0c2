//! For those who bring their own flow: the pieces of a client without its requests, its storage and
//! its clock.
//!
//! In scope: a device's identity, its KeyPackages, the groups of rooms, the draft's structs by name. Out
//! of scope: who sends what to whom.

pub mod structs;

mod app_sync;
mod group;
mod handshake;
mod identity;
mod key_packages;
mod rows;

pub use app_sync::{app_sync_proposal, apply_app_sync, decode_app_sync, encode_app_sync};
pub use group::{Creation, Group, Member, Pending, PendingKind};
pub use handshake::{Changes, CommitOptions, Received, ReceivedCommit};
pub use identity::Identity;
pub use key_packages::{KeyPackageStore, StoredKeyPackage, Wanted, inspect_key_package};

pub use crate::{mls::key_package::KeyPackageKind, room::Profile};

use crate::error::{Error, ProtocolError, UsageError};

/// The stable code of an error of this layer.
#[must_use]
pub const fn code_of(error: &Error) -> &'static str {
    match error {
        Error::Protocol(ProtocolError::InvalidProposal(_)) => "invalid-proposal",
        Error::Protocol(ProtocolError::NotAllowed(_)) => "not-allowed",
        Error::Protocol(ProtocolError::WrongEpoch { .. }) => "wrong-epoch",
        Error::Protocol(ProtocolError::EpochTooOld { .. }) => "epoch-too-old",
        Error::Usage(UsageError::BadUri) => "bad-uri",
        Error::Usage(UsageError::BadState(_)) => "conflict",
        Error::Protocol(ProtocolError::Malformed(_)) | Error::Usage(_) => "bad-argument",
        Error::Protocol(_) | Error::Internal(_) => "internal",
    }
}
