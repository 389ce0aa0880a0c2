//! What a member uploads to a hub, good or bad, and what it makes of the fan-out.

use mimi_edge::{
    error::Error,
    mls::{
        MlsCrypto, capabilities,
        commit::stage_at_member,
        credential::{client_uri_of, credential_with_key},
        join_config,
        key_package::{KeyPackageKind, ValidKeyPackage},
        own_commit::resolve_own,
        ratchet_tree, without_header,
    },
    room::{
        ParticipantList, Profile,
        app_sync::{app_sync_proposal, initial_extensions, leaf_extensions, participant_list},
        codepoints::component,
    },
    wire::{
        AppSync, CommitBundle, FanoutMessage, MimiParticipantList, RatchetTreeOption, Role,
        RoomCreation, UpdateContent, UpdateRequest, UserRoles, Verbatim, decode_exact, encode,
        uri::{ClientUri, UserUri},
    },
};
use openmls::{
    component::ComponentData,
    framing::{MlsMessageIn, ProcessedMessageContent, ProtocolMessage},
    group::{CommitBuilder, GroupContext, Initial, MlsGroup, MlsGroupCreateConfig},
    messages::proposals::Proposal,
    prelude::{
        Extensions, ExternalSender, LeafNodeIndex, LeafNodeParameters, OpenMlsProvider, WireFormat,
    },
};

use super::{
    group::{Member, SUITE, public_message, room},
    own_group::{OwnCommit, export_group_info, group_id},
};

/// The client `user@domain/device`.
pub fn member(client: &str) -> Member {
    Member::of(ClientUri::parse(client).unwrap(), MlsCrypto::new())
}

/// A user by its whole identifier.
pub fn uri(text: &str) -> UserUri {
    UserUri::parse(text).unwrap()
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

/// An external commit to be built.
pub type Joining<'b> = CommitBuilder<'b, Initial, MlsGroup>;

/// Whether a GroupInfo carries the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupInfoTree {
    #[default]
    Beside,
    Inside,
}

/// What the committer makes of its AppSyncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolving {
    #[default]
    Honestly,
    KeepsTheOldList,
}

/// A commit to be built.
#[derive(Debug, Default)]
pub struct Draft {
    pub proposals: Vec<Proposal>,
    pub adds: Vec<ValidKeyPackage>,
    pub removes: Vec<ClientUri>,
    pub extensions: Option<Extensions<GroupContext>>,
    pub leaf: LeafNodeParameters,
    pub group_info: GroupInfoTree,
    pub resolution: Resolving,
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

    /// As [`Member::creation`], with other extensions in the group's first epoch.
    pub fn creation_with(
        &mut self,
        change: impl FnOnce(&mut Extensions<GroupContext>),
    ) -> RoomCreation {
        let list = ParticipantList::of_creator(self.user());
        let mut extensions = initial_extensions(self.profile, &list).unwrap();
        change(&mut extensions);
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .with_group_context_extensions(extensions)
            .build();
        let client = self.client.clone();
        let (group_info, tree) = self
            .step(|provider, key| {
                let who = credential_with_key(&client, key.public());
                let group =
                    MlsGroup::new_with_group_id(provider, key, &config, group_id(&room()), who)
                        .unwrap();
                let group_info = export_group_info(&group, provider, key)?;
                let tree = ratchet_tree::to_wire(&group.export_ratchet_tree())?;
                Ok::<_, Error>((group_info, tree))
            })
            .unwrap();
        RoomCreation {
            group_info: Verbatim::own(group_info).unwrap(),
            ratchet_tree_option: RatchetTreeOption::Full(tree),
        }
    }

    pub fn single_use(&mut self) -> ValidKeyPackage {
        self.key_package(KeyPackageKind::SingleUse)
    }

    /// Commits these proposals, and adds and removes these clients; the commit stays pending.
    pub fn propose(
        &mut self,
        proposals: Vec<Proposal>,
        adds: &[ValidKeyPackage],
        removes: &[&ClientUri],
    ) -> Upload {
        let removes = removes.iter().copied().cloned().collect();
        self.build(Draft { proposals, adds: adds.to_vec(), removes, ..Draft::default() })
    }

