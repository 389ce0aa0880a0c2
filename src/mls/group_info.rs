//! The GroupInfo that comes with a commit (R50).

use openmls::{
    ciphersuite::signature::OpenMlsSignaturePublicKey,
    framing::Sender,
    group::{PublicGroup, StagedCommit},
    messages::{ConfirmationTag, group_info::VerifiableGroupInfo},
    prelude::{ExtensionType, OpenMlsCrypto, Verifiable},
};

use crate::error::ProtocolError;

/// Checks that a GroupInfo carries `external_pub` and nothing else (R46, R50): the hub hands it to
/// everybody who asks to join, and knows of nothing else that it is true.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when that is not so.
pub fn check_extensions(group_info: &VerifiableGroupInfo) -> Result<(), ProtocolError> {
    let extensions = group_info.extensions();
    if extensions.contains(ExtensionType::RatchetTree) {
        return Err(ProtocolError::InvalidProposal("the GroupInfo carries a ratchet tree"));
    }
    if extensions.external_pub().is_none() {
        return Err(ProtocolError::InvalidProposal("the GroupInfo lacks external_pub"));
    }
    if extensions.iter().count() > 1 {
        return Err(ProtocolError::InvalidProposal("the GroupInfo carries another extension"));
    }
    Ok(())
}

/// Checks that `group_info` describes the group after `commit`: context, confirmation tag, signer and
/// signature, with the extensions of [`check_extensions`] (R46, R50).
///
/// `tag` is the commit's, taken from the PublicMessage. The hub has no secrets to verify it with, so
/// the signature over the GroupInfo is all that protects it.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when something does not match.
pub fn check_group_info(
    group: &PublicGroup,
    crypto: &impl OpenMlsCrypto,
    commit: &StagedCommit,
    sender: &Sender,
    tag: &ConfirmationTag,
    group_info: &VerifiableGroupInfo,
) -> Result<(), ProtocolError> {
    check_extensions(group_info)?;
    let extensions = group_info.extensions();
    let signer = match sender {
        Sender::Member(leaf_index) => *leaf_index,
        Sender::NewMemberCommit => group
            .ext_commit_sender_index(commit)
            .map_err(|_| ProtocolError::InvalidProposal("the external commit has no leaf"))?,
        Sender::External(_) | Sender::NewMemberProposal => {
            return Err(ProtocolError::InvalidProposal("the sender cannot commit"));
        }
    };
    let expected = VerifiableGroupInfo::new(
        commit.group_context().clone(),
        extensions.clone(),
        tag.clone(),
        signer,
        Verifiable::signature(group_info).clone(),
    );
    if expected != *group_info {
        return Err(ProtocolError::InvalidProposal("the GroupInfo is not of this commit"));
    }
    // A commit without a path leaves the committer's leaf as it was.
    let leaf = commit
        .update_path_leaf_node()
        .or_else(|| group.leaf(signer))
        .ok_or(ProtocolError::InvalidProposal("the GroupInfo's signer has no leaf"))?;
    let public_key = OpenMlsSignaturePublicKey::from_signature_key(
        leaf.signature_key().clone(),
        group.ciphersuite().signature_algorithm(),
    );
    group_info
        .verify_no_out(crypto, &public_key)
        .map_err(|_| ProtocolError::InvalidProposal("the GroupInfo's signature"))
}
