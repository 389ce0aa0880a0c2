//! What a member uploads to a hub, good or bad, and what it makes of the fan-out.

use mimi_edge::{
    error::Error,
    mls::{
        MlsCrypto,
        commit::{resolve_own, stage_at_member},
        key_package::{KeyPackageKind, ValidKeyPackage},
        ratchet_tree, without_header,
    },
    room::{app_sync::participant_list, codepoints::component},
    wire::{
        AppSync, CommitBundle, FanoutMessage, MimiParticipantList, RatchetTreeOption, Role,
        RoomCreation, UpdateContent, UpdateRequest, UserRoles, Verbatim, encode,
        uri::{ClientUri, UserUri},
    },
};
use openmls::{
    component::ComponentData,
    framing::{MlsMessageIn, ProcessedMessageContent},
    messages::proposals::Proposal,
    prelude::{ExternalSender, LeafNodeIndex, OpenMlsProvider, WireFormat},
};

use super::{group::Member, own_group::OwnCommit};

/// The client `user@domain/device`.
pub fn member(client: &str) -> Member {
    Member::of(ClientUri::parse(client).unwrap(), MlsCrypto::new())
}

/// An AppSync that adds a regular user.
pub fn adds(user: &UserUri) -> AppSync {
    AppSync { add_users: vec![with_role(user, Role::RegularUser)], ..AppSync::default() }
}

/// An AppSync that removes a user.
pub fn removes(user: &UserUri) -> AppSync {
    AppSync { remove_users: vec![user.to_wire()], ..AppSync::default() }
}

/// An AppSync that bans a user of the list.
pub fn bans(user: &UserUri) -> AppSync {
    AppSync { update_users: vec![with_role(user, Role::Banned)], ..AppSync::default() }
}

pub fn with_role(user: &UserUri, role: Role) -> UserRoles {
    UserRoles { user: user.to_wire(), roles: vec![role] }
}

/// The parts of an `UpdateRequest`, to be changed before they are sent.
#[derive(Debug, Clone)]
pub struct Upload {
    pub message: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
    pub group_info: Vec<u8>,
    pub tree: RatchetTreeOption,
}

impl From<OwnCommit> for Upload {
    fn from(commit: OwnCommit) -> Self {
        let OwnCommit { message, welcome, group_info, tree, .. } = commit;
        Self { message, welcome, group_info, tree: RatchetTreeOption::Full(tree) }
    }
}

impl Upload {
    pub fn body(&self) -> Vec<u8> {
        let Self { message, welcome, group_info, tree } = self.clone();
        let bundle = CommitBundle {
            welcome: welcome.map(|welcome| Verbatim::own(welcome).unwrap()),
            group_info: Verbatim::own(group_info).unwrap(),
            ratchet_tree_option: tree,
        };
        let request = UpdateRequest {
            proposal_or_commit: Verbatim::own(message).unwrap(),
            content: UpdateContent::Commit(Box::new(bundle)),
        };
        encode(&request).unwrap()
    }
}

impl Member {
    pub fn user(&self) -> UserUri {
        self.client.user()
    }

    /// Creates the room's group; the body of `POST rooms/{room}`.
    pub fn creation(&mut self, hub: Option<ExternalSender>) -> RoomCreation {
        let (group_info, tree) = self.create(hub);
        RoomCreation {
            group_info: Verbatim::own(group_info).unwrap(),
            ratchet_tree_option: RatchetTreeOption::Full(tree),
        }
    }

    pub fn single_use(&mut self) -> ValidKeyPackage {
        self.key_package(KeyPackageKind::SingleUse)
    }

