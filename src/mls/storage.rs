//! openmls' storage of a member, as rows of a [`Transaction`].
//!
//! Rows are postcard, under [`MLS_TABLE`] ‖ label ‖ key.

use std::cell::RefCell;

use openmls_traits::storage::{CURRENT_VERSION as VERSION, Entity, Key, StorageProvider, traits};
use serde::Serialize;

use super::join_config;
use crate::{
    error::InternalError,
    storage::{self, Transaction, decode_row, encode_row},
};

/// The table of a member's MLS state; no other module writes there.
pub const MLS_TABLE: u8 = b'm';

type Result<T> = core::result::Result<T, InternalError>;

/// A [`StorageProvider`] over a step's transaction.
pub struct MlsStorage<'t, 's> {
    transaction: RefCell<&'t mut Transaction<'s>>,
}

impl std::fmt::Debug for MlsStorage<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MlsStorage")
    }
}

/// The key of the row `label` of `parts`, which openmls tells apart by their encoding.
fn key(label: &str, parts: &impl Serialize) -> Result<Vec<u8>> {
    Ok(storage::Key::table(MLS_TABLE).text(label).bytes(&encode_row(parts)?).build())
}

const PROPOSAL: &str = "proposal";
const PROPOSAL_REFS: &str = "proposal refs";
const OWN_LEAF_NODES: &str = "own leaf nodes";
const CONFIG: &str = "config";
const GROUP_STATE: &str = "group state";
const EPOCH_KEYS: &str = "epoch keys";
const EXPORT_TREE: &str = "export tree";
const SIGNATURE_KEY: &str = "signature key";
const ENCRYPTION_KEY: &str = "encryption key";
const KEY_PACKAGE: &str = "key package";
const PSK: &str = "psk";

impl<'t, 's> MlsStorage<'t, 's> {
    pub(super) const fn new(transaction: &'t mut Transaction<'s>) -> Self {
        Self { transaction: RefCell::new(transaction) }
    }

    fn write(&self, key: Vec<u8>, value: &impl Serialize) -> Result<()> {
        self.transaction.borrow_mut().store(key, value)
    }

    fn read<E: Entity<VERSION>>(&self, key: &[u8]) -> Result<Option<E>> {
        self.transaction.borrow().load(key)
    }

    fn delete(&self, key: Vec<u8>) -> Result<()> {
        self.transaction.borrow_mut().delete(key);
        Ok(())
    }

    /// A list in one row; empty when there is no row.
    fn list(&self, key: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(self.transaction.borrow().load(key)?.unwrap_or_default())
    }

    fn proposal_key(group: &impl Key<VERSION>, reference: &[u8]) -> Result<Vec<u8>> {
        key(PROPOSAL, &(group, reference))
    }
}

/// A value of which each group has one: write, read, delete.
macro_rules! of_group {
    ($label:literal, $entity:ident, $write:ident, $read:ident, $delete:ident) => {
        fn $write<G: traits::GroupId<VERSION>, E: traits::$entity<VERSION>>(
            &self,
            group: &G,
            value: &E,
        ) -> Result<()> {
            self.write(key($label, group)?, value)
        }

        fn $read<G: traits::GroupId<VERSION>, E: traits::$entity<VERSION>>(
            &self,
            group: &G,
        ) -> Result<Option<E>> {
            self.read(&key($label, group)?)
        }

        fn $delete<G: traits::GroupId<VERSION>>(&self, group: &G) -> Result<()> {
            self.delete(key($label, group)?)
        }
    };
}

/// A value under a key of its own: write and delete. (Reads take their type parameters in varying
/// order.)
macro_rules! of_key {
    ($label:expr, $key:ident, $entity:ident, $write:ident, $delete:ident) => {
        fn $write<K: traits::$key<VERSION>, E: traits::$entity<VERSION>>(
            &self,
            id: &K,
            value: &E,
        ) -> Result<()> {
            self.write(key($label, id)?, value)
        }

        fn $delete<K: traits::$key<VERSION>>(&self, id: &K) -> Result<()> {
            self.delete(key($label, id)?)
        }
    };
}

impl StorageProvider<VERSION> for MlsStorage<'_, '_> {
    type Error = InternalError;

