//! `POST /update/{roomId}`: the draft's "Change room policy/participation".
//!
//! The checks come in the order of R62; each step is a type that the next one needs. Nothing is
//! stored before the last of them, and what fails after the merge drops the room from memory.

mod commit;
mod external;
mod proposals;

pub(super) use self::proposals::{enqueue, supersede};

use openmls::{
    credentials::Credential,
    framing::{PublicMessageIn, Sender},
    key_packages::KeyPackage,
    messages::{ConfirmationTag, Welcome, group_info::VerifiableGroupInfo},
    prelude::{ContentType, OpenMlsCrypto},
};

use super::{
    Acceptance, HubRoom,
    closing::close_if_deserted,
    fanout::Entrant,
    group::{Room, Roster},
    key_material,
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::credential::client_uri_of,
    object::Step,
    room::{ParticipantList, policy},
    transport::{Response, Source},
    wire::{
        self, CommitBundle, OutlineProposal, ProposalOutline, RatchetTreeOption, UpdateContent,
        UpdateRequest, UpdateResponseCode, UpdateRoomResponse, Verbatim, commit_outline,
        decode_exact, path_credential, proposal_outline,
        uri::{ClientUri, RoomUri},
    },
};

/// A commit as it was uploaded, decoded.
struct Uploaded {
    message: Verbatim<PublicMessageIn>,
    proposals: Vec<OutlineProposal>,
    /// In the path's leaf: of an external commit, who joins.
    credential: Option<Credential>,
    tag: ConfirmationTag,
    welcome: Option<Verbatim<Welcome>>,
    group_info: Verbatim<VerifiableGroupInfo>,
    tree: RatchetTreeOption,
}

/// A proposal as it was uploaded, decoded.
struct Proposed {
    message: Verbatim<PublicMessageIn>,
    outline: ProposalOutline,
}

/// What an update asks for.
enum Update {
    Commit(Box<Uploaded>),
    Proposals(Vec<Proposed>),
}

impl Update {
    /// # Errors
    /// [`ProtocolError::Malformed`] when the body is none, or of another group (R6, R8).
    fn parse(room: &RoomUri, body: &[u8]) -> Result<Self, ProtocolError> {
        let UpdateRequest { proposal_or_commit: message, content } = decode_exact(body)?;
        check_group_id(room, &message)?;
        Ok(match content {
            UpdateContent::Commit(bundle) => {
                Self::Commit(Box::new(Uploaded::new(message, *bundle)?))
            }
            UpdateContent::Proposal(more) => {
                let proposed = std::iter::once(message).chain(more);
                Self::Proposals(
                    proposed
                        .map(|message| Proposed::new(room, message))
                        .collect::<Result<_, _>>()?,
                )
            }
        })
    }

    /// The epochs that its messages are for.
    fn epochs(&self) -> Vec<u64> {
        match self {
            Self::Commit(uploaded) => vec![uploaded.message.epoch().as_u64()],
            Self::Proposals(proposed) => {
                proposed.iter().map(|proposed| proposed.message.epoch().as_u64()).collect()
            }
        }
    }
}

impl Uploaded {
    fn new(
        message: Verbatim<PublicMessageIn>,
        bundle: CommitBundle,
    ) -> Result<Self, ProtocolError> {
        let CommitBundle { welcome, group_info, ratchet_tree_option: tree } = bundle;
        let proposals = commit_outline(message.bytes())?.proposals;
        let credential = path_credential(message.bytes())?;
        let tag = message
            .confirmation_tag()
            .cloned()
            .ok_or(ProtocolError::Malformed("a commit without confirmation tag"))?;
        Ok(Self { message, proposals, credential, tag, welcome, group_info, tree })
    }
}

impl Proposed {
    fn new(room: &RoomUri, message: Verbatim<PublicMessageIn>) -> Result<Self, ProtocolError> {
        check_group_id(room, &message)?;
        if message.content_type() != ContentType::Proposal {
            return Err(ProtocolError::Malformed("not a proposal"));
        }
        let outline = proposal_outline(message.bytes())?;
        Ok(Self { message, outline })
    }
}

