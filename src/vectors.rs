//! What the official MLS test vectors are run with: the client module's own cryptography, codec and
//! storage, as exports for a test (wasm32 and feature `testing` only; no package has it).
//!
//! In scope: the algorithms of a suite, decoding and encoding, a client that only listens. Out of
//! scope: the vectors and what they expect; that is in `tests/js`.

use openmls::{
    ciphersuite::{HpkePrivateKey, hash_ref::HashReference},
    framing::{MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, PublicMessageIn},
    group::{GroupId, MlsGroup, MlsGroupJoinConfig, ProcessedWelcome, StagedWelcome},
    key_packages::KeyPackage,
    messages::Welcome,
    prelude::{Ciphersuite, OpenMlsCrypto, ProtocolVersion},
    schedule::PreSharedKeyId,
    treesync::{EncryptionKey, RatchetTreeIn},
};
use openmls_traits::{
    OpenMlsProvider,
    storage::{CURRENT_VERSION, Entity, StorageProvider, traits},
    types::HpkeCiphertext,
};
use serde::{Deserialize, Serialize};
use tls_codec::VLBytes;
use wasm_bindgen::prelude::*;

use crate::{
    mls::{
        MlsCrypto, MlsProvider, SignatureKeyPair, accepted_suite, join_config,
        labels::{sign_with_label, verifies_with_label},
    },
    storage::{MemoryStorage, Storage, Transaction},
    wire::{FanoutMessage, RatchetTree, UpdateRequest, Verbatim, decode_exact, encode},
};

fn failed(error: impl core::fmt::Debug) -> JsError {
    JsError::new(&format!("{error:?}"))
}

/// The numbers of the cipher suites that rooms may have.
#[wasm_bindgen(js_name = acceptedSuites)]
#[must_use]
pub fn accepted_suites() -> Vec<u16> {
    (1..=7).filter(|number| accepted_suite(*number).is_some()).collect()
}

/// Decodes one value of this kind and nothing else, and encodes it again.
///
/// # Errors
/// When the bytes are none, or the kind is unknown.
#[wasm_bindgen]
pub fn recode(kind: &str, bytes: &[u8]) -> Result<Vec<u8>, JsError> {
    fn of<T: tls_codec::DeserializeBytes + tls_codec::Serialize>(
        bytes: &[u8],
    ) -> Result<Vec<u8>, JsError> {
        encode(&decode_exact::<T>(bytes).map_err(failed)?).map_err(failed)
    }
    match kind {
        "opaque<V>" => of::<VLBytes>(bytes),
        "MLSMessage" => of::<MlsMessageIn>(bytes),
        "verbatim MLSMessage" => of::<Verbatim<MlsMessageIn>>(bytes),
        "PublicMessage" => of::<PublicMessageIn>(bytes),
        "MLS ratchet_tree" => of::<RatchetTreeIn>(bytes),
        "ratchet_tree" => of::<RatchetTree>(bytes),
        "FanoutMessage" => of::<FanoutMessage>(bytes),
        "UpdateRequest" => of::<UpdateRequest>(bytes),
        _ => Err(JsError::new("unknown kind")),
    }
}

/// The algorithms of a cipher suite.
#[wasm_bindgen]
pub struct Suite {
    suite: Ciphersuite,
    crypto: MlsCrypto,
}

#[wasm_bindgen]
impl Suite {
    /// The suite of this number.
    ///
    /// # Errors
    /// When rooms may not have it.
    #[wasm_bindgen(constructor)]
    pub fn new(number: u16) -> Result<Suite, JsError> {
        let suite = accepted_suite(number).ok_or_else(|| JsError::new("suite"))?;
        Ok(Self { suite, crypto: MlsCrypto::new() })
    }

    /// The length of a hash, Nh, in bytes.
    #[must_use]
    #[wasm_bindgen(js_name = hashLength)]
    pub fn hash_length(&self) -> usize {
        self.suite.hash_length()
    }

    /// The length of an AEAD key, Nk, in bytes.
    #[must_use]
    #[wasm_bindgen(js_name = keyLength)]
    pub fn key_length(&self) -> usize {
        self.suite.aead_key_length()
    }

    /// The length of an AEAD nonce, Nn, in bytes.
    #[must_use]
    #[wasm_bindgen(js_name = nonceLength)]
    pub fn nonce_length(&self) -> usize {
        self.suite.aead_nonce_length()
    }

    /// `RefHash(label, value)`.
    ///
    /// # Errors
    /// When the algorithm fails.
    #[wasm_bindgen(js_name = refHash)]
    pub fn ref_hash(&self, label: &str, value: &[u8]) -> Result<Vec<u8>, JsError> {
        let crypto = self.crypto.algorithms();
        let hash = HashReference::new(value, self.suite, crypto, label.as_bytes());
        Ok(hash.map_err(failed)?.as_slice().to_vec())
    }

    /// HMAC, which is also KDF.Extract.
    ///
    /// # Errors
    /// When the algorithm fails.
    pub fn hmac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, JsError> {
        let hash = self.suite.hash_algorithm();
        let mac = self.crypto.algorithms().hmac(hash, key, data).map_err(failed)?;
        Ok(mac.as_slice().to_vec())
    }

