//! A room's log: every event once, and what each device of this provider may read of it (D11).
//!
//! `HubRoom` and `FollowedRoom` share it. The log holds Commits,
//! Proposals and PrivateMessages at positions from 1 on; Welcomes go to the inbox of their `User`.
//! A device reads through its windows `(from, to]`, and PrivateMessages only where its user was
//! active (R45, R69): its positions are sparse, so each event names the one before it.
//!
//! Out of scope: who may append, and when a window opens; the two roles decide that.

mod retention;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::view::{Header, Headers, View, Views, Window};
use crate::{
    error::{InternalError, ProtocolError, Result},
    sorted::SortedMap,
    storage::{Key, Transaction, decode_row},
    wire::{
        EventPage, FanoutMessage, FromProvider, LogEvent, decode_exact, encode,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Most events of one page.
pub const MAX_PAGE_EVENTS: usize = 256;
/// A page ends with the event that brings it to this size, in bytes.
const PAGE_BYTES: usize = 1 << 20;

/// The table bytes that a log uses in its owner's storage.
#[derive(Debug, Clone, Copy)]
pub struct LogTables {
    /// Events by position.
    pub events: u8,
    /// Windows by device and start.
    pub windows: u8,
    /// Changes of a user's activity, by user and position.
    pub activity: u8,
    /// The last position, and its event's time.
    pub end: u8,
    /// The last position of the events that are gone (D22).
    pub forgotten: u8,
    /// What is known of a device as a reader, by device.
    pub readers: u8,
    /// The last position before a day's first event, by day.
    pub days: u8,
    /// What goes along with an event, by its position.
    pub along: u8,
}

/// Whether a user is an active participant as far as the participant list goes (R68).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// On the list and not banned.
    Active,
    /// Not on the list, or banned.
    Inactive,
}

/// The log of one room.
#[derive(Debug, Clone, Copy)]
pub struct RoomLog {
    tables: LogTables,
}

/// An event as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    /// The last position before this one that holds no PrivateMessage, 0 when there is none.
    handshake_before: u64,
    private: bool,
    message: Vec<u8>,
}

impl Stored {
    const fn header(&self) -> Header {
        Header { handshake_before: self.handshake_before, private: self.private }
    }
}

/// A frame for devices of one user, those that are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The user.
    pub user: UserUri,
    /// The devices.
    pub devices: Vec<ClientUri>,
    /// The frame.
    pub frame: FromProvider,
}

impl RoomLog {
    /// The log in these tables.
    #[must_use]
    pub const fn new(tables: LogTables) -> Self {
        Self { tables }
    }

