//! The end of a room that nobody is left in (R57).

use std::collections::BTreeSet;

use super::{fanout, group::Room, table};
use crate::{
    error::{InternalError, Result},
    mls::proposals::check_together,
    object::Step,
    room::ParticipantList,
    storage::Transaction,
};

/// The tables of a room that has not ended.
const LIVING: [u8; 3] = [table::GROUP, table::PROPOSALS, table::DEPARTURES];

/// Closes the room if nobody can commit any more: from then on it is not found. What it sent is still
/// delivered, its own devices still read its log, and its name stays taken.
///
/// # Errors
/// When the storage fails.
pub(super) fn close_if_deserted(cache: &mut Option<Room>, step: &mut Step<'_>) -> Result<()> {
    let Some(room) = cache.as_ref() else { return Ok(()) };
    if !is_deserted(room)? {
        return Ok(());
    }
    let own = step.config.domain.clone();
    let position = fanout::LOG.end(&step.transaction)?;
    for user in room.roster.participants_of(&own) {
        fanout::record_user(step, &user, position, None)?;
    }
    for table in LIVING {
        clear_table(&mut step.transaction, table)?;
    }
    *cache = None;
    Ok(())
}

/// Whether there is no leaf left to commit, and no user who could come back by an external commit.
fn is_deserted(room: &Room) -> Result<bool> {
    if can_commit(room, &room.queue.removed_leaves()) {
        return Ok(false);
    }
    let after = check_together(&room.group, room.queue.queued())?.list;
    Ok(nobody_comes_back(room, &after))
}

/// Whether somebody commits what takes these leaves out.
pub(super) fn can_commit(room: &Room, removed: &BTreeSet<u32>) -> bool {
    let mut staying = room.roster.leaves.iter().filter(|(leaf, _)| !removed.contains(leaf));
    staying.any(|(_, client)| {
        let user = client.user();
        room.roster.list.is_participant(&user) && !room.departures.is_deleted(&user)
    })
}

/// Whether no user of this list can come back by an external commit.
pub(super) fn nobody_comes_back(room: &Room, list: &ParticipantList) -> bool {
    list.participants().all(|user| room.departures.is_deleted(user))
}

fn clear_table(transaction: &mut Transaction<'_>, table: u8) -> Result<(), InternalError> {
    let prefix = [table];
    for (key, _) in transaction.scan(&prefix, &prefix, usize::MAX)? {
        transaction.delete(key);
    }
    Ok(())
}
