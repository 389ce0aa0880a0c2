//! A hub's room over a storage that the test sees, and the story so far: who has joined.

use std::rc::Rc;

use mimi_edge::{
    config::{
        ConsentDefault, HubKey, Limits, Peers, ProviderConfig, Registration, Retention,
        UnknownUsers,
    },
    hub::HubRoom,
    mls::{
        MlsCrypto,
        credential::credential_of_hub,
        key_package::{ValidKeyPackage, check_key_package},
    },
    object::Object,
    storage::MemoryStorage,
    time::UnixMillis,
    transport::{
        Action, Effect, Endpoint, HttpCall, IncomingRequest, ObjectCall, ObjectName, Outgoing,
        Response, Source,
    },
    wire::{
        ClientKeyMaterial, ClientMaterial, Directory, EventPage, FanoutMessage, GroupInfoRequest,
        GroupInfoResponse, IdentifierUri, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse,
        KeyMaterialUserCode, LogEvent, Mls10Request, PendingProposalsResponse, Protocol,
        RatchetTreeOption, RequiredCapabilities, UpdateResponseCode, UpdateRoomResponse, Verbatim,
        decode_concatenated, decode_exact, encode,
        uri::{ClientUri, Domain, UserUri},
    },
};
use openmls::prelude::{ExternalSender, OpenMlsCrypto};

use super::{
    group::{Member, SUITE, now, room, sync},
    member::{Upload, adds, member},
    proposals::bundle,
    storage::SharedStorage,
};

pub const ALPHA: &str = "alpha.example";

pub fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// Another provider as the source.
pub fn provider(text: &str) -> Source {
    Source::Provider(domain(text))
}

/// The source of a member's requests, as the hub at alpha sees it.
pub fn source_of(client: &ClientUri) -> Source {
    match client.domain().as_str() {
        ALPHA => Source::Device(client.clone()),
        other => provider(other),
    }
}

/// What the room's outbox sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Notify { to: String, label: String, body: Vec<u8> },
    Call(ObjectCall),
}

impl Sent {
    pub fn fanout(&self) -> Vec<FanoutMessage> {
        match self {
            Self::Notify { body, .. } => decode_concatenated(body).unwrap(),
            Self::Call(_) => panic!("not a notify"),
        }
    }

    /// The Welcome in it, if it is for this client's user or provider.
    pub fn welcome_for(&self, client: &ClientUri) -> Option<FanoutMessage> {
        match self {
            Self::Notify { to, .. } if to == client.domain().as_str() => {
                self.fanout().into_iter().find(|message| message.ratchet_tree_option.is_some())
            }
            Self::Call(call) if call.object == ObjectName::user(&client.user()) => {
                matches!(call.request.endpoint, Endpoint::DeliverWelcome { .. })
                    .then(|| decode_exact(&call.request.body).unwrap())
            }
            _ => None,
        }
    }
}

/// The answer to a claim, for tests to change.
pub fn claimed(
    target: &UserUri,
    packages: &[(&ClientUri, &ValidKeyPackage)],
) -> KeyMaterialResponse {
    let clients = packages
        .iter()
        .map(|(client, package)| ClientKeyMaterial {
            client_uri: client.to_wire(),
            material: ClientMaterial::Success(Box::new(
                Verbatim::own(package.bytes.clone()).unwrap(),
            )),
        })
        .collect();
    KeyMaterialResponse {
        protocol: Protocol::MLS10,
        user_status: KeyMaterialUserCode::Success,
        user_uri: target.to_wire(),
        clients,
    }
}

/// A claim in this room.
pub fn claim(requester: &UserUri, target: &UserUri) -> KeyMaterialRequest {
    KeyMaterialRequest {
        protocol: Protocol::MLS10,
        requesting_user: requester.to_wire(),
        target_users: vec![target.to_wire()],
        room_id: IdentifierUri(room().to_string()),
        body: KeyMaterialBody::Mls10(Mls10Request {
            acceptable_ciphersuites: vec![SUITE.into()],
            required_capabilities: RequiredCapabilities::default(),
            last_resort_allowed: false,
        }),
    }
}

pub fn update_response(code: UpdateResponseCode, description: &str) -> Vec<u8> {
    let response = UpdateRoomResponse {
        response_code: code,
        error_description: description.as_bytes().to_vec().into(),
    };
    encode(&response).unwrap()
}

/// The provider alpha.example with one room.
pub struct Hub {
    pub storage: SharedStorage,
    pub now: UnixMillis,
    object: Object<HubRoom>,
    config: Rc<ProviderConfig>,
}

