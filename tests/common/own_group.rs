//! What a member does with its group, without a client around it: create, join, commit.

use openmls::{
    extensions::ExternalSender,
    group::{GroupId, MlsGroup, StagedWelcome},
    key_packages::KeyPackage,
    messages::Welcome,
    prelude::{Ciphersuite, LeafNodeIndex, WireFormat},
    treesync::RatchetTreeIn,
};
use openmls_traits::{OpenMlsProvider, signatures::Signer};

use mimi_edge::{
    error::{Error, InternalError, ProtocolError},
    mls::{
        MlsProvider, create_config,
        credential::credential_with_key,
        join_config,
        own_commit::{own_proposals, resolve_own},
        ratchet_tree, without_header,
    },
    room::{ParticipantList, Profile},
    time::UnixMillis,
    wire::{
        self, AppSync, RatchetTree,
        uri::{ClientUri, RoomUri},
    },
};

/// What a commit of our own changes, beside the proposals that are pending anyway. Nothing at all makes
/// a commit that renews the committer's keys.
#[derive(Debug, Clone, Default)]
pub struct RoomChange {
    /// The change to the participant list.
    pub app_sync: Option<AppSync>,
    /// The room's new policy.
    pub policy: Option<Vec<u8>>,
    /// KeyPackages of the clients that are added, checked.
    pub adds: Vec<KeyPackage>,
    /// Leaf indices of the clients that are removed.
    pub removes: Vec<u32>,
}

/// A commit of our own, pending in the group's storage until it is merged or cleared (D6).
#[derive(Debug, Clone)]
pub struct OwnCommit {
    /// The Commit, a `PublicMessage`.
    pub message: Vec<u8>,
    /// The Welcome, when the commit adds someone.
    pub welcome: Option<Vec<u8>>,
    /// The GroupInfo of the epoch after it, without a tree.
    pub group_info: Vec<u8>,
    /// The tree after it.
    pub tree: RatchetTree,
}

/// The group id of a room: its URI's bytes (R8).
pub fn group_id(room: &RoomUri) -> GroupId {
    GroupId::from_slice(room.as_str().as_bytes())
}

/// The member's group of `room`, when it has one.
pub fn load_group(
    provider: &MlsProvider<'_, '_>,
    room: &RoomUri,
) -> Result<Option<MlsGroup>, InternalError> {
    MlsGroup::load(provider.storage(), &group_id(room))
}

/// Creates the group of a new room, with `client` as its only member and the client's user as its
/// only participant (R14, R15). `hub` as in [`create_config`].
pub fn create_group(
    provider: &MlsProvider<'_, '_>,
    signer: &impl Signer,
    (client, signature_key): (&ClientUri, &[u8]),
    room: &RoomUri,
    (suite, profile, hub): (Ciphersuite, Profile, Option<ExternalSender>),
    now: UnixMillis,
) -> Result<MlsGroup, InternalError> {
    let list = ParticipantList::of_creator(client.user());
    let config = create_config(suite, profile, &list, hub, now)?;
    let credential = credential_with_key(client, signature_key);
    MlsGroup::new_with_group_id(provider, signer, &config, group_id(room), credential)
        .map_err(|_| InternalError::Mls("a group cannot be created"))
}

/// The GroupInfo of the current epoch, with `external_pub` and without a tree.
pub fn export_group_info(
    group: &MlsGroup,
    provider: &MlsProvider<'_, '_>,
    signer: &impl Signer,
) -> Result<Vec<u8>, InternalError> {
    let message = group
        .export_group_info(provider.crypto(), signer, false)
        .map_err(|_| InternalError::Mls("GroupInfo"))?;
    without_header(&message, WireFormat::GroupInfo)
}

/// Joins by a Welcome, with the tree that came beside it.
pub fn join_by_welcome(
    provider: &MlsProvider<'_, '_>,
    welcome: Welcome,
    tree: RatchetTreeIn,
) -> Result<MlsGroup, Error> {
    const REFUSED: ProtocolError = ProtocolError::InvalidProposal("MLS refuses the Welcome");
    StagedWelcome::build_from_welcome(provider, &join_config(), welcome)
        .map_err(|_| REFUSED)?
        .with_ratchet_tree(tree)
        .skip_lifetime_validation()
        .replace_old_group()
        .build()
        .map_err(|_| REFUSED)?
        .into_group(provider)
        .map_err(|_| REFUSED.into())
}

/// Commits the group's pending proposals and then `change`; the commit stays pending.
pub fn commit(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    signer: &impl Signer,
    change: RoomChange,
) -> Result<OwnCommit, Error> {
    const UNSTAGED: InternalError = InternalError::Mls("a commit cannot be staged");
    let RoomChange { app_sync, policy, adds, removes } = change;
    let proposals = own_proposals(group, app_sync.as_ref(), policy.as_deref())?;
    let extensions = group.extensions().clone();
    let mut builder = group
        .commit_builder()
        .add_proposals(proposals)
        .propose_removals(removes.into_iter().map(LeafNodeIndex::new))
        .propose_adds(adds)
        .load_psks(provider.storage())
        .map_err(|_| InternalError::Mls("no commit possible now"))?
        .create_group_info(true);
    resolve_own(&extensions, &mut builder)?;
    let bundle = builder
        .build(provider.rand(), provider.crypto(), signer, |_| true)
        .map_err(|_| ProtocolError::InvalidProposal("MLS refuses the proposals"))?
        .stage_commit(provider)
        .map_err(|_| UNSTAGED)?;
    let (message, welcome, group_info) = bundle.into_contents();
    let tree = group
        .pending_commit()
        .ok_or(UNSTAGED)?
        .export_ratchet_tree(provider.crypto(), group.export_ratchet_tree())
        .map_err(|_| UNSTAGED)?
        .ok_or(UNSTAGED)?;
    Ok(OwnCommit {
        message: without_header(&message, WireFormat::PublicMessage)?,
        welcome: welcome.as_ref().map(wire::encode).transpose()?,
        group_info: wire::encode(&group_info.ok_or(UNSTAGED)?)?,
        tree: ratchet_tree::to_wire(&tree)?,
    })
}