    /// Commits these proposals, whatever they are, and adds and removes these clients; the commit
    /// stays pending. AppSyncs that are not valid leave the committer's list as it is.
    pub fn propose(
        &mut self,
        proposals: Vec<Proposal>,
        adds: &[ValidKeyPackage],
        removes: &[&ClientUri],
    ) -> Upload {
        let adds: Vec<_> = adds.iter().map(|package| package.key_package.clone()).collect();
        let removes: Vec<_> = removes.iter().map(|client| self.leaf_of(client)).collect();
        self.with_group(|group, provider, key| {
            let extensions = group.extensions().clone();
            let mut builder = group
                .commit_builder()
                .add_proposals(proposals)
                .propose_removals(removes)
                .propose_adds(adds)
                .load_psks(provider.storage())
                .unwrap()
                .create_group_info(true);
            if resolve_own(&extensions, &mut builder).is_err() {
                let list = participant_list(&extensions).unwrap().encode().unwrap();
                let mut updater = builder.app_data_dictionary_updater();
                updater.set(ComponentData::from_parts(component::PARTICIPANT_LIST, list.into()));
                let updates = updater.changes();
                builder.with_app_data_dictionary_updates(updates);
            }
            let bundle = builder
                .build(provider.rand(), provider.crypto(), key, |_| true)
                .unwrap()
                .stage_commit(provider)
                .unwrap();
            let (message, welcome, group_info) = bundle.into_contents();
            let tree = group
                .pending_commit()
                .unwrap()
                .export_ratchet_tree(provider.crypto(), group.export_ratchet_tree())
                .unwrap()
                .unwrap();
            Ok::<_, Error>(Upload {
                message: without_header(&message, WireFormat::PublicMessage)?,
                welcome: welcome.map(|welcome| encode(&welcome).unwrap()),
                group_info: encode(&group_info.unwrap()).unwrap(),
                tree: RatchetTreeOption::Full(ratchet_tree::to_wire(&tree)?),
            })
        })
        .unwrap()
    }

    /// Joins by the Welcome that was fanned out.
    pub fn enter(&mut self, fanout: &FanoutMessage) {
        let welcome = fanout.message.bytes().get(4..).unwrap();
        let Some(RatchetTreeOption::Full(tree)) = &fanout.ratchet_tree_option else {
            panic!("no tree")
        };
        self.join(welcome, tree).unwrap();
    }

    /// Follows a commit that was fanned out, or reads a message and returns what it says.
    pub fn process(&mut self, fanout: &FanoutMessage) -> Option<Vec<u8>> {
        let message = MlsMessageIn::clone(&fanout.message).try_into_protocol_message().unwrap();
        self.with_group(|group, provider, _| {
            let processed = group.process_message(provider, message).unwrap();
            if !matches!(processed.content(), ProcessedMessageContent::ApplicationMessage(_)) {
                let staged = stage_at_member(group, provider, processed)?.staged;
                group.merge_staged_commit(provider, staged).unwrap();
                return Ok(None);
            }
            match processed.into_content() {
                ProcessedMessageContent::ApplicationMessage(message) => {
                    Ok::<_, Error>(Some(message.into_bytes()))
                }
                _ => Ok(None),
            }
        })
        .unwrap()
    }

    /// The body of `submitMessage`.
    pub fn message(&mut self, text: &str) -> Vec<u8> {
        self.with_group(|group, provider, key| {
            let message = group.create_message(provider, key, text.as_bytes()).unwrap();
            Ok::<_, Error>(encode(&message)?)
        })
        .unwrap()
    }

    pub fn epoch(&mut self) -> u64 {
        self.state().0
    }

    pub fn list(&mut self) -> MimiParticipantList {
        self.with_group(|group, _, _| participant_list(group.extensions())).unwrap().to_wire()
    }

    pub fn leaf_of(&mut self, client: &ClientUri) -> LeafNodeIndex {
        self.with_group(|group, _, _| {
            let mut members = group.members();
            let member = members.find(|member| {
                member.credential.serialized_content() == client.as_str().as_bytes()
            });
            Ok::<_, Error>(member.unwrap().index)
        })
        .unwrap()
    }
}
