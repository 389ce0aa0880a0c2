//! One provider: its objects, their storage, its sockets.

use std::{collections::BTreeMap, rc::Rc};

use mimi_edge::{
    config::{
        ConsentDefault, HubKey, Limits, Peers, ProviderConfig, Registration, Retention,
        UnknownUsers,
    },
    follower::FollowedRoom,
    hub::HubRoom,
    object::Object,
    provider::{Peer, Routed, User, Via, route},
    time::UnixMillis,
    transport::{
        Action, Effect, HttpRequest, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Outcome,
        OutgoingRequest, RequestId, Response, SocketId,
    },
    wire::uri::{ClientUri, Domain, RoomUri, UserUri},
};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::{crypto::OpenMlsCrypto as _, types::SignatureScheme};

use crate::common::storage::SharedStorage;

/// An object of any class.
pub enum AnyObject {
    Hub(Object<HubRoom>),
    Followed(Object<FollowedRoom>),
    User(Object<User>),
}

macro_rules! each {
    ($object:expr, $name:ident => $call:expr) => {
        match $object {
            AnyObject::Hub($name) => $call,
            AnyObject::Followed($name) => $call,
            AnyObject::User($name) => $call,
        }
    };
}

impl AnyObject {
    fn open(name: &ObjectName, storage: SharedStorage, config: Rc<ProviderConfig>) -> Self {
        let storage = Box::new(storage);
        match name.class {
            ObjectClass::HubRoom => {
                let role = HubRoom::new(RoomUri::parse(&name.name).unwrap());
                Self::Hub(Object::new(role, storage, config))
            }
            ObjectClass::FollowedRoom => {
                Self::Followed(Object::new(FollowedRoom::new(&name.name), storage, config))
            }
            ObjectClass::Provider => panic!("nothing announces itself here"),
            ObjectClass::User => {
                let role = User::new(UserUri::parse(&name.name).unwrap());
                Self::User(Object::new(role, storage, config))
            }
        }
    }

    pub fn handle(&mut self, request: IncomingRequest, now: UnixMillis) -> Action {
        each!(self, object => object.handle(request, now))
    }

    pub fn resume(&mut self, then: &[u8], outcome: Outcome, now: UnixMillis) -> Action {
        each!(self, object => object.resume(then, outcome, now))
    }

    pub fn handle_response(
        &mut self,
        id: RequestId,
        outcome: Outcome,
        now: UnixMillis,
    ) -> mimi_edge::error::Result<()> {
        each!(self, object => object.handle_response(id, outcome, now))
    }

    pub fn found_none(&mut self, user: &ObjectName, number: u64, now: UnixMillis) {
        each!(self, object => object.found_none(user, number, now));
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        each!(self, object => object.take_effects())
    }

    fn poll(&mut self, now: UnixMillis) -> Option<OutgoingRequest> {
        each!(self, object => object.poll_request(now).unwrap())
    }

    fn next_wake(&self) -> Option<UnixMillis> {
        each!(self, object => object.next_wake().unwrap())
    }
}

/// A provider's whole server.
pub struct Provider {
    /// Whether it answers.
    pub online: bool,
    pub config: Rc<ProviderConfig>,
    objects: BTreeMap<ObjectName, AnyObject>,
    storages: BTreeMap<ObjectName, SharedStorage>,
    sockets: BTreeMap<SocketId, Option<ClientUri>>,
    next_socket: SocketId,
}

impl Provider {
    pub fn new(domain: Domain) -> Self {
        let config = ProviderConfig {
            hub_keys: vec![hub_key()],
            domain,
            consent_default: ConsentDefault::Allow,
            unknown_users: UnknownUsers::Hidden,
            registration: Registration::Open,
            retention: Retention::default(),
            limits: Limits { burst_per_device: u32::MAX, ..Limits::default() },
            peers: Peers::default(),
        };
        Self {
            online: true,
            config: Rc::new(config),
            objects: BTreeMap::new(),
            storages: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next_socket: 1,
        }
    }

