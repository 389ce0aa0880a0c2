//! Members and a hub of one room, with nothing between them.
//!
//! Every step of a member loads its group from rows and writes it back, so each also tests that
//! openmls' state survives the storage.

use mimi_edge::{
    error::Error,
    mls::{
        self, HubGroupStore, MlsCrypto, MlsProvider, SignatureKeyPair,
        commit::{RoomCommit, stage_at_hub, stage_at_member, verify_at_hub},
        group_info::check_group_info,
        key_package::{KeyPackageKind, ValidKeyPackage, create_key_package},
        ratchet_tree,
    },
    room::{
        ParticipantList, Profile,
        app_sync::{app_sync_proposal, participant_list},
    },
    storage::{MemoryStorage, Storage, Transaction},
    transport::{Endpoint, RoomFacts},
    wire::{
        AppSync, RatchetTree, Role, RoomProfile, UserRoles, decode_exact,
        uri::{ClientUri, RoomUri, UserUri},
    },
};
use openmls::{
    framing::{
        PrivateMessageIn, ProcessedMessage, ProcessedMessageContent, ProtocolMessage,
        PublicMessageIn,
    },
    group::{MlsGroup, ProposalStore, PublicGroup, QueuedProposal},
    messages::{Welcome, group_info::VerifiableGroupInfo, proposals::Proposal},
    prelude::{Ciphersuite, ExternalSender, OpenMlsProvider, WireFormat},
};

use super::own_group::{
    self, OwnCommit, RoomChange, create_group, group_id, join_by_welcome, load_group,
};

pub use super::clock::real_time as now;

pub const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
pub const TABLE: u8 = b'h';

pub fn room() -> RoomUri {
    RoomUri::parse("clubhouse@alpha.example").unwrap()
}

pub fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("{name}@alpha.example")).unwrap()
}

pub fn add(name: &str) -> AppSync {
    let entry = UserRoles { user: user(name).to_wire(), roles: vec![Role::RegularUser] };
    AppSync { add_users: vec![entry], ..AppSync::default() }
}

pub fn remove(name: &str) -> AppSync {
    AppSync { remove_users: vec![user(name).to_wire()], ..AppSync::default() }
}

pub fn sync(app_sync: &AppSync) -> Proposal {
    app_sync_proposal(Profile::B, app_sync).unwrap()
}

/// What a user of the room's own provider, or of a follower, is told: it is in the room.
pub fn membership(profile: Option<RoomProfile>) -> Endpoint {
    Endpoint::Membership { room: room(), facts: Some(RoomFacts { cipher_suite: 1, profile }) }
}

/// What it is told when it is no longer.
pub fn no_membership() -> Endpoint {
    Endpoint::Membership { room: room(), facts: None }
}

/// The list alone.
pub fn list_change(app_sync: AppSync) -> RoomChange {
    RoomChange { app_sync: Some(app_sync), ..RoomChange::default() }
}

/// A user and its client.
pub fn entry(name: &str, key_package: &ValidKeyPackage) -> RoomChange {
    RoomChange { adds: vec![key_package.key_package.clone()], ..list_change(add(name)) }
}

pub struct Member {
    pub client: ClientUri,
    pub storage: MemoryStorage,
    pub crypto: MlsCrypto,
    pub key: SignatureKeyPair,
    /// Of the room that it creates.
    pub profile: Profile,
}

impl Member {
    pub fn new(name: &str) -> Self {
        let crypto = MlsCrypto::seeded([name.len() as u8; 32]);
        Self::of(user(name).client("phone").unwrap(), crypto)
    }

    pub fn of(client: ClientUri, crypto: MlsCrypto) -> Self {
        let key = crypto.signature_key_pair(SUITE).unwrap();
        let (storage, profile) = (MemoryStorage::default(), Profile::default());
        Self { client, storage, crypto, key, profile }
    }

    /// One step: what it wrote is kept when it succeeds.
    pub fn step<T, E>(
        &mut self,
        step: impl FnOnce(&MlsProvider<'_, '_>, &SignatureKeyPair) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = Transaction::new(&self.storage);
        let provider = MlsProvider::new(&mut transaction, &self.crypto);
        let value = step(&provider, &self.key)?;
        let changes = transaction.into_changes();
        self.storage.apply(changes).unwrap();
        Ok(value)
    }

