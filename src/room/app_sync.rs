//! AppSync in MLS, in the two profiles of WIRE a.5.
//!
//! Profile B: the list stands in the GroupContext's `app_data_dictionary`; an AppSync travels as the
//! update of an AppDataUpdate proposal. Profile A: the list stands in an extension of its own; an
//! AppSync travels as a custom proposal, and the commit that covers it carries the extensions after it
//! in a GroupContextExtensions proposal. Hub and members resolve the AppSyncs of a commit by
//! [`resolve`] and [`check_group_context_extensions`], so that all come to the same GroupContext;
//! whoever does not, rejects the commit (R44).

use openmls::{
    component::{ComponentData, ComponentsList},
    extensions::{
        AppDataDictionary, AppDataDictionaryExtension, Extension, Extensions, UnknownExtension,
    },
    group::{AppDataDictionaryUpdater, AppDataUpdates, GroupContext},
    messages::proposals::{
        AppDataUpdateOperation, AppDataUpdateProposal, CustomProposal, Proposal,
    },
    prelude::{CredentialType, ExtensionType, ProposalType, RequiredCapabilitiesExtension},
    treesync::LeafNode,
};
use tls_codec::VLBytes;

use super::{
    ParticipantList, Profile,
    codepoints::{component, credential, extension, proposal},
    policy::{policy_extension, room_policy},
    profile::{decode_application_state, encode_application_state},
};
use crate::{
    error::{Error, InternalError, ProtocolError},
    wire::{self, AppSync, RequiredCapabilities},
};

/// What every member has to support, in MLS' own numbers: for a room's `required_capabilities` and
/// for claims (WIRE a.5).
#[must_use]
pub fn required_capabilities(profile: Profile) -> RequiredCapabilities {
    let (carrier, app_sync) = match profile {
        Profile::B => (extension::APP_DATA_DICTIONARY, proposal::APP_DATA_UPDATE),
        Profile::A => (extension::APPLICATION_STATE, proposal::APP_SYNC),
    };
    RequiredCapabilities {
        extension_types: vec![carrier, extension::ROOM_POLICY],
        proposal_types: vec![app_sync],
        credential_types: vec![credential::BASIC],
    }
}

/// The GroupContext extensions of a new room: what every member has to support, and the list; in
/// profile B the known components too (D23).
///
/// # Errors
/// [`InternalError`] when the list is longer than a vector can be.
pub fn initial_extensions(
    profile: Profile,
    list: &ParticipantList,
) -> Result<Extensions<GroupContext>, InternalError> {
    let RequiredCapabilities { extension_types, proposal_types, credential_types } =
        required_capabilities(profile);
    let required = RequiredCapabilitiesExtension::new(
        &extension_types.into_iter().map(ExtensionType::from).collect::<Vec<_>>(),
        &proposal_types.into_iter().map(ProposalType::from).collect::<Vec<_>>(),
        &credential_types.into_iter().map(CredentialType::from).collect::<Vec<_>>(),
    );
    let carrier = match profile {
        Profile::B => {
            let mut dictionary = known_components()?;
            dictionary.insert(component::PARTICIPANT_LIST, list.encode()?);
            Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary))
        }
        Profile::A => application_state(list)?,
    };
    Extensions::from_vec(vec![Extension::RequiredCapabilities(required), carrier])
        .map_err(|_| InternalError::Mls("group context extensions"))
}