    /// The last position, 0 when the log is empty.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn end(&self, transaction: &Transaction<'_>) -> Result<u64, InternalError> {
        Ok(self.end_row(transaction)?.0)
    }

    /// The time of the last event, 0 when there was none (R79).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn last_timestamp(&self, transaction: &Transaction<'_>) -> Result<u64, InternalError> {
        Ok(self.end_row(transaction)?.1)
    }

    fn end_row(&self, transaction: &Transaction<'_>) -> Result<(u64, u64), InternalError> {
        Ok(transaction.load(&[self.tables.end])?.unwrap_or_default())
    }

    /// Puts a message at the end and says its position.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn append(
        &self,
        transaction: &mut Transaction<'_>,
        message: &FanoutMessage,
    ) -> Result<u64, InternalError> {
        let end = self.end(transaction)?;
        let handshake_before = match self.event(transaction, end)? {
            Some(last) if last.private => last.handshake_before,
            _ => end,
        };
        let stored = Stored {
            handshake_before,
            private: message.is_private_message(),
            message: encode(message)?,
        };
        let position = end.saturating_add(1);
        transaction.store(self.event_key(position), &stored)?;
        transaction.store(vec![self.tables.end], &(position, message.timestamp))?;
        Ok(position)
    }

    /// From the event after `after` on, `device` may read. A window that is open stays as it is.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn open_window(
        &self,
        transaction: &mut Transaction<'_>,
        device: &ClientUri,
        after: u64,
    ) -> Result<(), InternalError> {
        let windows = self.windows(transaction, device)?;
        if windows.iter().any(|window| window.to.is_none()) {
            return Ok(());
        }
        transaction.store(self.window_key(device).number(after).build(), &None::<u64>)
    }

    /// The event at `last` is the last one that `device` may read, until a window opens again.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn close_window(
        &self,
        transaction: &mut Transaction<'_>,
        device: &ClientUri,
        last: u64,
    ) -> Result<(), InternalError> {
        for window in self.windows(transaction, device)? {
            if window.to.is_none() {
                let key = self.window_key(device).number(window.from).build();
                transaction.store(key, &Some(last))?;
            }
        }
        Ok(())
    }

    /// Whether `device` may read the event at `position`, but for PrivateMessages while its user is
    /// not active.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn reaches(
        &self,
        transaction: &Transaction<'_>,
        device: &ClientUri,
        position: u64,
    ) -> Result<bool, InternalError> {
        let windows = self.windows(transaction, device)?;
        Ok(windows.iter().any(|window| window.contains(position)))
    }

    /// The devices with an open window, in order: those that have a leaf.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn devices(&self, transaction: &Transaction<'_>) -> Result<Vec<ClientUri>, InternalError> {
        let mut devices = self.all_windows(transaction)?;
        devices.retain(|(_, windows)| windows.iter().any(|window| window.to.is_none()));
        Ok(devices.into_iter().map(|(device, _)| device).collect())
    }

    /// Whether `device` has an open window: whether it has a leaf.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn has_open_window(
        &self,
        transaction: &Transaction<'_>,
        device: &ClientUri,
    ) -> Result<bool, InternalError> {
        Ok(self.windows(transaction, device)?.iter().any(|window| window.to.is_none()))
    }

    /// For the events after `position`, `user` is `activity`. Nobody is active who was not said to
    /// be.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn record_activity(
        &self,
        transaction: &mut Transaction<'_>,
        user: &UserUri,
        position: u64,
        activity: Activity,
    ) -> Result<(), InternalError> {
        transaction.store(self.activity_key(user).number(position).build(), &activity)
    }

    /// The activity of `user` for the next event.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn activity(
        &self,
        transaction: &Transaction<'_>,
        user: &UserUri,
    ) -> Result<Activity, InternalError> {
        Ok(self.known_activity(transaction, user)?.unwrap_or(Activity::Inactive))
    }

    /// The users who are active for the next event, in order.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn active_users(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<BTreeSet<UserUri>, InternalError> {
        let prefix = [self.tables.activity];
        let mut users = BTreeSet::new();
        // A user's changes are in order: the last one decides.
        for (key, row) in transaction.scan(&prefix, &prefix, usize::MAX)? {
            let user = user_of(&key)?;
            match decode_row(&row)? {
                Activity::Active => users.insert(user),
                Activity::Inactive => users.remove(&user),
            };
        }
        Ok(users)
    }

    /// The activity of `user` for the next event; `None` when nothing was ever said of the user.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn known_activity(
        &self,
        transaction: &Transaction<'_>,
        user: &UserUri,
    ) -> Result<Option<Activity>, InternalError> {
        let last = self.activity_changes(transaction, user)?.pop();
        Ok(last.map(|(_, activity)| activity))
    }

    /// The events after `after` that `device` may see: at most `limit`, and never more than
    /// [`MAX_PAGE_EVENTS`]. If some of them are gone from the log, the page says so (D22).
    ///
    /// # Errors
    /// [`ProtocolError::NotAllowed`] when the device never had a window here.
    pub fn page(
        &self,
        transaction: &Transaction<'_>,
        room: &RoomUri,
        device: &ClientUri,
        after: u64,
        limit: usize,
    ) -> Result<EventPage> {
        let view = self.view(transaction, device)?;
        if view.windows.is_empty() {
            return Err(ProtocolError::NotAllowed("this device is not in the room".into()).into());
        }
        let end = self.end(transaction)?;
        let limit = limit.min(MAX_PAGE_EVENTS);
        let gap = after < view.last_forgotten;
        let mut page = EventPage { events: Vec::new(), end, more: false, gap };
        let after = after.max(view.forgotten);
        let mut headers = Headers::new(*self, transaction)?;
        let mut previous = headers.visible_before(&view, after.saturating_add(1))?;
        let mut next = Window::next(&view.windows, after.saturating_add(1));
        let mut bytes = 0;
        while let Some(position) = next.filter(|position| *position <= end) {
            if let Some(event) = self.event(transaction, position)?
                && view.shows(position, event.header())
            {
                if page.events.len() >= limit || bytes >= PAGE_BYTES {
                    page.more = true;
                    break;
                }
                bytes = bytes.saturating_add(event.message.len());
                page.events.push(log_event(room, position, previous, logged(&event)?));
                previous = position;
            }
            next = Window::next(&view.windows, position.saturating_add(1));
        }
        Ok(page)
    }

    /// What the devices that may see the event at `position` get of it, if their users `may_listen`: one
    /// push for each user and each `previous`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn push(
        &self,
        transaction: &Transaction<'_>,
        room: &RoomUri,
        position: u64,
        may_listen: impl Fn(&UserUri) -> bool,
    ) -> Result<Vec<Push>> {
        let Some(event) = self.event(transaction, position)? else { return Ok(Vec::new()) };
        let mut receivers: BTreeMap<(UserUri, u64), Vec<ClientUri>> = BTreeMap::new();
        let mut headers = Headers::new(*self, transaction)?;
        let mut views = self.views(transaction)?;
        for (device, windows) in std::mem::take(&mut views.windows) {
            let user = device.user();
            if !windows.iter().any(|window| window.contains(position)) || !may_listen(&user) {
                continue;
            }
            let view = views.of(&device, windows);
            if view.shows(position, event.header()) {
                let previous = headers.visible_before(&view, position)?;
                receivers.entry((user, previous)).or_default().push(device);
            }
        }
        if receivers.is_empty() {
            return Ok(Vec::new());
        }
        let message = logged(&event)?;
        let push = |((user, previous), devices)| {
            let event = log_event(room, position, previous, message.clone());
            Push { user, devices, frame: FromProvider::Event(event) }
        };
        Ok(receivers.into_iter().map(push).collect())
    }

    /// What tells the devices that may read the event at `position` that events before it are lost.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn push_gap(
        &self,
        transaction: &Transaction<'_>,
        room: &RoomUri,
        position: u64,
    ) -> Result<Vec<Push>> {
        let mut receivers: BTreeMap<UserUri, Vec<ClientUri>> = BTreeMap::new();
        for (device, windows) in self.all_windows(transaction)? {
            if windows.iter().any(|window| window.contains(position)) {
                receivers.entry(device.user()).or_default().push(device);
            }
        }
        let frame = FromProvider::Gap { room_id: room.to_wire() };
        let push = |(user, devices)| Push { user, devices, frame: frame.clone() };
        Ok(receivers.into_iter().map(push).collect())
    }

    /// The encoded `FanoutMessage` at `position`; `None` when the log does not hold it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn encoded(
        &self,
        transaction: &Transaction<'_>,
        position: u64,
    ) -> Result<Option<Vec<u8>>, InternalError> {
        Ok(self.event(transaction, position)?.map(|event| event.message))
    }

    fn view(
        &self,
        transaction: &Transaction<'_>,
        device: &ClientUri,
    ) -> Result<View, InternalError> {
        Ok(View {
            windows: self.windows(transaction, device)?,
            activity: self.activity_changes(transaction, &device.user())?,
            forgotten: self.forgotten(transaction)?,
            last_forgotten: self.reader(transaction, device)?.last_forgotten,
        })
    }

    fn views(&self, transaction: &Transaction<'_>) -> Result<Views, InternalError> {
        let mut activity = SortedMap::<UserUri, Vec<(u64, Activity)>>::new();
        let prefix = [self.tables.activity];
        for (key, row) in transaction.scan(&prefix, &prefix, usize::MAX)? {
            let change = (number_at_end(&key)?, decode_row(&row)?);
            activity.change(user_of(&key)?, |changes| changes.push(change));
        }
        Ok(Views {
            windows: self.all_windows(transaction)?,
            activity,
            last_forgotten: self.all_last_forgotten(transaction)?,
            forgotten: self.forgotten(transaction)?,
        })
    }

    fn event(
        &self,
        transaction: &Transaction<'_>,
        position: u64,
    ) -> Result<Option<Stored>, InternalError> {
        transaction.load(&self.event_key(position))
    }

    fn windows(
        &self,
        transaction: &Transaction<'_>,
        device: &ClientUri,
    ) -> Result<Vec<Window>, InternalError> {
        let prefix = self.window_key(device).build();
        let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
        rows.iter().map(|(key, to)| window(key, to)).collect()
    }

    fn all_windows(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<(ClientUri, Vec<Window>)>, InternalError> {
        let prefix = [self.tables.windows];
        let mut devices: Vec<(ClientUri, Vec<Window>)> = Vec::new();
        for (key, to) in transaction.scan(&prefix, &prefix, usize::MAX)? {
            let device = device_of(&key)?;
            let window = window(&key, &to)?;
            match devices.last_mut() {
                Some((last, windows)) if *last == device => windows.push(window),
                _ => devices.push((device, vec![window])),
            }
        }
        Ok(devices)
    }

    fn activity_changes(
        &self,
        transaction: &Transaction<'_>,
        user: &UserUri,
    ) -> Result<Vec<(u64, Activity)>, InternalError> {
        let prefix = self.activity_key(user).build();
        let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
        rows.iter().map(|(key, row)| Ok((number_at_end(key)?, decode_row(row)?))).collect()
    }

    fn event_key(&self, position: u64) -> Vec<u8> {
        Key::table(self.tables.events).number(position).build()
    }

    fn window_key(&self, device: &ClientUri) -> Key {
        Key::table(self.tables.windows).text(device.as_str())
    }

    fn activity_key(&self, user: &UserUri) -> Key {
        Key::table(self.tables.activity).text(user.as_str())
    }
}

