//! Devices around one desk: each stores what changed before anything is sent, and may lose everything
//! else at any moment.

use mimi_edge::{
    client::{
        AddOptions, Client, ClientOptions, CreateOptions, Delivery, ErrorCode, Event, IntentId,
        RoomState,
    },
    error::Error,
    mls::MlsCrypto,
    storage::{MemoryStorage, Storage as _},
    time::UnixMillis,
    transport::{HttpCall, Outgoing, Response},
    wire::{
        self, FromProvider,
        uri::{RoomUri, UserUri},
    },
};

use super::{clock::real_time, desk::Desk};

pub const ALICE: usize = 0;
pub const BOB: usize = 1;
pub const CATHY: usize = 2;

pub struct Device {
    pub client: Client,
    pub stored: MemoryStorage,
    pub events: Vec<Event>,
    pub online: bool,
    options: ClientOptions,
}

/// When a device loses what it has in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopen {
    Never,
    /// After every call, so that every answer arrives at another instance than asked.
    Always,
}

pub struct World {
    pub desk: Desk,
    pub devices: Vec<Device>,
    pub now: UnixMillis,
    pub reopen: Reopen,
}

pub fn room() -> RoomUri {
    RoomUri::parse("clubhouse@alpha.example").unwrap()
}

pub fn user(text: &str) -> UserUri {
    UserUri::parse(text).unwrap()
}

impl Device {
    pub fn new(name: &str, now: UnixMillis) -> Self {
        Self::with_options(ClientOptions::new(user(name)), now)
    }

    pub fn with_options(options: ClientOptions, now: UnixMillis) -> Self {
        Self::over(options, MemoryStorage::default(), now)
    }

    /// The device that is stored there.
    pub fn over(options: ClientOptions, stored: MemoryStorage, now: UnixMillis) -> Self {
        let mut device = Self {
            client: open(&options, &stored, now),
            stored,
            events: Vec::new(),
            online: true,
            options,
        };
        device.act(|_| ());
        device
    }

    /// A call, and what a page does after it.
    pub fn act<T>(&mut self, call: impl FnOnce(&mut Client) -> T) -> T {
        let result = call(&mut self.client);
        self.stored.apply(self.client.take_changes()).unwrap();
        self.events.extend(self.client.take_events());
        result
    }

    /// Everything in memory is lost.
    pub fn reopen(&mut self, now: UnixMillis) {
        self.client = open(&self.options, &self.stored, now);
        self.act(|_| ());
    }

    /// The same, and it is opened in another way from now on.
    pub fn reopen_with(&mut self, options: ClientOptions, now: UnixMillis) {
        self.options = options;
        self.reopen(now);
    }

    pub fn epoch(&mut self) -> u64 {
        self.client.room_state(&room()).unwrap().unwrap().epoch
    }
}

pub fn open(options: &ClientOptions, stored: &MemoryStorage, now: UnixMillis) -> Client {
    let rows = stored.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    Client::open(options, rows, MlsCrypto::new(), now).unwrap()
}

impl World {
    /// Alice, Bob and Cathy with a registered device each.
    pub fn new() -> Self {
        Self::at(real_time())
    }

    /// The same, at another time.
    pub fn at(now: UnixMillis) -> Self {
        let devices = ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example"]
            .map(|name| Device::new(name, now))
            .into();
        let mut world = Self::of(devices, now);
        world.run();
        world
    }

    /// These devices, none of which has asked for anything yet.
    pub fn of(devices: Vec<Device>, now: UnixMillis) -> Self {
        Self { desk: Desk::default(), devices, now, reopen: Reopen::Never }
    }

    /// The same, in Alice's room.
    pub fn with_room() -> Self {
        let mut world = Self::new();
        world.create();
        world.run();
        world
    }

    /// The same, with Bob and Cathy in it.
    pub fn with_bob_and_cathy() -> Self {
        let mut world = Self::with_bob();
        world.add(ALICE, "cathy@charlie.example");
        world.run();
        world.forget_events();
        world
    }

    /// The same, with Bob in it.
    pub fn with_bob() -> Self {
        let mut world = Self::with_room();
        world.add(ALICE, "bob@bravo.example");
        world.run();
        world.forget_events();
        world
    }

    pub fn create(&mut self) -> IntentId {
        let now = self.now;
        self.devices[ALICE]
            .act(|alice| alice.create_room(&room(), CreateOptions::default(), now))
            .unwrap()
    }

    pub fn add(&mut self, by: usize, name: &str) -> IntentId {
        let now = self.now;
        let options = AddOptions::default();
        self.devices[by].act(|client| client.add_user(&room(), &user(name), options, now)).unwrap()
    }

    /// One more device, which its provider knows.
    pub fn add_device(&mut self, user: &str) -> usize {
        self.devices.push(Device::new(user, self.now));
        self.run();
        self.devices.len() - 1
    }

    /// A call of one device's client.
    pub fn ask<T>(
        &mut self,
        by: usize,
        call: impl FnOnce(&mut Client, UnixMillis) -> Result<T, Error>,
    ) -> T {
        let now = self.now;
        self.devices[by].act(|client| call(client, now)).unwrap()
    }

