//! The draft's structs, under the draft's names, in TLS presentation language (RFC 8446 §3, with the
//! variable-length vectors of RFC 9420 §2.1.2).
//!
//! In scope: encoding, exact decoding (R5), size caps (D18). Out of scope: whether a decoded value is
//! allowed; that is decided by `room`, `hub`, `follower`, `provider` and `client`.

mod app_sync;
mod client_api;
mod consent;
mod directory;
mod fanout;
mod group_info;
mod key_material;
mod outline;
mod submit;
mod update;
pub mod uri;
mod verbatim;

pub use app_sync::{AppSync, MimiParticipantList, Role, UserRoles};
pub use client_api::{
    ACCOUNT_AUTH_SCHEME, ConsentItem, ConsentState, Cursor, DEVICE_AUTH_SCHEME, DeviceAuth,
    DeviceList, DeviceRegistration, DeviceRegistrationTbs, DeviceRequestTbs, DeviceSummary,
    EventPage, FromClient, FromProvider, KeyPackageList, KeyPackageStock, LogEvent, PseudonymGrant,
    REVOKED_CHALLENGE, RoomCreation, RoomList, RoomProfile, RoomSummary,
};
pub use consent::{ConsentEntry, ConsentOperation};
pub use directory::{Directory, RatchetTreeSupport, percent_decode, percent_encode};
pub use fanout::FanoutMessage;
pub use group_info::{GroupInfoRequest, GroupInfoRequestTbs, GroupInfoResponse};
pub use key_material::{
    ClientKeyMaterial, ClientMaterial, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse,
    KeyMaterialUserCode, Mls10Request, Protocol, RequiredCapabilities,
};
pub use outline::{
    CommitOutline, OutlineProposal, OutlineSender, ProposalOutline, commit_outline,
    path_credential, proposal_outline, tree_credentials,
};
pub use submit::{SubmitMessageResponse, SubmitStatus};
pub use update::{
    CommitBundle, PendingProposalsResponse, RatchetTree, RatchetTreeOption, UpdateContent,
    UpdateRequest, UpdateResponseCode, UpdateRoomResponse,
};
pub use uri::{IdentifierUri, RoomId};
pub use verbatim::Verbatim;

use tls_codec::{DeserializeBytes, Serialize};

use crate::error::{InternalError, ProtocolError};

/// Largest `/update` body, in bytes (D18).
pub const MAX_UPDATE_BYTES: usize = 4 << 20;
/// Largest `/notify` body, in bytes (D18).
pub const MAX_NOTIFY_BYTES: usize = 8 << 20;
/// Largest answer to `/groupInfo`, in bytes (D18).
pub const MAX_GROUP_INFO_RESPONSE_BYTES: usize = 4 << 20;
/// Largest body of any other kind, in bytes (D18).
pub const MAX_BODY_BYTES: usize = 256 << 10;
/// Largest directory document, in bytes (D13).
pub const MAX_DIRECTORY_BYTES: usize = 64 << 10;

/// Decodes `bytes` as one `T` and nothing else (R5).
///
/// # Errors
/// [`ProtocolError::Malformed`] for anything but exactly one `T`: trailing bytes, a length that is
/// not minimal, an unknown value where a branch is needed, a boolean other than 0 and 1.
pub fn decode_exact<T: DeserializeBytes>(bytes: &[u8]) -> Result<T, ProtocolError> {
    T::tls_deserialize_exact_bytes(bytes).map_err(|_| ProtocolError::Malformed("body"))
}

/// Decodes `bytes` as one or more `T` back to back, without an outer length (R78).
///
/// # Errors
/// [`ProtocolError::Malformed`] for anything else, an empty body too.
pub fn decode_concatenated<T: DeserializeBytes>(bytes: &[u8]) -> Result<Vec<T>, ProtocolError> {
    if bytes.is_empty() {
        return Err(ProtocolError::Malformed("empty body"));
    }
    let mut values = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (value, after) =
            T::tls_deserialize_bytes(rest).map_err(|_| ProtocolError::Malformed("body"))?;
        values.push(value);
        rest = after;
    }
    Ok(values)
}

/// Encodes a value of ours.
///
/// # Errors
/// [`InternalError::Codec`] when a vector is longer than its length prefix can say (2^30 bytes).
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, InternalError> {
    Ok(value.tls_serialize_detached()?)
}

/// Implements the three codec traits of a struct whose fields stand one after the other, some of
/// them only for some values of the fields before.
///
/// `write` lists the fields in wire order; `read` is a function from bytes to value and rest.
macro_rules! select_struct {
    ($name:ident, |$value:ident| $fields:expr, $read:expr) => {
        impl tls_codec::Size for $name {
            fn tls_serialized_len(&self) -> usize {
                let $value = self;
                let fields: &[&dyn $crate::wire::Field] = &$fields;
                fields.iter().map(|field| field.length()).sum()
            }
        }

        impl tls_codec::Serialize for $name {
            fn tls_serialize<W: std::io::Write>(
                &self,
                writer: &mut W,
            ) -> Result<usize, tls_codec::Error> {
                let $value = self;
                let fields: &[&dyn $crate::wire::Field] = &$fields;
                let mut written = 0;
                for field in fields {
                    written += field.write(writer)?;
                }
                Ok(written)
            }
        }

        impl tls_codec::DeserializeBytes for $name {
            fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), tls_codec::Error> {
                let mut reader = $crate::wire::Reader(bytes);
                let read: fn(&mut $crate::wire::Reader<'_>) -> Result<Self, tls_codec::Error> =
                    $read;
                let value = read(&mut reader)?;
                Ok((value, reader.0))
            }
        }
    };
}
use select_struct;

/// A value that can be written without knowing its type: a field of a [`select_struct`].
trait Field {
    fn length(&self) -> usize;
    fn write(&self, writer: &mut dyn std::io::Write) -> Result<usize, tls_codec::Error>;
}

impl<T: Serialize> Field for T {
    fn length(&self) -> usize {
        self.tls_serialized_len()
    }

    fn write(&self, mut writer: &mut dyn std::io::Write) -> Result<usize, tls_codec::Error> {
        self.tls_serialize(&mut writer)
    }
}

/// Reads one field after the other.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn next<T: DeserializeBytes>(&mut self) -> Result<T, tls_codec::Error> {
        self.next_with(T::tls_deserialize_bytes)
    }

    fn next_with<T>(
        &mut self,
        read: impl FnOnce(&[u8]) -> Result<(T, &[u8]), tls_codec::Error>,
    ) -> Result<T, tls_codec::Error> {
        let (value, rest) = read(self.0)?;
        self.0 = rest;
        Ok(value)
    }
}

/// Codec of the TLS presentation language's `bool`: one byte, 0 or 1 (R5).
mod flag {
    use std::io::Write;

    use tls_codec::{DeserializeBytes, Error, Serialize};

    pub(super) const fn tls_serialized_len(_: &bool) -> usize {
        1
    }

    pub(super) fn tls_serialize<W: Write>(flag: &bool, writer: &mut W) -> Result<usize, Error> {
        u8::from(*flag).tls_serialize(writer)
    }

    pub(super) fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(bool, &[u8]), Error> {
        match u8::tls_deserialize_bytes(bytes)? {
            (0, rest) => Ok((false, rest)),
            (1, rest) => Ok((true, rest)),
            (other, _) => Err(Error::UnknownValue(u64::from(other))),
        }
    }
}