    of_group!("tree", TreeSync, write_tree, tree, delete_tree);
    of_group!("context", GroupContext, write_context, group_context, delete_context);
    of_group!(
        "transcript",
        InterimTranscriptHash,
        write_interim_transcript_hash,
        interim_transcript_hash,
        delete_interim_transcript_hash
    );
    of_group!(
        "tag",
        ConfirmationTag,
        write_confirmation_tag,
        confirmation_tag,
        delete_confirmation_tag
    );
    of_group!(
        "secrets",
        MessageSecrets,
        write_message_secrets,
        message_secrets,
        delete_message_secrets
    );
    of_group!(
        "resumption",
        ResumptionPskStore,
        write_resumption_psk_store,
        resumption_psk_store,
        delete_all_resumption_psk_secrets
    );
    of_group!(
        "leaf index",
        LeafNodeIndex,
        write_own_leaf_index,
        own_leaf_index,
        delete_own_leaf_index
    );
    of_group!(
        "epoch secrets",
        GroupEpochSecrets,
        write_group_epoch_secrets,
        group_epoch_secrets,
        delete_group_epoch_secrets
    );
    of_key!(
        SIGNATURE_KEY,
        SignaturePublicKey,
        SignatureKeyPair,
        write_signature_key_pair,
        delete_signature_key_pair
    );
    of_key!(
        ENCRYPTION_KEY,
        EncryptionKey,
        HpkeKeyPair,
        write_encryption_key_pair,
        delete_encryption_key_pair
    );
    of_key!(KEY_PACKAGE, HashReference, KeyPackage, write_key_package, delete_key_package);
    of_key!(PSK, PskId, PskBundle, write_psk, delete_psk);

    fn signature_key_pair<
        K: traits::SignaturePublicKey<VERSION>,
        E: traits::SignatureKeyPair<VERSION>,
    >(
        &self,
        id: &K,
    ) -> Result<Option<E>> {
        self.read(&key(SIGNATURE_KEY, id)?)
    }

    fn encryption_key_pair<E: traits::HpkeKeyPair<VERSION>, K: traits::EncryptionKey<VERSION>>(
        &self,
        id: &K,
    ) -> Result<Option<E>> {
        self.read(&key(ENCRYPTION_KEY, id)?)
    }

    fn key_package<K: traits::HashReference<VERSION>, E: traits::KeyPackage<VERSION>>(
        &self,
        id: &K,
    ) -> Result<Option<E>> {
        self.read(&key(KEY_PACKAGE, id)?)
    }

    fn psk<E: traits::PskBundle<VERSION>, K: traits::PskId<VERSION>>(
        &self,
        id: &K,
    ) -> Result<Option<E>> {
        self.read(&key(PSK, id)?)
    }

    fn write_group_state<E: traits::GroupState<VERSION>, G: traits::GroupId<VERSION>>(
        &self,
        group: &G,
        value: &E,
    ) -> Result<()> {
        self.write(key(GROUP_STATE, group)?, value)
    }

    fn group_state<E: traits::GroupState<VERSION>, G: traits::GroupId<VERSION>>(
        &self,
        group: &G,
    ) -> Result<Option<E>> {
        self.read(&key(GROUP_STATE, group)?)
    }

    fn delete_group_state<G: traits::GroupId<VERSION>>(&self, group: &G) -> Result<()> {
        self.delete(key(GROUP_STATE, group)?)
    }

    fn write_application_export_tree<
        G: traits::GroupId<VERSION>,
        E: traits::ApplicationExportTree<VERSION>,
    >(
        &self,
        group: &G,
        value: &E,
    ) -> Result<()> {
        self.write(key(EXPORT_TREE, group)?, value)
    }

    fn application_export_tree<
        G: traits::GroupId<VERSION>,
        E: traits::ApplicationExportTree<VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Option<E>> {
        self.read(&key(EXPORT_TREE, group)?)
    }

    fn delete_application_export_tree<
        G: traits::GroupId<VERSION>,
        E: traits::ApplicationExportTree<VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<()> {
        self.delete(key(EXPORT_TREE, group)?)
    }

    fn write_mls_join_config<
        G: traits::GroupId<VERSION>,
        E: traits::MlsGroupJoinConfig<VERSION>,
    >(
        &self,
        group: &G,
        config: &E,
    ) -> Result<()> {
        self.write(key(CONFIG, group)?, config)
    }

    fn mls_group_join_config<
        G: traits::GroupId<VERSION>,
        E: traits::MlsGroupJoinConfig<VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Option<E>> {
        let row = self.transaction.borrow().read(&key(CONFIG, group)?)?;
        row.map(|row| join_config::decode(&row)).transpose()
    }