    /// KDF.Extract.
    ///
    /// # Errors
    /// When the algorithm fails.
    pub fn extract(&self, salt: &[u8], secret: &[u8]) -> Result<Vec<u8>, JsError> {
        let hash = self.suite.hash_algorithm();
        let key = self.crypto.algorithms().hkdf_extract(hash, salt, secret).map_err(failed)?;
        Ok(key.as_slice().to_vec())
    }

    /// KDF.Expand.
    ///
    /// # Errors
    /// When the algorithm fails.
    pub fn expand(&self, secret: &[u8], info: &[u8], length: usize) -> Result<Vec<u8>, JsError> {
        let hash = self.suite.hash_algorithm();
        let crypto = self.crypto.algorithms();
        let bytes = crypto.hkdf_expand(hash, secret, info, length).map_err(failed)?;
        Ok(bytes.as_slice().to_vec())
    }

    /// AEAD.Open.
    ///
    /// # Errors
    /// When the ciphertext does not open.
    pub fn open(
        &self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, JsError> {
        let algorithm = self.suite.aead_algorithm();
        let crypto = self.crypto.algorithms();
        crypto.aead_decrypt(algorithm, key, ciphertext, nonce, aad).map_err(failed)
    }

    /// HPKE's SealBase: `kem_output<V>` and `ciphertext<V>`.
    ///
    /// # Errors
    /// When the algorithm fails.
    #[wasm_bindgen(js_name = hpkeSeal)]
    pub fn hpke_seal(&self, key: &[u8], info: &[u8], text: &[u8]) -> Result<Vec<u8>, JsError> {
        let config = self.suite.hpke_config();
        let crypto = self.crypto.algorithms();
        let sealed = crypto.hpke_seal(config, key, info, &[], text).map_err(failed)?;
        encode(&sealed).map_err(failed)
    }

    /// HPKE's OpenBase, of `kem_output<V>` and `ciphertext<V>`.
    ///
    /// # Errors
    /// When the ciphertext does not open.
    #[wasm_bindgen(js_name = hpkeOpen)]
    pub fn hpke_open(&self, key: &[u8], info: &[u8], sealed: &[u8]) -> Result<Vec<u8>, JsError> {
        let sealed: HpkeCiphertext = decode_exact(sealed).map_err(failed)?;
        let config = self.suite.hpke_config();
        self.crypto.algorithms().hpke_open(config, &sealed, key, info, &[]).map_err(failed)
    }

    /// `SignWithLabel(., label, content)` with this private key.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(&self, key: &[u8], label: &str, content: &[u8]) -> Result<Vec<u8>, JsError> {
        let scheme = self.suite.signature_algorithm();
        let key = SignatureKeyPair::from_raw(scheme, key.to_vec(), Vec::new());
        sign_with_label(&key, label, content).map_err(failed)
    }

    /// `VerifyWithLabel(., label, content, signature)` with this public key.
    #[must_use]
    pub fn verify(&self, key: &[u8], label: &str, content: &[u8], signature: &[u8]) -> bool {
        let key = (self.suite.signature_algorithm(), key);
        verifies_with_label(self.crypto.algorithms(), key, label, content, signature)
    }
}

/// openmls' private keys, as its storage holds them.
#[derive(Serialize, Deserialize)]
struct PrivateKey {
    key: HpkePrivateKey,
}

/// openmls' row of a KeyPackage; its own type cannot be made from keys that are there.
#[derive(Serialize, Deserialize)]
struct KeyPackageRow {
    key_package: KeyPackage,
    private_init_key: HpkePrivateKey,
    private_encryption_key: PrivateKey,
}

impl Entity<CURRENT_VERSION> for KeyPackageRow {}
impl traits::KeyPackage<CURRENT_VERSION> for KeyPackageRow {}

/// openmls' row of a leaf's keys.
#[derive(Serialize, Deserialize)]
struct LeafKeysRow {
    public_key: EncryptionKey,
    private_key: PrivateKey,
}

impl Entity<CURRENT_VERSION> for LeafKeysRow {}
impl traits::HpkeKeyPair<CURRENT_VERSION> for LeafKeysRow {}

/// A member that joins and listens. Its group is loaded from rows at each step, as the client's.
#[wasm_bindgen]
pub struct PassiveClient {
    crypto: MlsCrypto,
    storage: MemoryStorage,
    group: Option<GroupId>,
}

