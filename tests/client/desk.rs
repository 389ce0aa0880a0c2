//! A provider that believes everything: it keeps logs, hands out KeyPackages and counts epochs, so
//! that tests can script what a real one would say.

use std::collections::{BTreeMap, VecDeque};

use mimi_edge::{
    mls::{MlsCrypto, key_package::key_package_ref, with_header},
    transport::{HttpCall, Method, Response},
    wire::{
        self, ClientKeyMaterial, ClientMaterial, CommitBundle, ConsentState, DeviceAuth,
        DeviceList, DeviceRegistration, DeviceSummary, EventPage, FanoutMessage, GroupInfoResponse,
        IdentifierUri, KeyMaterialRequest, KeyMaterialResponse, KeyMaterialUserCode,
        KeyPackageList, KeyPackageStock, LogEvent, PendingProposalsResponse, Protocol,
        PseudonymGrant, RatchetTreeOption, RoomCreation, RoomList, RoomSummary,
        SubmitMessageResponse, SubmitStatus, UpdateContent, UpdateRequest, UpdateResponseCode,
        UpdateRoomResponse, Verbatim,
    },
};
use openmls::{
    credentials::{BasicCredential, Credential},
    extensions::ExternalSender,
    framing::{MlsMessageBodyIn, MlsMessageIn, Sender},
    key_packages::KeyPackageIn,
    messages::group_info::VerifiableGroupInfo,
    prelude::WireFormat,
};

/// What a hub knows of a room.
#[derive(Default)]
pub struct Room {
    pub epoch: u64,
    pub log: Vec<FanoutMessage>,
    /// Client → first position that it may see is the one after this (D11).
    pub windows: BTreeMap<String, u64>,
    accepted: Vec<(Vec<u8>, Response)>,
    creation: Vec<u8>,
    /// What a joiner gets: the last GroupInfo and tree that were uploaded.
    group_info: Option<(Verbatim<VerifiableGroupInfo>, RatchetTreeOption)>,
}

/// All providers in one.
#[derive(Default)]
pub struct Desk {
    pub rooms: BTreeMap<String, Room>,
    pub key_packages: BTreeMap<String, VecDeque<Vec<u8>>>,
    /// By client.
    pub inboxes: BTreeMap<String, Vec<LogEvent>>,
    /// User → what `consent` answers, whatever is said there.
    pub consents: BTreeMap<String, ConsentState>,
    pub clock: u64,
    /// Method, path and body of every request, in order.
    pub requests: Vec<(String, Vec<u8>)>,
    /// Answers that come instead of the usual ones, by a part of the path: first in, first out.
    pub script: Vec<(String, Option<Response>)>,
    /// The last claim.
    pub claim: Option<KeyMaterialRequest>,
    devices: BTreeMap<String, Vec<u8>>,
    /// Every KeyPackage ever published.
    pub published: Vec<Vec<u8>>,
}

pub fn update_response(status: u16, code: UpdateResponseCode) -> Response {
    let answer = UpdateRoomResponse { response_code: code, error_description: Vec::new().into() };
    Response::tls(status, wire::encode(&answer).unwrap())
}

/// A refusal of a commit, with a text (R56).
pub fn refusal(text: &str) -> Response {
    let answer = UpdateRoomResponse {
        response_code: UpdateResponseCode::NotAllowed,
        error_description: text.as_bytes().into(),
    };
    Response::tls(403, wire::encode(&answer).unwrap())
}

/// The refusal of a commit that omits these proposals (A12).
pub fn lacks_proposals(proposals: &[Vec<u8>]) -> Response {
    let response = UpdateRoomResponse {
        response_code: UpdateResponseCode::NotAllowed,
        error_description: Vec::new().into(),
    };
    let pending = proposals.iter().map(|proposal| Verbatim::own(proposal.clone()).unwrap());
    let answer =
        PendingProposalsResponse { response, pending_proposals: pending.collect::<Vec<_>>() };
    let mut response = Response::tls(401, wire::encode(&answer).unwrap());
    response.headers.push(("www-authenticate".into(), "MIMI-Pending-Proposals".into()));
    response
}

