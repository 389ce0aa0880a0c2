//! The rooms of the user, as the own provider knows them (D10): a device learns of those that it is
//! not in, and joins when it is asked to.

use serde::{Deserialize, Serialize};

use super::{
    Client, Event, RoomPhase,
    request::{Request, Settled},
    step::{self, Step},
    tables,
};
use crate::{
    error::{InternalError, Result},
    storage::Transaction,
    time::UnixMillis,
    transport::Response,
    wire::{RoomList, decode_exact, uri::RoomUri},
};

/// What is known of the rooms that this device is not in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Available {
    /// The user's rooms, as the own provider named them last, but for those that have ended since.
    rooms: Vec<RoomUri>,
    /// Those of which the application was told last.
    told: Vec<RoomUri>,
}

impl Client {
    /// Asks the own provider for the rooms of this user; [`Event::RoomsAvailable`] tells of those that
    /// this device is not in. It is done by itself whenever everything has arrived.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn sync_rooms(&mut self, now: UnixMillis) -> Result<()> {
        self.step(now, sync)
    }

    /// The rooms that the user is in and this device is not, nor on its way, by address, as the own
    /// provider said last (D10).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn available_rooms(&self) -> Result<Vec<RoomUri>> {
        Ok(load(&Transaction::new(&self.storage))?.told)
    }
}

/// Asks for the user's rooms.
pub(super) fn sync(step: &mut Step<'_>) -> Result<()> {
    if !step.is_registered()? {
        return Ok(());
    }
    Ok(step.enqueue(&Request::Rooms)?)
}

/// The provider answered `GET rooms`.
pub(super) fn answered(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    let list = match decode_exact::<RoomList>(&response.body) {
        Ok(list) if response.is_success() => list.rooms,
        _ => return Ok(Settled::Delivered),
    };
    let rooms = list.iter().filter_map(|room| RoomUri::from_wire(&room.room_id).ok());
    tell(step, rooms.collect())?;
    Ok(Settled::Delivered)
}

/// This device has come into a room, or set out for it, or lost the thread there.
pub(super) fn phase_changed(step: &mut Step<'_>) -> Result<()> {
    let rooms = load(&step.transaction)?.rooms;
    tell(step, rooms)
}

/// The user is not in this room, or not any more.
pub(super) fn ended(step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
    let mut rooms = load(&step.transaction)?.rooms;
    rooms.retain(|known| known != room);
    tell(step, rooms)
}

/// Tells the application of the rooms to join among these, if they are others than before.
fn tell(step: &mut Step<'_>, mut rooms: Vec<RoomUri>) -> Result<()> {
    rooms.sort_unstable();
    rooms.dedup();
    let is_in =
        |phase| matches!(phase, RoomPhase::Creating | RoomPhase::Joining | RoomPhase::Joined);
    let known = step::rooms(&step.transaction)?;
    let mut out = rooms.clone();
    out.retain(|room| !known.iter().any(|known| known.uri == *room && is_in(known.phase)));
    if load(&step.transaction)?.told != out {
        step.emit(Event::RoomsAvailable { rooms: out.clone() });
    }
    Ok(step.transaction.store(tables::available(), &Available { rooms, told: out })?)
}

fn load(transaction: &Transaction<'_>) -> Result<Available, InternalError> {
    Ok(transaction.load(&tables::available())?.unwrap_or_default())
}
