//! What a member sends to the hub: the bodies of `/update`.

use openmls::{
    framing::{MlsMessageOut, PublicMessageIn},
    group::CommitMessageBundle,
    messages::{Welcome, group_info::VerifiableGroupInfo},
    prelude::WireFormat,
};

use super::without_header;
use crate::{
    error::InternalError,
    wire::{self, CommitBundle, RatchetTreeOption, UpdateContent, UpdateRequest, Verbatim},
};

/// The `UpdateRequest` of a commit and the tree after it (R46), and the commit's MLSMessage.
///
/// # Errors
/// [`InternalError`] when the bundle lacks its GroupInfo.
pub fn commit(
    bundle: CommitMessageBundle,
    tree: RatchetTreeOption,
) -> Result<(UpdateRequest, Vec<u8>), InternalError> {
    let (commit, welcome, group_info) = bundle.into_contents();
    let group_info = group_info.ok_or(InternalError::Mls("GroupInfo"))?;
    let message = wire::encode(&commit)?;
    let request = UpdateRequest {
        proposal_or_commit: bare_proposal_or_commit(&commit)?,
        content: UpdateContent::Commit(Box::new(CommitBundle {
            welcome: welcome
                .map(|welcome| Verbatim::<Welcome>::own(wire::encode(&welcome)?))
                .transpose()?,
            group_info: Verbatim::<VerifiableGroupInfo>::own(wire::encode(&group_info)?)?,
            ratchet_tree_option: tree,
        })),
    };
    Ok((request, message))
}

fn bare_proposal_or_commit(
    message: &MlsMessageOut,
) -> Result<Verbatim<PublicMessageIn>, InternalError> {
    Verbatim::own(without_header(message, WireFormat::PublicMessage)?)
}
