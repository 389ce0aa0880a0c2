//! Ratchet trees on the wire.

use openmls::treesync;

use crate::{
    error::{InternalError, ProtocolError},
    wire::{self, RatchetTree},
};

/// The tree as it stands on the wire.
///
/// # Errors
/// [`InternalError::Codec`] when it is longer than a vector can be.
pub fn to_wire(tree: &treesync::RatchetTree) -> Result<RatchetTree, InternalError> {
    RatchetTree::from_encoded(&wire::encode(tree)?).map_err(|_| InternalError::Codec("tree"))
}

/// Whether an uploaded tree is the one that we have ourselves: the same bytes.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when it is another.
pub fn check_uploaded(uploaded: &RatchetTree, own: &RatchetTree) -> Result<(), ProtocolError> {
    if uploaded == own {
        return Ok(());
    }
    Err(ProtocolError::InvalidProposal("the ratchet tree is not the one after the commit"))
}
