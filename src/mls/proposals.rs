//! Proposals that wait for a commit: verified, and judged together as one commit of them would be
//! (R53).
//!
//! Whoever caches proposals has to know that a commit of all of them is valid, or no commit is
//! possible any more (R54); openmls looks at proposals in a commit only.

use openmls::{
    ciphersuite::hash_ref::ProposalRef,
    framing::{ProcessedMessageContent, PublicMessageIn, Sender},
    group::{MlsGroup, PublicGroup, QueuedProposal},
    key_packages::KeyPackage,
    messages::{external_proposals::ExternalProposal, proposals::Proposal},
    prelude::{LeafNodeIndex, OpenMlsCrypto, SenderExtensionIndex, WireFormat},
};
use openmls_traits::{OpenMlsProvider, signatures::Signer};
use tls_codec::VLBytes;

use super::{
    MlsProvider, commit::verify_at_hub, credential::client_uri_of, key_package::covers,
    without_header,
};
use crate::{
    error::{Error, InternalError, ProtocolError},
    room::{
        Profile,
        app_sync::{self, Resolution},
    },
    sorted::SortedSet,
    wire::{self, AppSync, IdentifierUri, RequiredCapabilities, uri::UserUri},
};

/// Verifies a proposal on its own at the hub: framing and signature.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when MLS refuses it, or it is none of a member or of an external
/// sender of the group.
pub fn verify_proposal(
    group: &PublicGroup,
    crypto: &impl OpenMlsCrypto,
    message: PublicMessageIn,
) -> Result<QueuedProposal, ProtocolError> {
    match verify_at_hub(group, crypto, message)?.into_content() {
        ProcessedMessageContent::ProposalMessage(proposal) => Ok(*proposal),
        _ => Err(ProtocolError::InvalidProposal("not a member's proposal")),
    }
}

/// The `PublicMessage` by which the hub, the group's first external sender, proposes to remove a leaf
/// (R77, D2).
///
/// # Errors
/// [`InternalError::Mls`] when the key does not sign.
pub fn external_removal(
    group: &PublicGroup,
    signer: &impl Signer,
    leaf: u32,
) -> Result<Vec<u8>, InternalError> {
    let message = ExternalProposal::new_remove::<MlsProvider<'_, '_>>(
        LeafNodeIndex::new(leaf),
        group.group_id().clone(),
        group.group_context().epoch(),
        signer,
        SenderExtensionIndex::new(0),
    )
    .map_err(|_| InternalError::Mls("an external proposal"))?;
    without_header(&message, WireFormat::PublicMessage)
}

/// The leaf that a proposal takes out, when it is a Remove or a SelfRemove.
#[must_use]
pub fn removed_leaf(queued: &QueuedProposal) -> Option<u32> {
    match (queued.proposal(), queued.sender()) {
        (Proposal::Remove(remove), _) => Some(remove.removed().u32()),
        (Proposal::SelfRemove, Sender::Member(leaf)) => Some(leaf.u32()),
        _ => None,
    }
}

/// Whether `new` does nothing that the `earlier` ones do not: the same leaf out, the same users off
/// the list, or the very same (R53). Who takes itself off the list while a ban of it waits, adds
/// nothing to that.
///
/// # Errors
/// As [`app_sync::app_sync_of`].
pub fn is_repetition<'q>(
    group: &PublicGroup,
    earlier: impl Iterator<Item = &'q QueuedProposal> + Clone,
    new: &QueuedProposal,
) -> Result<bool, ProtocolError> {
    if let Some(leaf) = removed_leaf(new) {
        return Ok(earlier.clone().any(|queued| removed_leaf(queued) == Some(leaf)));
    }
    if earlier.clone().any(|queued| queued.proposal() == new.proposal()) {
        return Ok(true);
    }
    let profile = Profile::of(group.group_context().extensions())?;
    let Some(app_sync) = app_sync::app_sync_of(profile, new.proposal())? else { return Ok(false) };
    let AppSync { add_users, update_users, remove_users } = app_sync;
    if !add_users.is_empty() || !update_users.is_empty() || remove_users.is_empty() {
        return Ok(false);
    }
    let leaver = leaver(group, new)?.map(|leaver| leaver.to_wire());
    let mut out = SortedSet::new();
    for queued in earlier {
        let app_sync = app_sync::app_sync_of(profile, queued.proposal())?;
        // What does more may be superseded.
        let Some(earlier) = app_sync.filter(AppSync::only_takes_out) else { continue };
        out.extend(earlier.remove_users.into_iter().map(|IdentifierUri(user)| user));
        let banned = earlier.update_users.into_iter().map(|entry| entry.user);
        out.extend(banned.filter(|user| leaver.as_ref() == Some(user)).map(|user| user.0));
    }
    Ok(remove_users.iter().all(|IdentifierUri(user)| out.contains(user)))
}

