//! What an object tells the index of its provider: that it is there, and what the operator should know.

use serde::{Deserialize, Serialize};

use super::{Call, LaneRequest, Step, table};
use crate::{
    error::InternalError,
    storage::encode_row,
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectName, Source},
    wire::uri::Domain,
};

/// What an object tells the index of its provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// It is there.
    Object(ObjectName),
    /// Something that the operator should know of another provider (R82, D22).
    Report {
        /// The provider.
        peer: Domain,
        /// In words, without users, rooms and content.
        what: String,
    },
    /// Another provider was met.
    Peer(Domain),
}

/// Tells the index of an object that stores something, once, by its name there; none: it is not in it.
pub(super) fn announce(
    step: &mut Step<'_>,
    own_name: Option<&ObjectName>,
) -> Result<(), InternalError> {
    let Some(own_name) = own_name else { return Ok(()) };
    if step.transaction.read(&[table::ANNOUNCED])?.is_some() {
        return Ok(());
    }
    step.transaction.write(vec![table::ANNOUNCED], Vec::new());
    step.tell_index(&News::Object(own_name.clone()))
}

/// The request with entries of the index's lane.
pub(super) fn announcement(
    index: ObjectName,
    entries: &[Vec<u8>],
) -> Result<LaneRequest, InternalError> {
    let body = encode_row(&entries)?;
    let request = IncomingRequest { source: Source::Own, endpoint: Endpoint::Announce, body };
    let call = Call::Object(ObjectCall { object: index, request });
    Ok(LaneRequest { call, label: "announcement".into(), entries: entries.len(), since: None })
}
