//! What Commits, Proposals and trees say in clear: who is there, who comes and goes.
//!
//! A follower has no GroupInfo to check a Commit against and needs to know only who came and who
//! went (D7); the hub needs the references before openmls resolves them (R54). This reads a
//! PublicMessage without verifying anything (RFC 9420 §6, §12.4).

use openmls::{
    credentials::Credential,
    key_packages::KeyPackageIn,
    messages::{proposals::ProposalType, proposals_in::ProposalIn},
    prelude::Capabilities,
};
use tls_codec::{Error as TlsError, VLBytes};

use super::{RatchetTree, Reader, Verbatim};
use crate::error::ProtocolError;

/// ContentTypes of RFC 9420 §6.
const PROPOSAL: u8 = 2;
const COMMIT: u8 = 3;

/// Who sent a handshake message (RFC 9420 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutlineSender {
    /// The leaf of this index.
    Member(u32),
    /// The external sender of this index.
    External(u32),
    /// Somebody who proposes to be added.
    NewMemberProposal,
    /// Somebody who joins by this Commit.
    NewMemberCommit,
}

/// One entry of a Commit's proposal list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutlineProposal {
    /// A leaf is added.
    Add(Box<Verbatim<KeyPackageIn>>),
    /// The leaf of this index is removed.
    Remove(u32),
    /// An application component changes: its id and the update.
    AppDataUpdate {
        /// The component.
        component_id: u16,
        /// The update; `None` removes the component.
        update: Option<Vec<u8>>,
    },
    /// A proposal of a type that MLS leaves to applications, with an `opaque<V>` as content: profile A's
    /// AppSync (WIRE a.5).
    Custom {
        /// Its type.
        proposal_type: u16,
        /// Its content.
        content: Vec<u8>,
    },
    /// Any other proposal, of this type.
    Other(u16),
    /// A proposal sent before, by its ProposalRef.
    Reference(Vec<u8>),
}

/// What a Commit says in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOutline {
    /// The group.
    pub group_id: Vec<u8>,
    /// The epoch in which it was sent.
    pub epoch: u64,
    /// The sender.
    pub sender: OutlineSender,
    /// The proposals in the Commit's order.
    pub proposals: Vec<OutlineProposal>,
}

/// Reads the outline of a Commit from the bytes of a bare `PublicMessage`.
///
/// # Errors
/// [`ProtocolError::Malformed`] when the bytes are no PublicMessage with a Commit.
pub fn commit_outline(public_message: &[u8]) -> Result<CommitOutline, ProtocolError> {
    read_outline(public_message).map_err(|_| ProtocolError::Malformed("commit"))
}

fn read_outline(bytes: &[u8]) -> Result<CommitOutline, TlsError> {
    let mut reader = Reader(bytes);
    let Head { group_id, epoch, sender } = read_head(&mut reader, COMMIT)?;
    let list: VLBytes = reader.next()?;
    let mut entries = Reader(list.as_slice());
    let mut proposals = Vec::new();
    while !entries.0.is_empty() {
        proposals.push(read_proposal_or_ref(&mut entries)?);
    }
    Ok(CommitOutline { group_id, epoch, sender, proposals })
}

/// The credential in the new leaf of a Commit's path: whose leaf it is, for one who joins by the
/// Commit. `None` when the Commit has no path.
///
/// # Errors
/// [`ProtocolError::Malformed`] when the bytes are no PublicMessage with a Commit.
pub fn path_credential(public_message: &[u8]) -> Result<Option<Credential>, ProtocolError> {
    let mut reader = Reader(public_message);
    let mut read = || {
        read_head(&mut reader, COMMIT)?;
        let _proposals: VLBytes = reader.next()?;
        match reader.next::<u8>()? {
            0 => Ok(None),
            1 => read_leaf_credential(&mut reader).map(Some),
            other => Err(TlsError::UnknownValue(u64::from(other))),
        }
    };
    read().map_err(|_| ProtocolError::Malformed("commit"))
}

/// What a standalone Proposal says in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalOutline {
    /// The group.
    pub group_id: Vec<u8>,
    /// The epoch in which it was sent.
    pub epoch: u64,
    /// The sender.
    pub sender: OutlineSender,
    /// The proposal.
    pub proposal: OutlineProposal,
    /// Its `AuthenticatedContent`, which a ProposalRef is the hash of (RFC 9420 §5.2, §6).
    pub authenticated_content: Vec<u8>,
}

/// Reads the outline of a Proposal from the bytes of a bare `PublicMessage`.
///
/// # Errors
/// [`ProtocolError::Malformed`] when the bytes are no PublicMessage with a Proposal.
pub fn proposal_outline(public_message: &[u8]) -> Result<ProposalOutline, ProtocolError> {
    read_proposal_message(public_message).map_err(|_| ProtocolError::Malformed("proposal"))
}

fn read_proposal_message(bytes: &[u8]) -> Result<ProposalOutline, TlsError> {
    const PUBLIC_MESSAGE: [u8; 2] = [0, 1];
    let mut reader = Reader(bytes);
    let Head { group_id, epoch, sender } = read_head(&mut reader, PROPOSAL)?;
    let proposal = read_inline_proposal(&mut reader)?;
    let _signature: VLBytes = reader.next()?;
    let length = bytes.len().saturating_sub(reader.0.len());
    let signed = bytes.get(..length).ok_or(TlsError::EndOfStream)?;
    let authenticated_content = [PUBLIC_MESSAGE.as_slice(), signed].concat();
    Ok(ProposalOutline { group_id, epoch, sender, proposal, authenticated_content })
}

