//! What changes a group: commits and proposals of this device, and what it receives.

use openmls::{
    framing::{
        MlsMessageBodyIn, MlsMessageIn, ProcessedMessage, ProcessedMessageContent, ProtocolMessage,
        PublicMessageIn, Sender,
    },
    group::{MlsGroup, ProcessMessageError},
    key_packages::{KeyPackage, KeyPackageIn},
    prelude::{LeafNodeIndex, WireFormat},
};
use openmls_traits::OpenMlsProvider;

use super::{
    Group, Identity, Member, Pending, PendingKind,
    group::{member, pending, pending_key},
};
use crate::{
    error::{Error, InternalError, ProtocolError, Result, UsageError},
    mls::{
        self, MlsCrypto, MlsProvider,
        commit::{RoomCommit, stage_at_member},
        credential::client_uri_of,
        key_package::check_key_package,
        own_commit::{CommitPlan, propose_app_sync, stage_own},
        proposals::{keep, removed_leaf},
        ratchet_tree, upload,
    },
    room::{Profile, app_sync},
    time::UnixMillis,
    wire::{
        self, AppSync, RatchetTreeOption, UpdateContent, UpdateRequest, Verbatim, uri::ClientUri,
    },
};

/// What a commit or proposals of this device change.
#[derive(Debug, Default)]
pub struct Changes {
    /// The KeyPackages of the clients that come in, without header.
    pub adds: Vec<Vec<u8>>,
    /// The leaves that go.
    pub removes: Vec<u32>,
    /// The change to the participant list.
    pub app_sync: Option<AppSync>,
    /// The room's new policy.
    pub policy: Option<Vec<u8>>,
}

/// How a commit is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitOptions {
    /// Whether this device's keys are replaced even if nothing else asks for it.
    pub update_keys: bool,
    /// Whether the tree is left to the hub (A23).
    pub tree_by_reference: bool,
    /// The time, at which the KeyPackages have to be valid.
    pub now: UnixMillis,
}

/// What a message turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Application content.
    Application {
        /// Who sent it.
        from: ClientUri,
        /// The content.
        content: Vec<u8>,
        /// What was authentic, but not encrypted.
        aad: Vec<u8>,
    },
    /// A proposal, which waits for a commit from here on.
    Proposal {
        /// Who sent it; `None`: no member, the hub.
        from: Option<ClientUri>,
        /// Its ProposalRef.
        reference: Vec<u8>,
    },
    /// Another's commit, which is valid and waits for [`Group::accept_received`].
    Commit(ReceivedCommit),
    /// The pending commit of this device: [`Group::accept`] is next.
    OwnCommit,
    /// An application message of this device.
    OwnMessage,
    /// An application message that cannot be decrypted: its keys are used up, or it is not valid.
    Undecryptable,
}

/// What a commit does.
#[derive(Debug, PartialEq, Eq)]
pub struct ReceivedCommit {
    /// Who made it; perhaps one who joins by it.
    pub from: ClientUri,
    /// The changes to the participant list, in the commit's order.
    pub app_syncs: Vec<AppSync>,
    /// The clients whose leaves it brings in.
    pub added: Vec<ClientUri>,
    /// The leaves that it takes out.
    pub removed: Vec<Member>,
}

impl Group {
    /// Makes a commit of the pending proposals and of these changes. It is pending: nothing else changes
    /// until it is accepted.
    ///
    /// # Errors
    /// [`UsageError::BadState`] while another commit is pending; [`ProtocolError::InvalidProposal`] when
    /// the changes are not valid together with what is pending.
    pub fn commit(
        &mut self,
        identity: &Identity,
        changes: Changes,
        options: CommitOptions,
    ) -> Result<&Pending> {
        self.settled(PendingKind::Commit)?;
        let CommitOptions { update_keys, tree_by_reference, now } = options;
        let made = self.step(|group, transaction, crypto| {
            let Changes { adds, removes, app_sync, policy } = changes;
            let adds = key_packages(group, crypto, &adds, now)?;
            let plan = CommitPlan { adds, removes, app_sync, policy, update_keys };
            let provider = MlsProvider::new(transaction, crypto);
            let epoch = group.epoch().as_u64();
            let (bundle, tree) =
                stage_own(group, &provider, identity.key_pair(), plan).map_err(callers_fault)?;
            let tree = match tree_by_reference {
                true => RatchetTreeOption::ByReference,
                false => RatchetTreeOption::Full(ratchet_tree::to_wire(&tree)?),
            };
            let (request, commit) = upload::commit(bundle, tree)?;
            let made = pending(PendingKind::Commit, epoch, &request, commit)?;
            transaction.store(pending_key(), &made)?;
            Ok(made)
        })?;
        Ok(self.pending.insert(made))
    }