    fn delete_group_config<G: traits::GroupId<VERSION>>(&self, group: &G) -> Result<()> {
        self.delete(key(CONFIG, group)?)
    }

    fn append_own_leaf_node<G: traits::GroupId<VERSION>, E: traits::LeafNode<VERSION>>(
        &self,
        group: &G,
        leaf_node: &E,
    ) -> Result<()> {
        let key = key(OWN_LEAF_NODES, group)?;
        let mut leaf_nodes = self.list(&key)?;
        leaf_nodes.push(encode_row(leaf_node)?);
        self.write(key, &leaf_nodes)
    }

    fn own_leaf_nodes<G: traits::GroupId<VERSION>, E: traits::LeafNode<VERSION>>(
        &self,
        group: &G,
    ) -> Result<Vec<E>> {
        let leaf_nodes = self.list(&key(OWN_LEAF_NODES, group)?)?;
        leaf_nodes.iter().map(|leaf_node| decode_row(leaf_node)).collect()
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<VERSION>>(&self, group: &G) -> Result<()> {
        self.delete(key(OWN_LEAF_NODES, group)?)
    }

    fn queue_proposal<
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        E: traits::QueuedProposal<VERSION>,
    >(
        &self,
        group: &G,
        reference: &R,
        proposal: &E,
    ) -> Result<()> {
        let refs_key = key(PROPOSAL_REFS, group)?;
        let reference = encode_row(reference)?;
        self.write(Self::proposal_key(group, &reference)?, proposal)?;
        let mut refs = self.list(&refs_key)?;
        if !refs.contains(&reference) {
            refs.push(reference);
        }
        self.write(refs_key, &refs)
    }

    fn queued_proposal_refs<G: traits::GroupId<VERSION>, R: traits::ProposalRef<VERSION>>(
        &self,
        group: &G,
    ) -> Result<Vec<R>> {
        let refs = self.list(&key(PROPOSAL_REFS, group)?)?;
        refs.iter().map(|reference| decode_row(reference)).collect()
    }

    fn queued_proposals<
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        E: traits::QueuedProposal<VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Vec<(R, E)>> {
        let mut proposals = Vec::new();
        for reference in self.list(&key(PROPOSAL_REFS, group)?)? {
            let proposal = self.read(&Self::proposal_key(group, &reference)?)?;
            let proposal =
                proposal.ok_or(InternalError::Storage("a queued proposal is missing"))?;
            proposals.push((decode_row(&reference)?, proposal));
        }
        Ok(proposals)
    }

    fn remove_proposal<G: traits::GroupId<VERSION>, R: traits::ProposalRef<VERSION>>(
        &self,
        group: &G,
        reference: &R,
    ) -> Result<()> {
        let refs_key = key(PROPOSAL_REFS, group)?;
        let reference = encode_row(reference)?;
        self.delete(Self::proposal_key(group, &reference)?)?;
        let mut refs = self.list(&refs_key)?;
        refs.retain(|other| *other != reference);
        self.write(refs_key, &refs)
    }

    fn clear_proposal_queue<G: traits::GroupId<VERSION>, R: traits::ProposalRef<VERSION>>(
        &self,
        group: &G,
    ) -> Result<()> {
        let refs_key = key(PROPOSAL_REFS, group)?;
        for reference in self.list(&refs_key)? {
            self.delete(Self::proposal_key(group, &reference)?)?;
        }
        self.delete(refs_key)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<VERSION>,
        K: traits::EpochKey<VERSION>,
        E: traits::HpkeKeyPair<VERSION>,
    >(
        &self,
        group: &G,
        epoch: &K,
        leaf_index: u32,
        key_pairs: &[E],
    ) -> Result<()> {
        self.write(key(EPOCH_KEYS, &(group, epoch, leaf_index))?, &key_pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<VERSION>,
        K: traits::EpochKey<VERSION>,
        E: traits::HpkeKeyPair<VERSION>,
    >(
        &self,
        group: &G,
        epoch: &K,
        leaf_index: u32,
    ) -> Result<Vec<E>> {
        let key = key(EPOCH_KEYS, &(group, epoch, leaf_index))?;
        Ok(self.transaction.borrow().load(&key)?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<
        G: traits::GroupId<VERSION>,
        K: traits::EpochKey<VERSION>,
    >(
        &self,
        group: &G,
        epoch: &K,
        leaf_index: u32,
    ) -> Result<()> {
        self.delete(key(EPOCH_KEYS, &(group, epoch, leaf_index))?)
    }
}
