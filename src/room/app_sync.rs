//! AppSync in MLS: profile B of WIRE a.5, AppDataUpdate proposals of the participant list component.
//!
//! The list stands in the GroupContext's `app_data_dictionary`; an AppSync travels as the update of an
//! AppDataUpdate proposal. Hub and members resolve the updates of a commit by [`resolve`], so that
//! all come to the same GroupContext; whoever does not, rejects the commit (R44).

use openmls::{
    component::{ComponentData, ComponentsList},
    extensions::{AppDataDictionary, AppDataDictionaryExtension, Extension, Extensions},
    group::{AppDataDictionaryUpdater, AppDataUpdates, GroupContext},
    messages::proposals::{AppDataUpdateOperation, AppDataUpdateProposal, Proposal},
    prelude::{CredentialType, ExtensionType, ProposalType, RequiredCapabilitiesExtension},
    treesync::LeafNode,
};
use tls_codec::VLBytes;

use super::{
    ParticipantList,
    codepoints::{component, credential, extension, proposal},
};
use crate::{
    error::{InternalError, ProtocolError},
    wire::{self, AppSync, RequiredCapabilities},
};

/// Largest `RoomPolicy`, in bytes (R36).
pub const MAX_ROOM_POLICY_BYTES: usize = 16 << 10;

/// What every member has to support, in MLS' own numbers: for a room's `required_capabilities` and
/// for claims (WIRE a.5).
#[must_use]
pub fn required_capabilities() -> RequiredCapabilities {
    RequiredCapabilities {
        extension_types: vec![extension::APP_DATA_DICTIONARY, extension::ROOM_POLICY],
        proposal_types: vec![proposal::APP_DATA_UPDATE],
        credential_types: vec![credential::BASIC],
    }
}

/// The GroupContext extensions of a new room: what every member has to support, the known components
/// (D23) and the list.
///
/// # Errors
/// [`InternalError`] when the list is longer than a vector can be.
pub fn initial_extensions(
    list: &ParticipantList,
) -> Result<Extensions<GroupContext>, InternalError> {
    let RequiredCapabilities { extension_types, proposal_types, credential_types } =
        required_capabilities();
    let required = RequiredCapabilitiesExtension::new(
        &extension_types.into_iter().map(ExtensionType::from).collect::<Vec<_>>(),
        &proposal_types.into_iter().map(ProposalType::from).collect::<Vec<_>>(),
        &credential_types.into_iter().map(CredentialType::from).collect::<Vec<_>>(),
    );
    let mut dictionary = known_components()?;
    dictionary.insert(component::PARTICIPANT_LIST, list.encode()?);
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary)),
    ])
    .map_err(|_| InternalError::Mls("group context extensions"))
}

/// The leaf extensions of our clients: the known components (D23).
///
/// # Errors
/// [`InternalError`] never in practice: the value is constant.
pub fn leaf_extensions() -> Result<Extensions<LeafNode>, InternalError> {
    let dictionary = AppDataDictionaryExtension::new(known_components()?);
    Extensions::single(Extension::AppDataDictionary(dictionary))
        .map_err(|_| InternalError::Mls("leaf extensions"))
}

fn known_components() -> Result<AppDataDictionary, InternalError> {
    let mut dictionary = AppDataDictionary::new();
    let components = ComponentsList::new(vec![component::PARTICIPANT_LIST]);
    dictionary.insert(component::APP_COMPONENTS, wire::encode(&components)?);
    Ok(dictionary)
}

/// The list in a GroupContext.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when there is none, or it is not valid.
pub fn participant_list(
    extensions: &Extensions<GroupContext>,
) -> Result<ParticipantList, ProtocolError> {
    let list = extensions
        .app_data_dictionary()
        .and_then(|extension| extension.dictionary().get(&component::PARTICIPANT_LIST))
        .ok_or(ProtocolError::InvalidProposal("no participant list in the group context"))?;
    ParticipantList::decode(list)
}

