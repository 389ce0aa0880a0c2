//! Leaving a room (R57): proposals for somebody else's commit, again in every epoch until this device
//! is out.

use openmls::{
    framing::PublicMessageIn,
    group::MlsGroup,
    prelude::{LeafNodeIndex, ProposalType, WireFormat},
};
use openmls_traits::OpenMlsProvider;

use super::{
    ErrorCode,
    commit::{Verdict, verdict},
    intent::{self, Intent, WaitsFor},
    outlook::Outlook,
    request::{Request, Settled},
    room::{Room, mls_error},
    send,
    step::Step,
    task::{Leave, Task},
};
use crate::{
    error::Result,
    mls::{self, MlsProvider, own_commit::propose_app_sync},
    room::{Profile, codepoints::proposal},
    transport::Response,
    wire::{self, AppSync, UpdateContent, UpdateRequest, Verbatim, uri::RoomUri},
};

/// Sends what is not proposed yet of this user's way out of this epoch.
pub(super) fn propose(
    step: &mut Step<'_>,
    room: &Room,
    mut intent: Intent,
    group: &mut MlsGroup,
    outlook: &Outlook,
) -> Result<()> {
    let proposals = proposals(step, group, outlook)?;
    let epoch = group.epoch().as_u64();
    let mut proposals = proposals.into_iter().map(Verbatim::<PublicMessageIn>::own);
    let Some(first) = proposals.next() else {
        // Another device of this user was faster.
        return Ok(intent.wait(step, &room.uri, WaitsFor::Epoch)?);
    };
    let more = proposals.collect::<Result<_, _>>()?;
    let request =
        UpdateRequest { proposal_or_commit: first?, content: UpdateContent::Proposal(more) };
    intent.task = Task::Leave(Some(Leave { epoch }));
    intent.wait(step, &room.uri, WaitsFor::Answer)?;
    Ok(step.enqueue(&Request::Propose(room.uri.clone(), epoch, wire::encode(&request)?))?)
}

/// The PublicMessages: Removes for all devices of this user, and the AppSync that takes it off the
/// list, unless it is banned and may not (R45).
fn proposals(step: &mut Step<'_>, group: &mut MlsGroup, outlook: &Outlook) -> Result<Vec<Vec<u8>>> {
    let identity = step.identity;
    let user = identity.client.user();
    let provider = MlsProvider::new(&mut step.transaction, step.crypto);
    let before: Vec<_> =
        group.pending_proposals().map(|known| known.proposal_reference_ref().clone()).collect();
    let mut proposals = Vec::new();
    let leaves = outlook.staying_leaves_of(&user);
    for leaf in &leaves {
        let message = if leaves.len() == 1 && can_remove_itself(group, *leaf)? {
            group
                .leave_group_via_self_remove(&provider, &identity.key_pair)
                .map_err(mls_error("a SelfRemove cannot be made"))?
        } else {
            group
                .propose_remove_member(&provider, &identity.key_pair, LeafNodeIndex::new(*leaf))
                .map_err(mls_error("a Remove cannot be proposed"))?
                .0
        };
        proposals.push(mls::without_header(&message, WireFormat::PublicMessage)?);
    }
    if outlook.list_after.is_participant(&user) {
        let app_sync = AppSync { remove_users: vec![user.to_wire()], ..AppSync::default() };
        proposals.push(propose_app_sync(group, &provider, &identity.key_pair, &app_sync)?);
    }
    // They are pending once the hub has taken them and the log brings them.
    let own: Vec<_> = group
        .pending_proposals()
        .map(|queued| queued.proposal_reference_ref().clone())
        .filter(|reference| !before.contains(reference))
        .collect();
    for reference in own {
        group
            .remove_pending_proposal(provider.storage(), &reference)
            .map_err(mls_error("an own proposal is gone"))?;
    }
    Ok(proposals)
}

