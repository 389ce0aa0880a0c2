//! MLS as rooms use it: suites, capabilities and configuration, openmls' storage over ours, and what
//! openmls leaves to its user.
//!
//! In scope: everything that touches openmls beyond its message types. Out of scope: which request
//! leads to what (`hub`, `client`) and the participant list itself (`room`).

pub mod commit;
pub mod credential;
pub mod entry;
pub mod group_info;
pub mod key_package;
pub mod labels;
pub mod own_commit;
pub mod proposals;
pub mod ratchet_tree;
pub mod upload;

mod algorithms;
mod crypto;
mod hpke;
mod join_config;
mod provider;
mod signature;
#[cfg(feature = "hub")]
mod snapshot;
mod storage;

pub use algorithms::Algorithms;
pub use crypto::MlsCrypto;
pub use provider::MlsProvider;
pub use signature::SignatureKeyPair;
#[cfg(feature = "hub")]
pub use snapshot::HubGroupStore;
pub use storage::{MLS_TABLE, MlsStorage};

use openmls::{
    extensions::{Extension, ExternalSender},
    framing::MlsMessageOut,
    group::{
        MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroupCreateConfig, MlsGroupJoinConfig,
        WireFormatPolicy,
    },
    key_packages::Lifetime,
    prelude::{Capabilities, Ciphersuite, CredentialType, ExtensionType, ProposalType, WireFormat},
};

use crate::{
    error::InternalError,
    room::{
        ParticipantList, Profile, app_sync,
        codepoints::{cipher_suite, credential as credential_type, extension, proposal},
    },
    time::UnixMillis,
    wire,
};

/// How many ended epochs a member can still read messages of (D6).
const MAX_PAST_EPOCHS: usize = 5;
/// Application messages are padded to a multiple of this many bytes.
const PADDING_BYTES: usize = 64;
/// MLSMessage's header: version 1.0 and a wire format, two bytes each (RFC 9420 §6).
const HEADER_BYTES: usize = 4;
/// Handshakes are PublicMessages, which the hub can read; openmls' default is PrivateMessage. What
/// comes in may be either, since application messages of the same policy are PrivateMessages.
const WIRE_FORMATS: WireFormatPolicy = MIXED_PLAINTEXT_WIRE_FORMAT_POLICY;

/// The cipher suite of this number, when rooms and KeyPackages of it are accepted.
#[must_use]
pub fn accepted_suite(number: u16) -> Option<Ciphersuite> {
    if !cipher_suite::ACCEPTED.contains(&number) {
        return None;
    }
    Ciphersuite::try_from(number).ok()
}

/// What our leaves and KeyPackages say they can do: rooms of both profiles (WIRE a.5).
#[must_use]
pub fn capabilities() -> Capabilities {
    let suites: Vec<_> = cipher_suite::ACCEPTED.into_iter().filter_map(accepted_suite).collect();
    let extensions = [
        extension::APP_DATA_DICTIONARY,
        extension::APPLICATION_STATE,
        extension::ROOM_POLICY,
        extension::LAST_RESORT,
    ]
    .map(ExtensionType::from);
    let proposals = [proposal::APP_DATA_UPDATE, proposal::APP_SYNC, proposal::SELF_REMOVE]
        .map(ProposalType::from);
    let credentials = [CredentialType::from(credential_type::BASIC)];
    Capabilities::new(None, Some(&suites), Some(&extensions), Some(&proposals), Some(&credentials))
}

/// The configuration of a new room's group (D1, R15). `hub` is the hub's key, by which it may send
/// proposals (A29); without it, it may not.
///
/// # Errors
/// [`InternalError`] when the list is longer than a vector can be.
pub fn create_config(
    suite: Ciphersuite,
    profile: Profile,
    list: &ParticipantList,
    hub: Option<ExternalSender>,
    now: UnixMillis,
) -> Result<MlsGroupCreateConfig, InternalError> {
    let mut extensions = app_sync::initial_extensions(profile, list)?;
    if let Some(hub) = hub {
        extensions
            .add(Extension::ExternalSenders(vec![hub]))
            .map_err(|_| InternalError::Mls("external senders"))?;
    }
    let leaf_extensions = app_sync::leaf_extensions()?;
    Ok(MlsGroupCreateConfig::builder()
        .ciphersuite(suite)
        .wire_format_policy(WIRE_FORMATS)
        .use_ratchet_tree_extension(false)
        .max_past_epochs(MAX_PAST_EPOCHS)
        .padding_size(PADDING_BYTES)
        .lifetime(key_package_lifetime(now))
        .capabilities(capabilities())
        .with_leaf_node_extensions(leaf_extensions)
        .map_err(|_| InternalError::Mls("leaf extensions"))?
        .with_group_context_extensions(extensions)
        .build())
}

/// The configuration of a group that one joins.
#[must_use]
pub fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(WIRE_FORMATS)
        .use_ratchet_tree_extension(false)
        .max_past_epochs(MAX_PAST_EPOCHS)
        .padding_size(PADDING_BYTES)
        .build()
}

/// The life of a KeyPackage made at `now`: from an hour ago to 84 days ahead (D4).
#[must_use]
pub fn key_package_lifetime(now: UnixMillis) -> Lifetime {
    lifetime(now, key_package::LIFETIME_SECONDS)
}

/// The life of a KeyPackage made at `now`, from an hour ago, that ends after so many days: at most
/// [`key_package::LIFETIME_DAYS`] are accepted (D4).
#[must_use]
pub fn key_package_lifetime_of_days(now: UnixMillis, days: u32) -> Lifetime {
    lifetime(now, u64::from(days) * key_package::DAY_SECONDS)
}

fn lifetime(now: UnixMillis, seconds: u64) -> Lifetime {
    let now = now.0 / 1000;
    Lifetime::init(
        now.saturating_sub(key_package::LIFETIME_MARGIN_SECONDS),
        now.saturating_add(seconds),
    )
}

/// The bare MLS struct in an MLSMessage: MIMI's bodies have no header (WIRE a.1).
///
/// # Errors
/// [`InternalError`] when the message is of another wire format.
pub fn without_header(
    message: &MlsMessageOut,
    wire_format: WireFormat,
) -> Result<Vec<u8>, InternalError> {
    let bytes = wire::encode(message)?;
    match bytes.split_at_checked(HEADER_BYTES) {
        Some((header, bare)) if header == self::header(wire_format) => Ok(bare.to_vec()),
        _ => Err(InternalError::Mls("unexpected wire format")),
    }
}

/// The MLSMessage around a bare MLS struct.
#[must_use]
pub fn with_header(bare: &[u8], wire_format: WireFormat) -> Vec<u8> {
    [&header(wire_format), bare].concat()
}

const fn header(wire_format: WireFormat) -> [u8; HEADER_BYTES] {
    let format = match wire_format {
        WireFormat::PublicMessage => 1,
        WireFormat::PrivateMessage => 2,
        WireFormat::Welcome => 3,
        WireFormat::GroupInfo => 4,
        WireFormat::KeyPackage => 5,
    };
    [0, 1, 0, format]
}