/// The fields of a FramedContent up to its content type.
struct Head {
    group_id: Vec<u8>,
    epoch: u64,
    sender: OutlineSender,
}

fn read_head(reader: &mut Reader<'_>, content_type: u8) -> Result<Head, TlsError> {
    let group_id = reader.next::<VLBytes>()?.into();
    let epoch = reader.next()?;
    let sender = match reader.next::<u8>()? {
        1 => OutlineSender::Member(reader.next()?),
        2 => OutlineSender::External(reader.next()?),
        3 => OutlineSender::NewMemberProposal,
        4 => OutlineSender::NewMemberCommit,
        other => return Err(TlsError::UnknownValue(u64::from(other))),
    };
    let _authenticated_data: VLBytes = reader.next()?;
    let found: u8 = reader.next()?;
    if found != content_type {
        return Err(TlsError::UnknownValue(u64::from(found)));
    }
    Ok(Head { group_id, epoch, sender })
}

/// The leaves of a tree that are not blank, by leaf index, each with its credential (RFC 9420 §7.1,
/// §12.4.3.3).
///
/// # Errors
/// [`ProtocolError::Malformed`] when the nodes do not decode.
pub fn tree_credentials(tree: &RatchetTree) -> Result<Vec<(u32, Credential)>, ProtocolError> {
    let mut leaves = Vec::new();
    walk_tree(tree, |node_index, credential| {
        leaves.extend(credential.map(|credential| (node_index / 2, credential)));
    })?;
    Ok(leaves)
}

/// How many nodes a tree has.
pub(super) fn count_nodes(tree: &RatchetTree) -> Result<usize, ProtocolError> {
    let mut count = 0_usize;
    walk_tree(tree, |_, _| count = count.saturating_add(1))?;
    Ok(count)
}

/// Visits every node: its index, and its credential when it is a leaf that is not blank.
fn walk_tree(
    tree: &RatchetTree,
    visit: impl FnMut(u32, Option<Credential>),
) -> Result<(), ProtocolError> {
    read_nodes(tree.content(), visit).map_err(|_| ProtocolError::Malformed("tree"))
}

fn read_nodes(
    nodes: &[u8],
    mut visit: impl FnMut(u32, Option<Credential>),
) -> Result<(), TlsError> {
    const LEAF: u8 = 1;
    const PARENT: u8 = 2;
    let mut reader = Reader(nodes);
    let mut node_index = 0_u32;
    while !reader.0.is_empty() {
        // Leaves stand at even places.
        let is_leaf = node_index.is_multiple_of(2);
        let credential = match (reader.next::<u8>()?, is_leaf) {
            (0, _) => None,
            (1, true) if reader.next::<u8>()? == LEAF => Some(read_leaf_credential(&mut reader)?),
            (1, false) if reader.next::<u8>()? == PARENT => {
                let _key_hash_unmerged: [VLBytes; 3] =
                    [reader.next()?, reader.next()?, reader.next()?];
                None
            }
            (other, _) => return Err(TlsError::UnknownValue(u64::from(other))),
        };
        visit(node_index, credential);
        node_index = node_index.checked_add(1).ok_or(TlsError::InvalidVectorLength)?;
    }
    Ok(())
}

/// Reads a whole LeafNode (RFC 9420 §7.2) and keeps its credential.
fn read_leaf_credential(reader: &mut Reader<'_>) -> Result<Credential, TlsError> {
    let _encryption_key: VLBytes = reader.next()?;
    let _signature_key: VLBytes = reader.next()?;
    let credential = reader.next()?;
    let _capabilities: Capabilities = reader.next()?;
    match reader.next::<u8>()? {
        // The lifetime of a KeyPackage.
        1 => drop(reader.next::<[u8; 16]>()?),
        // An update.
        2 => {}
        // A commit, with its parent hash.
        3 => drop(reader.next::<VLBytes>()?),
        other => return Err(TlsError::UnknownValue(u64::from(other))),
    }
    let _extensions: VLBytes = reader.next()?;
    let _signature: VLBytes = reader.next()?;
    Ok(credential)
}

fn read_proposal_or_ref(entries: &mut Reader<'_>) -> Result<OutlineProposal, TlsError> {
    match entries.next::<u8>()? {
        1 => read_inline_proposal(entries),
        2 => Ok(OutlineProposal::Reference(entries.next::<VLBytes>()?.into())),
        other => Err(TlsError::UnknownValue(u64::from(other))),
    }
}

fn read_inline_proposal(reader: &mut Reader<'_>) -> Result<OutlineProposal, TlsError> {
    let proposal: Verbatim<ProposalIn> = reader.next()?;
    let body = proposal.bytes().get(2..).ok_or(TlsError::EndOfStream)?;
    read_proposal(proposal.proposal_type(), body)
}

fn read_proposal(proposal_type: ProposalType, body: &[u8]) -> Result<OutlineProposal, TlsError> {
    let mut body = Reader(body);
    Ok(match proposal_type {
        ProposalType::Add => OutlineProposal::Add(Box::new(body.next()?)),
        ProposalType::Remove => OutlineProposal::Remove(body.next()?),
        ProposalType::AppDataUpdate => {
            let component_id = body.next()?;
            let update = match body.next::<u8>()? {
                1 => Some(body.next::<VLBytes>()?.into()),
                2 => None,
                other => return Err(TlsError::UnknownValue(u64::from(other))),
            };
            OutlineProposal::AppDataUpdate { component_id, update }
        }
        ProposalType::Custom(proposal_type) => {
            OutlineProposal::Custom { proposal_type, content: body.next::<VLBytes>()?.into() }
        }
        other => OutlineProposal::Other(other.into()),
    })
}
