//! Consent to be added to rooms: what users of this provider ask, are asked, allow and refuse (R95–R103).
//!
//! In scope: the endpoints E6 and E7 and `consent` of the client API; what claims of a user's
//! KeyPackages ask here (R31). Out of scope: what a provider knows of its users otherwise (a common
//! room, an employer): there is no implied consent (R102).

mod book;
mod client;
mod decision;
mod key_packages;
mod peer;

pub(super) use self::{
    book::version,
    client::{post, state},
    decision::refusal,
    key_packages::granted_answer,
    peer::receive,
};

use crate::{
    config::ProviderConfig,
    error::{InternalError, ProtocolError},
    transport::PeerEndpoint,
    wire::{
        ConsentEntry, ConsentOperation, decode_exact,
        uri::{Domain, RoomUri, UserUri},
    },
};

/// The endpoint E6, in our URLs.
pub(super) const REQUEST: &str = "requestConsent";
/// The endpoint E7, in our URLs.
pub(super) const UPDATE: &str = "updateConsent";

/// A [`ConsentEntry`] of which the identifiers are identifiers (D15).
#[derive(Debug, Clone)]
pub(super) struct Entry {
    operation: ConsentOperation,
    requester: UserUri,
    target: UserUri,
    /// `None`: any room.
    room: Option<RoomUri>,
}

impl Entry {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let ConsentEntry { operation, requester_user, target_user, room_id } = decode_exact(body)?;
        let user = |uri| UserUri::from_wire(uri).map_err(|_| ProtocolError::Malformed("user"));
        let (requester, target) = (user(&requester_user)?, user(&target_user)?);
        if requester == target {
            return Err(ProtocolError::Malformed("consent to oneself"));
        }
        let room = room_id.as_ref().map(RoomUri::from_wire).transpose();
        let room = room.map_err(|_| ProtocolError::Malformed("room"))?;
        Ok(Self { operation, requester, target, room })
    }

    const fn is_of_requester(&self) -> bool {
        matches!(self.operation, ConsentOperation::Cancel | ConsentOperation::Request)
    }

    /// Who says it.
    const fn says(&self) -> &UserUri {
        if self.is_of_requester() { &self.requester } else { &self.target }
    }

    /// Whom it is said to.
    pub(super) const fn is_told(&self) -> &UserUri {
        if self.is_of_requester() { &self.target } else { &self.requester }
    }

    /// R95: where it is sent.
    pub(super) const fn endpoint(&self) -> PeerEndpoint {
        if self.is_of_requester() {
            PeerEndpoint::RequestConsent
        } else {
            PeerEndpoint::UpdateConsent
        }
    }

    /// What it is, in words for a trace.
    pub(super) const fn label(&self) -> &'static str {
        self.operation.label()
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, InternalError> {
        crate::wire::encode(&ConsentEntry {
            operation: self.operation.clone(),
            requester_user: self.requester.to_wire(),
            target_user: self.target.to_wire(),
            room_id: self.room.as_ref().map(RoomUri::to_wire),
        })
    }
}

/// The user of ours whom another provider tells something, at the endpoint of this name.
///
/// The path may name the user or its provider (A8).
///
/// # Errors
/// `Malformed` for an operation of the other endpoint (R95) and for a path that is not the body's;
/// `PeerRefused` when who says it is not a user of `source` (R98); `NotFound` when whom it is said to
/// is not a user of ours, by its domain.
pub(super) fn told(
    config: &ProviderConfig,
    source: &Domain,
    endpoint: &str,
    segment: &str,
    body: &[u8],
) -> Result<UserUri, ProtocolError> {
    let entry = Entry::parse(body)?;
    let expected = if entry.is_of_requester() { REQUEST } else { UPDATE };
    if endpoint != expected {
        return Err(ProtocolError::Malformed("an operation of the other endpoint"));
    }
    let user = entry.is_told();
    if segment != user.as_str() && segment != user.domain().as_str() {
        return Err(ProtocolError::Malformed("the user is not the path's"));
    }
    if entry.says().domain() != source {
        return Err(ProtocolError::PeerRefused("not the provider of the user who says it"));
    }
    if *user.domain() != config.domain {
        return Err(ProtocolError::NotFound("user"));
    }
    Ok(user.clone())
}
