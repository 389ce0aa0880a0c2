//! KeyPackages: made by a client, checked at intake, at claims and in Adds (D4, R29, R30).

use openmls::{
    credentials::CredentialWithKey,
    key_packages::{KeyPackage, KeyPackageIn, Lifetime},
    prelude::{
        Capabilities, Ciphersuite, CredentialType, ExtensionType, HashType, OpenMlsCrypto,
        ProposalType, ProtocolVersion,
    },
};
use openmls_traits::{OpenMlsProvider, signatures::Signer};
use serde::{Deserialize, Serialize};
use tls_codec::{TlsSerialize, TlsSize, VLBytes};

use super::{MlsProvider, accepted_suite, capabilities, credential};
use crate::{
    error::{InternalError, ProtocolError},
    room::app_sync,
    time::UnixMillis,
    wire::{self, RequiredCapabilities, uri::ClientUri},
};

/// A day, in seconds.
pub const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Life of a KeyPackage, in days (D4).
pub const LIFETIME_DAYS: u32 = 84;
/// The same, in seconds.
pub const LIFETIME_SECONDS: u64 = LIFETIME_DAYS as u64 * DAY_SECONDS;
/// How far in the past it begins, in seconds, for clocks that go wrong: one hour (D4).
pub const LIFETIME_MARGIN_SECONDS: u64 = 60 * 60;

/// How often a KeyPackage may be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyPackageKind {
    /// Once (R27).
    SingleUse,
    /// Again and again, when all others are gone and the requester allows it (R28).
    LastResort,
}

impl KeyPackageKind {
    /// What a KeyPackage says of itself.
    #[must_use]
    pub fn of(key_package: &KeyPackage) -> Self {
        if key_package.last_resort() { Self::LastResort } else { Self::SingleUse }
    }
}

/// A KeyPackage that was made or checked here.
#[derive(Debug, Clone)]
pub struct ValidKeyPackage {
    /// The KeyPackage.
    pub key_package: KeyPackage,
    /// Its bytes, without MLSMessage header.
    pub bytes: Vec<u8>,
    /// Its KeyPackageRef.
    pub reference: Vec<u8>,
    /// The client that its credential names.
    pub client: ClientUri,
    /// Whether it may be handed out again.
    pub kind: KeyPackageKind,
    /// From when on it is valid.
    pub not_before: UnixMillis,
    /// Until when it is valid.
    pub not_after: UnixMillis,
}

impl ValidKeyPackage {
    fn new(
        crypto: &impl OpenMlsCrypto,
        key_package: KeyPackage,
        client: ClientUri,
    ) -> Result<Self, InternalError> {
        let bytes = wire::encode(&key_package)?;
        let reference = key_package
            .hash_ref(crypto)
            .map_err(|_| InternalError::Mls("KeyPackageRef"))?
            .as_slice()
            .to_vec();
        let kind = KeyPackageKind::of(&key_package);
        let millis = |seconds: u64| UnixMillis(seconds.saturating_mul(1000));
        let not_before = millis(key_package.life_time().not_before());
        let not_after = millis(key_package.life_time().not_after());
        Ok(Self { key_package, bytes, reference, client, kind, not_before, not_after })
    }
}

/// Makes a KeyPackage of `client` with such a life ([`key_package_lifetime`](super::key_package_lifetime)
/// has the usual one); its private keys go to the provider's storage.
///
/// # Errors
/// [`InternalError`] when openmls or the storage fails.
pub fn create_key_package(
    provider: &MlsProvider<'_, '_>,
    signer: &impl Signer,
    (client, signature_key): (&ClientUri, &[u8]),
    suite: Ciphersuite,
    kind: KeyPackageKind,
    lifetime: Lifetime,
) -> Result<ValidKeyPackage, InternalError> {
    let credential: CredentialWithKey = credential::credential_with_key(client, signature_key);
    let mut builder = KeyPackage::builder()
        .key_package_lifetime(lifetime)
        .leaf_node_capabilities(capabilities())
        .leaf_node_extensions(app_sync::leaf_extensions()?);
    if kind == KeyPackageKind::LastResort {
        builder = builder.mark_as_last_resort();
    }
    let bundle = builder
        .build(suite, provider, signer, credential)
        .map_err(|_| InternalError::Mls("a KeyPackage cannot be made"))?;
    ValidKeyPackage::new(provider.crypto(), bundle.into_key_package(), client.clone())
}

