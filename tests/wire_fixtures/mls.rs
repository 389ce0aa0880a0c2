//! A short life of one MLS group, as bare structs (without MLSMessage header) and as openmls sees it.

use std::sync::LazyLock;

use openmls::component::ComponentData;
use openmls::group::{CommitMessageBundle, PURE_PLAINTEXT_WIRE_FORMAT_POLICY};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::messages::proposals::AppDataUpdateOperation;
use openmls::prelude::{
    AppDataDictionary, AppDataDictionaryExtension, AppDataUpdateProposal, BasicCredential,
    Capabilities, Ciphersuite, CredentialType, CredentialWithKey, Extension, ExtensionType,
    Extensions, GroupId, KeyPackage, LeafNodeIndex, Lifetime, MlsGroup, MlsGroupJoinConfig,
    MlsMessageOut, OpenMlsProvider, ProcessedMessageContent, Proposal, ProposalOrRefType,
    ProposalType, ProtocolMessage, PublicMessageIn, RatchetTreeIn, RequiredCapabilitiesExtension,
    Sender, StagedCommit, StagedWelcome, Welcome,
};
use openmls::treesync::LeafNodeParameters;
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use tls_codec::{DeserializeBytes, Serialize};

pub const ROOM: &str = "clubhouse@alpha.example";
pub const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
/// The component of the participant list (WIRE a.5).
pub const COMPONENT: u16 = 0xF022;

/// One client.
pub struct Party {
    provider: OpenMlsRustCrypto,
    pub signer: SignatureKeyPair,
    pub credential: CredentialWithKey,
}