#[wasm_bindgen]
impl PassiveClient {
    /// The owner of a KeyPackage (as MLSMessage) and its private keys.
    ///
    /// # Errors
    /// When the KeyPackage is not valid.
    #[wasm_bindgen(constructor)]
    pub fn new(
        key_package: &[u8],
        init_key: Vec<u8>,
        encryption_key: Vec<u8>,
    ) -> Result<PassiveClient, JsError> {
        let mut client =
            Self { crypto: MlsCrypto::new(), storage: MemoryStorage::default(), group: None };
        let message: MlsMessageIn = decode_exact(key_package).map_err(failed)?;
        let MlsMessageBodyIn::KeyPackage(key_package) = message.extract() else {
            return Err(JsError::new("not a KeyPackage"));
        };
        client.step(|provider, _| {
            let key_package =
                key_package.validate(provider.crypto(), ProtocolVersion::Mls10).map_err(failed)?;
            let reference = key_package.hash_ref(provider.crypto()).map_err(failed)?;
            let public_key = key_package.leaf_node().encryption_key().clone();
            let private = || PrivateKey { key: encryption_key.clone().into() };
            let keys = LeafKeysRow { public_key: public_key.clone(), private_key: private() };
            let row = KeyPackageRow {
                key_package,
                private_init_key: init_key.into(),
                private_encryption_key: private(),
            };
            let storage = provider.storage();
            storage.write_encryption_key_pair(&public_key, &keys).map_err(failed)?;
            storage.write_key_package(&reference, &row).map_err(failed)
        })?;
        Ok(client)
    }

    /// Learns a pre-shared key.
    ///
    /// # Errors
    /// When the storage fails.
    #[wasm_bindgen(js_name = addPsk)]
    pub fn add_psk(&mut self, id: Vec<u8>, psk: &[u8]) -> Result<(), JsError> {
        self.step(|provider, _| {
            PreSharedKeyId::external(id, Vec::new()).store(provider, psk).map_err(failed)
        })
    }

    /// The GroupInfo in a Welcome (as MLSMessage), whose signature nobody has looked at yet.
    ///
    /// # Errors
    /// When the Welcome does not open.
    #[wasm_bindgen(js_name = groupInfo)]
    pub fn group_info(&mut self, message: &[u8]) -> Result<Vec<u8>, JsError> {
        let welcome = welcome(message)?;
        self.step(|provider, _| {
            let opened = ProcessedWelcome::new_from_welcome(provider, &listener(), welcome)
                .map_err(failed)?;
            encode(opened.unverified_group_info()).map_err(failed)
        })
    }

    /// Joins by a Welcome (as MLSMessage), with the tree where it is not in the Welcome; the epoch
    /// authenticator.
    ///
    /// # Errors
    /// When the Welcome is not for this client, or not valid.
    pub fn join(&mut self, message: &[u8], tree: Option<Vec<u8>>) -> Result<Vec<u8>, JsError> {
        let welcome = welcome(message)?;
        let tree =
            tree.map(|tree| decode_exact::<RatchetTreeIn>(&tree).map_err(failed)).transpose()?;
        let (id, authenticator) = self.step(|provider, _| {
            let group = StagedWelcome::new_from_welcome(provider, &listener(), welcome, tree)
                .map_err(failed)?
                .into_group(provider)
                .map_err(failed)?;
            Ok((group.group_id().clone(), group.epoch_authenticator().as_slice().to_vec()))
        })?;
        self.group = Some(id);
        Ok(authenticator)
    }

    /// Takes in a proposal or a commit (as MLSMessage); the epoch authenticator after it.
    ///
    /// # Errors
    /// When the message is not valid in the group's epoch.
    pub fn handle(&mut self, message: &[u8]) -> Result<Vec<u8>, JsError> {
        let message: MlsMessageIn = decode_exact(message).map_err(failed)?;
        let message = message.try_into_protocol_message().map_err(failed)?;
        self.step(|provider, id| {
            let id = id.ok_or_else(|| JsError::new("no group"))?;
            let mut group = MlsGroup::load(provider.storage(), id)
                .map_err(failed)?
                .ok_or_else(|| JsError::new("no group"))?;
            let processed = group.process_message(provider, message).map_err(failed)?;
            match processed.into_content() {
                ProcessedMessageContent::ProposalMessage(proposal) => {
                    group.store_pending_proposal(provider.storage(), *proposal).map_err(failed)?
                }
                ProcessedMessageContent::StagedCommitMessage(commit) => {
                    group.merge_staged_commit(provider, *commit).map_err(failed)?;
                }
                _ => return Err(JsError::new("neither a proposal nor a commit")),
            }
            Ok(group.epoch_authenticator().as_slice().to_vec())
        })
    }

    /// One step over the rows: what it wrote is kept when it succeeds.
    fn step<T>(
        &mut self,
        step: impl FnOnce(&MlsProvider<'_, '_>, Option<&GroupId>) -> Result<T, JsError>,
    ) -> Result<T, JsError> {
        let mut transaction = Transaction::new(&self.storage);
        let provider = MlsProvider::new(&mut transaction, &self.crypto);
        let value = step(&provider, self.group.as_ref())?;
        let changes = transaction.into_changes();
        self.storage.apply(changes).map_err(failed)?;
        Ok(value)
    }
}

/// As rooms are joined; besides, some vectors use the PSKs of ended epochs, which rooms do not keep.
fn listener() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(join_config().wire_format_policy())
        .number_of_resumption_psks(16)
        .build()
}

fn welcome(message: &[u8]) -> Result<Welcome, JsError> {
    let message: MlsMessageIn = decode_exact(message).map_err(failed)?;
    match message.extract() {
        MlsMessageBodyIn::Welcome(welcome) => Ok(welcome),
        _ => Err(JsError::new("not a Welcome")),
    }
}