pub fn submit_response(status: u16, answer: SubmitStatus) -> Response {
    let answer = SubmitMessageResponse { protocol: Protocol::MLS10, status: answer };
    Response::tls(status, wire::encode(&answer).unwrap())
}

pub fn key_material(user: &str, code: KeyMaterialUserCode) -> KeyMaterialResponse {
    KeyMaterialResponse {
        protocol: Protocol::MLS10,
        user_status: code,
        user_uri: IdentifierUri(user.into()),
        clients: Vec::new(),
    }
}

impl Desk {
    /// A desk that knows these clients, and a room of this epoch, log and windows.
    pub fn with_room(
        name: &str,
        (epoch, log, windows): (u64, Vec<FanoutMessage>, BTreeMap<String, u64>),
        clients: Vec<String>,
    ) -> Self {
        let clock = log.iter().map(|message| message.timestamp).max().unwrap_or_default();
        let rooms =
            BTreeMap::from([(name.into(), Room { epoch, log, windows, ..Room::default() })]);
        let devices = clients.into_iter().map(|client| (client, Vec::new())).collect();
        Self { rooms, clock, devices, ..Self::default() }
    }

    /// The next request whose path contains `part` gets this answer, or none; the desk does not see it.
    pub fn answer(&mut self, part: &str, response: Option<Response>) {
        self.script.push((part.into(), response));
    }

    /// The inbox of a user's only device.
    pub fn inbox_of(&mut self, user: &str) -> &mut Vec<LogEvent> {
        let mut inboxes = self.inboxes.iter_mut();
        inboxes.find(|(client, _)| client.starts_with(&format!("{user}/"))).unwrap().1
    }

    /// How many requests went to paths that contain `part`.
    pub fn count(&self, part: &str) -> usize {
        self.requests.iter().filter(|(path, _)| path.contains(part)).count()
    }

    pub fn handle(&mut self, call: &HttpCall) -> Option<Response> {
        let path = wire::percent_decode(&call.url).unwrap();
        let path = path.strip_prefix("/client/v1/").unwrap().to_owned();
        self.requests.push((format!("{} {path}", call.method.name()), call.body.clone()));
        if let Some(at) = self.script.iter().position(|(part, _)| path.contains(part.as_str())) {
            return self.script.remove(at).1;
        }
        if path == "devices" && call.method == Method::Post {
            return Some(self.register(&call.body));
        }
        let header = call.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        let client = DeviceAuth::from_header(&header.1).unwrap().client_uri.0;
        if !self.devices.contains_key(&client) {
            return Some(revoked());
        }
        let (path, query) = path.split_once('?').unwrap_or((&path, "after=0"));
        let after: u64 = query.strip_prefix("after=").unwrap().parse().unwrap();
        let (endpoint, name) = path.split_once('/').unwrap_or((path, ""));
        Some(match (call.method, endpoint) {
            (Method::Get, "devices") => self.list_devices(&client),
            (Method::Post, "devices") => {
                self.devices.remove(name.strip_suffix("/revoke").unwrap());
                Response::empty(200)
            }
            (Method::Post, "pseudonyms") => self.issue_pseudonym(&call.body),
            (Method::Post, "delete-user") => {
                self.devices.remove(&client);
                Response::empty(200)
            }
            (Method::Post, "keyPackages") => self.publish(&client, &call.body),
            (Method::Get, "keyPackages") => self.stock(&client),
            (Method::Get, "external-sender") => external_sender(),
            (Method::Post, "rooms") => self.create(&client, name, &call.body),
            (Method::Post, "keyMaterial") => self.claim(name, &call.body),
            (Method::Post, "update") => {
                let response = self.update(name, &call.body);
                self.open_window(&client, name, &call.body, &response);
                response
            }
            (Method::Post, "groupInfo") => self.group_info(name),
            (Method::Get, "rooms") => self.room_list(),
            // Another hub's, which takes whole trees only.
            (Method::Get, "directory") => Response::empty(404),
            (Method::Post, "submitMessage") => self.submit(name, &call.body),
            (Method::Get, "events") => self.events(&client, name, after),
            (Method::Get, "inbox") => self.inbox(&client, after),
            (_, "consent") => self.consent(&client),
            _ => panic!("unexpected {path}"),
        })
    }

