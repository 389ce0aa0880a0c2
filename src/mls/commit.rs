//! Commits of a room: verified, resolved, staged, the same way at the hub and at members.
//!
//! openmls does not know what an AppSync means. In profile B, a commit with AppDataUpdates comes back
//! unresolved; here they are applied (R37–R39) and the commit is staged over the result, and a member to
//! whom it gives another list than to the committer gets another confirmation tag and refuses (R44). In
//! profile A, openmls stages the extensions that the commit brings; here they are compared with what
//! its AppSyncs make of the list (R35).

use openmls::{
    credentials::Credential,
    framing::{
        ProcessedMessage, ProcessedMessageContent, ProtocolMessage, PublicMessageIn, Sender,
    },
    group::{
        AppDataDictionaryUpdater, AppDataUpdates, GroupContext, Member, MlsGroup, PublicGroup,
        QueuedProposal, StageCommitError, StagedCommit, UnresolvedAppDataCommit,
    },
    messages::proposals::{Proposal, ProposalOrRefType},
    prelude::{Ciphersuite, Extensions, OpenMlsCrypto},
};

use super::{
    MlsProvider, credential::client_uri_of, key_package::ref_hash, proposals::removed_leaf,
};
use crate::{
    error::{Error, InternalError, ProtocolError},
    room::{
        Profile,
        app_sync::{self, Resolution},
        policy,
    },
    sorted::SortedSet,
    wire::uri::ClientUri,
};

/// A commit that is ready to be merged.
#[derive(Debug)]
pub struct RoomCommit {
    /// Who sent it.
    pub sender: Sender,
    /// The sender's credential; of an external commit, the new leaf's.
    pub credential: Credential,
    /// The group after it.
    pub staged: StagedCommit,
    /// Its AppSyncs, and the list after it.
    pub resolution: Resolution,
}

impl RoomCommit {
    /// The clients whose leaves enter by this commit: by Add, or by the external commit itself.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidProposal`] when a credential names no client.
    pub fn entering(&self) -> Result<Vec<ClientUri>, ProtocolError> {
        let added = self.staged.add_proposals().map(|queued| {
            client_uri_of(queued.add_proposal().key_package().leaf_node().credential())
        });
        let joined =
            matches!(self.sender, Sender::NewMemberCommit).then(|| client_uri_of(&self.credential));
        added.chain(joined).collect()
    }

    /// Checks that no leaf changes its credential, and that no client has two leaves after the commit
    /// (R65). `group` is the group before it.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidProposal`] when that is not so, or a credential names no client.
    pub fn check_credentials(&self, group: &PublicGroup) -> Result<(), ProtocolError> {
        let path = self.staged.update_path_leaf_node().map(|leaf| (&self.sender, leaf));
        let updates = self.staged.queued_proposals().filter_map(|queued| match queued.proposal() {
            Proposal::Update(update) => Some((queued.sender(), update.leaf_node())),
            _ => None,
        });
        for (sender, new) in path.into_iter().chain(updates) {
            if let Sender::Member(leaf) = sender
                && group.leaf(*leaf).is_none_or(|old| old.credential() != new.credential())
            {
                return Err(ProtocolError::InvalidProposal("a leaf's credential changes"));
            }
        }
        let removed: SortedSet<u32> =
            self.staged.queued_proposals().filter_map(removed_leaf).collect();
        let kept = group.members().filter(|member| !removed.contains(&member.index.u32()));
        let mut clients = kept
            .map(|member| client_uri_of(&member.credential))
            .collect::<Result<SortedSet<_>, _>>()?;
        if self.entering()?.into_iter().all(|client| clients.insert(client)) {
            return Ok(());
        }
        Err(ProtocolError::InvalidProposal("a client has two leaves"))
    }

    /// R35, R36, R44: the AppSyncs are of the room's profile, the extensions proposed are what they and
    /// the policy make of `old`, and an external commit changes neither list nor keys.
    fn check_app_syncs(&self, old: &Extensions<GroupContext>) -> Result<(), Error> {
        if matches!(self.sender, Sender::NewMemberCommit) {
            self.check_external()?;
        }
        let profile = Profile::of(old)?;
        let mut new = None;
        for queued in self.staged.queued_proposals() {
            // Profile A's have no effect in profile B.
            app_sync::app_sync_of(profile, queued.proposal())?;
            let Proposal::GroupContextExtensions(proposal) = queued.proposal() else { continue };
            if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
                let text = "extensions are proposed by reference";
                return Err(ProtocolError::InvalidProposal(text).into());
            }
            new = Some(proposal.extensions());
        }
        app_sync::check_group_context_extensions(old, new, &self.resolution)
    }

    fn check_external(&self) -> Result<(), ProtocolError> {
        let changes_list = !self.resolution.app_syncs.is_empty();
        if changes_list || self.staged.psk_proposals().next().is_some() {
            let text = "an external commit carries no AppSync and no PSK";
            return Err(ProtocolError::NotAllowed(text.to_owned()));
        }
        Ok(())
    }
}

