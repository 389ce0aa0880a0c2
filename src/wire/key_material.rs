//! `POST /keyMaterial/{targetUser}`: the draft's "Claim keys".

use openmls::{key_packages::KeyPackageIn, prelude::Capabilities};
use tls_codec::{
    DeserializeBytes, Error as TlsError, Serialize, Size, TlsDeserializeBytes, TlsSerialize,
    TlsSize,
};

use super::{IdentifierUri, MAX_BODY_BYTES, Verbatim, decode_exact, flag, select_struct};
use crate::error::ProtocolError;

/// The end-to-end protocol of a request; we know [`Protocol::MLS10`] alone.
///
/// ```text
/// enum { reserved(0), mls10(1), (255) } Protocol;
/// ```
/// Other values decode, so that they can be answered with `incompatibleProtocol` (R34); `reserved`
/// does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol(u8);

impl Protocol {
    /// MLS 1.0.
    pub const MLS10: Self = Self(1);
}

impl Size for Protocol {
    fn tls_serialized_len(&self) -> usize {
        1
    }
}

impl Serialize for Protocol {
    fn tls_serialize<W: std::io::Write>(&self, writer: &mut W) -> Result<usize, TlsError> {
        self.0.tls_serialize(writer)
    }
}

impl DeserializeBytes for Protocol {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), TlsError> {
        match u8::tls_deserialize_bytes(bytes)? {
            (0, _) => Err(TlsError::UnknownValue(0)),
            (value, rest) => Ok((Self(value), rest)),
        }
    }
}

/// RFC 9420 §11.1: what a KeyPackage has to support. Each list may be empty, in any order.
///
/// ```text
/// struct { ExtensionType extension_types<V>; ProposalType proposal_types<V>; CredentialType credential_types<V>; } RequiredCapabilities;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct RequiredCapabilities {
    /// Non-default extension types.
    pub extension_types: Vec<u16>,
    /// Non-default proposal types.
    pub proposal_types: Vec<u16>,
    /// Credential types.
    pub credential_types: Vec<u16>,
}

/// The part of a [`KeyMaterialRequest`] that belongs to MLS 1.0.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct Mls10Request {
    /// Cipher suites, not empty (R22), in no order.
    pub acceptable_ciphersuites: Vec<u16>,
    /// What every KeyPackage has to support.
    pub required_capabilities: RequiredCapabilities,
    /// Whether a last-resort KeyPackage will do; `false` unless asked for (R23).
    #[tls_codec(with = "flag")]
    pub last_resort_allowed: bool,
}

/// What follows the four leading fields of a [`KeyMaterialRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterialBody {
    /// The protocol is MLS 1.0.
    Mls10(Mls10Request),
    /// The protocol is one that we do not know; the rest is ignored (R34).
    Unknown(Vec<u8>),
}

/// A claim of KeyPackages for all clients of one user.
///
/// ```text
/// struct {
///   Protocol protocol;
///   IdentifierUri requestingUser;
///   IdentifierUri targetUsers<V>;
///   IdentifierUri roomId;
///   select (protocol) {
///     case mls10: CipherSuite acceptableCiphersuites<V>;
///                 RequiredCapabilities requiredCapabilities;
///                 bool lastResortAllowed;
///   };
/// } KeyMaterialRequest;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMaterialRequest {
    /// The protocol.
    pub protocol: Protocol,
    /// The user who asks.
    pub requesting_user: IdentifierUri,
    /// Exactly one user, the one in the path (R17, R18, A3).
    pub target_users: Vec<IdentifierUri>,
    /// The room that the KeyPackages are for; of length zero when not given (A6).
    pub room_id: IdentifierUri,
    /// What the protocol says.
    pub body: KeyMaterialBody,
}

/// Everything up to the end, whatever it is.
#[derive(Debug)]
struct Rest<'b>(&'b [u8]);

impl Size for Rest<'_> {
    fn tls_serialized_len(&self) -> usize {
        self.0.len()
    }
}

impl Serialize for Rest<'_> {
    fn tls_serialize<W: std::io::Write>(&self, writer: &mut W) -> Result<usize, TlsError> {
        writer.write_all(self.0)?;
        Ok(self.0.len())
    }
}

select_struct!(
    KeyMaterialRequest,
    |request| [
        &request.protocol,
        &request.requesting_user,
        &request.target_users,
        &request.room_id,
        match &request.body {
            KeyMaterialBody::Mls10(body) => body as _,
            KeyMaterialBody::Unknown(rest) => &Rest(rest) as _,
        },
    ],
    |reader| {
        let protocol = reader.next()?;
        Ok(KeyMaterialRequest {
            protocol,
            requesting_user: reader.next()?,
            target_users: reader.next()?,
            room_id: reader.next()?,
            body: if protocol == Protocol::MLS10 {
                KeyMaterialBody::Mls10(reader.next()?)
            } else {
                KeyMaterialBody::Unknown(std::mem::take(&mut reader.0).to_vec())
            },
        })
    }
);

