//! The stable error codes that applications see.

use crate::error::{Error, ProtocolError, UsageError};

/// Why something failed, in words that stay the same from version to version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// An argument is not of the form that the call takes.
    BadArgument,
    /// The text is no identifier (D15).
    BadUri,
    /// The provider wants fewer requests.
    RateLimited,
    /// The provider does not take this device's key.
    Unauthenticated,
    /// The hub or a provider does not permit it.
    NotAllowed,
    /// The hub calls the commit or its proposals invalid.
    InvalidProposal,
    /// The message could not be encrypted for the room's epoch before it ended, again and again (D12).
    EpochTooOld,
    /// The hub does not answer.
    HubUnresponsive,
    /// No such room, here or at the hub.
    RoomUnknown,
    /// No such user.
    UserUnknown,
    /// The identifier is taken, or others changed the room faster (D1, D20).
    Conflict,
    /// This device and the hub disagree about the room's state (D8).
    Diverged,
    /// The content or the room is larger than the endpoint takes (D18).
    TooLarge,
    /// The application gave it up.
    Aborted,
    /// The user does not consent to be added.
    NoConsent,
    /// The user's devices have no KeyPackage left.
    NoKeyPackage,
    /// The user's devices do not support what the room needs, or the answer is not of the protocol.
    Incompatible,
    /// Events that this device needs are gone (D4, D22).
    Gap,
    /// The storage was written by a newer version.
    StorageNewer,
    /// A fault of this software.
    Internal,
}

impl ErrorCode {
    /// The code as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadArgument => "bad-argument",
            Self::BadUri => "bad-uri",
            Self::RateLimited => "rate-limited",
            Self::Unauthenticated => "unauthenticated",
            Self::NotAllowed => "not-allowed",
            Self::InvalidProposal => "invalid-proposal",
            Self::EpochTooOld => "epoch-too-old",
            Self::HubUnresponsive => "hub-unresponsive",
            Self::RoomUnknown => "room-unknown",
            Self::UserUnknown => "user-unknown",
            Self::Conflict => "conflict",
            Self::Diverged => "diverged",
            Self::TooLarge => "too-large",
            Self::Aborted => "aborted",
            Self::NoConsent => "no-consent",
            Self::NoKeyPackage => "no-key-package",
            Self::Incompatible => "incompatible",
            Self::Gap => "gap",
            Self::StorageNewer => "storage-newer",
            Self::Internal => "internal",
        }
    }

    /// The code of an HTTP status, where the body says nothing more (R62).
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::NotAllowed,
            404 | 421 => Self::RoomUnknown,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            422 => Self::InvalidProposal,
            429 => Self::RateLimited,
            502 | 504 => Self::HubUnresponsive,
            _ => Self::Internal,
        }
    }

    /// The code of an error that a call returned.
    #[must_use]
    pub const fn of(error: &Error) -> Self {
        match error {
            Error::Usage(UsageError::BadUri) => Self::BadUri,
            Error::Usage(UsageError::RoomUnknown) => Self::RoomUnknown,
            Error::Usage(UsageError::UserUnknown) => Self::UserUnknown,
            Error::Usage(UsageError::StorageNewer) => Self::StorageNewer,
            Error::Usage(UsageError::BadState(_)) => Self::Conflict,
            Error::Usage(_) => Self::BadArgument,
            Error::Protocol(ProtocolError::TooLarge) => Self::TooLarge,
            Error::Protocol(_) | Error::Internal(_) => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r62_a_status_without_a_body_has_a_code() {
        for (status, code) in [
            (403, "not-allowed"),
            (404, "room-unknown"),
            (409, "conflict"),
            (413, "too-large"),
            (422, "invalid-proposal"),
            (504, "hub-unresponsive"),
            (400, "internal"),
        ] {
            assert_eq!(ErrorCode::of_status(status).as_str(), code);
        }
    }
}