/// Verifies a handshake message at the hub: framing, signature, and of a commit without AppSyncs the
/// rest too.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when MLS refuses it.
pub fn verify_at_hub(
    group: &PublicGroup,
    crypto: &impl OpenMlsCrypto,
    message: PublicMessageIn,
) -> Result<ProcessedMessage, ProtocolError> {
    group
        .process_message(crypto, ProtocolMessage::from(message))
        .map_err(|_| ProtocolError::InvalidProposal("MLS refuses the message"))
}

/// Resolves and stages a verified commit at the hub.
///
/// # Errors
/// As [`app_sync::resolve`] and [`app_sync::check_group_context_extensions`];
/// [`ProtocolError::InvalidProposal`] when MLS refuses the commit, or it proposes extensions by
/// reference (R53); [`ProtocolError::NotAllowed`] for an external commit with an AppSync or a PSK (R36).
pub fn stage_at_hub(
    group: &PublicGroup,
    crypto: &impl OpenMlsCrypto,
    message: ProcessedMessage,
) -> Result<RoomCommit, Error> {
    let context = (group.group_context().extensions(), group.app_data_dictionary_updater());
    stage(context, message, |unresolved, updates| {
        group.stage_app_data_commit(crypto, unresolved, updates)
    })
}

/// Resolves and stages a verified commit at a member (D8).
///
/// # Errors
/// As [`stage_at_hub`]; also when the committer came to another list (R44).
pub fn stage_at_member(
    group: &MlsGroup,
    provider: &MlsProvider<'_, '_>,
    message: ProcessedMessage,
) -> Result<RoomCommit, Error> {
    let context = (group.extensions(), group.app_data_dictionary_updater());
    stage(context, message, |unresolved, updates| {
        group.stage_app_data_commit(provider, unresolved, updates)
    })
}

fn stage(
    (extensions, updater): (&Extensions<GroupContext>, AppDataDictionaryUpdater<'_>),
    message: ProcessedMessage,
    stage_resolved: impl FnOnce(
        UnresolvedAppDataCommit,
        Option<AppDataUpdates>,
    ) -> Result<StagedCommit, StageCommitError>,
) -> Result<RoomCommit, Error> {
    let (sender, credential) = (message.sender().clone(), message.credential().clone());
    let (profile, list) = (Profile::of(extensions)?, app_sync::participant_list(extensions)?);
    let (staged, resolution) = match message.into_content() {
        ProcessedMessageContent::StagedCommitMessage(staged) => {
            let proposals = staged.queued_proposals().map(QueuedProposal::proposal);
            let resolution = app_sync::resolve(profile, &list, proposals)?;
            (*staged, resolution)
        }
        ProcessedMessageContent::UnresolvedAppDataCommit(_) if profile == Profile::A => {
            return Err(app_sync::OTHER_PROFILE.into());
        }
        ProcessedMessageContent::UnresolvedAppDataCommit(unresolved) => {
            let updates = unresolved.app_data_update_proposals();
            let resolution = app_sync::resolve_updates(&list, updates)?;
            let updates = resolution.dictionary_updates(updater)?;
            let staged = stage_resolved(*unresolved, updates).map_err(|error| refusal(&error))?;
            (staged, resolution)
        }
        _ => return Err(ProtocolError::InvalidProposal("not a commit").into()),
    };
    let commit = RoomCommit { sender, credential, staged, resolution };
    commit.check_app_syncs(extensions)?;
    Ok(commit)
}

fn refusal(error: &StageCommitError) -> ProtocolError {
    ProtocolError::InvalidProposal(match error {
        StageCommitError::ConfirmationTagMismatch => "the confirmation tag does not match",
        _ => "MLS refuses the commit",
    })
}

/// The clients that have a leaf, with their leaf index.
///
/// # Errors
/// [`InternalError`] when a leaf of an accepted group names no client.
pub fn leaves(group: &PublicGroup) -> Result<Vec<(u32, ClientUri)>, InternalError> {
    group
        .members()
        .map(|member| {
            let client = client_uri_of(&member.credential)
                .map_err(|_| InternalError::Mls("a leaf names no client"))?;
            Ok((member.index.u32(), client))
        })
        .collect()
}

/// Whether a device can work in a group that it is about to enter: every leaf names a client, none
/// stands twice (R9), and the list and the policy can be read (R36, R87).
///
/// # Errors
/// [`ProtocolError`] when not; the hub of such a group breaks the rules.
pub fn check_entered(
    members: impl Iterator<Item = Member>,
    extensions: &Extensions<GroupContext>,
) -> Result<(), ProtocolError> {
    let mut clients = SortedSet::new();
    for member in members {
        if !clients.insert(client_uri_of(&member.credential)?) {
            return Err(ProtocolError::InvalidProposal("a client stands twice in the tree"));
        }
    }
    policy::room_policy(extensions)?;
    app_sync::participant_list(extensions).map(|_| ())
}

/// The ProposalRef of a Proposal's `AuthenticatedContent` (RFC 9420 §5.2).
///
/// # Errors
/// [`InternalError::Mls`] when the suite's hash fails.
pub fn proposal_ref(
    crypto: &impl OpenMlsCrypto,
    suite: Ciphersuite,
    authenticated_content: &[u8],
) -> Result<Vec<u8>, InternalError> {
    ref_hash(crypto, suite, "MLS 1.0 Proposal Reference", authenticated_content)
}