/// What the target's provider says of the user as a whole.
///
/// ```text
/// enum { success(0), partialSuccess(1), incompatibleProtocol(2), noCompatibleMaterial(3), userUnknown(4),
///   noConsent(5), noConsentForThisRoom(6), userDeleted(7), (255) } KeyMaterialUserCode;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the draft's")]
pub enum KeyMaterialUserCode {
    Success = 0,
    PartialSuccess = 1,
    IncompatibleProtocol = 2,
    NoCompatibleMaterial = 3,
    UserUnknown = 4,
    NoConsent = 5,
    NoConsentForThisRoom = 6,
    UserDeleted = 7,
}

impl KeyMaterialUserCode {
    /// Whether a response with this code may list clients (R25).
    #[must_use]
    pub const fn lists_clients(self) -> bool {
        matches!(self, Self::Success | Self::PartialSuccess | Self::NoCompatibleMaterial)
    }
}

/// What there is of one client.
///
/// ```text
/// enum { success(0), keyMaterialExhausted(1), onlyLastResort(2), nothingCompatible(3), (255) } KeyMaterialClientCode;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMaterial {
    /// A KeyPackage, the caller's alone (R27).
    Success(Box<Verbatim<KeyPackageIn>>),
    /// None is left.
    KeyMaterialExhausted,
    /// Only a last-resort one is left, and the request does not allow it (R28).
    OnlyLastResort,
    /// None fits; the client's capabilities may be omitted (R26).
    NothingCompatible(Option<Verbatim<Capabilities>>),
}

/// One client of the target user.
///
/// ```text
/// struct { KeyMaterialClientCode clientStatus; IdentifierUri clientUri;
///   select (clientStatus) {
///     case success:           KeyPackage keyPackage;
///     case nothingCompatible: optional<Capabilities> clientCapabilities;
///   };
/// } ClientKeyMaterial;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKeyMaterial {
    /// The client.
    pub client_uri: IdentifierUri,
    /// `clientStatus` and what belongs to it.
    pub material: ClientMaterial,
}

select_struct!(
    ClientKeyMaterial,
    |client| match &client.material {
        ClientMaterial::Success(key_package) =>
            [&0_u8, &client.client_uri, key_package.as_ref() as _],
        ClientMaterial::KeyMaterialExhausted => [&1_u8, &client.client_uri, &Rest(&[])],
        ClientMaterial::OnlyLastResort => [&2_u8, &client.client_uri, &Rest(&[])],
        ClientMaterial::NothingCompatible(capabilities) =>
            [&3_u8, &client.client_uri, capabilities as _],
    },
    |reader| {
        let status: u8 = reader.next()?;
        let client_uri = reader.next()?;
        let material = match status {
            0 => ClientMaterial::Success(Box::new(reader.next()?)),
            1 => ClientMaterial::KeyMaterialExhausted,
            2 => ClientMaterial::OnlyLastResort,
            3 => ClientMaterial::NothingCompatible(reader.next()?),
            other => return Err(TlsError::UnknownValue(u64::from(other))),
        };
        Ok(ClientKeyMaterial { client_uri, material })
    }
);

/// The answer to a [`KeyMaterialRequest`], with status 200 for every `userStatus`.
///
/// ```text
/// struct { Protocol protocol; KeyMaterialUserCode userStatus; IdentifierUri userUri; ClientKeyMaterial clients<V>; } KeyMaterialResponse;
/// ```
/// Clients of a protocol that we do not know, or with a code that has none, do not decode (R5, R25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMaterialResponse {
    /// The request's protocol.
    pub protocol: Protocol,
    /// The code.
    pub user_status: KeyMaterialUserCode,
    /// The target user.
    pub user_uri: IdentifierUri,
    /// Every client of the user, for success, partialSuccess and noCompatibleMaterial; else empty
    /// (R24, R25).
    pub clients: Vec<ClientKeyMaterial>,
}

impl KeyMaterialResponse {
    /// Reads another provider's answer.
    ///
    /// # Errors
    /// [`ProtocolError::BadGateway`] when it is none, or larger than a claim's answer may be (D18).
    pub fn from_peer(body: &[u8]) -> Result<Self, ProtocolError> {
        const NONSENSE: ProtocolError = ProtocolError::BadGateway("not a KeyMaterialResponse");
        if body.len() > MAX_BODY_BYTES {
            return Err(NONSENSE);
        }
        decode_exact(body).map_err(|_| NONSENSE)
    }
}

select_struct!(
    KeyMaterialResponse,
    |response| [&response.protocol, &response.user_status, &response.user_uri, &response.clients],
    |reader| {
        let response = KeyMaterialResponse {
            protocol: reader.next()?,
            user_status: reader.next()?,
            user_uri: reader.next()?,
            clients: reader.next()?,
        };
        let may_list = response.protocol == Protocol::MLS10 && response.user_status.lists_clients();
        if !response.clients.is_empty() && !may_list {
            return Err(TlsError::DecodingError("a code without clients".into()));
        }
        Ok(response)
    }
);