    pub fn with_group<T, E>(
        &mut self,
        step: impl FnOnce(&mut MlsGroup, &MlsProvider<'_, '_>, &SignatureKeyPair) -> Result<T, E>,
    ) -> Result<T, E> {
        self.step(|provider, key| {
            let mut group = load_group(provider, &room()).unwrap().unwrap();
            step(&mut group, provider, key)
        })
    }

    pub fn create(&mut self, hub: Option<ExternalSender>) -> (Vec<u8>, RatchetTree) {
        let (client, profile) = (self.client.clone(), self.profile);
        self.step(|provider, key| {
            let who = (&client, key.public());
            let group = create_group(provider, key, who, &room(), (SUITE, profile, hub), now())?;
            let group_info = own_group::export_group_info(&group, provider, key)?;
            let tree = ratchet_tree::to_wire(&group.export_ratchet_tree())?;
            Ok::<_, Error>((group_info, tree))
        })
        .unwrap()
    }

    pub fn key_package(&mut self, kind: KeyPackageKind) -> ValidKeyPackage {
        let client = self.client.clone();
        let who = |key: &SignatureKeyPair| key.public().to_vec();
        self.step(|provider, key| {
            create_key_package(
                provider,
                key,
                (&client, &who(key)),
                SUITE,
                kind,
                mls::key_package_lifetime(now()),
            )
        })
        .unwrap()
    }

    pub fn commit(&mut self, change: RoomChange) -> Result<OwnCommit, Error> {
        self.with_group(|group, provider, key| own_group::commit(group, provider, key, change))
    }

    pub fn merge_own(&mut self) {
        self.with_group(|group, provider, _| group.merge_pending_commit(provider)).unwrap();
    }

    pub fn clear_own(&mut self) {
        self.with_group(|group, provider, _| group.clear_pending_commit(provider.storage()))
            .unwrap();
    }

    pub fn follow(&mut self, commit: &[u8]) -> Result<(), Error> {
        self.with_group(|group, provider, _| {
            let message = ProtocolMessage::from(public_message(commit));
            let message = group.process_message(provider, message).unwrap();
            let commit = stage_at_member(group, provider, message)?;
            group.merge_staged_commit(provider, commit.staged).unwrap();
            Ok(())
        })
    }

    pub fn store_proposal(&mut self, proposal: &[u8]) {
        self.with_group(|group, provider, _| {
            let message = ProtocolMessage::from(public_message(proposal));
            let message = group.process_message(provider, message).unwrap();
            group.store_pending_proposal(provider.storage(), queued(message))
        })
        .unwrap();
    }

    pub fn join(&mut self, welcome: &[u8], tree: &RatchetTree) -> Result<(), Error> {
        let welcome: Welcome = decode_exact(welcome).unwrap();
        let tree = tree.nodes().unwrap();
        self.step(|provider, _| join_by_welcome(provider, welcome, tree).map(|_| ()))
    }

    pub fn state(&mut self) -> (u64, Vec<u8>, Vec<u8>) {
        self.with_group(|group, _, _| {
            let list = participant_list(group.extensions()).unwrap().encode().unwrap();
            let authenticator = group.epoch_authenticator().as_slice().to_vec();
            Ok::<_, ()>((group.epoch().as_u64(), authenticator, list))
        })
        .unwrap()
    }

    pub fn send(&mut self, text: &[u8]) -> Vec<u8> {
        self.with_group(|group, provider, key| {
            let message = group.create_message(provider, key, text).unwrap();
            mls::without_header(&message, WireFormat::PrivateMessage)
        })
        .unwrap()
    }

    pub fn receive(&mut self, message: &[u8]) -> Vec<u8> {
        let message: PrivateMessageIn = decode_exact(message).unwrap();
        self.with_group(|group, provider, _| {
            let message = group.process_message(provider, ProtocolMessage::from(message)).unwrap();
            let ProcessedMessageContent::ApplicationMessage(message) = message.into_content()
            else {
                return Err("no application message");
            };
            Ok(message.into_bytes())
        })
        .unwrap()
    }
}

