//! Commits, of members and of those who join by them.

use std::collections::BTreeSet;

use openmls::{
    framing::Sender,
    messages::{Welcome, proposals::Proposal},
};

use super::{Uploaded, authorize_entrants, external, member_of, response, success};
use crate::{
    error::{InternalError, ProtocolError, Result},
    hub::{
        departure::{Departure, propose_removals},
        fanout::{AcceptedCommit, Entrant},
        group::{Room, Roster},
        key_material, next_timestamp,
        queue::{Pending, Queue},
        table,
    },
    mls::{
        Algorithms,
        commit::{RoomCommit, stage_at_hub, verify_at_hub},
        group_info::check_group_info,
        proposals::check_together,
        ratchet_tree,
    },
    object::Step,
    room::{codepoints::proposal, policy},
    transport::{PENDING_PROPOSALS, Response, Source},
    wire::{
        self, OutlineProposal, PendingProposalsResponse, RatchetTreeOption, UpdateResponseCode,
        Verbatim,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Proposal types that a commit may carry by value beside Add, Remove and AppSync (R53): PSK, and
/// GroupContextExtensions within R36.
const OTHER_PROPOSALS: [u16; 2] = [4, 7];
/// The one that makes a commit external.
const EXTERNAL_INIT: u16 = 6;

/// A commit that passed every check.
struct Checked {
    uploaded: Uploaded,
    commit: RoomCommit,
    entrants: Vec<Entrant>,
    /// The client that joins by it.
    joiner: Option<ClientUri>,
}

/// Takes a commit in, or refuses it with the proposals that it leaves out (R54, R62).
pub(super) fn accept(
    room: &mut Room,
    uri: &RoomUri,
    step: &mut Step<'_>,
    crypto: &Algorithms,
    (source, uploaded): (&Source, Uploaded),
) -> Result<Response> {
    let joiner = match uploaded.message.sender() {
        Sender::NewMemberCommit => Some(external::authorize(room, source, &uploaded)?),
        sender => authorize_member(room, source, sender).map(|()| None)?,
    };
    check_proposal_types(&uploaded.proposals)?;
    let is_due = if joiner.is_some() { outlives_external_commits } else { always };
    let references = references(&uploaded.proposals);
    // One that was superseded: whoever commits may have it still, and learns from the answer.
    if !room.queue.knows(&references) {
        return pending_proposals(&room.queue, is_due);
    }
    let verified = verify_at_hub(&room.group, crypto, uploaded.message.clone().into_value())?;
    if !room.queue.is_covered(&references, is_due) {
        return pending_proposals(&room.queue, is_due);
    }
    let commit = stage_at_hub(&room.group, crypto, verified)?;
    commit.check_credentials(&room.group)?;
    match &joiner {
        Some(joiner) => external::check_removals(room, &commit, joiner)?,
        None => room.departures.check_are_off(&commit.resolution.list)?,
    }
    if commit.resolution.list.iter().count() > step.config.limits.participants_per_room {
        return Err(ProtocolError::NotAllowed("too many participants".into()).into());
    }
    let adds: Vec<_> = commit.staged.add_proposals().collect();
    let key_packages = adds.iter().map(|queued| queued.add_proposal().key_package());
    let entrants = authorize_entrants(step, crypto, &commit.resolution.list, key_packages)?;
    drop(adds);
    let Uploaded { tag, welcome, group_info, .. } = &uploaded;
    check_group_info(&room.group, crypto, &commit.staged, &commit.sender, tag, group_info)?;
    check_welcome(room, welcome.as_deref(), &entrants)?;

    let is_external = joiner.is_some();
    apply(room, uri, step, Checked { uploaded, commit, entrants, joiner })?;
    if is_external {
        // Those that waited were for the epoch before.
        propose_removals(room, uri, step, crypto)?;
    }
    success()
}

/// R45, R54, R66: the sender takes part, and stays.
fn authorize_member(room: &Room, source: &Source, sender: &Sender) -> Result<(), ProtocolError> {
    let (leaf, client) = member_of(&room.roster, source, sender)?;
    policy::authorize_commit(&room.roster.list, &client.user())?;
    if room.queue.removed_leaves().contains(&leaf) {
        let why = "a pending proposal removes the committer";
        return Err(ProtocolError::NotAllowed(why.into()));
    }
    Ok(())
}

fn check_proposal_types(proposals: &[OutlineProposal]) -> Result<(), ProtocolError> {
    let is_refused = |proposal: &OutlineProposal| match proposal {
        OutlineProposal::Other(EXTERNAL_INIT) => false,
        OutlineProposal::Other(other) => !OTHER_PROPOSALS.contains(other),
        OutlineProposal::Custom { proposal_type, .. } => *proposal_type != proposal::APP_SYNC,
        _ => false,
    };
    if proposals.iter().any(is_refused) {
        return Err(ProtocolError::InvalidProposal("a proposal type"));
    }
    Ok(())
}

fn references(proposals: &[OutlineProposal]) -> BTreeSet<&[u8]> {
    let references = proposals.iter().filter_map(|proposal| match proposal {
        OutlineProposal::Reference(reference) => Some(reference.as_slice()),
        _ => None,
    });
    references.collect()
}

const fn always(_: &Pending) -> bool {
    true
}

/// R55: of the proposals that wait, an external commit can cover SelfRemoves alone.
fn outlives_external_commits(pending: &Pending) -> bool {
    matches!(pending.queued.proposal(), Proposal::SelfRemove)
}

/// R54, R62: 401, with the proposals that a commit has to cover, and no others.
fn pending_proposals(queue: &Queue, is_due: fn(&Pending) -> bool) -> Result<Response> {
    let due = queue.iter().filter(|pending| is_due(pending));
    let body = PendingProposalsResponse {
        response: response(UpdateResponseCode::NotAllowed, "pending proposals"),
        pending_proposals: due
            .map(|pending| Verbatim::own(pending.message.clone()))
            .collect::<Result<_, _>>()?,
    };
    let mut response = Response::tls(401, wire::encode(&body)?);
    response.headers.push(("www-authenticate".into(), PENDING_PROPOSALS.into()));
    Ok(response)
}

/// R46, R52: there is a Welcome iff somebody is added, and it is for those.
fn check_welcome(
    room: &Room,
    welcome: Option<&Welcome>,
    entrants: &[Entrant],
) -> Result<(), ProtocolError> {
    let Some(welcome) = welcome else {
        if entrants.is_empty() {
            return Ok(());
        }
        return Err(ProtocolError::InvalidProposal("a Welcome is missing"));
    };
    if entrants.is_empty() {
        return Err(ProtocolError::InvalidProposal("a Welcome for nobody"));
    }
    if welcome.ciphersuite() != room.group.ciphersuite() {
        return Err(ProtocolError::InvalidProposal("the Welcome's cipher suite"));
    }
    let named: Vec<Vec<u8>> =
        welcome.secrets().iter().map(|secret| secret.new_member().as_slice().to_vec()).collect();
    let added: BTreeSet<&Vec<u8>> = entrants.iter().map(|entrant| &entrant.reference).collect();
    if named.len() == added.len() && named.iter().collect::<BTreeSet<_>>() == added {
        return Ok(());
    }
    Err(ProtocolError::InvalidProposal("the Welcome is not for those who are added"))
}

/// Merges a commit, stores what it makes of the room, and sends it on.
fn apply(
    room: &mut Room,
    uri: &RoomUri,
    step: &mut Step<'_>,
    Checked { uploaded, commit, entrants, joiner }: Checked,
) -> Result<()> {
    let leavers = match &joiner {
        Some(_) => leavers(room)?,
        None => Vec::new(),
    };
    let before = merge(room, commit)?;
    let own_tree = || ratchet_tree::to_wire(&room.group.export_ratchet_tree());
    let tree = match &uploaded.tree {
        RatchetTreeOption::Full(uploaded) => {
            let tree = own_tree()?;
            ratchet_tree::check_uploaded(uploaded, &tree)?;
            Some(tree)
        }
        // The tree of this hash: the GroupInfo was compared (R50). It is large: for those who enter alone.
        RatchetTreeOption::ByReference => uploaded.welcome.is_some().then(own_tree).transpose()?,
    };
    room.queue.clear(&mut step.transaction);
    for entrant in &entrants {
        key_material::note_use(&mut step.transaction, &entrant.reference)?;
    }
    room.store.set_group_info(uploaded.group_info.into_bytes());
    room.store.save(&mut step.transaction, table::GROUP)?;
    let accepted = AcceptedCommit {
        commit: uploaded.message.into_bytes(),
        welcome: uploaded.welcome.map(Verbatim::into_bytes).zip(tree),
        entrants,
        joiner,
        timestamp: next_timestamp(step)?,
        cipher_suite: room.group.ciphersuite().into(),
        before: &before,
        after: &room.roster,
    };
    accepted.send(step, uri)?;
    for user in leavers {
        if before.has_leaf_of(&user) && !room.roster.has_leaf_of(&user) {
            room.departures.note(user, Departure::Left, &mut step.transaction)?;
        }
    }
    Ok(room.departures.settle(&room.roster, &mut step.transaction)?)
}

/// The users whom the proposals that wait take off the list.
fn leavers(room: &Room) -> Result<Vec<UserUri>> {
    let after = check_together(&room.group, room.queue.queued())?.list;
    let users = room.roster.list.participants();
    Ok(users.filter(|user| !after.is_participant(user)).cloned().collect())
}

/// Merges the commit and says who was in the room before.
fn merge(room: &mut Room, commit: RoomCommit) -> Result<Roster, InternalError> {
    room.group
        .merge_commit(&room.store, commit.staged)
        .map_err(|_| InternalError::Mls("the commit cannot be merged"))?;
    let after = Roster::of(&room.group)?;
    Ok(std::mem::replace(&mut room.roster, after))
}