    /// Commits a draft, whether or not it is permitted; the commit stays pending. AppSyncs that are
    /// not valid leave the committer's list as it is.
    pub fn build(&mut self, draft: Draft) -> Upload {
        let honest = draft.resolution == Resolving::Honestly;
        let Draft {
            proposals, adds, removes, extensions: new_extensions, leaf, group_info, ..
        } = draft;
        let adds: Vec<_> = adds.into_iter().map(|package| package.key_package).collect();
        let removes: Vec<_> = removes.iter().map(|client| self.leaf_of(client)).collect();
        self.with_group(|group, provider, key| {
            let extensions = group.extensions().clone();
            let mut builder = group.commit_builder();
            if let Some(extensions) = new_extensions {
                builder = builder.propose_group_context_extensions(extensions).unwrap();
            }
            let mut builder = builder
                .leaf_node_parameters(leaf)
                .add_proposals(proposals)
                .propose_removals(removes)
                .propose_adds(adds)
                .load_psks(provider.storage())
                .unwrap()
                .create_group_info(true)
                .use_ratchet_tree_extension(group_info == GroupInfoTree::Inside);
            if !honest || resolve_own(&extensions, &mut builder).is_err() {
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

    /// Commits an AppSync without applying it to the committer's own list (R44).
    pub fn propose_lying(&mut self, app_sync: &AppSync) -> Upload {
        let draft = Draft {
            proposals: vec![app_sync_proposal(Profile::B, app_sync).unwrap()],
            resolution: Resolving::KeepsTheOldList,
            ..Draft::default()
        };
        self.build(draft)
    }

    pub fn extensions(&mut self) -> Extensions<GroupContext> {
        self.with_group(|group, _, _| Ok::<_, Error>(group.extensions().clone())).unwrap()
    }

    /// Takes note of a proposal of somebody else.
    pub fn receive_proposal(&mut self, message: &[u8]) {
        self.with_group(|group, provider, _| {
            let message = ProtocolMessage::from(public_message(message));
            let processed = group.process_message(provider, message).unwrap();
            let ProcessedMessageContent::ProposalMessage(proposal) = processed.into_content()
            else {
                return Err("no proposal");
            };
            group.store_pending_proposal(provider.storage(), *proposal).unwrap();
            Ok(())
        })
        .unwrap();
    }

    /// The external commit by which this client joins, over the SelfRemoves among these proposals. Its
    /// group is the new one from here on.
    pub fn external_commit(
        &mut self,
        group_info: &[u8],
        tree: &RatchetTreeOption,
        proposals: &[Vec<u8>],
    ) -> Upload {
        self.external_commit_with(group_info, tree, proposals, |builder| builder)
    }

    /// As [`Member::external_commit`], with what `change` adds though it may not. What an AppSync makes
    /// of the list does not matter: nobody looks.
    pub fn external_commit_with(
        &mut self,
        group_info: &[u8],
        tree: &RatchetTreeOption,
        proposals: &[Vec<u8>],
        change: impl for<'b> FnOnce(Joining<'b>) -> Joining<'b>,
    ) -> Upload {
        let RatchetTreeOption::Full(tree) = tree else { panic!("no tree") };
        let (nodes, client) = (tree.nodes().unwrap(), self.client.clone());
        let group_info = decode_exact(group_info).unwrap();
        let proposals = proposals.iter().map(|proposal| public_message(proposal)).collect();
        self.step(|provider, key| {
            let who = credential_with_key(&client, key.public());
            let builder = MlsGroup::external_commit_builder()
                .with_ratchet_tree(nodes)
                .with_config(join_config())
                .with_proposals(proposals)
                .build_group(provider, group_info, who)
                .unwrap()
                .leaf_node_parameters(
                    LeafNodeParameters::builder()
                        .with_capabilities(capabilities())
                        .with_extensions(leaf_extensions()?)
                        .build(),
                );
            let mut builder =
                change(builder).load_psks(provider.storage()).unwrap().create_group_info(true);
            if builder.app_data_update_proposals().next().is_some() {
                let list = ParticipantList::of_creator(client.user()).encode()?;
                let mut updater = builder.app_data_dictionary_updater();
                updater.set(ComponentData::from_parts(component::PARTICIPANT_LIST, list.into()));
                let updates = updater.changes();
                builder.with_app_data_dictionary_updates(updates);
            }
            let bundle = builder.build(provider.rand(), provider.crypto(), key, |_| true).unwrap();
            let (group, bundle) = bundle.finalize(provider).unwrap();
            let (message, _, group_info) = bundle.into_contents();
            let tree = group.export_ratchet_tree();
            Ok::<_, Error>(Upload {
                message: without_header(&message, WireFormat::PublicMessage)?,
                welcome: None,
                group_info: encode(&group_info.unwrap())?,
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

    /// Follows a commit that was fanned out, takes note of a proposal, or reads a message and returns
    /// what it says.
    pub fn process(&mut self, fanout: &FanoutMessage) -> Option<Vec<u8>> {
        let message = MlsMessageIn::clone(&fanout.message).try_into_protocol_message().unwrap();
        self.with_group(|group, provider, _| {
            let processed = group.process_message(provider, message).unwrap();
            use ProcessedMessageContent::{ApplicationMessage, ProposalMessage};
            if !matches!(processed.content(), ApplicationMessage(_) | ProposalMessage(_)) {
                let staged = stage_at_member(group, provider, processed)?.staged;
                group.merge_staged_commit(provider, staged).unwrap();
                return Ok(None);
            }
            match processed.into_content() {
                ApplicationMessage(message) => Ok::<_, Error>(Some(message.into_bytes())),
                ProposalMessage(proposal) => {
                    group.store_pending_proposal(provider.storage(), *proposal).unwrap();
                    Ok(None)
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

    /// The clients that have a leaf.
    pub fn clients(&mut self) -> Vec<ClientUri> {
        self.with_group(|group, _, _| {
            let members = group.members();
            Ok::<_, ()>(members.map(|member| client_uri_of(&member.credential).unwrap()).collect())
        })
        .unwrap()
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