fn check_group_id(room: &RoomUri, message: &PublicMessageIn) -> Result<(), ProtocolError> {
    if message.group_id().as_slice() == room.as_str().as_bytes() {
        return Ok(());
    }
    Err(ProtocolError::Malformed("another group"))
}

/// Answers an update: one commit per epoch, or proposals for the next one, valid and permitted
/// (R46–R58, R62, R64–R67).
pub(super) fn update(
    hub: &mut HubRoom,
    step: &mut Step<'_>,
    source: &Source,
    body: &[u8],
) -> Result<Response> {
    let HubRoom { uri, crypto, cache } = hub;
    let crypto = crypto.algorithms();
    let update = Update::parse(uri, body)?;
    let acceptance = Acceptance::of(source, body);
    // Also when the very body closed the room.
    if acceptance.earlier(&step.transaction)?.is_some() {
        return success();
    }
    let room = Room::cached(cache, uri, &step.transaction)?;
    let current = room.epoch();
    if update.epochs().iter().any(|epoch| *epoch != current) {
        return Err(ProtocolError::WrongEpoch { current }.into());
    }
    let response = match update {
        Update::Commit(uploaded) => commit::accept(room, uri, step, crypto, (source, *uploaded))?,
        Update::Proposals(proposed) => {
            if !proposals::accept(room, uri, step, crypto, (source, proposed))? {
                // Nothing to remember: they may come again as often as they like.
                return success();
            }
            success()?
        }
    };
    if response.is_success() {
        acceptance.record(&mut step.transaction, step.now.0)?;
        close_if_deserted(cache, step)?;
    }
    Ok(response)
}

/// R66: the sender is a member, and the source is the provider, or the very device, of its leaf.
fn member_of<'r>(
    roster: &'r Roster,
    source: &Source,
    sender: &Sender,
) -> Result<(u32, &'r ClientUri), ProtocolError> {
    let refused = |why: &str| Err(ProtocolError::NotAllowed(why.into()));
    let Sender::Member(leaf) = sender else { return refused("not by this sender") };
    let leaf = leaf.u32();
    let Some(client) = roster.leaves.get(&leaf) else { return refused("the sender has no leaf") };
    if !is_from(source, client) {
        return refused("not the sender's provider");
    }
    Ok((leaf, client))
}

/// R64, R66: whether the source is the client's provider, or the very device.
pub(super) fn is_from(source: &Source, client: &ClientUri) -> bool {
    match source {
        Source::Provider(domain) => client.domain() == domain,
        Source::Device(device) => client == device,
        Source::Own => false,
    }
}

/// R40, R51, R64: who enters takes part, by a KeyPackage that its own provider gave out through this
/// hub and nobody used since.
fn authorize_entrants<'p>(
    step: &Step<'_>,
    crypto: &impl OpenMlsCrypto,
    list_after: &ParticipantList,
    key_packages: impl IntoIterator<Item = &'p KeyPackage>,
) -> Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    for key_package in key_packages {
        let client = client_uri_of(key_package.leaf_node().credential())?;
        policy::authorize_entry(list_after, &client.user())?;
        let reference = key_package
            .hash_ref(crypto)
            .map_err(|_| InternalError::Mls("KeyPackageRef"))?
            .as_slice()
            .to_vec();
        key_material::authorize_use(&step.transaction, &reference, &client)?;
        entrants.push(Entrant { client, reference });
    }
    Ok(entrants)
}

fn success() -> Result<Response> {
    Ok(Response::tls(200, wire::encode(&response(UpdateResponseCode::Success, ""))?))
}

fn response(response_code: UpdateResponseCode, description: &str) -> UpdateRoomResponse {
    UpdateRoomResponse { response_code, error_description: description.as_bytes().into() }
}
