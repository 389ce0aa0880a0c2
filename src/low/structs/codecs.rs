//! The draft's structs between bytes and named members.

use super::{
    Type,
    mimi::{
        APP_SYNC, CONSENT_ENTRY, FANOUT_MESSAGE, GROUP_INFO_REQUEST, GROUP_INFO_RESPONSE,
        KEY_MATERIAL_REQUEST, KEY_MATERIAL_RESPONSE, MIMI_PARTICIPANT_LIST,
        PENDING_PROPOSALS_RESPONSE, RATCHET_TREE_OPTION, SUBMIT_MESSAGE_RESPONSE, UPDATE_REQUEST,
        UPDATE_ROOM_RESPONSE,
    },
    read::{Depth, Field, read},
    write::{Given, write},
};
use crate::{
    error::{Error, ProtocolError, UsageError},
    wire::{self, decode_exact},
};

/// A struct, and whether bytes are one.
struct Codec {
    of: &'static Type,
    check: fn(&[u8]) -> Result<(), ProtocolError>,
}

macro_rules! codecs {
    ($($of:ident = $name:ident,)*) => {
        /// By name.
        static CODECS: &[(&str, Codec)] = &[$(
            (
                stringify!($name),
                Codec { of: &$of, check: |bytes| decode_exact::<wire::$name>(bytes).map(drop) },
            ),
        )*];
    };
}

codecs! {
    APP_SYNC = AppSync,
    CONSENT_ENTRY = ConsentEntry,
    FANOUT_MESSAGE = FanoutMessage,
    GROUP_INFO_REQUEST = GroupInfoRequest,
    GROUP_INFO_RESPONSE = GroupInfoResponse,
    KEY_MATERIAL_REQUEST = KeyMaterialRequest,
    KEY_MATERIAL_RESPONSE = KeyMaterialResponse,
    MIMI_PARTICIPANT_LIST = MimiParticipantList,
    PENDING_PROPOSALS_RESPONSE = PendingProposalsResponse,
    RATCHET_TREE_OPTION = RatchetTreeOption,
    SUBMIT_MESSAGE_RESPONSE = SubmitMessageResponse,
    UPDATE_REQUEST = UpdateRequest,
    UPDATE_ROOM_RESPONSE = UpdateRoomResponse,
}

/// The structs that can be decoded and encoded.
pub fn codec_names() -> impl Iterator<Item = &'static str> {
    CODECS.iter().map(|(name, _)| *name)
}

fn codec(name: &str) -> Result<&'static Codec, UsageError> {
    let found = CODECS.iter().find(|(known, _)| *known == name);
    found.map(|(_, codec)| codec).ok_or(UsageError::BadArgument("no such struct"))
}

/// Decodes `bytes` as one struct of this name and nothing else; MLS' own structs in it stay bytes.
///
/// # Errors
/// [`ProtocolError::Malformed`] when the bytes are anything else, [`UsageError::BadArgument`] when
/// there is no such struct.
pub fn decode(name: &str, bytes: &[u8]) -> Result<Field, Error> {
    let Codec { of, check } = codec(name)?;
    check(bytes)?;
    Ok(read(of, bytes, Depth::Outside)?)
}

/// Encodes the members of a struct of this name.
///
/// # Errors
/// [`UsageError::BadArgument`] when there is no such struct, or the members make none: the text names
/// the first one that does not fit.
pub fn encode(name: &str, members: &Given) -> Result<Vec<u8>, UsageError> {
    let Codec { of, check } = codec(name)?;
    let bytes = write(of, members)?;
    check(&bytes).map_err(|_| UsageError::BadArgument("the members do not fit together"))?;
    Ok(bytes)
}
