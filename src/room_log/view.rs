//! What devices may see of a log: windows, and where their users were active (D11, R45, R69).

use serde::Deserialize;

use super::{Activity, RoomLog};
use crate::{
    error::InternalError,
    sorted::SortedMap,
    storage::{Transaction, decode_start},
    wire::uri::{ClientUri, UserUri},
};

/// A part `(from, to]` of the log; without an end while the device is in the room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
}

impl Window {
    /// The first position from `position` on that one of the windows contains.
    pub(super) fn next(windows: &[Self], position: u64) -> Option<u64> {
        let ahead = windows.iter().filter(|window| position <= window.last());
        ahead.map(|window| position.max(window.from.saturating_add(1))).min()
    }

    fn last(self) -> u64 {
        self.to.unwrap_or(u64::MAX)
    }

    pub(super) fn contains(self, position: u64) -> bool {
        self.from < position && position <= self.last()
    }
}

/// What one device may see.
pub(super) struct View {
    /// In order of `from`.
    pub(super) windows: Vec<Window>,
    /// In order of position; each holds for the positions after it.
    pub(super) activity: Vec<(u64, Activity)>,
    /// The last position of the events that are gone.
    pub(super) forgotten: u64,
    /// The last one of them that it could see.
    pub(super) last_forgotten: u64,
}

impl View {
    fn is_in_window(&self, position: u64) -> bool {
        self.windows.iter().any(|window| window.contains(position))
    }

    /// The last position up to `position` that a window contains, 0 when there is none.
    fn last_in_window(&self, position: u64) -> u64 {
        let behind = self.windows.iter().filter(|window| window.from < position);
        behind.map(|window| position.min(window.last())).max().unwrap_or(0)
    }

    /// The activity at `position`, and the position of the change that brought it about.
    fn activity_at(&self, position: u64) -> (u64, Activity) {
        let before = self.activity.iter().rev().find(|(since, _)| *since < position);
        before.copied().unwrap_or((0, Activity::Inactive))
    }

    pub(super) fn shows(&self, position: u64, event: Header) -> bool {
        self.is_in_window(position)
            && (!event.private || self.activity_at(position).1 == Activity::Active)
    }
}

/// What an event is, without its message: the start of its row.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Header {
    pub(super) handshake_before: u64,
    pub(super) private: bool,
}

/// The headers of events, each read once.
pub(super) struct Headers<'t, 's> {
    log: RoomLog,
    transaction: &'t Transaction<'s>,
    end: u64,
    read: SortedMap<u64, Option<Header>>,
}

impl<'t, 's> Headers<'t, 's> {
    pub(super) fn new(
        log: RoomLog,
        transaction: &'t Transaction<'s>,
    ) -> Result<Self, InternalError> {
        Ok(Self { log, transaction, end: log.end(transaction)?, read: SortedMap::new() })
    }

    fn at(&mut self, position: u64) -> Result<Option<Header>, InternalError> {
        if let Some(header) = self.read.get(&position) {
            return Ok(*header);
        }
        let row = self.transaction.read(&self.log.event_key(position))?;
        let header = row.map(|row| decode_start(&row)).transpose()?;
        self.read.insert(position, header);
        Ok(header)
    }

    /// The last position before `position` that the view shows, 0 when there is none.
    pub(super) fn visible_before(
        &mut self,
        view: &View,
        position: u64,
    ) -> Result<u64, InternalError> {
        let mut candidate = view.last_in_window(position.saturating_sub(1).min(self.end));
        while candidate > view.forgotten {
            let Some(event) = self.at(candidate)? else { break };
            if view.shows(candidate, event) {
                return Ok(candidate);
            }
            // A PrivateMessage while inactive: the nearest that can show is the handshake before
            // it, or the last event before the user became inactive.
            let (since, _) = view.activity_at(candidate);
            let before = event.handshake_before.max(since).min(candidate.saturating_sub(1));
            candidate = view.last_in_window(before);
        }
        Ok(view.last_forgotten)
    }
}

/// What all devices may see, read at once.
pub(super) struct Views {
    pub(super) windows: Vec<(ClientUri, Vec<Window>)>,
    pub(super) activity: SortedMap<UserUri, Vec<(u64, Activity)>>,
    pub(super) last_forgotten: SortedMap<ClientUri, u64>,
    pub(super) forgotten: u64,
}

impl Views {
    pub(super) fn of(&self, device: &ClientUri, windows: Vec<Window>) -> View {
        View {
            windows,
            activity: self.activity.get(&device.user()).cloned().unwrap_or_default(),
            forgotten: self.forgotten,
            last_forgotten: self.last_forgotten.get(device).copied().unwrap_or(0),
        }
    }
}
