//! AppSyncs as bytes: applied to a list, and in RFC 9420's Proposal.

use crate::{
    error::{Error, InternalError, ProtocolError, Result},
    room::{ParticipantList, Profile, app_sync},
    wire::{self, AppSync},
};

/// Decodes exactly one AppSync.
///
/// # Errors
/// [`ProtocolError::Malformed`] for anything else.
pub fn decode_app_sync(bytes: &[u8]) -> Result<AppSync, ProtocolError> {
    wire::decode_exact(bytes)
}

/// Encodes an AppSync.
///
/// # Errors
/// [`InternalError::Codec`] when it is longer than a vector can be.
pub fn encode_app_sync(app_sync: &AppSync) -> Result<Vec<u8>, InternalError> {
    wire::encode(app_sync)
}

/// The `MimiParticipantList` after an AppSync, from the one before it (R37–R39).
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when they are not valid together (R38).
pub fn apply_app_sync(list: &[u8], app_sync: &[u8]) -> Result<Vec<u8>, Error> {
    let after = ParticipantList::decode(list)?.apply(&[decode_app_sync(app_sync)?])?;
    Ok(after.encode()?)
}

/// RFC 9420's Proposal that carries an AppSync in a room of this profile (WIRE a.5).
///
/// # Errors
/// [`ProtocolError::Malformed`] when the bytes are no AppSync.
pub fn app_sync_proposal(profile: Profile, app_sync: &[u8]) -> Result<Vec<u8>, Error> {
    let app_sync = decode_app_sync(app_sync)?;
    Ok(wire::encode(&app_sync::app_sync_proposal(profile, &app_sync)?)?)
}
