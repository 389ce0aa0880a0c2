//! Proposals of others, kept until a commit covers them or the epoch ends (R53–R55).

use openmls::{
    framing::{ProcessedMessageContent, ProtocolMessage, PublicMessageIn},
    group::{MlsGroup, ProcessMessageError},
};
use openmls_traits::OpenMlsProvider;

use super::{
    outlook::Outlook,
    room::{Ending, Room},
    step::Step,
};
use crate::{error::Result, wire::Verbatim};

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
    let is_known = group
        .pending_proposals()
        .any(|known| known.proposal_reference_ref() == proposal.proposal_reference_ref());
    if !is_known {
        group.store_pending_proposal(provider.storage(), *proposal)?;
    }
    Ok(())
}

/// R57: whether the pending proposals leave nobody who could commit them. Then the hub closes the room.
pub(super) fn close_if_empty(step: &mut Step<'_>, room: &mut Room, group: &MlsGroup) -> Result<()> {
    if Outlook::of(group)?.is_closed() {
        return room.end(step, Ending::Left);
    }
    Ok(())
}
