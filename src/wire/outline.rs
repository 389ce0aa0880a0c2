//! What a Commit says in clear: sender, epoch, proposals.
//!
//! A follower has no GroupInfo to check a Commit against and needs to know only who came and who
//! went (D7); the hub needs the references before openmls resolves them (R54). This reads a
//! PublicMessage without verifying anything (RFC 9420 §6, §12.4).

use openmls::key_packages::KeyPackageIn;
use openmls::messages::{proposals::ProposalType, proposals_in::ProposalIn};
use tls_codec::{Error as TlsError, VLBytes};

use super::{Reader, Verbatim};
use crate::error::ProtocolError;

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
    const COMMIT: u8 = 3;
    let mut reader = Reader(bytes);
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
    let content_type: u8 = reader.next()?;
    if content_type != COMMIT {
        return Err(TlsError::UnknownValue(u64::from(content_type)));
    }
    let list: VLBytes = reader.next()?;
    let mut entries = Reader(list.as_slice());
    let mut proposals = Vec::new();
    while !entries.0.is_empty() {
        proposals.push(read_proposal_or_ref(&mut entries)?);
    }
    Ok(CommitOutline { group_id, epoch, sender, proposals })
}

fn read_proposal_or_ref(entries: &mut Reader<'_>) -> Result<OutlineProposal, TlsError> {
    match entries.next::<u8>()? {
        1 => {
            let proposal: Verbatim<ProposalIn> = entries.next()?;
            let body = proposal.bytes().get(2..).ok_or(TlsError::EndOfStream)?;
            read_proposal(proposal.proposal_type(), body)
        }
        2 => Ok(OutlineProposal::Reference(entries.next::<VLBytes>()?.into())),
        other => Err(TlsError::UnknownValue(u64::from(other))),
    }
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
        other => OutlineProposal::Other(other.into()),
    })
}
