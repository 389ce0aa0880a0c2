//! For those who bring their own flow: the pieces of a client without its requests, its storage and
//! its clock.
//!
//! In scope: the draft's structs by name. Out of scope: who sends what to whom.

pub mod structs;

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
