//! What a member's own commits and proposals carry besides Adds and Removes: AppSyncs and the policy.

use openmls::{
    extensions::Extensions,
    group::{CommitBuilder, CommitMessageBundle, GroupContext, LoadedPsks, MlsGroup},
    key_packages::KeyPackage,
    messages::proposals::{
        AppDataUpdateOperation, AppDataUpdateProposal, CustomProposal,
        GroupContextExtensionProposal, Proposal,
    },
    prelude::{LeafNodeIndex, WireFormat},
    treesync::RatchetTree,
};
use openmls_traits::{OpenMlsProvider, signatures::Signer};
use serde::Serialize;

use super::{MlsProvider, without_header};
use crate::{
    error::{Error, InternalError, ProtocolError},
    room::{
        Profile,
        app_sync::{
            app_sync_proposal, extensions_to_propose, participant_list, resolve, resolve_updates,
        },
        codepoints::{component, proposal},
    },
    storage::{decode_row, encode_row},
    wire::{self, AppSync},
};

/// What a commit of our own does beside covering what is pending.
#[derive(Debug, Default)]
pub struct CommitPlan {
    /// The valid KeyPackages of the clients that come in.
    pub adds: Vec<KeyPackage>,
    /// The leaves that go.
    pub removes: Vec<u32>,
    /// The change to the list.
    pub app_sync: Option<AppSync>,
    /// The new policy.
    pub policy: Option<Vec<u8>>,
    /// Whether our keys are replaced even if nothing else asks for it.
    pub update_keys: bool,
}

/// Makes one commit of what is pending and of the plan (R40–R42, R54), with its GroupInfo, and leaves it
/// pending; also gives the tree after it.
///
/// # Errors
/// As [`own_proposals`]; [`InternalError::Mls`] when openmls cannot make it.
pub fn stage_own(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    signer: &impl Signer,
    plan: CommitPlan,
) -> Result<(CommitMessageBundle, RatchetTree), Error> {
    let CommitPlan { adds, removes, app_sync, policy, update_keys } = plan;
    let extensions = group.extensions().clone();
    let proposals = own_proposals(group, app_sync.as_ref(), policy.as_deref())?;
    let mut builder = group
        .commit_builder()
        .force_self_update(update_keys)
        .add_proposals(proposals)
        .propose_adds(adds)
        .propose_removals(removes.into_iter().map(LeafNodeIndex::new))
        .load_psks(provider.storage())
        .map_err(|_| InternalError::Mls("PSKs"))?
        .create_group_info(true)
        .use_ratchet_tree_extension(false);
    resolve_own(&extensions, &mut builder)?;
    let bundle = builder
        .build(provider.rand(), provider.crypto(), signer, |_| true)
        .map_err(|_| InternalError::Mls("a commit cannot be made"))?
        .stage_commit(provider)
        .map_err(|_| InternalError::Mls("a commit cannot be staged"))?;
    let tree = group
        .pending_commit()
        .and_then(|staged| {
            staged.export_ratchet_tree(provider.crypto(), group.export_ratchet_tree()).ok()?
        })
        .ok_or(InternalError::Mls("the tree after a commit"))?;
    Ok((bundle, tree))
}

/// The proposals, by value and in this order, with which a commit of our own changes the list, the
/// policy, or both (R35, R36).
///
/// The group's pending proposals are in the commit too (R54): in profile A, what they make of the list
/// has to be proposed even if the commit itself changes nothing.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when the AppSyncs, with the pending ones, are not valid together
/// (R38), when the policy is too large, and in profile B when the policy would share the commit with a
/// pending AppSync: MLS wants it in front of them, which openmls cannot do. Commit those first.
pub fn own_proposals(
    group: &MlsGroup,
    app_sync: Option<&AppSync>,
    policy: Option<&[u8]>,
) -> Result<Vec<Proposal>, Error> {
    let old = group.extensions();
    let profile = Profile::of(old)?;
    let own = app_sync.map(|app_sync| app_sync_proposal(profile, app_sync)).transpose()?;
    let pending = group.pending_proposals().map(|queued| queued.proposal());
    let resolution = resolve(profile, &participant_list(old)?, pending.chain(&own))?;
    let is_pending = resolution.app_syncs.len() > own.iter().count();
    if profile == Profile::B && policy.is_some() && is_pending {
        return Err(ProtocolError::InvalidProposal("the policy stands behind an AppSync").into());
    }
    let extensions = extensions_to_propose(old, &resolution, policy)?;
    let extensions = extensions.map(group_context_extensions_proposal).transpose()?;
    Ok(extensions.into_iter().chain(own).collect())
}

/// openmls makes this proposal inside its builder only; but it can be read from a storage.
fn group_context_extensions_proposal(
    extensions: Extensions<GroupContext>,
) -> Result<Proposal, InternalError> {
    /// [`GroupContextExtensionProposal`] as it is stored.
    #[derive(Serialize)]
    struct Stored {
        extensions: Extensions<GroupContext>,
    }
    let stored = encode_row(&Stored { extensions })?;
    let proposal: GroupContextExtensionProposal = decode_row(&stored)?;
    Ok(Proposal::GroupContextExtensions(Box::new(proposal)))
}

/// Tells openmls what the AppSyncs of a commit that is being built make of the list: the group's
/// pending ones, then the builder's own. Needed before `build`, also when there are none. In profile A
/// the list is among [`own_proposals`] and nothing is left to do.
///
/// # Errors
/// As [`resolve_updates`].
pub fn resolve_own(
    group_extensions: &Extensions<GroupContext>,
    builder: &mut CommitBuilder<'_, LoadedPsks, &mut MlsGroup>,
) -> Result<(), Error> {
    let list = participant_list(group_extensions)?;
    let proposals: Vec<&AppDataUpdateProposal> = builder.app_data_update_proposals().collect();
    let resolution = resolve_updates(&list, proposals)?;
    let updates = resolution.dictionary_updates(builder.app_data_dictionary_updater())?;
    builder.with_app_data_dictionary_updates(updates);
    Ok(())
}

/// Proposes an AppSync on its own, to be committed by somebody else (R53, R57): the `PublicMessage`.
/// The proposal is pending in the group from here on.
///
/// # Errors
/// [`InternalError`] when openmls or the storage fails.
pub fn propose_app_sync(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    signer: &impl Signer,
    app_sync: &AppSync,
) -> Result<Vec<u8>, Error> {
    const FAILED: InternalError = InternalError::Mls("an AppSync cannot be proposed");
    let bytes = wire::encode(app_sync)?;
    let (message, _) = match Profile::of(group.extensions())? {
        Profile::B => {
            let update = AppDataUpdateOperation::Update(bytes.into());
            group
                .propose_app_data_update(provider, signer, component::PARTICIPANT_LIST, update)
                .map_err(|_| FAILED)?
        }
        Profile::A => {
            let proposal = CustomProposal::new(proposal::APP_SYNC, bytes);
            group
                .propose_custom_proposal_by_reference(provider, signer, proposal)
                .map_err(|_| FAILED)?
        }
    };
    Ok(without_header(&message, WireFormat::PublicMessage)?)
}
