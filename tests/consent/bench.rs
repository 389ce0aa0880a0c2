//! Bob and what is said between him and others, as his provider sees it.

use std::{cell::Cell, rc::Rc};

use mimi_edge::{
    config::{ConsentDefault, ProviderConfig},
    error::InternalError,
    object::Object,
    provider::User,
    storage::{Row, Storage, Write},
    time::UnixMillis,
    transport::{Endpoint, Outcome, Outgoing, OutgoingRequest, Response, Source},
    wire::{
        ConsentEntry, ConsentItem, ConsentOperation, ConsentState, Directory, IdentifierUri,
        KeyMaterialRequest, KeyMaterialUserCode, decode_exact, encode, uri::Domain,
    },
};

use crate::common::{
    storage::SharedStorage,
    user::{Bob, Device, answer, claim_request, config, mls10, uri, user},
};

pub const ALICE: &str = "alice@alpha.example";
pub const BOB: &str = "bob@bravo.example";
pub const CLUB: &str = "club@alpha.example";
pub const LOUNGE: &str = "lounge@charlie.example";

/// What somebody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Request,
    Cancel,
    Grant,
    Revoke,
}

pub fn entry(word: Word, requester: &str, target: &str, room: Option<&str>) -> ConsentEntry {
    let operation = match word {
        Word::Request => ConsentOperation::Request,
        Word::Cancel => ConsentOperation::Cancel,
        Word::Grant => ConsentOperation::Grant(Vec::new()),
        Word::Revoke => ConsentOperation::Revoke,
    };
    ConsentEntry {
        operation,
        requester_user: uri(requester),
        target_user: uri(target),
        room_id: room.map(|room| IdentifierUri(room.into())),
    }
}

/// What Bob says to `other`.
pub fn said_by_bob(word: Word, other: &str, room: Option<&str>) -> ConsentEntry {
    match word {
        Word::Request | Word::Cancel => entry(word, BOB, other, room),
        Word::Grant | Word::Revoke => entry(word, other, BOB, room),
    }
}

/// What `other` says to Bob.
pub fn said_to_bob(word: Word, other: &str, room: Option<&str>) -> ConsentEntry {
    match word {
        Word::Request | Word::Cancel => entry(word, other, BOB, room),
        Word::Grant | Word::Revoke => entry(word, BOB, other, room),
    }
}

pub fn item(user: &str, room: Option<&str>, at: UnixMillis) -> ConsentItem {
    let room_id = room.map(|room| IdentifierUri(room.into()));
    ConsentItem { user: uri(user), room_id, at: at.0 }
}

pub fn from_alpha() -> Source {
    Source::Provider(Domain::parse("alpha.example").unwrap())
}

pub fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

/// The answer to what `other` says, past the door.
pub fn told(bob: &mut Bob, word: Word, other: &str, room: Option<&str>) -> Response {
    let body = encode(&said_to_bob(word, other, room)).unwrap();
    let source = Source::Provider(user(other).domain().clone());
    answer(bob.handle(source, Endpoint::Consent, body))
}

/// Bob with one device that has last-resort KeyPackages for any number of claims.
pub struct Bench {
    pub bob: Bob,
    pub phone: Device,
}

impl Bench {
    pub fn new(consent_default: ConsentDefault) -> Self {
        let phone = phone();
        let config = ProviderConfig { consent_default, ..config() };
        let mut bob = Bob::with_config(config, &[&phone]);
        bob.publish(&phone, &[phone.last_resort(bob.now)]);
        Self { bob, phone }
    }

    /// `other` says this, and it is taken.
    pub fn told(&mut self, word: Word, other: &str, room: Option<&str>) {
        assert_eq!(told(&mut self.bob, word, other, room), Response::empty(201));
    }

    pub fn post(&mut self, entry: &ConsentEntry) -> Response {
        let body = encode(entry).unwrap();
        answer(self.bob.signed(&self.phone, "POST", "/client/v1/consent", &body))
    }

    /// Bob says this, and sees what there is then.
    pub fn says(&mut self, word: Word, other: &str, room: Option<&str>) {
        let response = self.post(&said_by_bob(word, other, room));
        assert_eq!(response.status, 200);
        let answered: ConsentState = decode_exact(&response.body).unwrap();
        assert_eq!(answered, state(self));
    }

    pub fn claim(&mut self, requester: &str, room: &str) -> KeyMaterialUserCode {
        let mut request = KeyMaterialRequest {
            requesting_user: uri(requester),
            room_id: uri(room),
            ..claim_request()
        };
        mls10(&mut request).last_resort_allowed = true;
        self.bob.claim(&request).user_status
    }

    /// What Bob's object wants sent next; directories are looked up on the way, and time passes.
    pub fn sent(&mut self) -> Option<OutgoingRequest> {
        loop {
            let due = self.bob.object.next_wake().unwrap()?;
            self.bob.now = self.bob.now.max(due);
            let request = self.bob.object.poll_request(self.bob.now).unwrap();
            let Some(request) = request else { continue };
            let directory = match &request.outgoing {
                Outgoing::Http(call) => call
                    .url
                    .strip_prefix("https://")
                    .and_then(|url| url.strip_suffix(Directory::PATH)),
                Outgoing::Object(_) => None,
            };
            let Some(domain) = directory.map(|domain| Domain::parse(domain).unwrap()) else {
                return Some(request);
            };
            let document = Directory::of(&domain).to_json().unwrap();
            self.settle(&request, Some(Response::tls(200, document)));
        }
    }

    pub fn settle(&mut self, request: &OutgoingRequest, outcome: Outcome) {
        self.bob.object.handle_response(request.id, outcome, self.bob.now).unwrap();
    }
}

/// What `GET consent` says.
pub fn state(bench: &mut Bench) -> ConsentState {
    let response = answer(bench.bob.signed(&bench.phone, "GET", "/client/v1/consent", b""));
    assert_eq!(response.status, 200);
    decode_exact(&response.body).unwrap()
}

/// A storage that counts how often it is read.
struct Counted(SharedStorage, Rc<Cell<usize>>);

impl Storage for Counted {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError> {
        self.1.set(self.1.get() + 1);
        self.0.read(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, InternalError> {
        self.1.set(self.1.get() + 1);
        self.0.scan(prefix, from, limit)
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        self.0.apply(writes)
    }
}

/// Bob with these devices, where consent has to be asked, and how often his storage is read from when
/// his object starts.
pub fn counted(devices: &[&Device]) -> (Bob, Rc<Cell<usize>>) {
    let config = ProviderConfig { consent_default: ConsentDefault::Ask, ..config() };
    let mut bob = Bob::new(config.clone());
    for device in devices {
        assert_eq!(bob.register(device).status, 201);
    }
    let reads = Rc::new(Cell::new(0));
    let storage = Box::new(Counted(bob.storage.clone(), Rc::clone(&reads)));
    bob.object = Object::new(User::new(user(BOB)), storage, Rc::new(config));
    (bob, reads)
}
