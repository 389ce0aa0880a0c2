//! The rooms of the user, as the own provider knows them (D10): a device learns of those that it is
//! not in, and joins when it is asked to.

use super::{
    Client, Event, RoomPhase,
    request::{Request, Settled},
    step::Step,
};
use crate::{
    error::Result,
    time::UnixMillis,
    transport::Response,
    wire::{RoomList, decode_exact, uri::RoomUri},
};

impl Client {
    /// Asks the own provider for the rooms of this user; [`Event::RoomAvailable`] tells of each that
    /// this device is not in. It is done by itself whenever everything has arrived.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn sync_rooms(&mut self, now: UnixMillis) -> Result<()> {
        self.step(now, sync)
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
    let rooms = match decode_exact::<RoomList>(&response.body) {
        Ok(list) if response.is_success() => list.rooms,
        _ => return Ok(Settled::Delivered),
    };
    for summary in rooms {
        let Ok(uri) = RoomUri::from_wire(&summary.room_id) else { continue };
        let is_out = step.room(&uri)?.is_none_or(|room| room.phase == RoomPhase::Left);
        if is_out {
            step.emit(Event::RoomAvailable { room: uri });
        }
    }
    Ok(Settled::Delivered)
}
