//! Commits of clients that join by themselves (R55, R64, R66, R90).

use super::{Uploaded, is_from};
use crate::{
    error::ProtocolError,
    hub::group::Room,
    mls::{commit::RoomCommit, credential::client_uri_of},
    room::policy,
    transport::Source,
    wire::uri::ClientUri,
};

/// The client that joins by a commit: of the source, and of a user who takes part (R64, R66, R90).
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when the commit does not say who joins;
/// [`ProtocolError::NotAllowed`] when that one may not.
pub(super) fn authorize(
    room: &Room,
    source: &Source,
    uploaded: &Uploaded,
) -> Result<ClientUri, ProtocolError> {
    let refused = |why: &str| Err(ProtocolError::NotAllowed(why.into()));
    let Some(credential) = &uploaded.credential else {
        return Err(ProtocolError::InvalidProposal("an external commit without a path"));
    };
    let client = client_uri_of(credential)?;
    if !is_from(source, &client) {
        return refused("not the joiner's provider");
    }
    policy::authorize_entry(&room.roster.list, &client.user())?;
    if room.departures.is_deleted(&client.user()) {
        return refused("the joiner's user was deleted");
    }
    Ok(client)
}

/// R90: a joiner removes the leaf that its client had before, and no other. That it does not keep it
/// is R65's business.
///
/// # Errors
/// [`ProtocolError::NotAllowed`] when it removes another.
pub(super) fn check_removals(
    room: &Room,
    commit: &RoomCommit,
    joiner: &ClientUri,
) -> Result<(), ProtocolError> {
    let mut removed = commit.staged.remove_proposals();
    if removed.all(|queued| {
        room.roster.leaves.get(&queued.remove_proposal().removed().u32()) == Some(joiner)
    }) {
        return Ok(());
    }
    Err(ProtocolError::NotAllowed("a joiner removes another client".into()))
}
