//! Deleting a user (D19): nothing of it stays but that it was there.
//!
//! Its name is never given out again. Every room that it was in is told, so that the hub takes its
//! clients out (R56, R77) and a follower stops its fan-out.

use super::{devices, inbox, outgoing::Entry, pseudonyms, user::table};
use crate::{
    error::{InternalError, ProtocolError, Result},
    object::Step,
    storage::Transaction,
    transport::ObjectName,
    wire::uri::{RoomUri, UserUri},
};

/// The first table byte that is not a role's but the shell's: what waits to be sent is there.
const SHELLS_TABLES: u8 = 0xF0;

/// Whether the user was deleted.
pub(super) fn is_deleted(transaction: &Transaction<'_>) -> Result<bool, InternalError> {
    Ok(transaction.read(&[table::DELETED])?.is_some())
}

/// Deletes the user; again has no effect.
///
/// # Errors
/// `NotFound` when there never was one.
pub(super) fn delete(step: &mut Step<'_>, user: &UserUri) -> Result<()> {
    if is_deleted(&step.transaction)? {
        return Ok(());
    }
    let devices = devices::devices(&step.transaction)?;
    // A pseudonym's owner may be gone before the pseudonym is there: then it does not come to be.
    if devices.is_empty() && !pseudonyms::has_form(user) {
        return Err(ProtocolError::NotFound("user").into());
    }
    let rooms = inbox::rooms(&step.transaction)?;
    pseudonyms::follow_deletion(step)?;
    for (key, _) in step.transaction.scan(&[], &[], usize::MAX)? {
        if key.first().is_some_and(|table| *table < SHELLS_TABLES) {
            step.transaction.delete(key);
        }
    }
    step.transaction.store(vec![table::DELETED], &step.now)?;
    for (room, _) in rooms {
        tell(step, &room)?;
    }
    for device in devices {
        devices::dismiss(step, device)?;
    }
    Ok(())
}

/// Tells the object of a room that this user of ours is no more.
///
/// # Errors
/// When the storage fails.
pub(super) fn tell(step: &mut Step<'_>, room: &RoomUri) -> Result<(), InternalError> {
    let object = ObjectName::room(room, &step.config.domain);
    Entry::UserDeleted.enqueue(step, object)
}