    fn register(&mut self, body: &[u8]) -> Response {
        let registration: DeviceRegistration = wire::decode_exact(body).unwrap();
        let client = registration.tbs.client_uri.0;
        let key = registration.tbs.signature_key.as_slice().to_vec();
        Response::empty(match self.devices.insert(client, key.clone()) {
            None => 201,
            Some(known) if known == key => 200,
            Some(_) => 409,
        })
    }

    /// A pseudonym that follows from the key.
    fn issue_pseudonym(&mut self, body: &[u8]) -> Response {
        let request: DeviceRegistration = wire::decode_exact(body).unwrap();
        let key = request.tbs.signature_key.as_slice().to_vec();
        let letters = key.iter().map(|byte| char::from(b'a' + byte % 16));
        let name: String = letters.take(16).collect();
        let client = format!("{name}@alpha.example/abcdefgh");
        let status = if self.devices.insert(client.clone(), key).is_none() { 201 } else { 200 };
        let grant = PseudonymGrant { client_uri: IdentifierUri(client) };
        Response::tls(status, wire::encode(&grant).unwrap())
    }

    fn list_devices(&self, client: &str) -> Response {
        let user = client.split('/').next().unwrap();
        let names = self.devices.keys().filter(|name| name.split('/').next() == Some(user));
        let devices = names.map(|name| DeviceSummary {
            client_uri: IdentifierUri(name.clone()),
            registered_at: 7,
        });
        Response::tls(200, wire::encode(&DeviceList { devices: devices.collect() }).unwrap())
    }

    fn publish(&mut self, client: &str, body: &[u8]) -> Response {
        let list: KeyPackageList = wire::decode_exact(body).unwrap();
        let stock = self.key_packages.entry(client.into()).or_default();
        for key_package in list.key_packages {
            let bytes = key_package.into_bytes();
            if !self.published.contains(&bytes) {
                self.published.push(bytes.clone());
                if is_last_resort(&bytes) {
                    stock.retain(|other| !is_last_resort(other));
                }
                stock.push_back(bytes);
            }
        }
        self.stock(client)
    }

    fn stock(&self, client: &str) -> Response {
        let held = self.key_packages.get(client).into_iter().flatten();
        let count = |last_resort| {
            let of_kind = held.clone().filter(|bytes| is_last_resort(bytes) == last_resort);
            u32::try_from(of_kind.count()).unwrap()
        };
        let stock =
            KeyPackageStock { available: count(false), last_resort: count(true), next_expiry: 0 };
        Response::tls(200, wire::encode(&stock).unwrap())
    }

    fn create(&mut self, client: &str, name: &str, body: &[u8]) -> Response {
        if let Some(room) = self.rooms.get(name) {
            return Response::empty(if room.creation == body { 200 } else { 409 });
        }
        let windows = BTreeMap::from([(client.to_owned(), 0)]);
        let RoomCreation { group_info, ratchet_tree_option } = wire::decode_exact(body).unwrap();
        let group_info = Some((group_info, ratchet_tree_option));
        let room = Room { creation: body.to_vec(), windows, group_info, ..Room::default() };
        self.rooms.insert(name.into(), room);
        Response::empty(201)
    }

    fn claim(&mut self, user: &str, body: &[u8]) -> Response {
        self.claim = Some(wire::decode_exact(body).unwrap());
        let mut answer = key_material(user, KeyMaterialUserCode::Success);
        for (client, stock) in &mut self.key_packages {
            if client.starts_with(&format!("{user}/")) {
                let key_package = stock.pop_front().unwrap();
                answer.clients.push(ClientKeyMaterial {
                    client_uri: IdentifierUri(client.clone()),
                    material: ClientMaterial::Success(Box::new(
                        Verbatim::own(key_package).unwrap(),
                    )),
                });
            }
        }
        Response::tls(200, wire::encode(&answer).unwrap())
    }

