//! Numbers that people compare to see that nobody stands between them: the safety number of two users,
//! and the code of a room's epoch.
//!
//! All of them are digits of SHA-256 over TLS structs with a label of their own, so no number of one
//! kind is one of another. Outside the draft: other implementations show the same if they hash the same.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tls_codec::{TlsSerialize, TlsSize, VLBytes};

use crate::{
    error::InternalError,
    sorted::SortedSet,
    wire::{
        self, IdentifierUri,
        uri::{ClientUri, UserUri},
    },
};

/// What is hashed for one of the two users.
const USER_LABEL: &str = "MIMI Edge 1 safety number user";
/// What is hashed for which two users it is about.
const PAIR_LABEL: &str = "MIMI Edge 1 safety number pair";
/// What is hashed for the code of an epoch.
const EPOCH_LABEL: &str = "MIMI Edge 1 epoch code";
/// The first byte of the QR content.
const VERSION: u8 = 1;
/// How many groups of five digits one hash gives.
const GROUPS: usize = 6;
/// How many bytes of a hash give five digits: the bias is below 10^-7.
const GROUP_BYTES: usize = 5;

/// A device as its leaves in MLS groups show it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct KnownDevice {
    /// Its address.
    pub(super) client: ClientUri,
    /// The key that it signs with.
    pub(super) signature_key: Vec<u8>,
}

/// A user and the devices that stand for it.
pub(super) type Side<'d> = (&'d UserUri, &'d SortedSet<KnownDevice>);

/// The safety number of two users, the same on both sides as long as both see the same devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    /// 60 digits in 12 groups of five with a blank between them: 30 digits for each user, the smaller
    /// fingerprint first. An attacker who wants to pass for a user has to hit about 2^100 numbers.
    pub digits: String,
    /// What a QR code holds, 97 bytes: version 1, then 32 bytes that name the two users, then both
    /// fingerprints of 32 bytes in the order of the digits.
    pub qr: Vec<u8>,
}

/// ```text
/// struct {
///     IdentifierUri client;
///     SignaturePublicKey key;
/// } DeviceKey;
/// ```
#[derive(Debug, TlsSerialize, TlsSize)]
struct DeviceKey {
    client: IdentifierUri,
    key: VLBytes,
}

/// What is hashed for a user; the devices by address, then key.
///
/// ```text
/// struct {
///     opaque label<V>;
///     IdentifierUri user;
///     DeviceKey devices<V>;
/// } UserFingerprintInput;
/// ```
#[derive(TlsSerialize, TlsSize)]
struct UserFingerprintInput {
    label: VLBytes,
    user: IdentifierUri,
    devices: Vec<DeviceKey>,
}

/// What is hashed for the pair; the users by address.
///
/// ```text
/// struct {
///     opaque label<V>;
///     IdentifierUri users[2];
/// } PairInput;
/// ```
#[derive(TlsSerialize, TlsSize)]
struct PairInput {
    label: VLBytes,
    first: IdentifierUri,
    second: IdentifierUri,
}

/// What is hashed for an epoch.
///
/// ```text
/// struct {
///     opaque label<V>;
///     opaque epoch_authenticator<V>;
/// } EpochCodeInput;
/// ```
#[derive(TlsSerialize, TlsSize)]
struct EpochCodeInput {
    label: VLBytes,
    epoch_authenticator: VLBytes,
}

impl SafetyNumber {
    /// The number of two users; which of them is which does not matter.
    pub(super) fn of(one: Side<'_>, other: Side<'_>) -> Result<Self, InternalError> {
        let mut fingerprints = [fingerprint(one)?, fingerprint(other)?];
        fingerprints.sort_unstable();
        let mut users = [one.0.to_wire(), other.0.to_wire()];
        users.sort_unstable();
        let [first, second] = users;
        let pair = hash(&PairInput { label: PAIR_LABEL.as_bytes().into(), first, second })?;
        let [low, high] = &fingerprints;
        Ok(Self {
            digits: [digits(low), digits(high)].join(" "),
            qr: [[VERSION].as_slice(), &pair, low, high].concat(),
        })
    }
}