/// The user who takes itself off the list by this proposal: nothing that others propose stops it
/// (R57).
///
/// # Errors
/// As [`app_sync::app_sync_of`].
pub fn leaver(
    group: &PublicGroup,
    queued: &QueuedProposal,
) -> Result<Option<UserUri>, ProtocolError> {
    let Sender::Member(leaf) = queued.sender() else { return Ok(None) };
    let Some(leaf) = group.leaf(*leaf) else { return Ok(None) };
    let user = client_uri_of(leaf.credential())?.user();
    let profile = Profile::of(group.group_context().extensions())?;
    let app_sync = app_sync::app_sync_of(profile, queued.proposal())?;
    let leaves = app_sync.is_some_and(|app_sync| app_sync.remove_users.contains(&user.to_wire()));
    Ok(leaves.then_some(user))
}

/// The proposals that `user` voids by leaving: AppSyncs that name it other than to take it out, and the
/// Adds that would let it in, or somebody whom only those AppSyncs let in (R53, R57). The same at the
/// hub and at members.
///
/// # Errors
/// As [`app_sync::app_sync_of`].
pub fn superseded<'q>(
    group: &PublicGroup,
    earlier: impl Iterator<Item = &'q QueuedProposal> + Clone,
    user: &UserUri,
) -> Result<Vec<ProposalRef>, ProtocolError> {
    let extensions = group.group_context().extensions();
    let (profile, list) = (Profile::of(extensions)?, app_sync::participant_list(extensions)?);
    let mut superseded = Vec::new();
    let mut outside = SortedSet::from([user.clone()]);
    for queued in earlier.clone() {
        let app_sync = app_sync::app_sync_of(profile, queued.proposal())?;
        let about_user =
            app_sync.filter(|app_sync| app_sync.names(user) && !app_sync.only_takes_out());
        let Some(app_sync) = about_user else { continue };
        superseded.push(queued.proposal_reference_ref().clone());
        let entries = app_sync.add_users.iter().chain(&app_sync.update_users);
        let users = entries.filter_map(|entry| UserUri::from_wire(&entry.user).ok());
        outside.extend(users.filter(|user| !list.is_participant(user)));
    }
    for queued in earlier {
        let Proposal::Add(add) = queued.proposal() else { continue };
        let client = client_uri_of(add.key_package().leaf_node().credential())?;
        if outside.contains(&client.user()) {
            superseded.push(queued.proposal_reference_ref().clone());
        }
    }
    Ok(superseded)
}

/// Keeps a verified proposal until a commit covers it or the epoch ends, once. Who leaves voids what
/// others proposed for it (R57), as at the hub, which keeps nothing that this could not read.
///
/// # Errors
/// [`InternalError`] when the storage fails.
pub fn keep(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    proposal: QueuedProposal,
) -> Result<(), InternalError> {
    let reference = proposal.proposal_reference_ref();
    if group.pending_proposals().any(|known| known.proposal_reference_ref() == reference) {
        return Ok(());
    }
    let known = group.public_group();
    let leaver = leaver(known, &proposal).ok().flatten();
    let pending: Vec<_> = group.pending_proposals().collect();
    let voided = leaver.and_then(|user| superseded(known, pending.iter().copied(), &user).ok());
    group.store_pending_proposal(provider.storage(), proposal)?;
    for reference in voided.unwrap_or_default() {
        group
            .remove_pending_proposal(provider.storage(), &reference)
            .map_err(|_| InternalError::Mls("a pending proposal is gone"))?;
    }
    Ok(())
}

/// Checks that one commit of all these proposals, by any member whom they do not remove, would be
/// valid (RFC 9420 §12.2, R38, R65), and says what it makes of the list.
///
/// # Errors
/// As [`app_sync::resolve`]; [`ProtocolError::InvalidProposal`] when it would not be valid.
pub fn check_together<'q>(
    group: &PublicGroup,
    queued: impl Iterator<Item = &'q QueuedProposal> + Clone,
) -> Result<Resolution, Error> {
    let extensions = group.group_context().extensions();
    let list = app_sync::participant_list(extensions)?;
    let proposals = queued.clone().map(QueuedProposal::proposal);
    let resolution = app_sync::resolve(Profile::of(extensions)?, &list, proposals)?;
    check_removals(group, queued.clone())?;
    check_support(group, queued.clone())?;
    check_adds(group, queued)?;
    Ok(resolution)
}