impl Hub {
    pub fn new() -> Self {
        let scheme = SUITE.signature_algorithm();
        let (private, public) = MlsCrypto::new().algorithms().signature_key_gen(scheme).unwrap();
        let config = Rc::new(ProviderConfig {
            domain: domain(ALPHA),
            hub_keys: vec![HubKey { scheme: scheme as u16, private, public }],
            consent_default: ConsentDefault::Allow,
            unknown_users: UnknownUsers::Hidden,
            registration: Registration::Open,
            retention: Retention::default(),
            limits: Limits::default(),
            peers: Peers::default(),
        });
        let storage = SharedStorage::default();
        let object = Object::new(HubRoom::new(room()), Box::new(storage.clone()), config.clone());
        Self { storage, now: now(), object, config }
    }

    /// The object is gone, its storage is not.
    pub fn restart(&mut self) {
        let storage = Box::new(self.storage.clone());
        self.object = Object::new(HubRoom::new(room()), storage, self.config.clone());
    }

    /// This push found no device of the user's connected.
    pub fn found_none(&mut self, push: &Effect) {
        let Effect::Push { call, number } = push else { panic!("no push: {push:?}") };
        self.object.found_none(&call.object, *number, self.now);
    }

    /// From here on the provider keeps so much.
    pub fn retain(&mut self, retention: Retention) {
        self.config = Rc::new(ProviderConfig { retention, ..ProviderConfig::clone(&self.config) });
        self.restart();
    }

    pub fn limit(&mut self, limits: Limits) {
        self.config = Rc::new(ProviderConfig { limits, ..ProviderConfig::clone(&self.config) });
        self.restart();
    }

    pub fn hub_key(&self) -> Vec<u8> {
        self.config.hub_keys[0].public.clone()
    }

    pub fn external_sender(&self) -> ExternalSender {
        let key = self.hub_key().as_slice().into();
        ExternalSender::new(key, credential_of_hub(&self.config.domain))
    }

    /// The answer to a request; what the room asks others meanwhile is answered by `ask`, the
    /// directories apart.
    pub fn request(
        &mut self,
        source: Source,
        endpoint: Endpoint,
        body: Vec<u8>,
        mut ask: impl FnMut(&Outgoing) -> Option<Response>,
    ) -> Response {
        let request = IncomingRequest { source, endpoint, body };
        let mut action = self.object.handle(request, self.now);
        loop {
            match action {
                Action::Respond(response) => return response,
                Action::Forward(forward) => {
                    let outcome = directory(&forward.outgoing).or_else(|| ask(&forward.outgoing));
                    action = self.object.resume(&forward.then, outcome, self.now);
                }
            }
        }
    }

    /// The answer to a request during which the room asks nobody.
    pub fn call(&mut self, source: Source, endpoint: Endpoint, body: Vec<u8>) -> Response {
        self.request(source, endpoint, body, |outgoing| panic!("asks: {outgoing:?}"))
    }

    /// Creates the room; there is no user of its name.
    pub fn create(&mut self, source: Source, body: Vec<u8>) -> Response {
        let endpoint = Endpoint::CreateRoom { room: room() };
        self.request(source, endpoint, body, |outgoing| {
            let Outgoing::Object(call) = outgoing else { panic!("asks: {outgoing:?}") };
            assert_eq!(call.request.endpoint, Endpoint::Exists);
            Some(Response::empty(404))
        })
    }

    pub fn update(&mut self, source: Source, body: Vec<u8>) -> Response {
        self.call(source, Endpoint::Update { room: room() }, body)
    }

    pub fn submit(&mut self, source: Source, body: Vec<u8>) -> Response {
        let endpoint = Endpoint::SubmitMessage { room: room(), sending_user: None };
        self.call(source, endpoint, body)
    }

