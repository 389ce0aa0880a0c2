//! `POST /submitMessage/{roomId}`: the draft's "Submit provisional message".
//!
//! The request is one bare `MLSMessage` with a PrivateMessage (R70, A13).

use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::Protocol;

/// What the hub made of a message (R72).
///
/// ```text
/// enum { accepted(0), notAllowed(1), epochTooOld(2), (255) } SubmitResponseCode;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum SubmitStatus {
    /// Accepted at this time, in milliseconds since 1970.
    #[tls_codec(discriminant = 0)]
    Accepted(u64),
    /// Refused.
    #[tls_codec(discriminant = 1)]
    NotAllowed,
    /// Encrypted for an epoch that has ended; the current one is this.
    #[tls_codec(discriminant = 2)]
    EpochTooOld(u64),
}

/// The answer to a submitted message (A13: the draft leaves it open; this is ralston-02's).
///
/// ```text
/// struct { Protocol protocol; SubmitResponseCode statusCode;
///   select (statusCode) { case accepted: uint64 acceptedTimestamp; case epochTooOld: uint64 currentEpoch; };
/// } SubmitMessageResponse;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct SubmitMessageResponse {
    /// The protocol.
    pub protocol: Protocol,
    /// `statusCode` and what belongs to it.
    pub status: SubmitStatus,
}