/// Each leaf is there, and goes once.
fn check_removals<'q>(
    group: &PublicGroup,
    queued: impl Iterator<Item = &'q QueuedProposal>,
) -> Result<(), ProtocolError> {
    let mut removed = SortedSet::new();
    for leaf in queued.filter_map(removed_leaf) {
        if group.leaf(LeafNodeIndex::new(leaf)).is_none() {
            return Err(ProtocolError::InvalidProposal("there is no such leaf"));
        }
        if !removed.insert(leaf) {
            return Err(ProtocolError::InvalidProposal("a leaf is removed twice"));
        }
    }
    Ok(())
}

/// The leaves that Removes take out. openmls does not count SelfRemoves when it looks for members who
/// do not know a proposal, or have a key already.
fn removed_by_others<'q>(queued: impl Iterator<Item = &'q QueuedProposal>) -> SortedSet<u32> {
    let removes = queued.filter(|queued| matches!(queued.proposal(), Proposal::Remove(_)));
    removes.filter_map(removed_leaf).collect()
}

/// Everybody who stays knows the types of the proposals.
fn check_support<'q>(
    group: &PublicGroup,
    queued: impl Iterator<Item = &'q QueuedProposal> + Clone,
) -> Result<(), ProtocolError> {
    let removed = removed_by_others(queued.clone());
    let types = queued.map(|queued| queued.proposal().proposal_type().into());
    let needed = RequiredCapabilities { proposal_types: types.collect(), ..Default::default() };
    let mut staying =
        group.treesync().full_leaves().filter(|(leaf, _)| !removed.contains(&leaf.u32()));
    if staying.all(|(_, leaf)| covers(leaf.capabilities(), &needed)) {
        return Ok(());
    }
    Err(ProtocolError::InvalidProposal("not all members know this proposal"))
}

/// Those who are added fit into the group, and share neither keys nor names with anybody (R65).
fn check_adds<'q>(
    group: &PublicGroup,
    queued: impl Iterator<Item = &'q QueuedProposal> + Clone,
) -> Result<(), Error> {
    let removed = removed_by_others(queued.clone());
    let gone: SortedSet<u32> = queued.clone().filter_map(removed_leaf).collect();
    let (mut signature_keys, mut keys, mut clients) =
        (SortedSet::new(), SortedSet::new(), SortedSet::new());
    for (index, leaf) in group.treesync().full_leaves() {
        if !removed.contains(&index.u32()) {
            signature_keys.insert(leaf.signature_key().as_slice().to_vec());
            keys.insert(wire::encode(leaf.encryption_key())?);
        }
        if !gone.contains(&index.u32()) {
            clients.insert(client_uri_of(leaf.credential())?);
        }
    }
    for proposal in queued.map(QueuedProposal::proposal) {
        let Proposal::Add(add) = proposal else { continue };
        let key_package = add.key_package();
        check_fits(group, key_package)?;
        let leaf = key_package.leaf_node();
        let init_key = wire::encode(&VLBytes::from(key_package.hpke_init_key().as_slice()))?;
        let is_new = signature_keys.insert(leaf.signature_key().as_slice().to_vec())
            && keys.insert(wire::encode(leaf.encryption_key())?)
            && keys.insert(init_key);
        if !is_new {
            return Err(ProtocolError::InvalidProposal("a key is used twice").into());
        }
        if !clients.insert(client_uri_of(leaf.credential())?) {
            return Err(ProtocolError::InvalidProposal("a client has two leaves").into());
        }
    }
    Ok(())
}

/// A KeyPackage is of the group's suite and can do what the group requires.
fn check_fits(group: &PublicGroup, key_package: &KeyPackage) -> Result<(), ProtocolError> {
    let profile = Profile::of(group.group_context().extensions())?;
    let required = app_sync::required_capabilities(profile);
    let capabilities = key_package.leaf_node().capabilities();
    if key_package.ciphersuite() == group.ciphersuite()
        && capabilities.ciphersuites().contains(&group.ciphersuite().into())
        && capabilities.versions().contains(&group.version())
        && covers(capabilities, &required)
    {
        return Ok(());
    }
    Err(ProtocolError::InvalidProposal("a KeyPackage does not fit into the group"))
}