    /// The GroupInfo and the tree that the room gives to this client.
    pub fn group_info(&mut self, member: &Member) -> (Vec<u8>, RatchetTreeOption) {
        let body = encode(&member.group_info_request(&room())).unwrap();
        let endpoint = Endpoint::GroupInfo { room: room() };
        let response = self.call(source_of(&member.client), endpoint, body);
        assert_eq!(response.status, 200);
        match decode_exact(&response.body).unwrap() {
            GroupInfoResponse::Success { group_info, ratchet_tree_option } => {
                (group_info.into_bytes(), ratchet_tree_option)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Asserts that GroupInfo is refused to this request, and nothing else happens.
    pub fn refuses_group_info(&mut self, source: Source, request: &GroupInfoRequest) {
        let (endpoint, body) = (Endpoint::GroupInfo { room: room() }, encode(request).unwrap());
        self.refused(source, endpoint, body, (403, vec![2]));
    }

    /// The external commit by which `joiner` would join now, over the SelfRemoves among these
    /// proposals.
    pub fn external_commit(&mut self, joiner: &mut Member, proposals: &[Vec<u8>]) -> Upload {
        let (group_info, tree) = self.group_info(joiner);
        joiner.external_commit(&group_info, &tree, proposals)
    }

    /// `requester` claims KeyPackages of `targets`, clients of one user.
    pub fn claim(
        &mut self,
        requester: &ClientUri,
        targets: &mut [&mut Member],
    ) -> Vec<ValidKeyPackage> {
        let user = targets[0].user();
        let packages: Vec<_> = targets.iter_mut().map(|target| target.single_use()).collect();
        let clients: Vec<_> = targets.iter().map(|target| &target.client).zip(&packages).collect();
        self.claim_packages(requester, &user, &clients);
        packages
    }

    /// `requester` claims this KeyPackage of `target`, which is what its provider gives out.
    pub fn claim_bytes(
        &mut self,
        requester: &ClientUri,
        target: &ClientUri,
        package: &[u8],
    ) -> Vec<ValidKeyPackage> {
        let package = check_key_package(
            MlsCrypto::new().algorithms(),
            decode_exact(package).unwrap(),
            &RequiredCapabilities::default(),
            self.now,
        )
        .unwrap();
        self.claim_packages(requester, &target.user(), &[(target, &package)]);
        vec![package]
    }

    fn claim_packages(
        &mut self,
        requester: &ClientUri,
        target: &UserUri,
        packages: &[(&ClientUri, &ValidKeyPackage)],
    ) {
        let answer = encode(&claimed(target, packages)).unwrap();
        let body = encode(&claim(&requester.user(), target)).unwrap();
        let endpoint = Endpoint::KeyMaterial { target: target.clone() };
        let response = self.request(source_of(requester), endpoint, body, |_| {
            Some(Response::tls(200, answer.clone()))
        });
        assert_eq!((response.status, &response.body), (200, &answer));
    }

    /// What this device, one of alpha's, reads of the log after `after`.
    pub fn events(&mut self, device: &ClientUri, after: u64) -> Vec<LogEvent> {
        let endpoint = Endpoint::Events { room: room(), after };
        let response = self.call(source_of(device), endpoint, Vec::new());
        assert_eq!(response.status, 200);
        decode_exact::<EventPage>(&response.body).unwrap().events
    }

    /// A commit is accepted.
    pub fn accept(&mut self, source: Source, upload: &Upload) {
        let response = self.update(source, upload.body());
        let success = update_response(UpdateResponseCode::Success, "");
        assert_eq!((response.status, response.body), (200, success));
    }

    /// Proposals are accepted.
    pub fn propose(&mut self, source: Source, proposals: &[Vec<u8>]) {
        let response = self.update(source, bundle(proposals));
        let success = update_response(UpdateResponseCode::Success, "");
        assert_eq!((response.status, response.body), (200, success));
    }

    /// Asserts that a commit is refused with exactly these proposals, and nothing else happens.
    pub fn pending(&mut self, source: Source, upload: &Upload, proposals: &[Vec<u8>]) {
        let pending = proposals.iter().map(|message| Verbatim::own(message.clone()).unwrap());
        let answer = PendingProposalsResponse {
            response: UpdateRoomResponse {
                response_code: UpdateResponseCode::NotAllowed,
                error_description: b"pending proposals".to_vec().into(),
            },
            pending_proposals: pending.collect(),
        };
        let (endpoint, body) = (Endpoint::Update { room: room() }, upload.body());
        self.settle();
        let response = self.refused(source, endpoint, body, (401, encode(&answer).unwrap()));
        assert_eq!(response.header("www-authenticate"), Some("MIMI-Pending-Proposals"));
    }

    /// Everything is delivered and done, so that what comes next can be told from it.
    pub fn settle(&mut self) {
        self.deliver();
        self.effects();
    }

    /// Asserts the exact refusal, and that nothing was stored, sent or caused.
    pub fn refused(
        &mut self,
        source: Source,
        endpoint: Endpoint,
        body: Vec<u8>,
        (status, answer): (u16, Vec<u8>),
    ) -> Response {
        self.object.take_effects();
        let before = self.storage.snapshot();
        let response = self.call(source, endpoint, body);
        assert_eq!(
            (response.status, String::from_utf8_lossy(&response.body)),
            (status, String::from_utf8_lossy(&answer))
        );
        assert!(self.storage.snapshot() == before, "a refusal stored something");
        assert_eq!(self.object.take_effects(), Vec::new());
        assert_eq!(self.object.poll_request(self.now).unwrap(), None);
        response
    }

    /// Asserts the refusal of an update by its code and description.
    pub fn refuses_update(
        &mut self,
        source: Source,
        body: Vec<u8>,
        (status, code, description): (u16, UpdateResponseCode, &str),
    ) {
        let answer = update_response(code, description);
        self.refused(source, Endpoint::Update { room: room() }, body, (status, answer));
    }

    /// Everything that the outbox sends, each answered 200.
    pub fn deliver(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(request) = self.object.poll_request(self.now).unwrap() {
            let outcome = match directory(&request.outgoing) {
                Some(directory) => directory,
                None => {
                    sent.push(record(request.outgoing, request.label));
                    Response::empty(200)
                }
            };
            self.object.handle_response(request.id, Some(outcome), self.now).unwrap();
        }
        sent
    }

    /// What goes to the provider `to`, in order; the rest is delivered too.
    pub fn notified(&mut self, to: &str) -> Vec<FanoutMessage> {
        let sent = self.deliver();
        let to_provider = sent
            .iter()
            .filter(|sent| matches!(sent, Sent::Notify { to: other, .. } if other == to));
        to_provider.flat_map(Sent::fanout).collect()
    }

    pub fn effects(&mut self) -> Vec<Effect> {
        self.object.take_effects()
    }

    pub fn object(&mut self) -> &mut Object<HubRoom> {
        &mut self.object
    }

    pub fn rows(&self) -> MemoryStorage {
        self.storage.snapshot()
    }

    /// The room exists, alice is in it.
    pub fn with_alice() -> (Self, Member) {
        let mut hub = Self::new();
        let mut alice = member("alice@alpha.example/phone");
        let body = encode(&alice.creation(Some(hub.external_sender()))).unwrap();
        let source = source_of(&alice.client);
        assert_eq!(hub.create(source, body).status, 201);
        hub.deliver();
        (hub, alice)
    }

    /// The room exists, alice, bob and cathy are in it, in the epoch 2; everything is delivered.
    pub fn with_alice_bob_and_cathy() -> (Self, Member, Member, Member) {
        let (mut hub, mut alice, mut bob) = Self::with_alice_and_bob();
        let mut cathy = member("cathy@charlie.example/phone");
        let upload = hub.addition(&mut alice, &mut cathy);
        hub.accept(source_of(&alice.client), &upload);
        alice.merge_own();
        let sent = hub.deliver();
        cathy.enter(&sent.iter().find_map(|sent| sent.welcome_for(&cathy.client)).unwrap());
        bob.process(&sent[0].fanout()[0]);
        hub.effects();
        (hub, alice, bob, cathy)
    }

    /// The room exists, alice and bob are in it; everything is delivered.
    pub fn with_alice_and_bob() -> (Self, Member, Member) {
        let (mut hub, mut alice) = Self::with_alice();
        let mut bob = member("bob@bravo.example/phone");
        hub.add(&mut alice, &mut bob);
        (hub, alice, bob)
    }

    /// `adder` adds `entrant`, who joins; nobody else follows the commit.
    pub fn add(&mut self, adder: &mut Member, entrant: &mut Member) {
        let upload = self.addition(adder, entrant);
        self.accept(source_of(&adder.client), &upload);
        adder.merge_own();
        let sent = self.deliver();
        let welcome = sent.iter().filter_map(|sent| sent.welcome_for(&entrant.client)).next_back();
        entrant.enter(&welcome.unwrap());
    }

    /// The commit by which `adder` would add `entrant`, and its user if it is not on the list.
    pub fn addition(&mut self, adder: &mut Member, entrant: &mut Member) -> Upload {
        let packages = self.claim(&adder.client, &mut [entrant]);
        let user = entrant.user();
        let is_listed = adder.list().participants.iter().any(|entry| entry.user == user.to_wire());
        let app_sync = (!is_listed).then(|| sync(&adds(&user)));
        adder.propose(app_sync.into_iter().collect(), &packages, &[])
    }
}

fn directory(outgoing: &Outgoing) -> Option<Response> {
    let Outgoing::Http(HttpCall { url, .. }) = outgoing else { return None };
    let domain_text = url.strip_prefix("https://")?.strip_suffix(Directory::PATH)?;
    let document = Directory::of(&domain(domain_text)).to_json().unwrap();
    Some(Response { status: 200, headers: Vec::new(), body: document })
}

fn record(outgoing: Outgoing, label: String) -> Sent {
    match outgoing {
        Outgoing::Object(call) => Sent::Call(call),
        Outgoing::Http(HttpCall { url, body, .. }) => {
            let rest = url.strip_prefix("https://").unwrap();
            let (to, path) = rest.split_once('/').unwrap();
            assert_eq!(path, "v1/notify/clubhouse%40alpha.example");
            Sent::Notify { to: to.to_owned(), label, body }
        }
    }
}

/// The timestamp of an accepted message.
pub fn accepted_at(response: &Response) -> u64 {
    use mimi_edge::wire::{SubmitMessageResponse, SubmitStatus};
    assert_eq!(response.status, 200);
    match decode_exact::<SubmitMessageResponse>(&response.body).unwrap().status {
        SubmitStatus::Accepted(timestamp) => timestamp,
        other => panic!("{other:?}"),
    }
}
