//! The frames of the socket to the own provider.

use super::{
    Client, Event, auth, catch_up::CatchUp, consent, devices, inbound, join, request::api_path,
    step,
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    storage::Transaction,
    time::UnixMillis,
    transport::Method,
    wire::{self, Cursor, FromClient, FromProvider, IdentifierUri, percent_encode, uri::RoomUri},
};

use super::{identity::Account, tables};

impl Client {
    /// The path of this device's socket, below the provider's base URL.
    #[must_use]
    pub fn socket_path(&self) -> String {
        api_path(&format!("socket/{}", percent_encode(self.identity.client.as_str())))
    }

    /// The first frame of a new socket: who this is, and what it has.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn hello(&mut self, now: UnixMillis) -> Result<Vec<u8>> {
        self.acks.clear();
        self.catch_up = CatchUp::default();
        let path = self.socket_path();
        let auth = auth::prove(&self.identity, &self.crypto, Method::Get, &path, &[], now)?;
        let transaction = Transaction::new(&self.storage);
        let account: Account = transaction.load(&tables::account())?.unwrap_or_default();
        let mut cursors = vec![cursor(None, account.inbox)];
        for room in step::rooms(&transaction)? {
            if room.follows_the_log() {
                cursors.push(cursor(Some(&room.uri), room.cursor));
                self.catch_up.rooms += 1;
            }
        }
        Ok(wire::encode(&FromClient::Hello { auth, cursors })?)
    }

    /// Takes a frame in.
    ///
    /// # Errors
    /// `Malformed` when it is none of the provider's; when the storage fails, then it comes again.
    pub fn handle_frame(&mut self, frame: &[u8], now: UnixMillis) -> Result<()> {
        match wire::decode_exact(frame)? {
            FromProvider::Event(event) => {
                self.step(now, |step| inbound::pushed(step, &event))?;
                let progress = self.catch_up.event(&event.room_id, event.position);
                self.events.extend(progress.map(Event::CatchingUp));
                Ok(())
            }
            FromProvider::CatchingUp { room_id, end, left } => {
                let room = RoomUri::from_wire(&room_id)
                    .map_err(|_| ProtocolError::Malformed("room to catch up with"))?;
                let known = self.step(now, |step| Ok(step.room(&room)?))?;
                let from = known.map_or(0, |room| room.cursor);
                let progress = self.catch_up.room(room_id, from, end, left);
                self.events.extend(progress.map(Event::CatchingUp));
                Ok(())
            }
            FromProvider::Inbox(event) => self.step(now, |step| join::pushed(step, &event)),
            FromProvider::Gap { room_id } => {
                let room = RoomUri::from_wire(&room_id)
                    .map_err(|_| ProtocolError::Malformed("room of a gap"))?;
                self.step(now, |step| inbound::gap(step, &room))
            }
            FromProvider::Consent { version } => {
                self.step(now, |step| consent::announced(step, version))
            }
            FromProvider::CaughtUp => {
                self.catch_up = CatchUp::default();
                self.events.push(Event::CaughtUp);
                self.refresh_devices(now)?;
                self.sync_rooms(now)
            }
            FromProvider::DevicesChanged => self.refresh_devices(now),
            FromProvider::Revoked => self.step(now, devices::revoked),
        }
    }

    /// The frames to send now, if a socket is open: what the provider may forget.
    ///
    /// # Errors
    /// Never in practice: a cursor is short.
    pub fn take_frames(&mut self) -> Result<Vec<Vec<u8>>> {
        let acks = std::mem::take(&mut self.acks);
        let frames = acks.iter().map(|(room, position)| {
            wire::encode(&FromClient::Ack(cursor(room.as_ref(), *position)))
        });
        Ok(frames.collect::<Result<_, InternalError>>()?)
    }
}

fn cursor(room: Option<&RoomUri>, position: u64) -> Cursor {
    Cursor { room_id: room.map_or_else(IdentifierUri::default, RoomUri::to_wire), position }
}
