//! `POST /update/{roomId}`: the draft's "Change room policy/participation".
//!
//! The checks come in the order of R62; each step is a type that the next one needs. Nothing is
//! stored before the last of them, and what fails after the merge drops the room from memory.

use std::collections::BTreeSet;

use openmls::{
    framing::{PublicMessageIn, Sender},
    messages::{ConfirmationTag, Welcome, group_info::VerifiableGroupInfo},
    prelude::{ContentType, OpenMlsCrypto},
};

use super::{
    Acceptance, HubRoom,
    fanout::{AcceptedCommit, Entrant},
    group::{Room, Roster},
    key_material, next_timestamp, table,
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{
        commit::{RoomCommit, stage_at_hub, verify_at_hub},
        credential::client_uri_of,
        group_info::check_group_info,
        ratchet_tree,
    },
    object::Step,
    room::{codepoints::proposal, policy},
    transport::{Response, Source},
    wire::{
        self, CommitBundle, OutlineProposal, RatchetTree, RatchetTreeOption, UpdateContent,
        UpdateRequest, UpdateResponseCode, UpdateRoomResponse, Verbatim, commit_outline,
        decode_exact, uri::RoomUri,
    },
};

/// Proposal types that a commit may carry by value beside Add, Remove and AppSync (R53): PSK, and
/// GroupContextExtensions within R36.
const OTHER_PROPOSALS: [u16; 2] = [4, 7];

/// A commit as it was uploaded, decoded.
struct Uploaded {
    message: Verbatim<PublicMessageIn>,
    proposals: Vec<OutlineProposal>,
    tag: ConfirmationTag,
    welcome: Option<Verbatim<Welcome>>,
    group_info: Verbatim<VerifiableGroupInfo>,
    tree: RatchetTree,
}

/// What an update asks for.
enum Asked {
    Commit(Box<Uploaded>),
    Proposals,
}

struct Update {
    epoch: u64,
    sender: Sender,
    asked: Asked,
}

impl Update {
    /// # Errors
    /// [`ProtocolError::Malformed`] when the body is none, or of another group (R6, R8, A23).
    fn parse(room: &RoomUri, body: &[u8]) -> Result<Self, ProtocolError> {
        let UpdateRequest { proposal_or_commit: message, content } = decode_exact(body)?;
        check_group_id(room, &message)?;
        let (epoch, sender) = (message.epoch().as_u64(), message.sender().clone());
        let asked = match content {
            UpdateContent::Commit(bundle) => {
                Asked::Commit(Box::new(Uploaded::new(message, *bundle)?))
            }
            UpdateContent::Proposal(more) => {
                for message in &more {
                    check_group_id(room, message)?;
                    if message.content_type() != ContentType::Proposal {
                        return Err(ProtocolError::Malformed("not a proposal"));
                    }
                }
                Asked::Proposals
            }
        };
        Ok(Self { epoch, sender, asked })
    }
}

impl Uploaded {
    fn new(
        message: Verbatim<PublicMessageIn>,
        bundle: CommitBundle,
    ) -> Result<Self, ProtocolError> {
        let CommitBundle { welcome, group_info, ratchet_tree_option } = bundle;
        let RatchetTreeOption::Full(tree) = ratchet_tree_option else {
            return Err(ProtocolError::Malformed("only a full ratchet tree is taken"));
        };
        let proposals = commit_outline(message.bytes())?.proposals;
        let tag = message
            .confirmation_tag()
            .cloned()
            .ok_or(ProtocolError::Malformed("a commit without confirmation tag"))?;
        Ok(Self { message, proposals, tag, welcome, group_info, tree })
    }
}

fn check_group_id(room: &RoomUri, message: &PublicMessageIn) -> Result<(), ProtocolError> {
    if message.group_id().as_slice() == room.as_str().as_bytes() {
        return Ok(());
    }
    Err(ProtocolError::Malformed("another group"))
}