pub fn public_message(bytes: &[u8]) -> PublicMessageIn {
    decode_exact(bytes).unwrap()
}

fn queued(message: ProcessedMessage) -> QueuedProposal {
    match message.into_content() {
        ProcessedMessageContent::ProposalMessage(proposal) => *proposal,
        other => panic!("no proposal: {other:?}"),
    }
}

pub struct Hub {
    pub crypto: MlsCrypto,
    pub storage: MemoryStorage,
}

impl Hub {
    pub fn new(group_info: &[u8], tree: &RatchetTree) -> Self {
        let hub = Self { crypto: MlsCrypto::new(), storage: MemoryStorage::default() };
        let store = HubGroupStore::new();
        let group_info: VerifiableGroupInfo = decode_exact(group_info).unwrap();
        let tree = tree.nodes().unwrap();
        PublicGroup::from_external(
            hub.crypto.algorithms(),
            &store,
            tree,
            group_info,
            ProposalStore::new(),
        )
        .unwrap();
        hub.saved(&store)
    }

    pub fn saved(mut self, store: &HubGroupStore) -> Self {
        self.save(store);
        self
    }

    pub fn save(&mut self, store: &HubGroupStore) {
        let mut transaction = Transaction::new(&self.storage);
        store.save(&mut transaction, TABLE).unwrap();
        let changes = transaction.into_changes();
        self.storage.apply(changes).unwrap();
    }

    pub fn load(&self) -> (HubGroupStore, PublicGroup) {
        let store = HubGroupStore::load(&Transaction::new(&self.storage), TABLE).unwrap().unwrap();
        let group = PublicGroup::load(&store, &group_id(&room())).unwrap().unwrap();
        (store, group)
    }

    pub fn stage(&self, group: &PublicGroup, commit: &[u8]) -> Result<RoomCommit, Error> {
        let message = verify_at_hub(group, self.crypto.algorithms(), public_message(commit))?;
        stage_at_hub(group, self.crypto.algorithms(), message)
    }

    pub fn store_proposal(&mut self, proposal: &[u8]) {
        let (store, mut group) = self.load();
        let message = public_message(proposal);
        let message = verify_at_hub(&group, self.crypto.algorithms(), message).unwrap();
        group.add_proposal(&store, queued(message)).unwrap();
        self.save(&store);
    }

    /// Everything that the hub does with a commit, over what it has stored.
    pub fn accept(&mut self, commit: &OwnCommit) -> Result<Vec<ClientUri>, Error> {
        let (store, mut group) = self.load();
        let staged = self.stage(&group, &commit.message)?;
        let tag = public_message(&commit.message).confirmation_tag().unwrap().clone();
        let group_info: VerifiableGroupInfo = decode_exact(&commit.group_info)?;
        check_group_info(
            &group,
            self.crypto.algorithms(),
            &staged.staged,
            &staged.sender,
            &tag,
            &group_info,
        )?;
        let entering = staged.entering()?;
        group.merge_commit(&store, staged.staged).unwrap();
        let own = ratchet_tree::to_wire(&group.export_ratchet_tree())?;
        ratchet_tree::check_uploaded(&commit.tree, &own)?;
        self.save(&store);
        Ok(entering)
    }

    pub fn list(&self) -> ParticipantList {
        participant_list(self.load().1.group_context().extensions()).unwrap()
    }
}

/// Alice's room with bob in it, and the hub.
pub fn room_of_two() -> (Member, Member, Hub) {
    room_of_two_in(Profile::B)
}

/// As [`room_of_two`], in a profile.
pub fn room_of_two_in(profile: Profile) -> (Member, Member, Hub) {
    let (mut alice, mut bob) = (Member::new("alice"), Member::new("bob"));
    alice.profile = profile;
    let (group_info, tree) = alice.create(None);
    let mut hub = Hub::new(&group_info, &tree);
    let key_package = bob.key_package(KeyPackageKind::SingleUse);
    let commit = alice.commit(entry("bob", &key_package)).unwrap();
    hub.accept(&commit).unwrap();
    alice.merge_own();
    bob.join(commit.welcome.as_ref().unwrap(), &commit.tree).unwrap();
    (alice, bob, hub)
}
