//! A member that breaks the rules, with what a device has stored.

use mimi_edge::{
    mls::{MlsCrypto, MlsProvider, SignatureKeyPair},
    storage::{MemoryStorage, Storage as _, Transaction, decode_row},
    wire::{self, FanoutMessage, Verbatim, uri::ClientUri},
};
use openmls::{
    framing::MlsMessageOut,
    group::{CommitBuilder, GroupId, LoadedPsks, MlsGroup},
    prelude::LeafNodeParameters,
};
use openmls_traits::OpenMlsProvider;

use super::world::{Device, World, room};

/// Key and URI of the device, from its rows.
fn identity(stored: &MemoryStorage) -> (ClientUri, SignatureKeyPair) {
    let row = stored.rows().find(|(key, _)| *key == [2]).unwrap();
    decode_row(row.1).unwrap()
}

/// A member with a device's state, which goes its own way from here.
pub struct Twin {
    stored: MemoryStorage,
}

impl Twin {
    pub fn of(device: &Device) -> Self {
        Self { stored: device.stored.clone() }
    }

    /// A message that it makes; what that changes stays with it.
    pub fn message(
        &mut self,
        make: impl FnOnce(&mut MlsGroup, &MlsProvider<'_, '_>, &SignatureKeyPair) -> MlsMessageOut,
    ) -> Vec<u8> {
        self.bytes(|group, provider, key| wire::encode(&make(group, provider, key)).unwrap())
    }

    /// Bytes that it makes; what that changes stays with it.
    pub fn bytes(
        &mut self,
        make: impl FnOnce(&mut MlsGroup, &MlsProvider<'_, '_>, &SignatureKeyPair) -> Vec<u8>,
    ) -> Vec<u8> {
        let (_, key_pair) = identity(&self.stored);
        let crypto = MlsCrypto::new();
        let mut transaction = Transaction::new(&self.stored);
        let provider = MlsProvider::new(&mut transaction, &crypto);
        let id = GroupId::from_slice(room().as_str().as_bytes());
        let mut group = MlsGroup::load(provider.storage(), &id).unwrap().unwrap();
        let message = make(&mut group, &provider, &key_pair);
        let changes = transaction.into_changes();
        self.stored.apply(changes).unwrap();
        message
    }

    /// What it has stored.
    pub fn into_stored(self) -> MemoryStorage {
        self.stored
    }

    /// A commit that changes its leaf's keys, merged.
    pub fn update(&mut self) -> Vec<u8> {
        self.message(|group, provider, key| {
            let commit = update(group, provider, key, LeafNodeParameters::default());
            group.merge_pending_commit(provider).unwrap();
            commit
        })
    }
}

/// A message of a device's twin that sends only this.
pub fn message(
    device: &Device,
    make: impl FnOnce(&mut MlsGroup, &MlsProvider<'_, '_>, &SignatureKeyPair) -> MlsMessageOut,
) -> Vec<u8> {
    Twin::of(device).message(make)
}

/// A commit with a path to a leaf of these parameters, and of nothing that is pending.
pub fn update(
    group: &mut MlsGroup,
    provider: &MlsProvider<'_, '_>,
    key: &SignatureKeyPair,
    parameters: LeafNodeParameters,
) -> MlsMessageOut {
    let builder = group
        .commit_builder()
        .consume_proposal_store(false)
        .force_self_update(true)
        .leaf_node_parameters(parameters);
    commit(builder.load_psks(provider.storage()).unwrap(), provider, key)
}

/// The commit that a builder makes.
pub fn commit(
    builder: CommitBuilder<'_, LoadedPsks, &mut MlsGroup>,
    provider: &MlsProvider<'_, '_>,
    key: &SignatureKeyPair,
) -> MlsMessageOut {
    let built = builder.build(provider.rand(), provider.crypto(), key, |_| true).unwrap();
    built.stage_commit(provider).unwrap().into_contents().0
}

/// The hub takes a commit without a look.
pub fn accept(world: &mut World, commit: Vec<u8>) {
    append(world, commit);
    world.desk.rooms.get_mut(room().as_str()).unwrap().epoch += 1;
}

/// The log has this.
pub fn append(world: &mut World, message: Vec<u8>) {
    let room = world.desk.rooms.get_mut(room().as_str()).unwrap();
    world.desk.clock += 1;
    room.log.push(FanoutMessage {
        message: Verbatim::own(message).unwrap(),
        timestamp: world.desk.clock,
        ratchet_tree_option: None,
    });
}
