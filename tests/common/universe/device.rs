//! One device: a client core, what it has stored, and whether it is connected.

use mimi_edge::{
    client::{Client, ClientOptions, Event},
    mls::MlsCrypto,
    storage::{MemoryStorage, Storage as _},
    time::UnixMillis,
    transport::{Outcome, OutgoingRequest, RequestId},
};

/// A device as a page would run it: persist what changed, then send.
pub struct Device {
    pub client: Client,
    pub events: Vec<Event>,
    /// Whether it has a network.
    pub online: bool,
    /// Whether its socket is open.
    pub connected: bool,
    /// Whether its provider knows it.
    pub registered: bool,
    /// Frames that wait to be sent.
    pub frames: Vec<Vec<u8>>,
    options: ClientOptions,
    stored: MemoryStorage,
    seed: u64,
}

impl Device {
    pub fn open(options: ClientOptions, seed: u64, now: UnixMillis) -> Self {
        let client = open_client(&options, &MemoryStorage::default(), seed, now);
        let mut device = Self {
            client,
            events: Vec::new(),
            online: true,
            connected: false,
            registered: false,
            frames: Vec::new(),
            options,
            stored: MemoryStorage::default(),
            seed,
        };
        device.act(|_| ());
        device
    }

    /// Everything in memory is lost.
    pub fn reopen(&mut self, now: UnixMillis) {
        self.seed = self.seed.wrapping_add(1 << 32);
        self.frames.clear();
        self.client = open_client(&self.options, &self.stored, self.seed, now);
        self.act(|_| ());
    }

    /// A call and what follows it: the delta is stored before anything else happens.
    pub fn act<T>(&mut self, call: impl FnOnce(&mut Client) -> T) -> T {
        let result = call(&mut self.client);
        self.stored.apply(self.client.take_changes()).unwrap();
        self.registered = self.client.is_registered().unwrap();
        self.events.extend(self.client.take_events());
        self.frames.extend(self.client.take_frames().unwrap());
        result
    }

    pub fn poll(&mut self, now: UnixMillis) -> Option<OutgoingRequest> {
        self.act(|client| client.poll_request(now)).unwrap()
    }

    pub fn handle_response(&mut self, id: RequestId, outcome: Outcome, now: UnixMillis) {
        self.act(|client| client.handle_response(id, outcome, now)).unwrap();
    }

    pub fn hello(&mut self, now: UnixMillis) -> Vec<u8> {
        self.act(|client| client.hello(now)).unwrap()
    }

    pub fn frame(&mut self, frame: &[u8], now: UnixMillis) {
        self.act(|client| client.handle_frame(frame, now)).unwrap();
    }
}

fn open_client(
    options: &ClientOptions,
    stored: &MemoryStorage,
    seed: u64,
    now: UnixMillis,
) -> Client {
    let rows = stored.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    Client::open(options, rows, MlsCrypto::seeded(seed_bytes(seed)), now).unwrap()
}

fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}
