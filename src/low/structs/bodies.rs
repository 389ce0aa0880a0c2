//! What the bodies of the endpoints are, to be shown.

use super::{
    Type::{self, Concatenated},
    mimi::{
        CONSENT_ENTRY, CONSENT_STATE, DEVICE_LIST, DEVICE_REGISTRATION, EVENT_PAGE, FANOUT_MESSAGE,
        FROM_CLIENT, FROM_PROVIDER, GROUP_INFO_REQUEST, GROUP_INFO_RESPONSE, KEY_MATERIAL_REQUEST,
        KEY_MATERIAL_RESPONSE, KEY_PACKAGE_LIST, KEY_PACKAGE_STOCK, PENDING_PROPOSALS_RESPONSE,
        PSEUDONYM_GRANT, RATCHET_TREE_SUPPORT, ROOM_CREATION, ROOM_LIST, SUBMIT_MESSAGE_RESPONSE,
        UPDATE_REQUEST, UPDATE_ROOM_RESPONSE,
    },
    mls::{EXTERNAL_SENDER, MLS_MESSAGE},
    read::{Depth, Field, read},
};

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the endpoint; on a socket, from the client.
    Request,
    /// Its answer; on a socket, from the provider.
    Response,
}

/// An endpoint, and what its request and its answer may be.
type Body = (&'static str, &'static [&'static Type], &'static [&'static Type]);

/// By the first segment of the path after the prefix: MIMI's, then those between a client and its own
/// provider.
static BODIES: &[Body] = &[
    ("keyMaterial", &[&KEY_MATERIAL_REQUEST], &[&KEY_MATERIAL_RESPONSE]),
    ("update", &[&UPDATE_REQUEST], &[&UPDATE_ROOM_RESPONSE, &PENDING_PROPOSALS_RESPONSE]),
    ("submitMessage", &[&MLS_MESSAGE], &[&SUBMIT_MESSAGE_RESPONSE]),
    ("notify", &[&Concatenated(&FANOUT_MESSAGE)], &[]),
    ("groupInfo", &[&GROUP_INFO_REQUEST], &[&GROUP_INFO_RESPONSE]),
    ("requestConsent", &[&CONSENT_ENTRY], &[]),
    ("updateConsent", &[&CONSENT_ENTRY], &[]),
    ("devices", &[&DEVICE_REGISTRATION], &[&DEVICE_LIST]),
    ("keyPackages", &[&KEY_PACKAGE_LIST], &[&KEY_PACKAGE_STOCK]),
    ("rooms", &[&ROOM_CREATION], &[&ROOM_LIST]),
    ("pseudonyms", &[&DEVICE_REGISTRATION], &[&PSEUDONYM_GRANT]),
    ("external-sender", &[], &[&EXTERNAL_SENDER]),
    ("directory", &[], &[&RATCHET_TREE_SUPPORT]),
    ("consent", &[&CONSENT_ENTRY], &[&CONSENT_STATE]),
    ("events", &[], &[&EVENT_PAGE]),
    ("inbox", &[], &[&EVENT_PAGE]),
    ("socket", &[&FROM_CLIENT], &[&FROM_PROVIDER]),
];

/// The fields of a body, MLS' own structs among them; `None` when the endpoint is not known, or its
/// body is empty or does not decode.
///
/// To be shown: it says what the bytes are, not that they are valid.
#[must_use]
pub fn inspect(endpoint: &str, direction: Direction, bytes: &[u8]) -> Option<Field> {
    let (_, request, response) = BODIES.iter().find(|(name, _, _)| *name == endpoint)?;
    let types = match direction {
        Direction::Request => request,
        Direction::Response => response,
    };
    types.iter().find_map(|of| read(of, bytes, Depth::Inside).ok())
}
