//! Providers and clients in one process: an in-memory network with drops, duplicates and reorders,
//! and a clock that moves only when nothing else is left to do.
//!
//! Providers are the real objects behind the real routing; clients are the real client cores. Only
//! sockets, certificates and waiting are played here. A seed reproduces a run.

mod device;
mod faults;
pub mod journal;
mod provider;

use std::collections::{BTreeMap, VecDeque};

use mimi_edge::{
    client::{ClientOptions, Event, Pseudonym},
    time::UnixMillis,
    transport::{
        Action, Effect, Forward, HttpCall, HttpRequest, ObjectCall, ObjectClass, ObjectName,
        Outcome, Outgoing, OutgoingRequest, Response,
    },
    wire::uri::{ClientUri, Domain, RoomUri, UserUri},
};

use super::clock::real_time;

pub use self::{device::Device, faults::Faults, journal::Journal, provider::Provider};

/// How far the clock may run in [`Universe::run`], in milliseconds.
const PATIENCE_MILLIS: u64 = 20 * 60 * 1000;

/// One HTTP exchange between two providers, as a trace would show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub from: Domain,
    pub to: Domain,
    pub path: String,
    pub label: String,
    pub status: Option<u16>,
}

/// The bytes of an exchange between two providers: percent-decoded path, bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    pub path: String,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
}

/// Who has a request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sender {
    Object(Domain, ObjectName),
    Device(ClientUri),
}

#[derive(Debug)]
struct Delivery {
    sender: Sender,
    request: OutgoingRequest,
    ready: UnixMillis,
}

/// All providers, all devices and the network between them.
pub struct Universe {
    pub now: UnixMillis,
    pub faults: Faults,
    pub exchanges: Vec<Exchange>,
    /// What providers said to each other, if it is kept.
    pub tapped: Option<Vec<Exchanged>>,
    /// Whether devices get no directory to read: then they send trees in full (A23).
    pub hides_directories: bool,
    /// Who was in which room when.
    pub journal: Journal,
    providers: BTreeMap<Domain, Provider>,
    devices: BTreeMap<ClientUri, Device>,
    deliveries: VecDeque<Delivery>,
    silences: Vec<Silence>,
    seed: u64,
}

/// Word to an object that its push found no device of a user's; it is on its way for a while.
struct Silence {
    domain: Domain,
    object: ObjectName,
    user: ObjectName,
    number: u64,
}

impl Universe {
    /// Providers of these domains, without users, on a network without faults.
    pub fn new(domains: &[&str], seed: u64) -> Self {
        let providers = domains.iter().map(|domain| {
            let domain = Domain::parse(domain).unwrap();
            (domain.clone(), Provider::new(domain))
        });
        Self {
            now: real_time(),
            faults: Faults::none(seed),
            exchanges: Vec::new(),
            tapped: None,
            hides_directories: false,
            journal: Journal::default(),
            providers: providers.collect(),
            devices: BTreeMap::new(),
            deliveries: VecDeque::new(),
            silences: Vec::new(),
            seed,
        }
    }

    pub fn provider(&mut self, domain: &str) -> &mut Provider {
        self.providers.get_mut(&Domain::parse(domain).unwrap()).unwrap()
    }

    /// A new device of `user`, connected to its provider.
    pub fn add_device(&mut self, user: &str) -> ClientUri {
        self.open_device(ClientOptions::new(UserUri::parse(user).unwrap()))
    }

    /// The client of a pseudonym, connected to its provider.
    pub fn add_pseudonym(&mut self, pseudonym: Pseudonym) -> ClientUri {
        self.open_device(ClientOptions::of_pseudonym(pseudonym))
    }

    fn open_device(&mut self, options: ClientOptions) -> ClientUri {
        self.seed = self.seed.wrapping_add(1);
        let device = Device::open(options, self.seed, self.now);
        let uri = device.client.device().clone();
        self.devices.insert(uri.clone(), device);
        uri
    }

    pub fn device(&mut self, uri: &ClientUri) -> &mut Device {
        self.devices.get_mut(uri).unwrap()
    }

    /// Calls a device's client, stores what changed, and gives the result.
    pub fn act<T>(
        &mut self,
        uri: &ClientUri,
        call: impl FnOnce(&mut mimi_edge::client::Client, UnixMillis) -> T,
    ) -> T {
        let now = self.now;
        self.device(uri).act(|client| call(client, now))
    }