/// Profile A's carrier of the list.
fn application_state(list: &ParticipantList) -> Result<Extension, InternalError> {
    let state = UnknownExtension(encode_application_state(list)?);
    Ok(Extension::Unknown(extension::APPLICATION_STATE, state))
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

/// The list in a GroupContext, in either profile.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when there is none, or it is not valid.
pub fn participant_list(
    extensions: &Extensions<GroupContext>,
) -> Result<ParticipantList, ProtocolError> {
    const NONE: ProtocolError =
        ProtocolError::InvalidProposal("no participant list in the group context");
    match Profile::of(extensions)? {
        Profile::B => {
            let list = extensions
                .app_data_dictionary()
                .and_then(|extension| extension.dictionary().get(&component::PARTICIPANT_LIST));
            ParticipantList::decode(list.ok_or(NONE)?)
        }
        Profile::A => {
            let state = extensions.unknown(extension::APPLICATION_STATE).ok_or(NONE)?;
            decode_application_state(&state.0)
        }
    }
}

/// The proposal that carries `app_sync` in a room of this profile.
///
/// # Errors
/// [`InternalError::Codec`] when it is longer than a vector can be.
pub fn app_sync_proposal(profile: Profile, app_sync: &AppSync) -> Result<Proposal, InternalError> {
    let app_sync = wire::encode(app_sync)?;
    Ok(match profile {
        Profile::B => Proposal::AppDataUpdate(Box::new(AppDataUpdateProposal::update(
            component::PARTICIPANT_LIST,
            app_sync,
        ))),
        Profile::A => Proposal::Custom(Box::new(CustomProposal::new(proposal::APP_SYNC, app_sync))),
    })
}

/// The AppSync that a proposal carries in a room of this profile; `None` when it is a proposal of
/// another kind.
///
/// # Errors
/// [`ProtocolError::NotAllowed`] for an update of another component,
/// [`ProtocolError::InvalidProposal`] for what is no AppSync, for the removal of the list, and for an
/// AppSync of the other profile (R35).
pub fn app_sync_of(
    profile: Profile,
    proposal: &Proposal,
) -> Result<Option<AppSync>, ProtocolError> {
    match (profile, proposal) {
        (Profile::B, Proposal::AppDataUpdate(update)) => read_update(update).map(Some),
        (Profile::A, Proposal::Custom(custom)) if is_app_sync(custom) => {
            decode_app_sync(custom.payload()).map(Some)
        }
        (Profile::A, Proposal::AppDataUpdate(_)) => Err(OTHER_PROFILE),
        (Profile::B, Proposal::Custom(custom)) if is_app_sync(custom) => Err(OTHER_PROFILE),
        _ => Ok(None),
    }
}

/// An AppSync of the other profile has no effect here, so it is none (R35).
pub const OTHER_PROFILE: ProtocolError =
    ProtocolError::InvalidProposal("an AppSync of the other profile");

fn is_app_sync(custom: &CustomProposal) -> bool {
    custom.proposal_type() == proposal::APP_SYNC
}

fn read_update(update: &AppDataUpdateProposal) -> Result<AppSync, ProtocolError> {
    if update.component_id() != component::PARTICIPANT_LIST {
        return Err(ProtocolError::NotAllowed("an update of another component".to_owned()));
    }
    match update.operation() {
        AppDataUpdateOperation::Update(bytes) => decode_app_sync(bytes.as_slice()),
        AppDataUpdateOperation::Remove => {
            Err(ProtocolError::InvalidProposal("the participant list cannot be removed"))
        }
    }
}

fn decode_app_sync(bytes: &[u8]) -> Result<AppSync, ProtocolError> {
    wire::decode_exact(bytes)
        .map_err(|_| ProtocolError::InvalidProposal("an AppSync does not decode"))
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
    fn of(list: &ParticipantList, app_syncs: Vec<AppSync>) -> Result<Self, ProtocolError> {
        let list = list.apply(&app_syncs)?;
        Ok(Self { app_syncs, list })
    }

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

/// Applies the AppDataUpdates of one commit, in its order, to the list before it (R37–R39): profile B.
///
/// # Errors
/// As [`app_sync_of`]; [`ProtocolError::InvalidProposal`] for AppSyncs that are not valid together
/// (R38).
pub fn resolve_updates<'p>(
    list: &ParticipantList,
    updates: impl IntoIterator<Item = &'p AppDataUpdateProposal>,
) -> Result<Resolution, ProtocolError> {
    Resolution::of(list, updates.into_iter().map(read_update).collect::<Result<_, _>>()?)
}

/// Applies the AppSyncs among the proposals of one commit, in its order, to the list before it
/// (R37–R39).
///
/// # Errors
/// As [`resolve_updates`].
pub fn resolve<'p>(
    profile: Profile,
    list: &ParticipantList,
    proposals: impl IntoIterator<Item = &'p Proposal>,
) -> Result<Resolution, ProtocolError> {
    let app_syncs =
        proposals.into_iter().filter_map(|proposal| app_sync_of(profile, proposal).transpose());
    Resolution::of(list, app_syncs.collect::<Result<_, _>>()?)
}

/// The extensions that a commit of our own has to propose: the list after its AppSyncs, where they do
/// not carry it themselves (profile A), and the policy (R36). `None` when neither changes.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when the policy is too large.
pub fn extensions_to_propose(
    old: &Extensions<GroupContext>,
    resolution: &Resolution,
    policy: Option<&[u8]>,
) -> Result<Option<Extensions<GroupContext>>, Error> {
    let list = match Profile::of(old)? {
        Profile::A if !resolution.app_syncs.is_empty() => {
            Some(application_state(&resolution.list)?)
        }
        Profile::A | Profile::B => None,
    };
    let changed: Vec<_> =
        list.into_iter().chain(policy.map(policy_extension).transpose()?).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    let mut extensions = old.clone();
    for extension in changed {
        extensions
            .add_or_replace(extension)
            .map_err(|_| InternalError::Mls("group context extensions"))?;
    }
    Ok(Some(extensions))
}

/// Checks what a commit with this resolution proposes as the group's new extensions: they may set the
/// room's policy and nothing else (R36), but in profile A they have to set the list to what the
/// commit's AppSyncs make of it (R35).
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when the list is another than the AppSyncs make, or changes
/// without them, or the policy is no `RoomPolicy`; [`ProtocolError::NotAllowed`] when another
/// extension changes.
pub fn check_group_context_extensions(
    old: &Extensions<GroupContext>,
    new: Option<&Extensions<GroupContext>>,
    resolution: &Resolution,
) -> Result<(), Error> {
    let profile = Profile::of(old)?;
    let Some(new) = new else {
        return match profile {
            Profile::A if !resolution.app_syncs.is_empty() => Err(MISMATCH.into()),
            Profile::A | Profile::B => Ok(()),
        };
    };
    let list_is_right = match profile {
        Profile::B => old.app_data_dictionary() == new.app_data_dictionary(),
        Profile::A => {
            let expected = encode_application_state(&resolution.list)?;
            new.unknown(extension::APPLICATION_STATE).is_some_and(|state| state.0 == expected)
        }
    };
    if !list_is_right {
        return Err(MISMATCH.into());
    }
    let carrier = match profile {
        Profile::B => extension::APP_DATA_DICTIONARY,
        Profile::A => extension::APPLICATION_STATE,
    };
    let checked = [carrier, extension::ROOM_POLICY].map(ExtensionType::from);
    let others = |extensions: &Extensions<GroupContext>| {
        let others =
            extensions.iter().filter(|other| !checked.contains(&other.extension_type())).cloned();
        others.collect::<Vec<_>>()
    };
    let (old, others) = (others(old), others(new));
    if old.len() != others.len() || !others.iter().all(|extension| old.contains(extension)) {
        let text = "only the policy may change this way";
        return Err(ProtocolError::NotAllowed(text.to_owned()).into());
    }
    Ok(room_policy(new).map(|_| ())?)
}

const MISMATCH: ProtocolError =
    ProtocolError::InvalidProposal("the list is not what the AppSyncs make of it");

#[cfg(test)]
mod tests;
