//! What a member's own commits and proposals carry besides Adds and Removes: AppSyncs and the policy.

use openmls::{
    extensions::Extensions,
    group::{CommitBuilder, GroupContext, LoadedPsks, MlsGroup},
    messages::proposals::{
        AppDataUpdateOperation, AppDataUpdateProposal, CustomProposal,
        GroupContextExtensionProposal, Proposal,
    },
    prelude::WireFormat,
};
use openmls_traits::signatures::Signer;
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