/// A17: a SelfRemove outlives external commits, if every member understands it. One that had to leave
/// other devices of the user behind would take half a user out; so only a user's last leaf sends it.
fn can_remove_itself(group: &MlsGroup, leaf: u32) -> Result<bool> {
    let self_remove = ProposalType::from(proposal::SELF_REMOVE);
    let understands = |index: LeafNodeIndex| {
        let leaf = group.public_group().leaf(index);
        leaf.is_some_and(|leaf| leaf.capabilities().proposals().contains(&self_remove))
    };
    Ok(Profile::of(group.extensions())? == Profile::B
        && group.own_leaf_index().u32() == leaf
        && group.members().all(|member| understands(member.index)))
}

/// The proposals for `epoch` are handed out, if their answer still matters; it says whether it does.
pub(super) fn hand_out(step: &mut Step<'_>, room: &RoomUri, epoch: u64) -> Result<bool> {
    let Some(intent) = waiting(step, room, epoch)? else { return Ok(false) };
    intent.wait(step, room, WaitsFor::Outcome)?;
    Ok(true)
}

/// The wish to leave is taken back, if nothing of it is in the room or on its way there; it says
/// whether that was so.
pub(super) fn cancel(step: &mut Step<'_>, room: &RoomUri, intent: &Intent) -> Result<bool> {
    if !matches!(intent.waits_for, WaitsFor::Nothing | WaitsFor::Answer) {
        return Ok(false);
    }
    intent.failed(step, room, ErrorCode::Aborted);
    send::go_on(step, room)?;
    Ok(true)
}

fn waiting(step: &Step<'_>, room: &RoomUri, epoch: u64) -> Result<Option<Intent>> {
    let first = intent::first(&step.transaction, room)?;
    Ok(first.filter(|intent| {
        let sent = matches!(&intent.task, Task::Leave(Some(leave)) if leave.epoch == epoch);
        sent && intent.waits_for.is_answer()
    }))
}

/// The hub answered the proposals for `epoch`.
pub(super) fn answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    epoch: u64,
    response: &Response,
) -> Result<Settled> {
    // Otherwise the log was faster.
    let (Some(mut room), Some(intent)) = (step.room(uri)?, waiting(step, uri, epoch)?) else {
        return Ok(Settled::Delivered);
    };
    match verdict(response) {
        Verdict::Unknown => return Ok(Settled::Later(response.retry_after_millis())),
        // If nobody is left who could commit, the log brings the end together with the proposals.
        Verdict::Accepted => intent.wait(step, uri, WaitsFor::Epoch)?,
        Verdict::WrongEpoch => {
            intent.wait(step, uri, WaitsFor::Epoch)?;
            room.fetch(step)?;
            step.store_room(&room)?;
        }
        // The hub has closed the room. What it accepted before is still in the log.
        Verdict::Refused(ErrorCode::RoomUnknown) => {
            intent.wait(step, uri, WaitsFor::Epoch)?;
            room.closed = true;
            room.fetch(step)?;
            step.store_room(&room)?;
        }
        Verdict::Refused(code) => refused(step, uri, &intent, code)?,
        Verdict::Unreadable => refused(step, uri, &intent, ErrorCode::Internal)?,
        Verdict::LacksProposals(_) | Verdict::LacksDeparture(_) => {
            refused(step, uri, &intent, ErrorCode::NotAllowed)?;
        }
    }
    Ok(Settled::Delivered)
}

fn refused(step: &mut Step<'_>, room: &RoomUri, intent: &Intent, code: ErrorCode) -> Result<()> {
    intent.failed(step, room, code);
    intent::advance(step, room)
}

/// Whether this device is on its way out by its own wish: then it sends nothing more (R57).
pub(super) fn is_asked_for(step: &Step<'_>, room: &RoomUri) -> Result<bool> {
    let intents = intent::all(&step.transaction, room)?;
    Ok(intents.iter().any(|intent| matches!(intent.task, Task::Leave(_))))
}
