//! How far a device is with what there was when its socket opened. Of this nothing is stored.

use super::Progress;
use crate::wire::IdentifierUri;

/// A room's share of the whole, in thousandths.
const ROOM: u64 = 1_000;

/// Catching up on one socket.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    /// How many rooms the hello named.
    pub(super) rooms: u64,
    /// The room that is being read.
    current: Option<Current>,
    /// What was told last, in thousandths of a room.
    told: Option<u64>,
}

#[derive(Debug)]
struct Current {
    room: IdentifierUri,
    /// Where the device stood, and where the log ends.
    from: u64,
    end: u64,
    /// What the rooms before it come to.
    before: u64,
}

impl CatchUp {
    /// A room comes next, from a position to the end of its log; `left` rooms come after it.
    pub(super) fn room(
        &mut self,
        room: IdentifierUri,
        from: u64,
        end: u64,
        left: u32,
    ) -> Option<Progress> {
        let before = self.rooms.saturating_sub(u64::from(left) + 1).saturating_mul(ROOM);
        self.current = Some(Current { room, from, end, before });
        self.tell(before)
    }

    /// An event of a room came. One of another room than that which is being read is a new one.
    pub(super) fn event(&mut self, room: &IdentifierUri, position: u64) -> Option<Progress> {
        let Current { room: current, from, end, before } = self.current.as_ref()?;
        if room != current {
            return None;
        }
        let done = position.min(*end).saturating_sub(*from);
        let part = done.saturating_mul(ROOM).checked_div(end.saturating_sub(*from))?;
        self.tell(before.saturating_add(part))
    }

    /// The progress, if it is one.
    fn tell(&mut self, done_thousandths: u64) -> Option<Progress> {
        if self.told.is_some_and(|told| told >= done_thousandths) {
            return None;
        }
        self.told = Some(done_thousandths);
        Some(Progress { done_thousandths, rooms: self.rooms })
    }
}