    /// Proposes these changes, to be committed by somebody else: the body of `POST update`, an
    /// `UpdateRequest`. They wait in this group too when they come back and are processed.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when there is nothing to propose, or a policy, which cannot be
    /// proposed on its own (R53); [`UsageError::BadState`] while a commit is pending.
    pub fn propose(
        &mut self,
        identity: &Identity,
        changes: &Changes,
        now: UnixMillis,
    ) -> Result<Vec<u8>> {
        self.settled(PendingKind::Commit)?;
        if changes.policy.is_some() {
            return Err(UsageError::BadArgument("a policy is committed, not proposed").into());
        }
        let mut proposals = self.step(|group, transaction, crypto| {
            let before: Vec<_> = references(group);
            let proposals = propose_all(group, transaction, crypto, identity, changes, now)?;
            // They wait once the hub has taken them and they come back.
            let provider = MlsProvider::new(transaction, crypto);
            for reference in references(group) {
                if !before.contains(&reference) {
                    group
                        .remove_pending_proposal(provider.storage(), &reference)
                        .map_err(|_| InternalError::Mls("an own proposal is gone"))?;
                }
            }
            Ok(proposals)
        })?;
        if proposals.is_empty() {
            return Err(UsageError::BadArgument("nothing to propose").into());
        }
        let proposal_or_commit = proposals.remove(0);
        let content = UpdateContent::Proposal(proposals);
        Ok(wire::encode(&UpdateRequest { proposal_or_commit, content })?)
    }

    /// Forgets the proposals that wait.
    ///
    /// # Errors
    /// [`InternalError`] when the rows are broken.
    pub fn drop_proposals(&mut self) -> Result<()> {
        self.step(|group, transaction, crypto| {
            let provider = MlsProvider::new(transaction, crypto);
            Ok(group.clear_pending_proposals(provider.storage())?)
        })
    }

    /// The ProposalRefs of the proposals that wait.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn proposals(&mut self) -> Result<Vec<Vec<u8>>> {
        self.step(|group, _, _| {
            Ok(references(group).iter().map(|reference| reference.as_slice().to_vec()).collect())
        })
    }

    /// Takes in a message: an `MLSMessage` with a PublicMessage or a PrivateMessage. Applies content and
    /// proposals; a commit only when it is accepted.
    ///
    /// # Errors
    /// [`ProtocolError::WrongEpoch`] for a handshake message of another epoch,
    /// [`ProtocolError::InvalidProposal`] and [`ProtocolError::NotAllowed`] for one that is not valid,
    /// [`UsageError::BadArgument`] for a message of another group or kind.
    pub fn process(&mut self, message: &[u8]) -> Result<Received> {
        self.settled(PendingKind::Join)?;
        self.received = None;
        let message: MlsMessageIn = wire::decode_exact(message)?;
        let mut staged = None;
        let received = self.step(|group, transaction, crypto| {
            let provider = MlsProvider::new(transaction, crypto);
            let message = for_group(group, message)?;
            let (received, commit) = process(group, &provider, message)?;
            staged = commit;
            Ok(received)
        })?;
        self.received = staged;
        Ok(received)
    }

    /// The hub took the commit that was received last: this device is in the epoch after it. A pending
    /// commit of this device is gone.
    ///
    /// # Errors
    /// [`UsageError::BadState`] when the last message received was no commit.
    pub fn accept_received(&mut self) -> Result<()> {
        let commit = self.received.take();
        let commit = commit.ok_or(UsageError::BadState("no commit was received last"))?;
        let had_pending = self.pending.is_some();
        self.step(|group, transaction, crypto| {
            if had_pending {
                transaction.delete(pending_key());
            }
            group
                .merge_staged_commit(&MlsProvider::new(transaction, crypto), commit.staged)
                .map_err(|_| InternalError::Mls("a commit cannot be merged"))?;
            Ok(())
        })?;
        self.pending = None;
        Ok(())
    }

    /// Forgets the commit that was received last.
    pub fn reject_received(&mut self) {
        self.received = None;
    }
}

/// What openmls cannot make of a caller's changes is theirs.
fn callers_fault(error: Error) -> Error {
    match error {
        Error::Internal(InternalError::Mls(text)) => ProtocolError::InvalidProposal(text).into(),
        other => other,
    }
}

fn references(group: &MlsGroup) -> Vec<openmls::ciphersuite::hash_ref::ProposalRef> {
    group.pending_proposals().map(|queued| queued.proposal_reference_ref().clone()).collect()
}

/// The valid ones of these KeyPackages have to be all.
fn key_packages(
    group: &MlsGroup,
    crypto: &MlsCrypto,
    encoded: &[Vec<u8>],
    now: UnixMillis,
) -> Result<Vec<KeyPackage>> {
    let required = app_sync::required_capabilities(Profile::of(group.extensions())?);
    let check = |bytes: &Vec<u8>| {
        let key_package: KeyPackageIn = wire::decode_exact(bytes)?;
        let valid = check_key_package(crypto.algorithms(), key_package, &required, now)?;
        Ok(valid.key_package)
    };
    encoded.iter().map(check).collect()
}

