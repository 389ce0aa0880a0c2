//! Proposals on their own: cached until a commit covers them (R53, R54, R58).

use openmls::{
    ciphersuite::hash_ref::ProposalRef,
    framing::Sender,
    group::QueuedProposal,
    messages::proposals::{Proposal, ProposalType},
};

use super::{Proposed, authorize_entrants, member_of};
use crate::{
    error::{ProtocolError, Result},
    hub::{
        closing::{can_commit, nobody_comes_back},
        fanout,
        group::Room,
        next_timestamp,
        queue::{MAX_PROPOSAL_BYTES, MAX_PROPOSALS, MAX_QUEUE_BYTES, Pending},
        table,
    },
    mls::{
        Algorithms,
        proposals::{
            check_together, is_repetition, leaver, removed_leaf, superseded, verify_proposal,
        },
    },
    object::Step,
    room::{ParticipantList, codepoints::proposal, policy},
    transport::Source,
    wire::{
        OutlineProposal,
        uri::{ClientUri, RoomUri},
    },
};

/// Takes a bundle of proposals in, all or none: those whose effect does not wait already are cached
/// and sent on (R53, R75). Says whether there were any.
pub(super) fn accept(
    room: &mut Room,
    uri: &RoomUri,
    step: &mut Step<'_>,
    crypto: &Algorithms,
    (source, bundle): (&Source, Vec<Proposed>),
) -> Result<bool> {
    check_size(room, &bundle)?;
    for proposed in &bundle {
        authorize(room, source, proposed)?;
    }
    for proposed in &bundle {
        check_type(&proposed.outline.proposal)?;
    }
    let New { pending, superseded } = verify(room, crypto, bundle)?;
    if pending.is_empty() {
        return Ok(false);
    }
    let stays = |queued: &&QueuedProposal| !superseded.contains(queued.proposal_reference_ref());
    let all =
        room.queue.queued().filter(stays).chain(pending.iter().map(|pending| &pending.queued));
    if all.clone().count() > step.config.limits.pending_proposals.min(MAX_PROPOSALS) {
        return Err(ProtocolError::TooManyRequests.into());
    }
    let resolution = check_together(&room.group, all.clone())?;
    let key_packages = all.filter_map(|queued| match queued.proposal() {
        Proposal::Add(add) => Some(add.key_package()),
        _ => None,
    });
    let entrants = authorize_entrants(step, crypto, &resolution.list, key_packages)?;
    let entering = entrants.iter().map(|entrant| entrant.client.user());
    room.departures.check_can_go(&resolution, &entering.collect())?;
    check_committers(room, &pending, &resolution.list)?;
    supersede(room, step, &superseded)?;
    enqueue(room, uri, step, pending)?;
    Ok(true)
}

/// R53: who takes others out leaves somebody who can commit that, unless the room closes (R57). Whoever
/// leaves may be the last; who stays on the list comes back by an external commit.
fn check_committers(
    room: &Room,
    new: &[Pending],
    after: &ParticipantList,
) -> Result<(), ProtocolError> {
    let user_of = |leaf: u32| room.roster.leaves.get(&leaf).map(ClientUri::user);
    let is_others =
        |pending: &Pending| match (removed_leaf(&pending.queued), pending.queued.sender()) {
            (Some(leaf), Sender::Member(sender)) => user_of(leaf) != user_of(sender.u32()),
            _ => false,
        };
    let mut removed = room.queue.removed_leaves();
    removed.extend(new.iter().filter_map(|pending| removed_leaf(&pending.queued)));
    if !new.iter().any(is_others) || can_commit(room, &removed) || nobody_comes_back(room, after) {
        return Ok(());
    }
    Err(ProtocolError::InvalidProposal("nobody is left to commit this"))
}

/// What a bundle brings.
#[derive(Default)]
struct New {
    /// The proposals whose effect does not wait already.
    pending: Vec<Pending>,
    /// Those that waited and do not wait with these (R57).
    superseded: Vec<ProposalRef>,
}

fn verify(room: &Room, crypto: &Algorithms, bundle: Vec<Proposed>) -> Result<New> {
    let mut new = New::default();
    for Proposed { message, .. } in bundle {
        let bytes = message.bytes().to_vec();
        let queued = verify_proposal(&room.group, crypto, message.into_value())?;
        let stays =
            |queued: &&QueuedProposal| !new.superseded.contains(queued.proposal_reference_ref());
        let waiting: Vec<_> = room.queue.queued().filter(stays).collect();
        let earlier =
            waiting.iter().copied().chain(new.pending.iter().map(|pending| &pending.queued));
        if is_repetition(&room.group, earlier, &queued)? {
            continue;
        }
        if let Some(user) = leaver(&room.group, &queued)? {
            let superseded = superseded(&room.group, waiting.iter().copied(), &user)?;
            new.superseded.extend(superseded);
        }
        new.pending.push(Pending { message: bytes, queued });
    }
    Ok(new)
}

/// Takes proposals that somebody's leaving voids out of the queue. Nobody is told: a member sees it
/// from the leave itself, or from the answer to its commit.
///
/// # Errors
/// When the storage fails.
pub(in crate::hub) fn supersede(
    room: &mut Room,
    step: &mut Step<'_>,
    references: &[ProposalRef],
) -> Result<()> {
    if references.is_empty() {
        return Ok(());
    }
    let Room { group, store, queue, .. } = room;
    queue.remove(references, group, store, &mut step.transaction)?;
    Ok(store.save(&mut step.transaction, table::GROUP)?)
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