    pub fn update(&mut self, name: &str, body: &[u8]) -> Response {
        let request: UpdateRequest = wire::decode_exact(body).unwrap();
        let message = request.proposal_or_commit.bytes().to_vec();
        self.clock += 1;
        let room = self.rooms.get_mut(name).unwrap();
        if let Some((_, response)) = room.accepted.iter().find(|(known, _)| known == body) {
            return response.clone();
        }
        if request.proposal_or_commit.epoch().as_u64() != room.epoch {
            return update_response(409, UpdateResponseCode::WrongEpoch);
        }
        let mut messages = vec![message];
        let bundle = match request.content {
            UpdateContent::Commit(bundle) => Some(bundle),
            UpdateContent::Proposal(more) => {
                messages.extend(more.iter().map(|message| message.bytes().to_vec()));
                None
            }
        };
        for message in messages {
            let message = Verbatim::own(with_header(&message, WireFormat::PublicMessage)).unwrap();
            let timestamp = self.clock;
            room.log.push(FanoutMessage { message, timestamp, ratchet_tree_option: None });
        }
        let response = update_response(200, UpdateResponseCode::Success);
        room.accepted.push((body.to_vec(), response.clone()));
        if let Some(bundle) = bundle {
            room.epoch += 1;
            let CommitBundle { group_info, ratchet_tree_option, .. } = bundle.as_ref();
            room.group_info = Some((group_info.clone(), ratchet_tree_option.clone()));
            self.welcome(name, *bundle);
        }
        response
    }

    /// Whoever joined by an external commit reads what comes after it (D11).
    fn open_window(&mut self, client: &str, name: &str, body: &[u8], response: &Response) {
        let request: UpdateRequest = wire::decode_exact(body).unwrap();
        let joins = *request.proposal_or_commit.sender() == Sender::NewMemberCommit;
        if joins && response.is_success() {
            let room = self.rooms.get_mut(name).unwrap();
            let position = room.log.len() as u64;
            room.windows.entry(client.to_owned()).or_insert(position);
        }
    }

    /// What a joiner is told.
    pub fn group_info(&self, name: &str) -> Response {
        let Some((group_info, ratchet_tree_option)) =
            self.rooms.get(name).and_then(|room| room.group_info.clone())
        else {
            let answer = wire::encode(&GroupInfoResponse::NoSuchRoom).unwrap();
            return Response::tls(404, answer);
        };
        let group_info = Box::new(group_info);
        let answer = GroupInfoResponse::Success { group_info, ratchet_tree_option };
        Response::tls(200, wire::encode(&answer).unwrap())
    }

    fn room_list(&self) -> Response {
        let summary = |name: &String| RoomSummary {
            room_id: IdentifierUri(name.clone()),
            cipher_suite: 1,
            profile: None,
            ratchet_tree: None,
        };
        let rooms = self.rooms.keys().map(summary).collect();
        Response::tls(200, wire::encode(&RoomList { rooms }).unwrap())
    }

    fn welcome(&mut self, name: &str, bundle: CommitBundle) {
        let Some(welcome) = bundle.welcome else { return };
        let crypto = MlsCrypto::new();
        let mut refs: BTreeMap<Vec<u8>, BasicCredential> = BTreeMap::new();
        for bytes in &self.published {
            let key_package: KeyPackageIn = wire::decode_exact(bytes).unwrap();
            let reference = key_package_ref(crypto.algorithms(), bytes).unwrap();
            let credential = key_package.unverified_credential().credential;
            refs.insert(reference, BasicCredential::try_from(credential).unwrap());
        }
        let mut clients = Vec::new();
        let position = self.rooms[name].log.len() as u64;
        for secrets in welcome.secrets() {
            let client = refs[secrets.new_member().as_slice()].identity();
            let client = String::from_utf8(client.to_vec()).unwrap();
            self.rooms.get_mut(name).unwrap().windows.insert(client.clone(), position);
            clients.push(client);
        }
        let message = with_header(welcome.bytes(), WireFormat::Welcome);
        for client in clients {
            let inbox = self.inboxes.entry(client).or_default();
            let previous = inbox.len() as u64;
            inbox.push(LogEvent {
                room_id: IdentifierUri(name.into()),
                position: previous + 1,
                previous,
                message: FanoutMessage {
                    message: Verbatim::own(message.clone()).unwrap(),
                    timestamp: self.clock,
                    ratchet_tree_option: Some(bundle.ratchet_tree_option.clone()),
                },
            });
        }
    }