/// Answers an update: one commit per epoch, valid and permitted (R46–R52, R62, R64–R67).
pub(super) fn update(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    source: &Source,
    body: &[u8],
) -> Result<Response> {
    let HubRoom { uri, crypto, cache } = hub;
    let crypto = crypto.algorithms();
    let update = Update::parse(uri, body)?;
    let room = Room::cached(cache, uri, &step.transaction)?;
    let acceptance = Acceptance::of(source, body);
    if acceptance.earlier(&step.transaction)?.is_some() {
        return success();
    }
    if update.epoch != room.epoch() {
        return Err(ProtocolError::WrongEpoch { current: room.epoch() }.into());
    }
    authorize_sender(&room.roster, source, &update.sender)?;
    let Asked::Commit(uploaded) = update.asked else {
        return Err(ProtocolError::NotAllowed("proposals on their own: not yet".into()).into());
    };
    let Uploaded { message, proposals, tag, welcome, group_info, tree } = *uploaded;
    check_proposal_types(&proposals)?;
    let commit_bytes = message.bytes().to_vec();
    let verified = verify_at_hub(&room.group, crypto, message.into_value())?;
    let commit = stage_at_hub(&room.group, crypto, verified)?;
    commit.check_credentials(&room.group)?;
    let entrants = authorize_entrants(step, crypto, &commit)?;
    check_group_info(&room.group, crypto, &commit.staged, &commit.sender, &tag, &group_info)?;
    check_welcome(room, welcome.as_deref(), &entrants)?;

    let before = merge(room, commit)?;
    let own_tree = ratchet_tree::to_wire(&room.group.export_ratchet_tree())?;
    ratchet_tree::check_uploaded(&tree, &own_tree)?;

    room.store.save(&mut step.transaction, table::GROUP)?;
    step.transaction.write(vec![table::GROUP_INFO], group_info.into_bytes());
    let timestamp = next_timestamp(step)?;
    acceptance.record(&mut step.transaction, timestamp)?;
    let accepted = AcceptedCommit {
        commit: commit_bytes,
        welcome: welcome.map(Verbatim::into_bytes),
        tree: own_tree,
        entrants,
        timestamp,
        cipher_suite: room.group.ciphersuite().into(),
        before: &before,
        after: &room.roster,
    };
    accepted.send(step, uri)?;
    success()
}

/// R66: the source is the provider, or the very device, of the sender's leaf; R45: its user takes
/// part.
fn authorize_sender(
    roster: &Roster,
    source: &Source,
    sender: &Sender,
) -> Result<(), ProtocolError> {
    let refused = |why: &str| Err(ProtocolError::NotAllowed(why.into()));
    let leaf = match sender {
        Sender::Member(leaf) => leaf.u32(),
        Sender::NewMemberCommit => return refused("external commits: not yet"),
        Sender::NewMemberProposal | Sender::External(_) => return refused("not by this sender"),
    };
    let Some(client) = roster.leaves.get(&leaf) else { return refused("the sender has no leaf") };
    let is_from_source = match source {
        Source::Provider(domain) => client.domain() == domain,
        Source::Device(device) => client == device,
        Source::Own => false,
    };
    if !is_from_source {
        return refused("not the sender's provider");
    }
    policy::authorize_commit(&roster.list, &client.user())
}

fn check_proposal_types(proposals: &[OutlineProposal]) -> Result<(), ProtocolError> {
    let is_refused = |proposal: &OutlineProposal| match proposal {
        OutlineProposal::Other(other) => !OTHER_PROPOSALS.contains(other),
        OutlineProposal::Custom { proposal_type, .. } => *proposal_type != proposal::APP_SYNC,
        _ => false,
    };
    if proposals.iter().any(is_refused) {
        return Err(ProtocolError::InvalidProposal("a proposal type"));
    }
    Ok(())
}

/// R40, R51, R64: who enters takes part, by a KeyPackage that its own provider gave out through this
/// hub.
fn authorize_entrants(
    step: &Step<'_>,
    crypto: &impl OpenMlsCrypto,
    commit: &RoomCommit,
) -> Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    for queued in commit.staged.add_proposals() {
        let key_package = queued.add_proposal().key_package();
        let client = client_uri_of(key_package.leaf_node().credential())?;
        policy::authorize_entry(&commit.resolution.list, &client.user())?;
        let reference = key_package
            .hash_ref(crypto)
            .map_err(|_| InternalError::Mls("KeyPackageRef"))?
            .as_slice()
            .to_vec();
        let provider = key_material::provider_of(&step.transaction, &reference)?;
        if provider.as_ref() != Some(client.domain()) {
            let why = "a KeyPackage that its provider did not give out through this hub";
            return Err(ProtocolError::NotAllowed(why.into()).into());
        }
        entrants.push(Entrant { client, reference });
    }
    Ok(entrants)
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

/// Merges the commit and says who was in the room before.
fn merge(room: &mut Room, commit: RoomCommit) -> Result<Roster, InternalError> {
    room.group
        .merge_commit(&room.store, commit.staged)
        .map_err(|_| InternalError::Mls("the commit cannot be merged"))?;
    let after = Roster::of(&room.group)?;
    Ok(std::mem::replace(&mut room.roster, after))
}

fn success() -> Result<Response> {
    let response = UpdateRoomResponse {
        response_code: UpdateResponseCode::Success,
        error_description: Vec::new().into(),
    };
    Ok(Response::tls(200, wire::encode(&response)?))
}
