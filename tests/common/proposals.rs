//! What a member proposes on its own, and how others take note of it.

use mimi_edge::{
    error::Error,
    mls::{
        key_package::ValidKeyPackage,
        labels::{GROUP_INFO_REQUEST, sign_with_label},
        own_commit::propose_app_sync,
        without_header,
    },
    wire::{
        AppSync, GroupInfoRequest, GroupInfoRequestTbs, IdentifierUri, UpdateContent,
        UpdateRequest, Verbatim, decode_exact, encode,
        uri::{ClientUri, RoomUri},
    },
};
use openmls::{
    framing::MlsMessageOut, messages::group_info::VerifiableGroupInfo, prelude::WireFormat,
};
use openmls_traits::OpenMlsProvider;
use tls_codec::VLBytes;

use super::{
    group::{Member, public_message},
    member::removes,
    own_group::export_group_info,
};
use mimi_edge::mls::credential::credential_of;

/// The body of an update with proposals.
pub fn bundle(proposals: &[Vec<u8>]) -> Vec<u8> {
    let mut messages = proposals.iter().map(|message| Verbatim::own(message.clone()).unwrap());
    let request = UpdateRequest {
        proposal_or_commit: messages.next().unwrap(),
        content: UpdateContent::Proposal(messages.collect()),
    };
    encode(&request).unwrap()
}

fn bare(message: &MlsMessageOut) -> Vec<u8> {
    without_header(message, WireFormat::PublicMessage).unwrap()
}

impl Member {
    /// A Remove of this client's leaf.
    pub fn removal(&mut self, client: &ClientUri) -> Vec<u8> {
        let leaf = self.leaf_of(client);
        self.with_group(|group, provider, key| {
            let (message, _) = group.propose_remove_member(provider, key, leaf).unwrap();
            Ok::<_, Error>(bare(&message))
        })
        .unwrap()
    }

    /// A SelfRemove.
    pub fn self_removal(&mut self) -> Vec<u8> {
        self.with_group(|group, provider, key| {
            let message = group.leave_group_via_self_remove(provider, key).unwrap();
            Ok::<_, Error>(bare(&message))
        })
        .unwrap()
    }

    /// An AppSync.
    pub fn app_sync(&mut self, app_sync: &AppSync) -> Vec<u8> {
        self.with_group(|group, provider, key| propose_app_sync(group, provider, key, app_sync))
            .unwrap()
    }

    /// An Add.
    pub fn add(&mut self, package: &ValidKeyPackage) -> Vec<u8> {
        self.with_group(|group, provider, key| {
            let (message, _) =
                group.propose_add_member(provider, key, &package.key_package).unwrap();
            Ok::<_, Error>(bare(&message))
        })
        .unwrap()
    }

    /// An Update.
    pub fn update(&mut self) -> Vec<u8> {
        self.with_group(|group, provider, key| {
            let (message, _) =
                group.propose_self_update(provider, key, Default::default()).unwrap();
            Ok::<_, Error>(bare(&message))
        })
        .unwrap()
    }

    /// A PublicMessage with any content of a Proposal, rightly signed. Its membership tag is nonsense:
    /// the hub cannot check it.
    pub fn signed_proposal(&mut self, proposal: &[u8]) -> Vec<u8> {
        self.with_group(|group, provider, key| {
            let leaf = group.own_leaf_index().u32().to_be_bytes();
            let content = [
                &encode(&VLBytes::from(group.group_id().as_slice()))?[..],
                &group.epoch().as_u64().to_be_bytes(),
                &[1],
                &leaf,
                &[0, 2],
                proposal,
            ]
            .concat();
            let group_info = export_group_info(group, provider, key)?;
            let group_info: VerifiableGroupInfo = decode_exact(&group_info)?;
            let context = encode(group_info.group_context())?;
            let signed = [&[0, 1, 0, 1], &content[..], &context].concat();
            let signature = sign_with_label(key, "FramedContentTBS", &signed)?;
            let auth = [encode(&VLBytes::from(signature))?, encode(&VLBytes::from(vec![0; 32]))?];
            Ok::<_, Error>([content, auth.concat()].concat())
        })
        .unwrap()
    }

    /// R57: a Remove of each of these clients, its own, and the AppSync.
    pub fn leave(&mut self, clients: &[&ClientUri]) -> Vec<Vec<u8>> {
        let mut proposals: Vec<_> = clients.iter().map(|client| self.removal(client)).collect();
        proposals.push(self.app_sync(&removes(&self.user())));
        proposals
    }

    /// Forgets all proposals, its own and those of others.
    pub fn forget_proposals(&mut self) {
        self.with_group(|group, provider, _| group.clear_pending_proposals(provider.storage()))
            .unwrap();
    }

    /// The body of `groupInfo` for this room.
    pub fn group_info_request(&self, room: &RoomUri) -> GroupInfoRequest {
        let tbs = GroupInfoRequestTbs {
            room_id: IdentifierUri(room.to_string()),
            requesting_signature_key: self.key.public().into(),
            requesting_credential: Verbatim::own(encode(&credential_of(&self.client)).unwrap())
                .unwrap(),
        };
        let signed = encode(&tbs).unwrap();
        let signature = sign_with_label(&self.key, GROUP_INFO_REQUEST, &signed).unwrap();
        GroupInfoRequest { signature: signature.into(), tbs }
    }
}

/// The epoch that a bare PublicMessage is for.
pub fn epoch_of(message: &[u8]) -> u64 {
    public_message(message).epoch().as_u64()
}
