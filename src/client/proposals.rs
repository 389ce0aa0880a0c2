//! Proposals of others, kept until a commit covers them or the epoch ends (R53–R55).

use openmls::{
    ciphersuite::hash_ref::ProposalRef,
    framing::{ProcessedMessageContent, ProtocolMessage, PublicMessageIn},
    group::{MlsGroup, ProcessMessageError},
    messages::proposals::ProposalOrRefType,
};
use openmls_traits::OpenMlsProvider;

use super::{
    outlook::Outlook,
    room::{Ending, Room, mls_error},
    step::Step,
};
use crate::{
    error::Result,
    mls::proposals::keep,
    wire::{Verbatim, uri::RoomUri},
};

/// Drops the proposals that the pending commit covers, which the hub refused for its proposals: it says
/// which ones wait, and they are taken in again (R63). Those that came meanwhile stay.
pub(super) fn drop_covered(step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
    let mut group = step.group(room)?;
    let Some(commit) = group.pending_commit() else { return Ok(()) };
    let by_reference = commit
        .queued_proposals()
        .filter(|queued| queued.proposal_or_ref_type() == ProposalOrRefType::Reference);
    let covered: Vec<_> =
        by_reference.map(|queued| queued.proposal_reference_ref().clone()).collect();
    forget(step, &mut group, &covered)
}

/// Drops pending proposals.
fn forget(step: &mut Step<'_>, group: &mut MlsGroup, references: &[ProposalRef]) -> Result<()> {
    let provider = step.provider();
    for reference in references {
        group
            .remove_pending_proposal(provider.storage(), reference)
            .map_err(mls_error("a pending proposal is gone"))?;
    }
    Ok(())
}

/// Takes in the proposals of a refused commit: those that the log has not brought yet (R63).
pub(super) fn take_all(
    step: &mut Step<'_>,
    room: &Room,
    proposals: Vec<Verbatim<PublicMessageIn>>,
) -> Result<()> {
    let mut group = step.group(&room.uri)?;
    for proposal in proposals {
        if proposal.group_id() == group.group_id() {
            take(step, &mut group, proposal.into_value())?;
        }
    }
    Ok(())
}

/// Verifies one proposal and keeps it. One that MLS refuses is left out: a commit that refers to it
/// will not be understood; alone it changes nothing.
pub(super) fn take(
    step: &mut Step<'_>,
    group: &mut MlsGroup,
    message: PublicMessageIn,
) -> Result<()> {
    let provider = step.provider();
    let processed = match group.process_message(&provider, ProtocolMessage::from(message)) {
        Ok(processed) => processed,
        Err(ProcessMessageError::StorageError(error)) => return Err(error.into()),
        Err(_) => return Ok(()),
    };
    let ProcessedMessageContent::ProposalMessage(proposal) = processed.into_content() else {
        return Ok(());
    };
    keep(group, &provider, *proposal)?;
    Ok(())
}

/// R57: whether the pending proposals leave nobody who could commit them. Then the hub closes the room.
pub(super) fn close_if_empty(step: &mut Step<'_>, room: &mut Room, group: &MlsGroup) -> Result<()> {
    if Outlook::of(group)?.is_closed() {
        return room.end(step, Ending::Left);
    }
    Ok(())
}
