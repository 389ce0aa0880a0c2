//! The ways into a group: to create it, a Welcome, an external commit.

use openmls::{
    ciphersuite::hash_ref::ProposalRef,
    extensions::ExternalSender,
    framing::PublicMessageIn,
    group::{CommitMessageBundle, GroupId, MlsGroup, StagedWelcome},
    messages::{Welcome, group_info::VerifiableGroupInfo},
    prelude::{Ciphersuite, LeafNodeParameters, SignatureScheme},
    treesync::RatchetTreeIn,
};
use openmls_traits::{OpenMlsProvider, storage::StorageProvider};

use super::{
    MlsProvider, SignatureKeyPair, commit::check_entered, create_config, credential, join_config,
};
use crate::{
    error::{Error, InternalError, ProtocolError},
    mls,
    room::{ParticipantList, Profile, app_sync},
    time::UnixMillis,
    wire::uri::{ClientUri, RoomUri},
};

/// Whose leaf it is that enters a group.
#[derive(Debug, Clone, Copy)]
pub struct Entrant<'e> {
    /// The client.
    pub client: &'e ClientUri,
    /// Its key.
    pub key_pair: &'e SignatureKeyPair,
}

/// R8: the group id is the room's identifier.
#[must_use]
pub fn group_id(uri: &RoomUri) -> GroupId {
    GroupId::from_slice(uri.as_str().as_bytes())
}

/// Makes the group of a new room, with its creator's user on the list (R14, R15, D1). `hub` is the
/// hub's key, by which it may send proposals (A29).
///
/// # Errors
/// [`InternalError`] when openmls or the storage fails.
pub fn create(
    provider: &MlsProvider<'_, '_>,
    creator: Entrant<'_>,
    room: &RoomUri,
    (suite, profile): (Ciphersuite, Profile),
    hub: Option<ExternalSender>,
    now: UnixMillis,
) -> Result<MlsGroup, InternalError> {
    let list = ParticipantList::of_creator(creator.client.user());
    let config = create_config(suite, profile, &list, hub, now)?;
    let credential = credential::credential_with_key(creator.client, creator.key_pair.public());
    MlsGroup::new_with_group_id(provider, creator.key_pair, &config, group_id(room), credential)
        .map_err(|_| InternalError::Mls("a group cannot be made"))
}

/// Opens a Welcome with one of the KeyPackages in the provider's storage. Of `room` alone, if it is
/// given.
///
/// Lifetimes are not checked: a leaf may have outlived its KeyPackage (D4).
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when none opens it, or its group is not what a room's is (R8, R9,
/// R36, R87).
pub fn join(
    provider: &MlsProvider<'_, '_>,
    client: &ClientUri,
    room: Option<&RoomUri>,
    welcome: Welcome,
    nodes: RatchetTreeIn,
) -> Result<MlsGroup, Error> {
    const UNUSABLE: ProtocolError = ProtocolError::InvalidProposal("a Welcome cannot be opened");
    let staged = StagedWelcome::build_from_welcome(provider, &join_config(), welcome)
        .map_err(|_| UNUSABLE)?
        .with_ratchet_tree(nodes)
        .skip_lifetime_validation()
        .replace_old_group()
        .build()
        .map_err(|_| UNUSABLE)?;
    let own = staged.own_leaf_node().ok_or(UNUSABLE)?;
    // R8: another group under this room's name.
    if room.is_some_and(|room| *staged.group_context().group_id() != group_id(room))
        || credential::client_uri_of(own.credential())? != *client
    {
        return Err(UNUSABLE.into());
    }
    check_entered(staged.members(), staged.group_context().extensions())?;
    let group = staged.into_group(provider).map_err(|_| UNUSABLE)?;
    // Of the group that was there before; openmls leaves them.
    provider.storage().clear_proposal_queue::<GroupId, ProposalRef>(group.group_id())?;
    Ok(group)
}

/// What an external commit is made of.
#[derive(Debug)]
pub struct ExternalJoin {
    /// The room's current GroupInfo.
    pub group_info: VerifiableGroupInfo,
    /// The tree of the same epoch.
    pub nodes: RatchetTreeIn,
    /// The SelfRemoves that the hub holds: all that an external commit can and has to cover (A17).
    pub self_removes: Vec<PublicMessageIn>,
}

/// R87, R90: verifies GroupInfo and tree and makes the external commit, and the group after it. Of
/// `room` alone, if it is given. Lifetimes are not checked (D4).
///
/// # Errors
/// [`ProtocolError::NotAllowed`] when the user is not on the list,
/// [`ProtocolError::InvalidProposal`] when GroupInfo and tree cannot be joined by.
pub fn join_externally(
    provider: &MlsProvider<'_, '_>,
    entrant: Entrant<'_>,
    room: Option<&RoomUri>,
    from: ExternalJoin,
) -> Result<(MlsGroup, CommitMessageBundle), Error> {
    const UNUSABLE: ProtocolError =
        ProtocolError::InvalidProposal("a GroupInfo cannot be joined by");
    let ExternalJoin { group_info, nodes, mut self_removes } = from;
    let Entrant { client, key_pair } = entrant;
    let context = group_info.group_context();
    // R8: another group under this room's name; and a key of another scheme cannot sign in it.
    let scheme: SignatureScheme = group_info.ciphersuite().signature_algorithm();
    if room.is_some_and(|room| *context.group_id() != group_id(room))
        || scheme != key_pair.signature_scheme()
    {
        return Err(UNUSABLE.into());
    }
    let list = app_sync::participant_list(context.extensions())?;
    if !list.is_participant(&client.user()) {
        return Err(ProtocolError::NotAllowed("not on the list".into()).into());
    }
    // The room may have moved on since.
    let epoch = context.epoch();
    self_removes.retain(|message| message.epoch() == epoch);
    let parameters = LeafNodeParameters::builder()
        .with_capabilities(mls::capabilities())
        .with_extensions(app_sync::leaf_extensions()?)
        .build();
    let (group, bundle) = MlsGroup::external_commit_builder()
        .with_proposals(self_removes)
        .with_ratchet_tree(nodes)
        .with_config(join_config())
        .skip_lifetime_validation()
        .build_group(
            provider,
            group_info,
            credential::credential_with_key(client, key_pair.public()),
        )
        .map_err(|_| UNUSABLE)?
        .leaf_node_parameters(parameters)
        .load_psks(provider.storage())
        .map_err(|_| UNUSABLE)?
        .create_group_info(true)
        .use_ratchet_tree_extension(false)
        .build(provider.rand(), provider.crypto(), key_pair, |_| true)
        .map_err(|_| UNUSABLE)?
        .finalize(provider)
        .map_err(|_| UNUSABLE)?;
    check_entered(group.members(), group.extensions())?;
    Ok((group, bundle))
}