/// The proposal that carries `app_sync`.
///
/// # Errors
/// [`InternalError::Codec`] when it is longer than a vector can be.
pub fn app_sync_proposal(app_sync: &AppSync) -> Result<Proposal, InternalError> {
    let update =
        AppDataUpdateProposal::update(component::PARTICIPANT_LIST, wire::encode(app_sync)?);
    Ok(Proposal::AppDataUpdate(Box::new(update)))
}

/// What the AppSyncs of a commit make of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The commit's AppSyncs in its order; empty when the list does not change.
    pub app_syncs: Vec<AppSync>,
    /// The list after the commit.
    pub list: ParticipantList,
}

impl Resolution {
    /// The change to the dictionary, as openmls takes it; `None` when the list does not change.
    ///
    /// # Errors
    /// [`InternalError::Codec`] when the list is longer than a vector can be.
    pub fn dictionary_updates(
        &self,
        mut updater: AppDataDictionaryUpdater<'_>,
    ) -> Result<Option<AppDataUpdates>, InternalError> {
        if !self.app_syncs.is_empty() {
            let list = VLBytes::from(self.list.encode()?);
            updater.set(ComponentData::from_parts(component::PARTICIPANT_LIST, list));
        }
        Ok(updater.changes())
    }
}

/// Applies the AppDataUpdates of one commit, in its order, to the list before it (R37–R39).
///
/// # Errors
/// [`ProtocolError::NotAllowed`] for an update of another component,
/// [`ProtocolError::InvalidProposal`] for the removal of the list (R35), for what is no AppSync, and
/// for AppSyncs that are not valid together (R38).
pub fn resolve<'p>(
    list: &ParticipantList,
    updates: impl IntoIterator<Item = &'p AppDataUpdateProposal>,
) -> Result<Resolution, ProtocolError> {
    let app_syncs = updates.into_iter().map(read_app_sync).collect::<Result<Vec<_>, _>>()?;
    let list = list.apply(&app_syncs)?;
    Ok(Resolution { app_syncs, list })
}

fn read_app_sync(update: &AppDataUpdateProposal) -> Result<AppSync, ProtocolError> {
    if update.component_id() != component::PARTICIPANT_LIST {
        return Err(ProtocolError::NotAllowed("an update of another component".to_owned()));
    }
    match update.operation() {
        AppDataUpdateOperation::Update(bytes) => wire::decode_exact(bytes.as_slice())
            .map_err(|_| ProtocolError::InvalidProposal("an AppSync does not decode")),
        AppDataUpdateOperation::Remove => {
            Err(ProtocolError::InvalidProposal("the participant list cannot be removed"))
        }
    }
}

/// Checks a GroupContextExtensions proposal: it may set the room's policy, and nothing else (R36).
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when it changes the `app_data_dictionary` (R35) or its policy
/// is not a `RoomPolicy`; [`ProtocolError::NotAllowed`] when it changes another extension.
pub fn check_group_context_extensions(
    old: &Extensions<GroupContext>,
    new: &Extensions<GroupContext>,
) -> Result<(), ProtocolError> {
    if old.app_data_dictionary() != new.app_data_dictionary() {
        return Err(ProtocolError::InvalidProposal("the list changes by AppSync alone"));
    }
    let policy = ExtensionType::from(extension::ROOM_POLICY);
    let others = |extensions: &Extensions<GroupContext>| {
        let others = extensions.iter().filter(|other| other.extension_type() != policy).cloned();
        others.collect::<Vec<_>>()
    };
    let (old, others) = (others(old), others(new));
    if old.len() != others.len() || !others.iter().all(|extension| old.contains(extension)) {
        return Err(ProtocolError::NotAllowed("only the policy may change this way".to_owned()));
    }
    match new.unknown(extension::ROOM_POLICY) {
        Some(policy) => check_room_policy(&policy.0),
        None => Ok(()),
    }
}

fn check_room_policy(bytes: &[u8]) -> Result<(), ProtocolError> {
    let policy: Result<VLBytes, _> = wire::decode_exact(bytes);
    if policy.is_ok_and(|policy| policy.as_slice().len() <= MAX_ROOM_POLICY_BYTES) {
        return Ok(());
    }
    Err(ProtocolError::InvalidProposal("the room's policy"))
}

#[cfg(test)]
mod tests;
