//! What a followed room tells our users: Welcomes, and that they are in the room (D3, D10).

use serde::{Deserialize, Serialize};

use crate::{
    error::{InternalError, Result},
    object::{Call, Lane, LaneRequest, Step},
    storage::{decode_row, encode_row},
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectName, Source},
    wire::uri::{RoomUri, UserUri},
};

/// An entry of a user's lane.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    /// An encoded `FanoutMessage` with a Welcome.
    Welcome(Vec<u8>),
    /// The user is in the room, of this cipher suite, or no longer.
    Membership(Option<u16>),
}

impl Entry {
    pub(super) fn enqueue(self, step: &mut Step<'_>, user: &UserUri) -> Result<(), InternalError> {
        step.enqueue(&Lane::Object(ObjectName::user(user)), encode_row(&self)?)
    }
}

/// The request of the entry at the head of a user's lane.
pub(super) fn request(
    room: &RoomUri,
    lane: &Lane,
    entries: &[Vec<u8>],
) -> Result<Option<LaneRequest>> {
    let (Lane::Object(object), Some(entry)) = (lane, entries.first()) else { return Ok(None) };
    let room = room.clone();
    let (endpoint, body, label) = match decode_row(entry)? {
        Entry::Welcome(message) => (Endpoint::DeliverWelcome { room }, message, "welcome + tree"),
        Entry::Membership(cipher_suite) => {
            (Endpoint::Membership { room, cipher_suite }, Vec::new(), "membership")
        }
    };
    let request = IncomingRequest { source: Source::Own, endpoint, body };
    let call = Call::Object(ObjectCall { object: object.clone(), request });
    Ok(Some(LaneRequest { call, label: label.into(), entries: 1 }))
}