/// The code of an epoch, of MLS' epoch authenticator: 30 digits in 6 groups of five with a blank between
/// them, the same on all devices that are in the same state of the same room.
///
/// # Errors
/// Never in practice: an authenticator is short.
pub fn epoch_code(epoch_authenticator: &[u8]) -> Result<String, InternalError> {
    Ok(digits(&hash(&EpochCodeInput {
        label: EPOCH_LABEL.as_bytes().into(),
        epoch_authenticator: epoch_authenticator.into(),
    })?))
}

fn fingerprint((user, devices): Side<'_>) -> Result<[u8; 32], InternalError> {
    let device = |device: &KnownDevice| DeviceKey {
        client: device.client.to_wire(),
        key: device.signature_key.as_slice().into(),
    };
    hash(&UserFingerprintInput {
        label: USER_LABEL.as_bytes().into(),
        user: user.to_wire(),
        devices: devices.iter().map(device).collect(),
    })
}

fn hash(input: &impl tls_codec::Serialize) -> Result<[u8; 32], InternalError> {
    Ok(Sha256::digest(wire::encode(input)?).into())
}

/// Each five bytes, as a number, modulo 100 000.
fn digits(hash: &[u8; 32]) -> String {
    let group = |bytes: &[u8]| {
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    };
    hash.chunks_exact(GROUP_BYTES).take(GROUPS).map(group).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str, devices: &[(&str, u8)]) -> (UserUri, SortedSet<KnownDevice>) {
        let user = UserUri::parse(text).unwrap();
        let device = |(name, byte): &(&str, u8)| KnownDevice {
            client: user.client(name).unwrap(),
            signature_key: vec![*byte; 32],
        };
        let devices = devices.iter().map(device).collect();
        (user, devices)
    }

    fn number(
        one: &(UserUri, SortedSet<KnownDevice>),
        other: &(UserUri, SortedSet<KnownDevice>),
    ) -> SafetyNumber {
        SafetyNumber::of((&one.0, &one.1), (&other.0, &other.1)).unwrap()
    }

    /// Calculated apart from this code, from the structs in the documentation.
    #[test]
    fn numbers_of_fixed_keys_are_these() {
        let alice = user("alice@alpha.example", &[("tablet", 2), ("phone", 1)]);
        let bob = user("bob@bravo.example", &[("phone", 3)]);
        let both = number(&alice, &bob);
        assert_eq!(
            both.digits,
            "25525 16168 94347 22312 32401 60614 02270 27289 96636 14817 62056 55683"
        );
        let qr: String = both.qr.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            qr,
            "01146b1da688b01c05e816653a983e8bc711b0bdb8e21487949cb19fcf61cb1f09\
             e904ae8295db09adb268b8f2067e8b23a6a8988899922badf1c4185edec69b2c\
             f569b7369e880dd221d993a72c637c42f3e68ea1a3c1ba01a8fbf0ccf6e33f49"
        );
        assert_eq!(number(&bob, &alice), both);
        // With one device less the order of the two is another one.
        let alice = user("alice@alpha.example", &[("phone", 1)]);
        assert_eq!(
            number(&bob, &alice).digits,
            "17964 73199 37665 19672 43323 88418 25525 16168 94347 22312 32401 60614"
        );
    }

    #[test]
    fn a_key_and_a_name_count() {
        let bob = user("bob@bravo.example", &[("phone", 3)]);
        let numbers = [("phone", 1), ("phone", 2), ("tablet", 1)]
            .map(|device| number(&user("alice@alpha.example", &[device]), &bob).digits);
        assert_eq!(numbers.iter().collect::<SortedSet<_>>().len(), 3);
    }

    #[test]
    fn the_code_of_a_fixed_authenticator_is_this() {
        assert_eq!(epoch_code(&[4; 32]).unwrap(), "87930 18590 96936 74894 34062 25225");
    }
}