/// Checks a KeyPackage: signatures, lifetime of an acceptable length and valid at `now`, a suite that
/// we accept, capabilities that cover its own extensions and `required`, a credential that names a
/// client (R29, R30). Whose client it may be is the caller's business.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when something does not hold.
pub fn check_key_package(
    crypto: &impl OpenMlsCrypto,
    key_package: KeyPackageIn,
    required: &RequiredCapabilities,
    now: UnixMillis,
) -> Result<ValidKeyPackage, ProtocolError> {
    const INVALID: ProtocolError = ProtocolError::InvalidProposal("a KeyPackage is not valid");
    let key_package = key_package.validate(crypto, ProtocolVersion::Mls10).map_err(|_| INVALID)?;
    if accepted_suite(key_package.ciphersuite().into()).is_none() {
        return Err(ProtocolError::InvalidProposal("a KeyPackage's cipher suite"));
    }
    if !covers(key_package.leaf_node().capabilities(), required) {
        return Err(ProtocolError::InvalidProposal("a KeyPackage's capabilities"));
    }
    let client = credential::client_uri_of(key_package.leaf_node().credential())?;
    let acceptable = key_package.life_time().has_acceptable_range();
    let valid = ValidKeyPackage::new(crypto, key_package, client).map_err(|_| INVALID)?;
    if !acceptable || now < valid.not_before || valid.not_after <= now {
        return Err(ProtocolError::InvalidProposal("a KeyPackage's lifetime"));
    }
    Ok(valid)
}

/// Whether a leaf of these capabilities can do what is required (RFC 9420 §7.2).
#[must_use]
pub fn covers(capabilities: &Capabilities, required: &RequiredCapabilities) -> bool {
    let RequiredCapabilities { extension_types, proposal_types, credential_types } = required;
    extension_types.iter().all(|number| {
        is_default_extension(*number)
            || capabilities.extensions().contains(&ExtensionType::from(*number))
    }) && proposal_types.iter().all(|number| {
        is_default_proposal(*number)
            || capabilities.proposals().contains(&ProposalType::from(*number))
    }) && credential_types
        .iter()
        .all(|number| capabilities.credentials().contains(&CredentialType::from(*number)))
}

/// RFC 9420's own extension types need not be listed (§7.2).
const fn is_default_extension(number: u16) -> bool {
    matches!(number, 1..=5)
}

/// RFC 9420's own proposal types need not be listed (§7.2).
const fn is_default_proposal(number: u16) -> bool {
    matches!(number, 1..=7)
}

/// RFC 9420 §5.2: the input of RefHash.
#[derive(TlsSerialize, TlsSize)]
struct RefHashInput {
    label: VLBytes,
    value: VLBytes,
}

/// RFC 9420 §5.2: RefHash(`label`, `value`) in a cipher suite.
pub(super) fn ref_hash(
    crypto: &impl OpenMlsCrypto,
    suite: Ciphersuite,
    label: &str,
    value: &[u8],
) -> Result<Vec<u8>, InternalError> {
    let input = RefHashInput { label: label.as_bytes().into(), value: value.into() };
    crypto
        .hash(HashType::from(suite), &wire::encode(&input)?)
        .map_err(|_| InternalError::Mls("hash"))
}

/// The KeyPackageRef of a KeyPackage's bytes (RFC 9420 §5.2), checked or not.
///
/// # Errors
/// [`ProtocolError::Malformed`] when the bytes are of no cipher suite that we accept.
pub fn key_package_ref(
    crypto: &impl OpenMlsCrypto,
    key_package: &[u8],
) -> Result<Vec<u8>, ProtocolError> {
    const MALFORMED: ProtocolError = ProtocolError::Malformed("KeyPackage");
    // ProtocolVersion, then CipherSuite.
    let suite = match key_package {
        [_, _, high, low, ..] => accepted_suite(u16::from_be_bytes([*high, *low])),
        _ => None,
    };
    let suite = suite.ok_or(MALFORMED)?;
    ref_hash(crypto, suite, "MLS 1.0 KeyPackage Reference", key_package).map_err(|_| MALFORMED)
}