    /// The room as a device sees it.
    pub fn state(&mut self, of: usize) -> RoomState {
        self.devices[of].client.room_state(&room()).unwrap().unwrap()
    }

    pub fn send(&mut self, by: usize, text: &str) -> String {
        let now = self.now;
        let content = text.as_bytes().to_vec();
        self.devices[by].act(|client| client.send(&room(), content, now)).unwrap()
    }

    pub fn forget_events(&mut self) {
        for device in &mut self.devices {
            device.events.clear();
        }
    }

    /// What is left of a device's next request: its id and the call.
    pub fn poll(&mut self, who: usize) -> Option<(u64, HttpCall)> {
        let now = self.now;
        let request = self.devices[who].act(|client| client.poll_request(now)).unwrap()?;
        let Outgoing::Http(call) = request.outgoing else { panic!("a client talks HTTP") };
        Some((request.id, call))
    }

    pub fn respond(&mut self, who: usize, id: u64, response: Option<Response>) {
        let now = self.now;
        self.devices[who].act(|client| client.handle_response(id, response, now)).unwrap();
    }

    /// One request of one device, to the end. With [`Reopen::Always`], the first answer to each request
    /// is lost: the instance that asked is gone.
    pub fn exchange(&mut self, who: usize) -> bool {
        let Some((id, call)) = self.poll(who) else { return false };
        let response = self.desk.handle(&call);
        if self.reopen == Reopen::Always {
            let now = self.now;
            self.devices[who].reopen(now);
            let Some((id, call)) = self.poll(who) else { return true };
            let response = self.desk.handle(&call);
            self.respond(who, id, response);
            let now = self.now;
            self.devices[who].reopen(now);
            return true;
        }
        self.respond(who, id, response);
        true
    }

    /// Pushes every event that a device does not have, as a socket would.
    pub fn push(&mut self, who: usize) -> bool {
        let client = self.devices[who].client.device().as_str().to_owned();
        let now = self.now;
        let hello = self.devices[who].act(|client| client.hello(now)).unwrap();
        let wire::FromClient::Hello { cursors, .. } = wire::decode_exact(&hello).unwrap() else {
            panic!("hello")
        };
        let mut pushed = false;
        for cursor in cursors {
            let frames: Vec<FromProvider> = if cursor.room_id.0.is_empty() {
                let inbox = self.desk.inboxes.get(&client).cloned().unwrap_or_default();
                let new = inbox.into_iter().filter(|event| event.position > cursor.position);
                new.map(FromProvider::Inbox).collect()
            } else {
                let events = self.desk.seen_by(&client, &cursor.room_id.0, cursor.position);
                events.into_iter().map(FromProvider::Event).collect()
            };
            for frame in frames {
                self.frame(who, &frame);
                pushed = true;
                if self.reopen == Reopen::Always {
                    self.devices[who].reopen(now);
                }
            }
        }
        pushed
    }

    pub fn frame(&mut self, who: usize, frame: &FromProvider) {
        let now = self.now;
        let frame = wire::encode(frame).unwrap();
        self.devices[who].act(|client| client.handle_frame(&frame, now)).unwrap();
    }

    /// Until nothing is left to do, for at most an hour; the clock jumps to what waits.
    pub fn run(&mut self) {
        let deadline = self.now.plus(60 * 60 * 1000);
        for _ in 0..5_000 {
            let mut busy = false;
            for who in 0..self.devices.len() {
                if self.devices[who].online {
                    busy |= self.exchange(who) | self.push(who);
                }
            }
            if busy {
                continue;
            }
            let online = self.devices.iter().filter(|device| device.online);
            let wakes = online.filter_map(|device| device.client.next_wake().unwrap());
            match wakes.min() {
                Some(next) if next <= deadline => self.now = next.max(self.now),
                _ => return,
            }
        }
        panic!("it never ends");
    }

    /// The codes with which a device gave up what it was asked for, in order.
    pub fn failures(&self, who: usize) -> Vec<&'static str> {
        let code = |event: &Event| match event {
            Event::IntentFailed { code, .. } => Some(ErrorCode::as_str(*code)),
            _ => None,
        };
        self.devices[who].events.iter().filter_map(code).collect()
    }

    /// All devices are in the same epoch with the same list.
    pub fn assert_agreement(&mut self, who: &[usize]) {
        let states: Vec<_> = who
            .iter()
            .map(|index| self.devices[*index].client.room_state(&room()).unwrap().unwrap())
            .collect();
        for state in &states {
            assert_eq!(state.epoch_authenticator, states[0].epoch_authenticator);
            assert_eq!(state.participants, states[0].participants);
            assert_eq!(state.pending, Vec::new());
        }
    }
}

/// What a device was told of one of its messages, in order.
pub fn deliveries(world: &World, who: usize, key: &str) -> Vec<Delivery> {
    let events = world.devices[who].events.iter();
    events
        .filter_map(|event| match event {
            Event::Delivery(own) if own.key == key => Some(own.delivery),
            _ => None,
        })
        .collect()
}
