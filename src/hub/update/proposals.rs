//! Proposals on their own: cached until a commit covers them (R53, R54, R58).

use openmls::messages::proposals::{Proposal, ProposalType};
use openmls_rust_crypto::RustCrypto;

use super::{Proposed, authorize_entrants, member_of};
use crate::{
    error::{ProtocolError, Result},
    hub::{
        fanout,
        group::Room,
        next_timestamp,
        queue::{MAX_PROPOSAL_BYTES, MAX_PROPOSALS, MAX_QUEUE_BYTES, Pending},
        table,
    },
    mls::proposals::{check_together, is_repetition, verify_proposal},
    object::Step,
    room::{codepoints::proposal, policy},
    transport::Source,
    wire::{OutlineProposal, uri::RoomUri},
};

/// Takes a bundle of proposals in, all or none: those whose effect does not wait already are cached
/// and sent on (R53, R75). Says whether there were any.
pub(super) fn accept(
    room: &mut Room,
    uri: &RoomUri,
    step: &mut Step<'_>,
    crypto: &RustCrypto,
    (source, bundle): (&Source, Vec<Proposed>),
) -> Result<bool> {
    check_size(room, &bundle)?;
    for proposed in &bundle {
        authorize(room, source, proposed)?;
    }
    for proposed in &bundle {
        check_type(&proposed.outline.proposal)?;
    }
    let mut new: Vec<Pending> = Vec::new();
    for Proposed { message, .. } in bundle {
        let bytes = message.bytes().to_vec();
        let queued = verify_proposal(&room.group, crypto, message.into_value())?;
        let earlier = room.queue.queued().chain(new.iter().map(|pending| &pending.queued));
        if !is_repetition(&room.group, earlier, &queued)? {
            new.push(Pending { message: bytes, queued });
        }
    }
    if new.is_empty() {
        return Ok(false);
    }
    if room.queue.iter().count() + new.len() > MAX_PROPOSALS {
        return Err(ProtocolError::TooManyRequests.into());
    }
    let all = room.queue.queued().chain(new.iter().map(|pending| &pending.queued));
    let resolution = check_together(&room.group, all.clone())?;
    let key_packages = all.filter_map(|queued| match queued.proposal() {
        Proposal::Add(add) => Some(add.key_package()),
        _ => None,
    });
    authorize_entrants(step, crypto, &resolution.list, key_packages)?;
    enqueue(room, uri, step, new)?;
    Ok(true)
}

/// D18: what is more than may wait is not even looked at.
fn check_size(room: &Room, bundle: &[Proposed]) -> Result<(), ProtocolError> {
    let lengths = bundle.iter().map(|proposed| proposed.message.bytes().len());
    if lengths.clone().any(|length| length > MAX_PROPOSAL_BYTES) {
        return Err(ProtocolError::TooLarge);
    }
    let bytes = room.queue.bytes().saturating_add(lengths.sum());
    if bundle.len() > MAX_PROPOSALS || bytes > MAX_QUEUE_BYTES {
        return Err(ProtocolError::TooManyRequests);
    }
    Ok(())
}

/// R45, R66: who sent it may propose this.
fn authorize(room: &Room, source: &Source, proposed: &Proposed) -> Result<(), ProtocolError> {
    let (_, client) = member_of(&room.roster, source, proposed.message.sender())?;
    let (list, user) = (&room.roster.list, client.user());
    let proposal_type = match &proposed.outline.proposal {
        OutlineProposal::Remove(leaf) => {
            let removed = room.roster.leaves.get(leaf).map(|client| client.user());
            return policy::authorize_removal(list, &user, removed.as_ref());
        }
        OutlineProposal::Add(_) => ProposalType::Add,
        OutlineProposal::AppDataUpdate { .. } => ProposalType::AppDataUpdate,
        OutlineProposal::Custom { proposal_type, .. } => ProposalType::Custom(*proposal_type),
        OutlineProposal::Other(number) => ProposalType::from(*number),
        OutlineProposal::Reference(_) => return Err(ProtocolError::Malformed("not a proposal")),
    };
    policy::authorize_proposal(list, &user, proposal_type)
}

/// R53: what may wait for a commit.
const fn check_type(outline: &OutlineProposal) -> Result<(), ProtocolError> {
    match outline {
        OutlineProposal::Add(_)
        | OutlineProposal::Remove(_)
        | OutlineProposal::AppDataUpdate { .. }
        | OutlineProposal::Custom { proposal_type: proposal::APP_SYNC, .. }
        | OutlineProposal::Other(proposal::SELF_REMOVE) => Ok(()),
        _ => Err(ProtocolError::InvalidProposal("not a proposal to wait for a commit")),
    }
}

/// Caches proposals that were checked, and sends them on.
///
/// # Errors
/// When the storage fails.
pub(in crate::hub) fn enqueue(
    room: &mut Room,
    uri: &RoomUri,
    step: &mut Step<'_>,
    new: Vec<Pending>,
) -> Result<()> {
    let Room { group, store, roster, queue, .. } = room;
    for pending in new {
        let timestamp = next_timestamp(step)?;
        fanout::send_proposal(step, uri, &pending.message, timestamp, roster)?;
        queue.push(pending, group, store, &mut step.transaction)?;
    }
    Ok(store.save(&mut step.transaction, table::GROUP)?)
}