/// The PublicMessages, bare.
fn propose_all(
    group: &mut MlsGroup,
    transaction: &mut crate::storage::Transaction<'_>,
    crypto: &MlsCrypto,
    identity: &Identity,
    changes: &Changes,
    now: UnixMillis,
) -> Result<Vec<Verbatim<PublicMessageIn>>> {
    let adds = key_packages(group, crypto, &changes.adds, now)?;
    let (provider, signer) = (MlsProvider::new(transaction, crypto), identity.key_pair());
    let mut messages = Vec::new();
    let bare = |message| mls::without_header(&message, WireFormat::PublicMessage);
    for key_package in &adds {
        let (message, _) = group
            .propose_add_member(&provider, signer, key_package)
            .map_err(|_| ProtocolError::InvalidProposal("an Add cannot be proposed"))?;
        messages.push(bare(message)?);
    }
    for leaf in &changes.removes {
        let (message, _) = group
            .propose_remove_member(&provider, signer, LeafNodeIndex::new(*leaf))
            .map_err(|_| ProtocolError::InvalidProposal("a Remove cannot be proposed"))?;
        messages.push(bare(message)?);
    }
    if let Some(app_sync) = &changes.app_sync {
        messages.push(propose_app_sync(group, &provider, signer, app_sync)?);
    }
    Ok(messages.into_iter().map(Verbatim::own).collect::<Result<_, _>>()?)
}

/// The message, if it is one of this group.
fn for_group(group: &MlsGroup, message: MlsMessageIn) -> Result<ProtocolMessage, Error> {
    let message = match message.extract() {
        MlsMessageBodyIn::PublicMessage(message) => ProtocolMessage::from(message),
        MlsMessageBodyIn::PrivateMessage(message) => ProtocolMessage::from(message),
        _ => return Err(UsageError::BadArgument("not a message to a group").into()),
    };
    if message.group_id() != group.group_id() {
        return Err(UsageError::BadArgument("a message to another group").into());
    }
    let current = group.epoch().as_u64();
    if message.is_handshake_message() && message.epoch().as_u64() != current {
        return Err(ProtocolError::WrongEpoch { current }.into());
    }
    Ok(message)
}

const REFUSED: ProtocolError = ProtocolError::InvalidProposal("MLS refuses the message");

fn process(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    message: ProtocolMessage,
) -> Result<(Received, Option<RoomCommit>)> {
    let is_handshake = message.is_handshake_message();
    let processed = match group.process_message(provider, message) {
        Ok(processed) => processed,
        Err(ProcessMessageError::StorageError(error)) => return Err(error.into()),
        Err(_) if is_handshake => return Err(REFUSED.into()),
        Err(_) => return Ok((Received::Undecryptable, None)),
    };
    Ok(match processed.content() {
        ProcessedMessageContent::StagedCommitMessage(_)
        | ProcessedMessageContent::UnresolvedAppDataCommit(_) => {
            let removable: Vec<_> = group.members().collect();
            let commit = stage_at_member(group, provider, processed)?;
            commit.check_credentials(group.public_group())?;
            let summary = summary(&commit, &removable)?;
            (Received::Commit(summary), Some(commit))
        }
        ProcessedMessageContent::OwnPendingCommit => (Received::OwnCommit, None),
        ProcessedMessageContent::OwnPrivateMessage => (Received::OwnMessage, None),
        ProcessedMessageContent::ApplicationMessage(_) => (application(processed)?, None),
        ProcessedMessageContent::ProposalMessage(_) => {
            (proposal(group, provider, processed)?, None)
        }
        _ => return Err(REFUSED.into()),
    })
}

fn application(processed: ProcessedMessage) -> Result<Received> {
    let (from, aad) = (client_uri_of(processed.credential())?, processed.aad().to_vec());
    match processed.into_content() {
        ProcessedMessageContent::ApplicationMessage(content) => {
            Ok(Received::Application { from, content: content.into_bytes(), aad })
        }
        _ => Ok(Received::Undecryptable),
    }
}

fn proposal(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    processed: ProcessedMessage,
) -> Result<Received> {
    let from = match processed.sender() {
        Sender::Member(_) => Some(client_uri_of(processed.credential())?),
        _ => None,
    };
    let ProcessedMessageContent::ProposalMessage(proposal) = processed.into_content() else {
        return Err(REFUSED.into());
    };
    let reference = proposal.proposal_reference_ref().as_slice().to_vec();
    keep(group, provider, *proposal)?;
    Ok(Received::Proposal { from, reference })
}

fn summary(commit: &RoomCommit, members: &[openmls::group::Member]) -> Result<ReceivedCommit> {
    let removed: Vec<u32> = commit.staged.queued_proposals().filter_map(removed_leaf).collect();
    let removed = members.iter().filter(|leaf| removed.contains(&leaf.index.u32()));
    Ok(ReceivedCommit {
        from: client_uri_of(&commit.credential)?,
        app_syncs: commit.resolution.app_syncs.clone(),
        added: commit.entering()?,
        removed: removed.map(member).collect::<Result<_>>()?,
    })
}