fn log_event(room: &RoomUri, position: u64, previous: u64, message: FanoutMessage) -> LogEvent {
    LogEvent { room_id: room.to_wire(), position, previous, message }
}

/// The message of an event.
fn logged(event: &Stored) -> Result<FanoutMessage> {
    Ok(decode_exact(&event.message)
        .map_err(|_| InternalError::Storage("a logged message does not decode"))?)
}

fn window(key: &[u8], to: &[u8]) -> Result<Window, InternalError> {
    Ok(Window { from: number_at_end(key)?, to: decode_row(to)? })
}

fn number_at_end(key: &[u8]) -> Result<u64, InternalError> {
    let number = key.last_chunk().copied().map(u64::from_be_bytes);
    number.ok_or(InternalError::Storage("a key of the log"))
}

fn user_of(key: &[u8]) -> Result<UserUri, InternalError> {
    let user = text_of(key).and_then(|text| UserUri::parse(text).ok());
    user.ok_or(InternalError::Storage("a key of the log"))
}

/// The text in a key: table byte, length (two bytes), text, number (eight bytes).
fn text_of(key: &[u8]) -> Option<&str> {
    key.get(3..key.len().saturating_sub(8)).and_then(|text| str::from_utf8(text).ok())
}

/// The device in the key of a window.
fn device_of(key: &[u8]) -> Result<ClientUri, InternalError> {
    text_of(key)
        .and_then(|text| ClientUri::parse(text).ok())
        .ok_or(InternalError::Storage("a key of the log"))
}

#[cfg(test)]
mod tests;