    /// The object of this name, made when it is first called.
    pub fn object(&mut self, name: &ObjectName) -> &mut AnyObject {
        let storage = self.storages.entry(name.clone()).or_default().clone();
        let config = Rc::clone(&self.config);
        self.objects.entry(name.clone()).or_insert_with(|| AnyObject::open(name, storage, config))
    }

    /// What the object of this name has stored.
    pub fn storage(&self, name: &ObjectName) -> SharedStorage {
        self.storages.get(name).cloned().unwrap_or_default()
    }

    /// Everything that the provider has stored.
    pub fn stored(&self) -> BTreeMap<ObjectName, mimi_edge::storage::MemoryStorage> {
        self.storages.iter().map(|(name, storage)| (name.clone(), storage.snapshot())).collect()
    }

    /// Everything in memory is lost.
    pub fn restart(&mut self) {
        self.objects.clear();
        self.sockets.clear();
        let names: Vec<ObjectName> = self.storages.keys().cloned().collect();
        for name in names {
            self.object(&name);
        }
    }

    pub fn poll(&mut self, now: UnixMillis) -> Vec<(ObjectName, OutgoingRequest)> {
        let mut requests = Vec::new();
        for (name, object) in &mut self.objects {
            while let Some(request) = object.poll(now) {
                requests.push((name.clone(), request));
            }
        }
        requests
    }

    pub fn next_wake(&self) -> Option<UnixMillis> {
        self.objects.values().filter_map(AnyObject::next_wake).min()
    }

    pub fn route_from_provider(
        &self,
        from: &Domain,
        request: &HttpRequest,
    ) -> Result<ObjectCall, Response> {
        let peer = Peer::Verified(vec![from.as_str().to_owned()]);
        self.routed(request, &Via::Providers { peer })
    }

    pub fn route_from_client(&self, request: &HttpRequest) -> Result<ObjectCall, Response> {
        self.routed(request, &Via::Clients)
    }

    fn routed(&self, request: &HttpRequest, via: &Via) -> Result<ObjectCall, Response> {
        match route(&self.config, request, via) {
            Routed::Call(call) => Ok(call),
            Routed::Respond(response) => Err(response),
            Routed::Socket(name) => panic!("{name:?} takes a socket, not a request"),
        }
    }

    /// A frame from a device: on its socket, or on a new one.
    pub fn socket_frame(&mut self, uri: &ClientUri, frame: &[u8], now: UnixMillis) -> ObjectName {
        let bound = self.sockets.iter().find(|(_, device)| device.as_ref() == Some(uri));
        let (socket, device) = match bound {
            Some((socket, device)) => (*socket, device.clone()),
            None => {
                let socket = self.next_socket;
                self.next_socket += 1;
                self.sockets.insert(socket, None);
                (socket, None)
            }
        };
        let name = ObjectName { class: ObjectClass::User, name: uri.user().to_string() };
        if let AnyObject::User(object) = self.object(&name) {
            object
                .step(now, |user, step| user.handle_frame(step, socket, device.as_ref(), frame))
                .unwrap();
        }
        name
    }

    pub fn bind(&mut self, socket: SocketId, device: ClientUri) {
        self.sockets.insert(socket, Some(device));
    }

    pub fn close(&mut self, socket: SocketId) -> Option<ClientUri> {
        self.sockets.remove(&socket).flatten()
    }

    pub fn unbind(&mut self, uri: &ClientUri) {
        self.sockets.retain(|_, device| device.as_ref() != Some(uri));
    }
}

/// A new key.
fn hub_key() -> HubKey {
    let (private, public) =
        RustCrypto::default().signature_key_gen(SignatureScheme::ED25519).unwrap();
    HubKey { scheme: SignatureScheme::ED25519 as u16, private, public }
}
