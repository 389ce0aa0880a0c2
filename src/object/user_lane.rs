//! What the object of a room tells the users of its provider: Welcomes, and that they are in the
//! room (D3, D10).

use serde::{Deserialize, Serialize};

use super::{Call, Lane, LaneRequest, Step, sized_label};
use crate::{
    error::{InternalError, Result},
    storage::{decode_row, encode_row},
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectName, RoomFacts, Source},
    wire::uri::{RoomUri, UserUri},
};

/// An entry of a user's lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserEntry {
    /// An encoded `FanoutMessage` with a Welcome.
    Welcome(Vec<u8>),
    /// The user is in the room, which is like this, or no longer.
    Membership(Option<RoomFacts>),
}

impl UserEntry {
    /// Puts the entry at the end of the user's lane.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn enqueue(&self, step: &mut Step<'_>, user: &UserUri) -> Result<(), InternalError> {
        step.enqueue(&Lane::Object(ObjectName::user(user)), encode_row(self)?)
    }

    /// The request of the entry at the head of the lane of `object`.
    ///
    /// # Errors
    /// When the entry is none of these.
    pub fn request(
        room: &RoomUri,
        object: &ObjectName,
        entries: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        let Some(entry) = entries.first() else { return Ok(None) };
        let room = room.clone();
        let (endpoint, body, label) = match decode_row(entry)? {
            Self::Welcome(message) => {
                let label = sized_label("welcome + tree", message.len());
                (Endpoint::DeliverWelcome { room }, message, label)
            }
            Self::Membership(facts) => {
                (Endpoint::Membership { room, facts }, Vec::new(), "membership".into())
            }
        };
        let request = IncomingRequest { source: Source::Own, endpoint, body };
        let call = Call::Object(ObjectCall { object: object.clone(), request });
        Ok(Some(LaneRequest { call, label, entries: 1, since: None }))
    }
}
