//! Alice, Bob and Cathy at their three providers, in a room at Alice's: what stories start from.

use mimi_edge::{
    client::{AddOptions, Client, CreateOptions, ErrorCode, Event, RoomPhase, RoomState},
    error::Error,
    time::UnixMillis,
    wire::{self, FromProvider, uri::ClientUri},
};

use super::universe::{Universe, room, user};

pub const ROOM: &str = "clubhouse@alpha.example";
pub const ALICE: &str = "alice@alpha.example";
pub const BOB: &str = "bob@bravo.example";
pub const CATHY: &str = "cathy@charlie.example";

/// A room and its members.
pub struct Scene {
    pub universe: Universe,
}

impl Scene {
    /// Nobody is in the room yet.
    pub fn empty(seed: u64) -> (Self, [ClientUri; 3]) {
        let domains = ["alpha.example", "bravo.example", "charlie.example"];
        let mut universe = Universe::new(&domains, seed);
        let devices = [ALICE, BOB, CATHY].map(|name| universe.add_device(name));
        universe.run();
        (Self { universe }, devices)
    }

    /// All three are in the room.
    pub fn new(seed: u64) -> (Self, [ClientUri; 3]) {
        let (mut scene, devices) = Self::empty(seed);
        scene.ask(&devices[0], |alice, now| {
            alice.create_room(&room(ROOM), CreateOptions::default(), now)
        });
        scene.universe.run();
        for name in [BOB, CATHY] {
            scene.add(&devices[0], name);
        }
        for device in &devices {
            scene.universe.events(device);
        }
        scene.universe.exchanges.clear();
        (scene, devices)
    }

    /// A call of one device's client.
    pub fn ask<T>(
        &mut self,
        device: &ClientUri,
        call: impl FnOnce(&mut Client, UnixMillis) -> Result<T, Error>,
    ) -> T {
        self.universe.act(device, call).unwrap()
    }

    /// Adds a user, to the end.
    pub fn add(&mut self, by: &ClientUri, whom: &str) {
        self.ask(by, |client, now| {
            client.add_user(&room(ROOM), &user(whom), AddOptions::default(), now)
        });
        self.universe.run();
    }

    /// Sends a message, to the end.
    pub fn send(&mut self, by: &ClientUri, text: &str) {
        self.ask(by, |client, now| client.send(&room(ROOM), text.as_bytes().to_vec(), now));
        self.universe.run();
    }

    /// Replaces a device's keys: a commit of whatever is pending, to the end.
    pub fn commit(&mut self, by: &ClientUri) {
        self.ask(by, |client, now| client.update_keys(&room(ROOM), now));
        self.universe.run();
    }

    /// A frame that the device's provider did not send.
    pub fn frame(&mut self, device: &ClientUri, frame: &FromProvider) {
        let now = self.universe.now;
        self.universe.device(device).frame(&wire::encode(frame).unwrap(), now);
    }

    /// The room as a device sees it.
    pub fn state(&mut self, of: &ClientUri) -> RoomState {
        let state = self.universe.act(of, |client, _| client.room_state(&room(ROOM)));
        state.unwrap().expect("knows the room")
    }

    pub fn phase(&mut self, of: &ClientUri) -> RoomPhase {
        self.state(of).phase
    }

    /// All of them are in the room, in the same state, with nothing left to do; gives the users.
    pub fn agree(&mut self, members: &[&ClientUri]) -> Vec<String> {
        let states: Vec<RoomState> = members.iter().map(|member| self.state(member)).collect();
        let epochs: Vec<_> = states.iter().map(|state| (state.phase, state.epoch)).collect();
        for state in &states {
            assert_eq!(state.phase, RoomPhase::Joined, "{epochs:?}");
            assert_eq!(state.epoch, states[0].epoch, "{epochs:?}");
            assert_eq!(state.epoch_authenticator, states[0].epoch_authenticator);
            assert_eq!(state.participants, states[0].participants);
            assert_eq!(state.pending, []);
        }
        let devices = states[0].participants.iter().flat_map(|participant| &participant.devices);
        assert_eq!(devices.count(), members.len());
        states[0].participants.iter().map(|participant| participant.user.to_string()).collect()
    }

    /// The messages that a device was told of since the last time.
    pub fn messages(&mut self, of: &ClientUri) -> Vec<String> {
        let text = |event| match event {
            Event::Message(message) => Some(String::from_utf8(message.content).unwrap()),
            _ => None,
        };
        self.universe.events(of).into_iter().filter_map(text).collect()
    }

    /// The codes with which a device gave up what it was asked for since the last time.
    pub fn failures(&mut self, of: &ClientUri) -> Vec<&'static str> {
        let code = |event| match event {
            Event::IntentFailed { code, .. } => Some(ErrorCode::as_str(code)),
            _ => None,
        };
        self.universe.events(of).into_iter().filter_map(code).collect()
    }

    /// The status of every update that went from one provider to the hub, in order.
    pub fn updates_from(&self, domain: &str) -> Vec<u16> {
        let exchanges = self.universe.exchanges.iter();
        let updates = exchanges.filter(|exchange| {
            exchange.from.as_str() == domain && exchange.path.starts_with("/v1/update/")
        });
        updates.map(|exchange| exchange.status.unwrap_or(0)).collect()
    }
}
