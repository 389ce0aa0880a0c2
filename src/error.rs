//! Errors by whose fault they are: the peer's, the caller's, ours.

use thiserror::Error;

/// The peer's fault. Each variant maps to exactly one HTTP status ([`ProtocolError::status`]); the
/// endpoint adds its response struct where the draft has one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The bytes are not what the endpoint takes (R5, R62).
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The body is larger than the endpoint takes (D18).
    #[error("body too large")]
    TooLarge,
    /// The body is of an explicitly wrong media type (WIRE a.3).
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// The provider at the other end is not who it says, or may not do this (R2, R3, D21).
    #[error("peer refused: {0}")]
    PeerRefused(&'static str),
    /// A client did not prove who it is (D21).
    #[error("not signed in: {0}")]
    Unauthenticated(&'static str),
    /// The client is no longer one of this provider's: revoked, or its user was deleted.
    #[error("the device was revoked")]
    DeviceRevoked,
    /// No such room, user or path here (R3).
    #[error("not found: {0}")]
    NotFound(&'static str),
    /// The path exists, for another method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The `Host` is not one of ours (R3).
    #[error("misdirected request")]
    Misdirected,
    /// The identifier is taken by something else (D1, D15).
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The commit or proposal is not for the current epoch (R48).
    #[error("wrong epoch, the current one is {current}")]
    WrongEpoch {
        /// The room's current epoch.
        current: u64,
    },
    /// The message's epoch has ended (R70).
    #[error("epoch too old, the current one is {current}")]
    EpochTooOld {
        /// The room's current epoch.
        current: u64,
    },
    /// Understood, valid, and not permitted (R49).
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// The commit, its proposals, or what comes with it are not valid (R46, R50, R52).
    #[error("invalid proposal: {0}")]
    InvalidProposal(&'static str),
    /// A cap of D18 is reached.
    #[error("too many requests")]
    TooManyRequests,
    /// Devices are registered by who is signed in as their user (D21).
    #[error("not signed in as this user")]
    NoAccount,
    /// Requests come too fast (D18).
    #[error("too many requests, again in {after_seconds} s")]
    TooFast {
        /// The wait, for `Retry-After`.
        after_seconds: u64,
    },
    /// The provider further on answered nonsense.
    #[error("bad gateway: {0}")]
    BadGateway(&'static str),
    /// The provider further on did not answer in time (R62, D18).
    #[error("hub unresponsive")]
    HubUnresponsive,
}

impl ProtocolError {
    /// The HTTP status of this error (R62, R72, R86, D21).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unauthenticated(_) | Self::DeviceRevoked | Self::NoAccount => 401,
            Self::PeerRefused(_) | Self::NotAllowed(_) => 403,
            Self::NotFound(_) => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict(_) | Self::WrongEpoch { .. } | Self::EpochTooOld { .. } => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Misdirected => 421,
            Self::InvalidProposal(_) => 422,
            Self::TooManyRequests | Self::TooFast { .. } => 429,
            Self::BadGateway(_) => 502,
            Self::HubUnresponsive => 504,
        }
    }
}

/// The caller's fault: a bad argument, or a call that does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// An argument is not of the form that the call takes.
    #[error("bad argument: {0}")]
    BadArgument(&'static str),
    /// The text is no identifier of the kind that the call takes (D15).
    #[error("bad uri")]
    BadUri,
    /// This client knows no such room.
    #[error("no such room here")]
    RoomUnknown,
    /// No room of this client has a device of this user.
    #[error("no such user here")]
    UserUnknown,
    /// The storage was written by a newer version.
    #[error("the storage is of a newer version")]
    StorageNewer,
    /// The call does not fit the state: the text says which.
    #[error("not now: {0}")]
    BadState(&'static str),
}

/// Ours. The peer sees a 500 without detail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InternalError {
    /// The storage failed or holds what we did not write.
    #[error("storage: {0}")]
    Storage(&'static str),
    /// The MLS library failed where it cannot fail on valid input.
    #[error("mls: {0}")]
    Mls(&'static str),
    /// Serialization of our own value failed.
    #[error("codec: {0}")]
    Codec(&'static str),
}

/// Any of the three.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's fault.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The caller's fault.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Ours.
    #[error(transparent)]
    Internal(#[from] InternalError),
}

impl Error {
    /// The HTTP status a peer sees: [`ProtocolError::status`], and 500 for what is not its fault.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Protocol(error) => error.status(),
            Self::Usage(_) | Self::Internal(_) => 500,
        }
    }
}

impl From<tls_codec::Error> for InternalError {
    fn from(_: tls_codec::Error) -> Self {
        Self::Codec("tls")
    }
}

impl From<tls_codec::Error> for Error {
    fn from(error: tls_codec::Error) -> Self {
        Self::Internal(error.into())
    }
}

/// The result of everything that may fail in any of the three ways.
pub type Result<T, E = Error> = core::result::Result<T, E>;