    pub fn submit(&mut self, name: &str, body: &[u8]) -> Response {
        self.clock += 1;
        let room = self.rooms.get_mut(name).unwrap();
        if let Some((_, response)) = room.accepted.iter().find(|(known, _)| known == body) {
            return response.clone();
        }
        let message: Verbatim<MlsMessageIn> = Verbatim::own(body.to_vec()).unwrap();
        let MlsMessageBodyIn::PrivateMessage(private) = MlsMessageIn::clone(&message).extract()
        else {
            panic!("no PrivateMessage")
        };
        if private.epoch().as_u64() != room.epoch {
            return submit_response(409, SubmitStatus::EpochTooOld(room.epoch));
        }
        room.log.push(FanoutMessage { message, timestamp: self.clock, ratchet_tree_option: None });
        let response = submit_response(200, SubmitStatus::Accepted(self.clock));
        room.accepted.push((body.to_vec(), response.clone()));
        response
    }

    /// The events of a room that a client may see after a position, as the log has them.
    pub fn seen_by(&self, client: &str, name: &str, after: u64) -> Vec<LogEvent> {
        let Some(room) = self.rooms.get(name) else { return Vec::new() };
        let Some(from) = room.windows.get(client) else { return Vec::new() };
        let events = room.log.iter().enumerate().map(|(index, message)| LogEvent {
            room_id: IdentifierUri(name.into()),
            position: index as u64 + 1,
            previous: if index as u64 == *from { 0 } else { index as u64 },
            message: message.clone(),
        });
        events.filter(|event| event.position > after.max(*from)).collect()
    }

    fn events(&self, client: &str, name: &str, after: u64) -> Response {
        let events: Vec<_> = self.seen_by(client, name, after);
        let end = self.rooms.get(name).map_or(0, |room| room.log.len() as u64);
        // Pages of two, so that tests see several.
        let page: Vec<_> = events.iter().take(2).cloned().collect();
        let more = page.len() < events.len();
        let page = EventPage { events: page, end, more, gap: false };
        Response::tls(200, wire::encode(&page).unwrap())
    }

    fn consent(&self, client: &str) -> Response {
        let state = self.consents.get(user_of(client)).cloned().unwrap_or_default();
        Response::tls(200, wire::encode(&state).unwrap())
    }

    fn inbox(&self, client: &str, after: u64) -> Response {
        let events = self.inboxes.get(client).cloned().unwrap_or_default();
        let end = events.len() as u64;
        let events = events.into_iter().filter(|event| event.position > after).collect();
        let page = EventPage { events, end, more: false, gap: false };
        Response::tls(200, wire::encode(&page).unwrap())
    }
}

/// What a provider says to a device that it knows no more.
pub fn revoked() -> Response {
    let mut response = Response::empty(401);
    response.headers.push(("www-authenticate".into(), wire::REVOKED_CHALLENGE.into()));
    response
}

/// Whether an encoded KeyPackage (RFC 9420 §10) is of last resort, found without checking it.
pub fn is_last_resort(key_package: &[u8]) -> bool {
    // Version and suite, init_key; encryption_key and signature_key of the leaf.
    let credential = (0..3).fold(&key_package[4..], |rest, _| vector(rest).1);
    // A basic one; then the lists of the capabilities.
    let source = (0..6).fold(&credential[2..], |rest, _| vector(rest).1);
    // A lifetime, extensions and signature of the leaf.
    let extensions = (0..2).fold(&source[17..], |rest, _| vector(rest).1);
    vector(extensions).0 == [0, 10, 0]
}

/// A TLS vector in front, and what comes after it.
fn vector(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match bytes[0] >> 6 {
        0 => (usize::from(bytes[0]), 1),
        _ => (usize::from(bytes[0] & 0x3F) << 8 | usize::from(bytes[1]), 2),
    };
    bytes[start..].split_at(length)
}

fn user_of(client: &str) -> &str {
    client.split('/').next().unwrap()
}

fn external_sender() -> Response {
    let credential: Credential = BasicCredential::new(b"alpha.example".to_vec()).into();
    let sender = ExternalSender::new(vec![7; 32].into(), credential);
    Response::tls(200, wire::encode(&sender).unwrap())
}