    /// The events of a device since the last time.
    pub fn events(&mut self, uri: &ClientUri) -> Vec<Event> {
        std::mem::take(&mut self.device(uri).events)
    }

    /// The device's page is closed and opened again over what it had stored.
    pub fn reopen(&mut self, uri: &ClientUri) {
        let now = self.now;
        self.disconnect(uri);
        self.deliveries.retain(|delivery| delivery.sender != Sender::Device(uri.clone()));
        self.device(uri).reopen(now);
    }

    /// The provider's process is killed and started again over what it had stored.
    pub fn restart(&mut self, domain: &str) {
        let domain = Domain::parse(domain).unwrap();
        let devices: Vec<ClientUri> =
            self.devices.keys().filter(|uri| *uri.domain() == domain).cloned().collect();
        for uri in &devices {
            self.disconnect(uri);
        }
        self.deliveries
            .retain(|delivery| !matches!(&delivery.sender, Sender::Object(of, _) if *of == domain));
        self.silences.retain(|silence| silence.domain != domain);
        self.providers.get_mut(&domain).unwrap().restart();
    }

    /// Runs until nothing is left to do; the clock jumps to the next thing that waits.
    pub fn run(&mut self) {
        let deadline = self.now.plus(PATIENCE_MILLIS);
        loop {
            self.connect_all();
            self.collect();
            if let Some(delivery) = self.next_delivery() {
                self.deliver(delivery);
                continue;
            }
            match self.next_time() {
                Some(next) if next <= deadline => self.now = next.max(self.now),
                _ => return,
            }
        }
    }

    /// The network is good again and every socket is opened anew: what was lost arrives.
    pub fn calm_down(&mut self) {
        let storm = std::mem::replace(&mut self.faults, Faults::none(self.seed));
        let devices: Vec<ClientUri> = self.devices.keys().cloned().collect();
        for uri in &devices {
            self.disconnect(uri);
        }
        self.run();
        self.faults = storm;
    }

