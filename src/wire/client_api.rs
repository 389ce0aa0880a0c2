//! The structs between a client and its own provider, under `/client/v1` (outside the draft; D1, D2,
//! D10, D11 and "Client API" of the provider's design).
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST devices` | [`DeviceRegistration`] | 201, the same again 200, another key 409 |
//! | `GET devices` | – | 200 [`DeviceList`] |
//! | `POST devices/{client}/revoke` | – | 200, by another device of the user |
//! | `POST keyPackages` | [`KeyPackageList`] | 200 [`KeyPackageStock`] |
//! | `GET keyPackages` | – | 200 [`KeyPackageStock`] |
//! | `POST rooms/{room}` | [`RoomCreation`] | 201, the same again 200, taken 409 |
//! | `POST pseudonyms` | [`DeviceRegistration`] | 201 [`PseudonymGrant`], the same again 200 (R91) |
//! | `POST delete-user` | – | 200: the user of the device is deleted, for good (D19) |
//! | `GET rooms` | – | 200 [`RoomList`] |
//! | `GET external-sender/{suite}` | – | 200 RFC 9420's `ExternalSender` |
//! | `GET directory/{domain}` | – | 200 [`RatchetTreeSupport`], from that provider's directory document (D13) |
//! | `POST consent` | [`ConsentEntry`](super::ConsentEntry) | 200 [`ConsentState`] |
//! | `GET consent` | – | 200 [`ConsentState`] |
//! | `GET events/{room}?after=N` | – | 200 [`EventPage`] |
//! | `GET inbox?after=N` | – | 200 [`EventPage`] |
//! | `POST keyMaterial/{user}`, `update/{room}`, `submitMessage/{room}`, `groupInfo/{room}` | as the MIMI endpoint | as the MIMI endpoint |
//! | WebSocket `socket/{client}` | [`FromClient`] frames | [`FromProvider`] frames |
//!
//! Every request but `POST devices` carries `Authorization: Mimi-Device ` and the base64url encoding
//! of a [`DeviceAuth`], without padding.

use base64ct::{Base64UrlUnpadded, Encoding};
use openmls::{key_packages::KeyPackageIn, messages::group_info::VerifiableGroupInfo};
use serde::{Deserialize, Serialize};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

use super::{
    FanoutMessage, IdentifierUri, RatchetTreeOption, RatchetTreeSupport, RoomId, Verbatim,
    decode_exact, encode, flag,
};
use crate::error::{InternalError, ProtocolError};

/// The scheme of the `Authorization` header, and of `WWW-Authenticate` in a 401 (D21).
pub const DEVICE_AUTH_SCHEME: &str = "Mimi-Device";
/// The scheme of `WWW-Authenticate` when a token of the operator's accounts is wanted (D21, RFC 6750).
pub const ACCOUNT_AUTH_SCHEME: &str = "Bearer";

/// The `WWW-Authenticate` of a 401 that is for good: the device was revoked, or its user deleted.
pub const REVOKED_CHALLENGE: &str = "Mimi-Device error=\"revoked\"";

/// What the signature of a [`DeviceRegistration`] covers, with label `MimiDevice`.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct DeviceRegistrationTbs {
    /// The client.
    pub client_uri: IdentifierUri,
    /// RFC 8446's SignatureScheme of the key.
    pub signature_scheme: u16,
    /// The public key.
    pub signature_key: VLBytes,
}

/// The body of `POST devices`: a client's URI and the key that it will sign with, there and in MLS.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct DeviceRegistration {
    /// What is registered.
    pub tbs: DeviceRegistrationTbs,
    /// SignWithLabel(., "MimiDevice", `tbs`).
    pub signature: VLBytes,
}

/// What the signature of a [`DeviceAuth`] covers, with label `MimiDeviceRequest`.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct DeviceRequestTbs {
    /// The client.
    pub client_uri: IdentifierUri,
    /// When it was signed, in milliseconds since 1970; ±5 min (D14).
    pub created: u64,
    /// 16 random bytes, used once.
    pub nonce: VLBytes,
    /// `GET` or `POST`; `GET` for a socket.
    pub method: VLBytes,
    /// Path and query as sent, from `/client/v1` on.
    pub path: VLBytes,
    /// SHA-256 of the body.
    pub body_hash: VLBytes,
}

/// A client's proof that a request is its own.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct DeviceAuth {
    /// The client.
    pub client_uri: IdentifierUri,
    /// When it was signed, in milliseconds since 1970.
    pub created: u64,
    /// 16 random bytes.
    pub nonce: VLBytes,
    /// SignWithLabel(., "MimiDeviceRequest", [`DeviceRequestTbs`]).
    pub signature: VLBytes,
}

impl DeviceAuth {
    /// The value of the `Authorization` header.
    ///
    /// # Errors
    /// [`InternalError::Codec`] when a field is longer than a vector can be.
    pub fn to_header(&self) -> Result<String, InternalError> {
        let encoded = Base64UrlUnpadded::encode_string(&encode(self)?);
        Ok(format!("{DEVICE_AUTH_SCHEME} {encoded}"))
    }

    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`ProtocolError::Unauthenticated`] when it is of another scheme or does not decode.
    pub fn from_header(value: &str) -> Result<Self, ProtocolError> {
        const UNREADABLE: ProtocolError = ProtocolError::Unauthenticated("Authorization header");
        let (scheme, encoded) = value.split_once(' ').ok_or(UNREADABLE)?;
        if !scheme.eq_ignore_ascii_case(DEVICE_AUTH_SCHEME) {
            return Err(UNREADABLE);
        }
        let bytes = Base64UrlUnpadded::decode_vec(encoded.trim()).map_err(|_| UNREADABLE)?;
        decode_exact(&bytes).map_err(|_| UNREADABLE)
    }
}

/// The body of `POST rooms/{room}`: the first epoch of a room's group (D1).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct RoomCreation {
    /// Signed by the creator, with `external_pub`, without a `ratchet_tree` extension.
    pub group_info: Verbatim<VerifiableGroupInfo>,
    /// The creator's leaf alone, `full`.
    pub ratchet_tree_option: RatchetTreeOption,
}

/// The answer to `POST pseudonyms`: the client of a new pseudonym, of which the user is the pseudonym.
///
/// The request is a [`DeviceRegistration`] with the URI of the device that asks and the key that the
/// pseudonym's client is to have; that key signs it, with label `MimiPseudonym`.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct PseudonymGrant {
    /// The client; it is registered with the key of the request.
    pub client_uri: IdentifierUri,
}

/// One device of a user.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct DeviceSummary {
    /// The client.
    pub client_uri: IdentifierUri,
    /// When it was registered, in milliseconds since 1970.
    pub registered_at: u64,
}

/// The devices of a user, by identifier, without those that were revoked.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct DeviceList {
    /// The devices.
    pub devices: Vec<DeviceSummary>,
}

/// KeyPackages that a client publishes; at most 100.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct KeyPackageList {
    /// In no order.
    pub key_packages: Vec<Verbatim<KeyPackageIn>>,
}

/// What the provider holds of a client's KeyPackages.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct KeyPackageStock {
    /// How many can still be handed out, last-resort ones not counted.
    pub available: u32,
    /// How many last-resort ones there are.
    pub last_resort: u32,
    /// When the first of them is no longer handed out, in milliseconds since 1970; 0 when none is.
    pub next_expiry: u64,
}

/// How participant lists change in a room (WIRE a.5).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    TlsSerialize,
    TlsDeserializeBytes,
    TlsSize,
)]
#[repr(u8)]
pub enum RoomProfile {
    /// By a proposal type of the room's own, beside GroupContextExtensions.
    A = 1,
    /// By AppDataUpdate.
    B = 2,
}

/// One room of a user (D10): one on whose participant list the user is, also with no leaf of this
/// device.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct RoomSummary {
    /// The room.
    pub room_id: IdentifierUri,
    /// Its cipher suite, which the signature of a GroupInfoRequest follows (A10, R88).
    pub cipher_suite: u16,
    /// Its profile, when this provider has seen it; the GroupInfo says it anyway.
    pub profile: Option<RoomProfile>,
    /// Which trees its hub takes in an update, when this provider knows the hub's directory; else
    /// `GET directory/{domain}` says it (D13).
    pub ratchet_tree: Option<RatchetTreeSupport>,
}

/// The rooms of a user, by identifier.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct RoomList {
    /// The rooms.
    pub rooms: Vec<RoomSummary>,
}

/// One thing that was said about consent between a user of this provider and somebody else.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct ConsentItem {
    /// The other user.
    pub user: IdentifierUri,
    /// The one room that it is about; `None`: any room (R96).
    pub room_id: Option<RoomId>,
    /// When this provider took note of it, in milliseconds since 1970.
    pub at: u64,
}

/// What there is about a user's consent (D17): five lists of at most 1,000, each by user and room.
#[derive(Debug, Clone, Default, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct ConsentState {
    /// Grows with every change.
    pub version: u64,
    /// Open requests of others.
    pub incoming: Vec<ConsentItem>,
    /// Whom the user allows.
    pub given: Vec<ConsentItem>,
    /// Whom the user does not allow.
    pub refused: Vec<ConsentItem>,
    /// The user's own open requests.
    pub requested: Vec<ConsentItem>,
    /// Who said to allow the user. Nobody says it when that is over (R100).
    pub received: Vec<ConsentItem>,
}

/// The last event of a log that a device has stored.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Cursor {
    /// The room; empty for the inbox.
    pub room_id: IdentifierUri,
    /// The position, 0 when there is none yet.
    pub position: u64,
}

/// One event of a room's log or of a user's inbox, as one device sees it.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct LogEvent {
    /// The room that the message belongs to.
    pub room_id: IdentifierUri,
    /// Its position in the log (or inbox), from 1 on.
    pub position: u64,
    /// The position of the event before it that this device may see, 0 when there is none (D11).
    pub previous: u64,
    /// The message.
    pub message: FanoutMessage,
}

/// A run of events in order of position.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct EventPage {
    /// The events, at most 256.
    pub events: Vec<LogEvent>,
    /// The last position of the log at this time: the device has all when its cursor reaches the
    /// last event and no page follows.
    pub end: u64,
    /// Whether `end` lies beyond this page.
    #[tls_codec(with = "flag")]
    pub more: bool,
    /// Whether events after the cursor are gone from the log (D22).
    #[tls_codec(with = "flag")]
    pub gap: bool,
}

/// A frame from a client.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum FromClient {
    /// The first frame: who it is, and what it has of its rooms and its inbox.
    #[tls_codec(discriminant = 1)]
    Hello {
        /// For method `GET`, the socket's path, no body.
        auth: DeviceAuth,
        /// One per room, one for the inbox.
        cursors: Vec<Cursor>,
    },
    /// The device has stored everything up to this.
    #[tls_codec(discriminant = 2)]
    Ack(Cursor),
}

/// A frame to a client.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum FromProvider {
    /// An event of a room's log.
    #[tls_codec(discriminant = 1)]
    Event(LogEvent),
    /// An event of the inbox: a Welcome.
    #[tls_codec(discriminant = 2)]
    Inbox(LogEvent),
    /// Events of this room are gone; the device has to join anew.
    #[tls_codec(discriminant = 3)]
    Gap {
        /// The room.
        room_id: IdentifierUri,
    },
    /// Everything that there was at the hello has been sent.
    #[tls_codec(discriminant = 4)]
    CaughtUp,
    /// The list of the user's devices is another one now.
    #[tls_codec(discriminant = 5)]
    DevicesChanged,
    /// The last frame: the device was revoked, or its user deleted.
    #[tls_codec(discriminant = 6)]
    Revoked,
    /// What there is about the user's consent changed; `GET consent` has it.
    #[tls_codec(discriminant = 7)]
    Consent {
        /// The version of the [`ConsentState`].
        version: u64,
    },
    /// What the device lacks of this room's log comes next. Sent at most once for each room of the
    /// hello, and not for those of which it lacks nothing.
    #[tls_codec(discriminant = 8)]
    CatchingUp {
        /// The room.
        room_id: IdentifierUri,
        /// The last position of its log at this time.
        end: u64,
        /// How many rooms of the hello come after it.
        left: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d17_the_state_of_consent_in_bytes() {
        let uri = |text: &str| IdentifierUri(text.into());
        let item = |room_id| ConsentItem { user: uri("b@b.example"), room_id, at: 258 };
        let state = ConsentState {
            version: 7,
            incoming: vec![item(None)],
            received: vec![item(Some(uri("r@a.example")))],
            ..ConsentState::default()
        };
        let user = [&[11][..], b"b@b.example"].concat();
        let at = [0, 0, 0, 0, 0, 0, 1, 2];
        let expected = [
            &[0, 0, 0, 0, 0, 0, 0, 7, 21][..],
            &[&user[..], &[0], &at].concat(),
            &[0, 0, 0, 33],
            &[&user[..], &[1, 11], b"r@a.example", &at].concat(),
        ]
        .concat();
        assert_eq!(encode(&state).unwrap(), expected);
        assert_eq!(decode_exact::<ConsentState>(&expected).unwrap(), state);
    }

    #[test]
    fn d21_the_authorization_header_round_trips_and_refuses_other_schemes() {
        let auth = DeviceAuth {
            client_uri: IdentifierUri("alice@alpha.example/phone".into()),
            created: 7,
            nonce: vec![0xFF; 16].into(),
            signature: vec![1; 64].into(),
        };
        let header = auth.to_header().unwrap();
        assert!(header.starts_with("Mimi-Device "));
        assert_eq!(DeviceAuth::from_header(&header).unwrap(), auth);
        let refused = Err(ProtocolError::Unauthenticated("Authorization header"));
        for other in [
            header.replace("Mimi-Device", "Bearer"),
            header.replace(' ', ""),
            format!("{header}="),
            format!("{header}AAAA"),
            String::new(),
        ] {
            assert_eq!(DeviceAuth::from_header(&other), refused, "{other}");
        }
    }
}
