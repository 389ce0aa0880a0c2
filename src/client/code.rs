//! The stable error codes that applications see.

use crate::error::{Error, ProtocolError, UsageError};

/// Each code with its text, in one place.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why something failed, in words that stay the same from version to version.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

error_codes! {
    /// An argument is not of the form that the call takes.
    BadArgument = "bad-argument",
    /// The text is no identifier (D15).
    BadUri = "bad-uri",
    /// The provider wants fewer requests.
    RateLimited = "rate-limited",
    /// The provider does not take this device's key.
    Unauthenticated = "unauthenticated",
    /// The hub or a provider does not permit it.
    NotAllowed = "not-allowed",
    /// The hub calls the commit or its proposals invalid.
    InvalidProposal = "invalid-proposal",
    /// The message could not be encrypted for the room's epoch before it ended, again and again (D12).
    EpochTooOld = "epoch-too-old",
    /// The hub does not answer.
    HubUnresponsive = "hub-unresponsive",
    /// No such room, here or at the hub.
    RoomUnknown = "room-unknown",
    /// No such user.
    UserUnknown = "user-unknown",
    /// The identifier is taken, or others changed the room faster (D1, D20).
    Conflict = "conflict",
    /// This device and the hub disagree about the room's state (D8).
    Diverged = "diverged",
    /// The content or the room is larger than the endpoint takes (D18).
    TooLarge = "too-large",
    /// The application gave it up.
    Aborted = "aborted",
    /// The user does not consent to be added.
    NoConsent = "no-consent",
    /// The user's devices have no KeyPackage left.
    NoKeyPackage = "no-key-package",
    /// The user's devices do not support what the room needs, or the answer is not of the protocol.
    Incompatible = "incompatible",
    /// Events that this device needs are gone (D4, D22).
    Gap = "gap",
    /// The storage was written by a newer version.
    StorageNewer = "storage-newer",
    /// A fault of this software.
    Internal = "internal",
}

impl ErrorCode {
    /// The code that is this text; [`ErrorCode::Internal`] when none is.
    #[must_use]
    pub fn named(text: &str) -> Self {
        let named = Self::ALL.iter().find(|code| code.as_str() == text);
        named.copied().unwrap_or(Self::Internal)
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

    #[test]
    fn a_code_is_known_by_its_text() {
        assert_eq!(ErrorCode::named("epoch-too-old"), ErrorCode::EpochTooOld);
        assert_eq!(ErrorCode::named("of a later version"), ErrorCode::Internal);
    }
}