    /// Runs for at most `steps` deliveries: to stop in the middle of a story.
    pub fn run_steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.connect_all();
            self.collect();
            match self.next_delivery() {
                Some(delivery) => self.deliver(delivery),
                None => match self.next_time() {
                    Some(next) if next <= self.now.plus(PATIENCE_MILLIS) => {
                        self.now = next.max(self.now);
                    }
                    _ => return,
                },
            }
        }
    }

    /// A request that another provider, authenticated as `from`, sends to the provider of the URL.
    pub fn peer_request(&mut self, from: &str, call: &HttpCall) -> Response {
        let from = Domain::parse(from).unwrap();
        self.http(&from, call, "test").unwrap()
    }

    /// A request that somebody sends to the clients' door of a provider.
    pub fn own_request(&mut self, to: &str, request: &HttpRequest) -> Response {
        let to = Domain::parse(to).unwrap();
        match self.providers.get_mut(&to).unwrap().route_from_client(request) {
            Ok(call) => self.call(&to, call),
            Err(response) => response,
        }
    }

    /// Calls one object of a provider, follows what it forwards, and gives the answer.
    pub fn call(&mut self, domain: &Domain, call: ObjectCall) -> Response {
        let now = self.now;
        let name = call.object.clone();
        let provider = self.providers.get_mut(domain).unwrap();
        let action = provider.object(&name).handle(call.request, now);
        let response = self.follow(domain, &name, action);
        self.spread_effects(domain, &name);
        if name.class == ObjectClass::HubRoom
            && let Ok(room) = RoomUri::parse(&name.name)
        {
            let storage = self.providers[domain].storage(&name);
            self.journal.look(&room, &storage);
        }
        response
    }

    fn follow(&mut self, domain: &Domain, name: &ObjectName, mut action: Action) -> Response {
        loop {
            self.spread_effects(domain, name);
            let forward = match action {
                Action::Respond(response) => return response,
                Action::Forward(forward) => forward,
            };
            let outcome = self.send(domain, &forward.outgoing, &forward.label);
            let now = self.now;
            let provider = self.providers.get_mut(domain).unwrap();
            action = provider.object(name).resume(&forward.then, outcome, now);
        }
    }

    fn spread_effects(&mut self, domain: &Domain, name: &ObjectName) {
        let effects = self.providers.get_mut(domain).unwrap().object(name).take_effects();
        for effect in effects {
            match effect {
                Effect::Call(call) => {
                    if !self.faults.drops() {
                        self.call(domain, call);
                    }
                }
                Effect::Push { call, number } => self.push_call(domain, name, call, number),
                Effect::Ask(Forward { outgoing, label, then }) => {
                    let outcome = self.send(domain, &outgoing, &label);
                    let now = self.now;
                    let provider = self.providers.get_mut(domain).unwrap();
                    let action = provider.object(name).resume(&then, outcome, now);
                    self.follow(domain, name, action);
                }
                Effect::Bind { socket, device } => {
                    self.providers.get_mut(domain).unwrap().bind(socket, device);
                }
                // What the operator reads.
                Effect::Report { .. } => {}
                Effect::Send { device, frame } => self.push(&device, &frame),
                Effect::Disconnect { device, .. } => self.disconnect(&device),
                Effect::Close { socket, .. } => {
                    if let Some(uri) = self.providers.get_mut(domain).unwrap().close(socket) {
                        self.device(&uri).connected = false;
                    }
                }
            }
        }
    }

    /// What is for connected devices alone, unless it gets lost.
    fn push_call(&mut self, domain: &Domain, name: &ObjectName, call: ObjectCall, number: u64) {
        if self.faults.drops() {
            return;
        }
        let user = call.object.clone();
        let is_users = |uri: &ClientUri| ObjectName::user(&uri.user()) == user;
        if self.devices.iter().any(|(uri, device)| device.connected && is_users(uri)) {
            self.call(domain, call);
        } else {
            let (domain, object) = (domain.clone(), name.clone());
            self.silences.push(Silence { domain, object, user, number });
        }
    }

    /// A frame from a provider to a device, unless it gets lost.
    fn push(&mut self, uri: &ClientUri, frame: &[u8]) {
        let lost = self.faults.drops();
        let now = self.now;
        let Some(device) = self.devices.get_mut(uri).filter(|device| device.connected) else {
            return;
        };
        if !lost {
            device.frame(frame, now);
            self.upload_frames(uri);
        }
    }

    fn upload_frames(&mut self, uri: &ClientUri) {
        for frame in std::mem::take(&mut self.device(uri).frames) {
            self.socket_frame(uri, &frame);
        }
    }

    fn socket_frame(&mut self, uri: &ClientUri, frame: &[u8]) {
        let now = self.now;
        let domain = uri.domain().clone();
        let name = self.providers.get_mut(&domain).unwrap().socket_frame(uri, frame, now);
        self.spread_effects(&domain, &name);
    }

    fn connect_all(&mut self) {
        let waiting: Vec<ClientUri> = self
            .devices
            .iter()
            .filter(|(_, device)| !device.connected && device.online && device.registered)
            .map(|(uri, _)| uri.clone())
            .collect();
        for uri in waiting {
            let now = self.now;
            let device = self.device(&uri);
            device.connected = true;
            let hello = device.hello(now);
            self.socket_frame(&uri, &hello);
        }
    }

    fn disconnect(&mut self, uri: &ClientUri) {
        self.device(uri).connected = false;
        self.providers.get_mut(uri.domain()).unwrap().unbind(uri);
    }

    /// Takes a device off the network, or puts it back.
    pub fn set_online(&mut self, uri: &ClientUri, online: bool) {
        if !online {
            self.disconnect(uri);
        }
        self.device(uri).online = online;
    }

    /// Takes from every object and device what it wants sent.
    fn collect(&mut self) {
        let now = self.now;
        for Silence { domain, object, user, number } in std::mem::take(&mut self.silences) {
            self.providers.get_mut(&domain).unwrap().object(&object).found_none(&user, number, now);
        }
        for (domain, provider) in &mut self.providers {
            for (name, request) in provider.poll(now) {
                let ready = now.plus(self.faults.delay());
                let sender = Sender::Object(domain.clone(), name);
                self.deliveries.push_back(Delivery { sender, request, ready });
            }
        }
        for (uri, device) in self.devices.iter_mut().filter(|(_, device)| device.online) {
            while let Some(request) = device.poll(now) {
                let ready = now.plus(self.faults.delay());
                let sender = Sender::Device(uri.clone());
                self.deliveries.push_back(Delivery { sender, request, ready });
            }
        }
    }

    fn next_delivery(&mut self) -> Option<Delivery> {
        let ready: Vec<usize> = (0..self.deliveries.len())
            .filter(|index| self.deliveries[*index].ready <= self.now)
            .collect();
        let chosen = *ready.get(self.faults.choose(ready.len()))?;
        self.deliveries.remove(chosen)
    }

    fn next_time(&self) -> Option<UnixMillis> {
        let deliveries = self.deliveries.iter().map(|delivery| delivery.ready);
        let objects = self.providers.values().filter_map(Provider::next_wake);
        let devices = self
            .devices
            .values()
            .filter(|device| device.online)
            .filter_map(|device| device.client.next_wake().unwrap());
        deliveries.chain(objects).chain(devices).min()
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Delivery { sender, request, .. } = delivery;
        let outcome = match &sender {
            Sender::Object(domain, _) => {
                self.send(&domain.clone(), &request.outgoing, &request.label)
            }
            Sender::Device(uri) => self.client_request(&uri.clone(), &request),
        };
        let now = self.now;
        match sender {
            Sender::Object(domain, name) => {
                let provider = self.providers.get_mut(&domain).unwrap();
                provider.object(&name).handle_response(request.id, outcome, now).unwrap();
                self.spread_effects(&domain, &name);
            }
            Sender::Device(uri) => {
                self.device(&uri).handle_response(request.id, outcome, now);
                self.upload_frames(&uri);
            }
        }
    }

    /// A request of a provider's object, with the network's faults.
    fn send(&mut self, from: &Domain, outgoing: &Outgoing, label: &str) -> Outcome {
        match outgoing {
            Outgoing::Object(call) => Some(self.call(from, call.clone())),
            Outgoing::Http(call) => {
                if self.faults.drops() {
                    return None;
                }
                if self.faults.duplicates() {
                    self.http(from, call, label);
                }
                let response = self.http(from, call, label);
                if self.faults.drops() { None } else { response }
            }
        }
    }

    fn http(&mut self, from: &Domain, call: &HttpCall, label: &str) -> Outcome {
        let rest = call.url.strip_prefix("https://").expect("providers talk https only");
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let to = Domain::parse(host).unwrap();
        let mut headers = call.headers.clone();
        headers.push(("host".into(), host.into()));
        let request = HttpRequest {
            method: call.method.name().into(),
            path: path.into(),
            headers,
            body: call.body.clone(),
        };
        let response = match self.providers.get_mut(&to).filter(|provider| provider.online) {
            Some(provider) => match provider.route_from_provider(from, &request) {
                Ok(call) => Some(self.call(&to, call)),
                Err(response) => Some(response),
            },
            None => None,
        };
        let path = mimi_edge::wire::percent_decode(path).unwrap();
        if let Some(tapped) = &mut self.tapped {
            let answer = response.as_ref().map(|response| response.body.clone());
            tapped.push(Exchanged {
                path: path.clone(),
                request: call.body.clone(),
                response: answer.unwrap_or_default(),
            });
        }
        self.exchanges.push(Exchange {
            from: from.clone(),
            to,
            path,
            label: label.into(),
            status: response.as_ref().map(|response| response.status),
        });
        response
    }

    fn client_request(&mut self, uri: &ClientUri, request: &OutgoingRequest) -> Outcome {
        let Outgoing::Http(call) = &request.outgoing else { panic!("a client talks HTTP") };
        if self.faults.drops() {
            return None;
        }
        if self.hides_directories && call.url.contains("/directory/") {
            return Some(Response::empty(404));
        }
        let request = HttpRequest {
            method: call.method.name().into(),
            path: call.url.clone(),
            headers: call.headers.clone(),
            body: call.body.clone(),
        };
        let domain = uri.domain();
        self.providers.get(domain).filter(|provider| provider.online)?;
        let response = self.own_request(domain.as_str(), &request);
        if self.faults.drops() { None } else { Some(response) }
    }
}

/// The room `text`.
pub fn room(text: &str) -> RoomUri {
    RoomUri::parse(text).unwrap()
}

/// The user `text`.
pub fn user(text: &str) -> UserUri {
    UserUri::parse(text).unwrap()
}