impl Party {
    pub fn new(client: &str) -> Self {
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm()).unwrap();
        let credential = CredentialWithKey {
            credential: BasicCredential::new(client.as_bytes().to_vec()).into(),
            signature_key: signer.public().into(),
        };
        Self { provider: OpenMlsRustCrypto::default(), signer, credential }
    }

    pub fn key_package(&self) -> KeyPackage {
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(Lifetime::new(84 * 24 * 3600))
            .build(SUITE, &self.provider, &self.signer, self.credential.clone())
            .unwrap()
            .into_key_package()
    }

    pub fn last_resort_key_package(&self) -> KeyPackage {
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .mark_as_last_resort()
            .build(SUITE, &self.provider, &self.signer, self.credential.clone())
            .unwrap()
            .into_key_package()
    }

    fn create_group(&self) -> MlsGroup {
        let mut dictionary = AppDataDictionary::new();
        dictionary.insert(COMPONENT, b"list".to_vec());
        let extensions = Extensions::from_vec(vec![
            Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary)),
            Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(
                &[ExtensionType::AppDataDictionary],
                &[ProposalType::AppDataUpdate],
                &[CredentialType::Basic],
            )),
        ])
        .unwrap();
        MlsGroup::builder()
            .with_group_id(GroupId::from_slice(ROOM.as_bytes()))
            .ciphersuite(SUITE)
            .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(false)
            .with_capabilities(capabilities())
            .with_group_context_extensions(extensions)
            .build(&self.provider, &self.signer, self.credential.clone())
            .unwrap()
    }

    fn join(&self, welcome: &[u8], tree: &[u8]) -> MlsGroup {
        let welcome = Welcome::tls_deserialize_exact_bytes(welcome).unwrap();
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap();
        StagedWelcome::new_from_welcome(&self.provider, &join_config(), welcome, Some(tree))
            .unwrap()
            .into_group(&self.provider)
            .unwrap()
    }

    fn join_by_external_commit(&self, group_info: &[u8], tree: &[u8]) -> (MlsGroup, Uploaded) {
        let group_info = VerifiableGroupInfo::tls_deserialize_exact_bytes(group_info).unwrap();
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap();
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_ratchet_tree(tree)
            .with_config(join_config())
            .build_group(&self.provider, group_info, self.credential.clone())
            .unwrap()
            .leaf_node_parameters(
                LeafNodeParameters::builder().with_capabilities(capabilities()).build(),
            )
            .load_psks(self.provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .finalize(&self.provider)
            .unwrap();
        let uploaded = Uploaded::new(bundle, &group);
        (group, uploaded)
    }

    /// Proposes to remove itself, with an AppDataUpdate.
    fn leave(&self, group: &mut MlsGroup) -> [Vec<u8>; 2] {
        let remove = group.leave_group(&self.provider, &self.signer).unwrap();
        let update = AppDataUpdateOperation::Update(b"-bob".to_vec().into());
        let (update, _) =
            group.propose_app_data_update(&self.provider, &self.signer, COMPONENT, update).unwrap();
        [bare(&remove), bare(&update)]
    }

    /// Commits what is pending and `changes`, and merges.
    fn commit(&self, group: &mut MlsGroup, changes: Changes) -> Uploaded {
        let app_data = changes.app_data.map(|operation| {
            Proposal::AppDataUpdate(Box::new(match operation {
                AppDataUpdateOperation::Update(data) => {
                    AppDataUpdateProposal::update(COMPONENT, data)
                }
                AppDataUpdateOperation::Remove => AppDataUpdateProposal::remove(COMPONENT),
            }))
        });
        let mut stage = group
            .commit_builder()
            .propose_adds(changes.adds)
            .propose_removals(changes.removes)
            .add_proposals(app_data)
            .load_psks(self.provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(false);
        let mut updater = stage.app_data_dictionary_updater();
        for update in stage.app_data_update_proposals() {
            match update.operation() {
                AppDataUpdateOperation::Update(data) => {
                    updater.set(ComponentData::from_parts(update.component_id(), data.clone()));
                }
                AppDataUpdateOperation::Remove => updater.remove(&update.component_id()),
            }
        }
        let changes = updater.changes();
        stage.with_app_data_dictionary_updates(changes);
        let bundle = stage
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        Uploaded::new(bundle, group)
    }

    /// Processes a bare PublicMessage of another member; a Commit is merged.
    fn process(&self, group: &mut MlsGroup, message: &[u8]) -> Option<Observed> {
        let message = PublicMessageIn::tls_deserialize_exact_bytes(message).unwrap();
        let processed =
            group.process_message(&self.provider, ProtocolMessage::from(message)).unwrap();
        let sender = processed.sender().clone();
        let epoch = processed.epoch().as_u64();
        let mut app_data = Vec::new();
        let staged = match processed.into_content() {
            ProcessedMessageContent::ProposalMessage(proposal) => {
                group.store_pending_proposal(self.provider.storage(), *proposal).unwrap();
                return None;
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
            ProcessedMessageContent::UnresolvedAppDataCommit(unresolved) => {
                let mut updater = group.app_data_dictionary_updater();
                for update in unresolved.app_data_update_proposals() {
                    let id = update.component_id();
                    match update.operation() {
                        AppDataUpdateOperation::Update(data) => {
                            app_data.push((id, Some(data.as_slice().to_vec())));
                            updater.set(ComponentData::from_parts(id, data.clone()));
                        }
                        AppDataUpdateOperation::Remove => {
                            app_data.push((id, None));
                            updater.remove(&id);
                        }
                    }
                }
                let changes = updater.changes();
                group.stage_app_data_commit(&self.provider, *unresolved, changes).unwrap()
            }
            _ => panic!("neither a proposal nor a commit"),
        };
        let observed = Observed::new(sender, epoch, &staged);
        group.merge_staged_commit(&self.provider, staged).unwrap();
        Some(observed)
    }
}

fn capabilities() -> Capabilities {
    Capabilities::new(
        None,
        Some(&[SUITE]),
        Some(&[ExtensionType::AppDataDictionary, ExtensionType::LastResort]),
        Some(&[ProposalType::AppDataUpdate, ProposalType::SelfRemove]),
        Some(&[CredentialType::Basic]),
    )
}

fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(false)
        .build()
}

/// The bare struct in an MLSMessage: without the version and the wire format.
pub fn bare(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().unwrap()[4..].to_vec()
}

/// What a commit does besides what is pending.
#[derive(Default)]
struct Changes {
    adds: Vec<KeyPackage>,
    removes: Vec<LeafNodeIndex>,
    app_data: Option<AppDataUpdateOperation>,
}

impl Changes {
    fn adds(adds: Vec<KeyPackage>) -> Self {
        Self { adds, ..Self::default() }
    }
}

/// What a committer uploads.
pub struct Uploaded {
    pub commit: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
    pub group_info: Vec<u8>,
    pub tree: Vec<u8>,
    /// The leaves of that tree, with their credentials encoded.
    pub members: Vec<(u32, Vec<u8>)>,
}

impl Uploaded {
    fn new(bundle: CommitMessageBundle, merged: &MlsGroup) -> Self {
        let (commit, welcome, group_info) = bundle.into_contents();
        Self {
            commit: bare(&commit),
            welcome: welcome.map(|welcome| welcome.tls_serialize_detached().unwrap()),
            group_info: group_info.unwrap().tls_serialize_detached().unwrap(),
            tree: merged.export_ratchet_tree().tls_serialize_detached().unwrap(),
            members: merged
                .members()
                .map(|member| {
                    (member.index.u32(), member.credential.tls_serialize_detached().unwrap())
                })
                .collect(),
        }
    }
}

/// What openmls tells another member about a commit.
#[derive(Debug, PartialEq, Eq)]
pub struct Observed {
    pub sender: Sender,
    pub epoch: u64,
    /// The proposals that stand in the commit itself, encoded, sorted.
    pub inline: Vec<Vec<u8>>,
    /// The references in the commit, sorted.
    pub references: Vec<Vec<u8>>,
    /// The credential in the leaf of the path, encoded.
    pub path_credential: Option<Vec<u8>>,
}

impl Observed {
    fn new(sender: Sender, epoch: u64, staged: &StagedCommit) -> Self {
        let mut inline = Vec::new();
        let mut references = Vec::new();
        for queued in staged.queued_proposals() {
            match queued.proposal_or_ref_type() {
                ProposalOrRefType::Reference => {
                    references.push(queued.proposal_reference_ref().as_slice().to_vec());
                }
                ProposalOrRefType::Proposal => {
                    inline.push(queued.proposal().tls_serialize_detached().unwrap());
                }
            }
        }
        inline.sort();
        references.sort();
        let path_credential = staged
            .update_path_leaf_node()
            .map(|leaf| leaf.credential().tls_serialize_detached().unwrap());
        Self { sender, epoch, inline, references, path_credential }
    }
}

/// Alice's room with Cathy in it: Alice adds Bob with two clients, Bob's phone leaves, Dave joins by
/// himself and is removed.
pub struct Story {
    pub bob_key_package: Vec<u8>,
    /// The leaf node in that KeyPackage.
    pub leaf_node: Vec<u8>,
    pub last_resort_key_package: Vec<u8>,
    pub capabilities: Vec<u8>,
    pub credential: Vec<u8>,
    pub signature_key: Vec<u8>,
    /// AppDataUpdate, Add, Add: with a Welcome.
    pub add: Uploaded,
    /// The phone's Remove of itself, and the AppDataUpdate that goes with it.
    pub leave: [Vec<u8>; 2],
    /// Covers `leave` by reference.
    pub leave_commit: Uploaded,
    /// Dave's external commit.
    pub external: Uploaded,
    /// Remove of Dave, and AppDataUpdate that drops the component.
    pub remove: Uploaded,
    /// The four commits in order, with what openmls made of them in Cathy's hands.
    pub observed: Vec<(Vec<u8>, Observed)>,
    /// An application message, bare.
    pub application: Vec<u8>,
    /// A commit in a PrivateMessage, bare.
    pub private_commit: Vec<u8>,
}

/// The same story for all tests of a binary.
pub static STORY: LazyLock<Story> = LazyLock::new(tell);

fn tell() -> Story {
    let [alice, phone, laptop, cathy, dave] = [
        "alice@alpha.example/a",
        "bob@bravo.example/phone",
        "bob@bravo.example/laptop",
        "cathy@charlie.example/c",
        "dave@delta.example/d",
    ]
    .map(Party::new);
    let mut at_alice = alice.create_group();
    let begin = alice.commit(&mut at_alice, Changes::adds(vec![cathy.key_package()]));
    let mut at_cathy = cathy.join(&begin.welcome.unwrap(), &begin.tree);
    let mut observed = Vec::new();
    let mut observe = |at_cathy: &mut MlsGroup, uploaded: &Uploaded| {
        let seen = cathy.process(at_cathy, &uploaded.commit).unwrap();
        observed.push((uploaded.commit.clone(), seen));
    };

    let key_package = phone.key_package();
    let bob_key_package = key_package.tls_serialize_detached().unwrap();
    let leaf_node = key_package.leaf_node().tls_serialize_detached().unwrap();
    let add = alice.commit(
        &mut at_alice,
        Changes {
            app_data: Some(AppDataUpdateOperation::Update(b"+bob".to_vec().into())),
            ..Changes::adds(vec![key_package, laptop.key_package()])
        },
    );
    observe(&mut at_cathy, &add);

    let mut at_phone = phone.join(add.welcome.as_ref().unwrap(), &add.tree);
    let leave = phone.leave(&mut at_phone);
    for proposal in &leave {
        assert!(alice.process(&mut at_alice, proposal).is_none());
        assert!(cathy.process(&mut at_cathy, proposal).is_none());
    }
    let leave_commit = alice.commit(&mut at_alice, Changes::default());
    observe(&mut at_cathy, &leave_commit);

    let (at_dave, external) =
        dave.join_by_external_commit(&leave_commit.group_info, &leave_commit.tree);
    alice.process(&mut at_alice, &external.commit).unwrap();
    observe(&mut at_cathy, &external);

    let remove = alice.commit(
        &mut at_alice,
        Changes {
            removes: vec![at_dave.own_leaf_index()],
            app_data: Some(AppDataUpdateOperation::Remove),
            ..Changes::default()
        },
    );
    observe(&mut at_cathy, &remove);

    let application =
        bare(&at_cathy.create_message(&cathy.provider, &cathy.signer, b"hello").unwrap());
    Story {
        bob_key_package,
        leaf_node,
        last_resort_key_package: phone.last_resort_key_package().tls_serialize_detached().unwrap(),
        capabilities: capabilities().tls_serialize_detached().unwrap(),
        credential: dave.credential.credential.tls_serialize_detached().unwrap(),
        signature_key: dave.signer.public().to_vec(),
        add,
        leave,
        leave_commit,
        external,
        remove,
        observed,
        application,
        private_commit: private_commit(),
    }
}

/// A commit of a group that encrypts its handshake messages.
fn private_commit() -> Vec<u8> {
    let alice = Party::new("alice@alpha.example/a");
    let mut group = MlsGroup::builder()
        .with_group_id(GroupId::from_slice(ROOM.as_bytes()))
        .ciphersuite(SUITE)
        .build(&alice.provider, &alice.signer, alice.credential.clone())
        .unwrap();
    let bundle =
        group.self_update(&alice.provider, &alice.signer, LeafNodeParameters::default()).unwrap();
    bare(bundle.commit())
}
