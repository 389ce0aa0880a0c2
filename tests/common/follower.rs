//! The provider bravo.example as a follower of a room at alpha.example.

use std::rc::Rc;

use mimi_edge::{
    error::Error,
    follower::FollowedRoom,
    mls::{
        key_package::{KeyPackageKind, ValidKeyPackage},
        ratchet_tree, with_header,
    },
    object::Object,
    room::Profile,
    time::UnixMillis,
    transport::{
        Action, Effect, Endpoint, HttpCall, IncomingRequest, ObjectCall, ObjectClass, ObjectName,
        Outcome, Outgoing, Response, Source,
    },
    wire::{
        AppSync, ClientKeyMaterial, ClientMaterial, Directory, EventPage, FanoutMessage,
        FromProvider, IdentifierUri, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse,
        KeyMaterialUserCode, Mls10Request, Protocol, RatchetTree, RatchetTreeOption,
        RequiredCapabilities, Role, UserRoles, Verbatim, decode_exact, encode,
        uri::{ClientUri, Domain, UserUri},
    },
};
use openmls::{
    framing::ProcessedMessageContent,
    prelude::{ExternalSender, OpenMlsProvider, WireFormat},
};

use super::{
    group::{Member, public_message, room},
    member::{Upload, member},
    own_group::{RoomChange, export_group_info},
    storage::SharedStorage,
    user::config,
};

pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

pub fn alpha() -> Source {
    Source::Provider(Domain::parse("alpha.example").unwrap())
}

pub fn device(client: &str) -> Source {
    Source::Device(ClientUri::parse(client).unwrap())
}

pub fn user_uri(text: &str) -> UserUri {
    UserUri::parse(text).unwrap()
}

/// A PublicMessage as the hub fans it out.
pub fn handshake(bare: &[u8], timestamp: u64) -> Vec<u8> {
    fanout(with_header(bare, WireFormat::PublicMessage), timestamp, None)
}

/// A PrivateMessage as the hub fans it out.
pub fn private(bare: &[u8], timestamp: u64) -> Vec<u8> {
    fanout(with_header(bare, WireFormat::PrivateMessage), timestamp, None)
}

/// A Welcome as the hub fans it out.
pub fn welcome(bare: &[u8], tree: &RatchetTree, timestamp: u64) -> Vec<u8> {
    fanout(with_header(bare, WireFormat::Welcome), timestamp, Some(tree.clone()))
}

fn fanout(message: Vec<u8>, timestamp: u64, tree: Option<RatchetTree>) -> Vec<u8> {
    let ratchet_tree_option = tree.map(RatchetTreeOption::Full);
    let message = Verbatim::own(message).unwrap();
    encode(&FanoutMessage { message, timestamp, ratchet_tree_option }).unwrap()
}

/// A claim of `target`'s KeyPackages by `requester`.
pub fn claim_body(requester: &str, target: &str, room_id: &str) -> Vec<u8> {
    encode(&KeyMaterialRequest {
        protocol: Protocol::MLS10,
        requesting_user: IdentifierUri(requester.into()),
        target_users: vec![IdentifierUri(target.into())],
        room_id: IdentifierUri(room_id.into()),
        body: KeyMaterialBody::Mls10(Mls10Request {
            acceptable_ciphersuites: vec![1],
            required_capabilities: RequiredCapabilities::default(),
            last_resort_allowed: false,
        }),
    })
    .unwrap()
}

/// The answer of a user with these KeyPackages.
pub fn key_material(user: &UserUri, packages: &[(ClientUri, Vec<u8>)]) -> Vec<u8> {
    let clients = packages
        .iter()
        .map(|(client, package)| ClientKeyMaterial {
            client_uri: IdentifierUri(client.to_string()),
            material: ClientMaterial::Success(Box::new(Verbatim::own(package.clone()).unwrap())),
        })
        .collect();
    encode(&KeyMaterialResponse {
        protocol: Protocol::MLS10,
        user_status: KeyMaterialUserCode::Success,
        user_uri: user.to_wire(),
        clients,
    })
    .unwrap()
}

/// One object of bravo.example.
pub struct Follower {
    pub object: Object<FollowedRoom>,
    pub storage: SharedStorage,
    /// The object for claims of the hub that name no room.
    pub claims: Option<Box<Follower>>,
}

impl Follower {
    /// The object of alpha's room.
    pub fn new() -> Self {
        Self::named(room().as_str())
    }

    pub fn named(name: &str) -> Self {
        let storage = SharedStorage::default();
        let object =
            Object::new(FollowedRoom::new(name), Box::new(storage.clone()), Rc::new(config()));
        Self { object, storage, claims: None }
    }

    pub fn ask(&mut self, source: Source, endpoint: Endpoint, body: &[u8]) -> Action {
        self.object.handle(IncomingRequest { source, endpoint, body: body.to_vec() }, NOW)
    }

    /// An answer that comes without asking anybody.
    pub fn answer(&mut self, source: Source, endpoint: Endpoint, body: &[u8]) -> Response {
        match self.ask(source, endpoint, body) {
            Action::Respond(response) => response,
            Action::Forward(forward) => panic!("asks {}", forward.label),
        }
    }

    pub fn notify_from(&mut self, source: Source, body: &[u8]) -> Response {
        let forward = match self.ask(source, Endpoint::Notify { room: room() }, body) {
            Action::Respond(response) => return response,
            Action::Forward(forward) => forward,
        };
        // Whether the hub claimed without naming a room.
        let Outgoing::Object(ObjectCall { object, request }) = forward.outgoing else {
            panic!("asks {}", forward.label)
        };
        assert_eq!(object, ObjectName::claims(&Domain::parse("alpha.example").unwrap()));
        let mut nobody = Self::named(&object.name);
        let claims = self.claims.as_deref_mut().unwrap_or(&mut nobody);
        let answer = claims.answer(request.source, request.endpoint, &request.body);
        match self.object.resume(&forward.then, Some(answer), NOW) {
            Action::Respond(response) => response,
            Action::Forward(forward) => panic!("asks again: {}", forward.label),
        }
    }

    pub fn notify(&mut self, messages: &[&[u8]]) -> Response {
        self.notify_from(alpha(), &messages.concat())
    }

    /// The hub takes these messages there, and they are accepted.
    pub fn accept(&mut self, messages: &[&[u8]]) {
        assert_eq!(self.notify(messages), Response::empty(200));
    }

    /// Asks somebody else, who answers `outcome`; directories are found first.
    pub fn ask_through(
        &mut self,
        source: Source,
        endpoint: Endpoint,
        body: &[u8],
        outcome: Outcome,
    ) -> (Outgoing, Response) {
        let mut action = self.ask(source, endpoint, body);
        loop {
            let Action::Forward(forward) = action else { panic!("asks nobody: {action:?}") };
            if let Some(domain) = directory_of(&forward.outgoing) {
                let document = Directory::of(&domain).to_json().unwrap();
                let found = Response { status: 200, headers: Vec::new(), body: document };
                action = self.object.resume(&forward.then, Some(found), NOW);
                continue;
            }
            return match self.object.resume(&forward.then, outcome, NOW) {
                Action::Respond(response) => (forward.outgoing, response),
                Action::Forward(forward) => panic!("asks again: {}", forward.label),
            };
        }
    }

    /// The hub claims this member's KeyPackage for the room.
    pub fn claimed(&mut self, member: &mut Member) -> ValidKeyPackage {
        self.claimed_for(member, room().as_str())
    }

    /// The hub claims this member's KeyPackage; `room_id` may be empty.
    pub fn claimed_for(&mut self, member: &mut Member, room_id: &str) -> ValidKeyPackage {
        let package = member.key_package(KeyPackageKind::SingleUse);
        let user = member.client.user();
        let bytes = encode(&package.key_package).unwrap();
        let answer = key_material(&user, &[(member.client.clone(), bytes)]);
        let (_, response) = self.ask_through(
            alpha(),
            Endpoint::KeyMaterial { target: user.clone() },
            &claim_body("alice@alpha.example", user.as_str(), room_id),
            Some(Response::tls(200, answer.clone())),
        );
        assert_eq!((response.status, response.body), (200, answer));
        package
    }

    pub fn events(&mut self, client: &str, after: u64) -> EventPage {
        let endpoint = Endpoint::Events { room: room(), after };
        let response = self.answer(device(client), endpoint, b"");
        assert_eq!(response.status, 200, "{response:?}");
        decode_exact(&response.body).unwrap()
    }

    /// The positions that a client sees.
    pub fn seen(&mut self, client: &str) -> Vec<u64> {
        self.events(client, 0).events.iter().map(|event| event.position).collect()
    }

    /// Everything that waits in the outbox for our users, answered 200.
    pub fn told(&mut self) -> Vec<(String, Endpoint, Vec<u8>)> {
        let mut told = Vec::new();
        while let Some(request) = self.object.poll_request(NOW).unwrap() {
            let Outgoing::Object(ObjectCall { object, request: sent }) = request.outgoing else {
                panic!("not to an object: {}", request.label)
            };
            assert_eq!((object.class, &sent.source), (ObjectClass::User, &Source::Own));
            told.push((object.name, sent.endpoint, sent.body));
            self.object.handle_response(request.id, Some(Response::empty(200)), NOW).unwrap();
        }
        told
    }

    /// Users, devices and frames of the pushes since the last time.
    pub fn pushed(&mut self) -> Vec<(String, Vec<String>, FromProvider)> {
        self.object
            .take_effects()
            .into_iter()
            .map(|effect| {
                let Effect::Push { call, .. } = effect else { panic!("no push: {effect:?}") };
                let Endpoint::Push { devices } = call.request.endpoint else { panic!("no push") };
                let devices = devices.iter().map(ToString::to_string).collect();
                (call.object.name, devices, decode_exact(&call.request.body).unwrap())
            })
            .collect()
    }

    /// Refused: with this status, and without a trace.
    pub fn assert_refused(&mut self, status: u16, act: impl FnOnce(&mut Self) -> Response) {
        let before = self.storage.snapshot();
        let response = act(self);
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(self.storage.snapshot(), before);
        assert_eq!(self.object.take_effects(), []);
        assert_eq!(self.object.poll_request(NOW).unwrap(), None);
    }
}

/// The domain whose directory a request fetches.
fn directory_of(outgoing: &Outgoing) -> Option<Domain> {
    let Outgoing::Http(HttpCall { url, .. }) = outgoing else { return None };
    let host = url.strip_prefix("https://")?.strip_suffix(Directory::PATH)?;
    Some(Domain::parse(host).unwrap())
}

/// Alice's room with bob of bravo in it: what the hub sent for that is taken in, and told.
pub struct Story {
    pub alice: Member,
    pub bob: Member,
    pub follower: Follower,
    pub clock: u64,
    /// Bob's Welcome, and the tree that comes with it.
    pub invitation: Option<(Vec<u8>, RatchetTree)>,
}

pub const BOB: &str = "bob@bravo.example/phone";

impl Story {
    pub fn new() -> Self {
        Self::in_profile(Profile::B)
    }

    pub fn in_profile(profile: Profile) -> Self {
        Self::with(None, profile)
    }

    /// With the hub among the external senders or not, in a room of this profile.
    pub fn with(hub: Option<ExternalSender>, profile: Profile) -> Self {
        let mut alice = member("alice@alpha.example/phone");
        alice.profile = profile;
        let mut bob = member(BOB);
        alice.create(hub);
        let mut follower = Follower::new();
        let package = follower.claimed(&mut bob);
        let mut story = Self { alice, bob, follower, clock: 0, invitation: None };
        let commit = story.alice.commit(listed("bob@bravo.example", &[&package])).unwrap();
        story.alice.merge_own();
        story.clock += 1;
        story.invitation = Some((commit.welcome.unwrap(), commit.tree));
        let (bare, tree) = story.invitation.as_ref().unwrap();
        story.follower.accept(&[&welcome(bare, tree, story.clock)]);
        story.follower.told();
        story
    }

    /// Bob's device takes its Welcome.
    pub fn bob_joins(&mut self) {
        let (bare, tree) = self.invitation.take().unwrap();
        self.bob.join(&bare, &tree).unwrap();
    }

    /// Alice's next commit as the hub fans it out, and its Welcome.
    pub fn commit(&mut self, change: RoomChange) -> (Vec<u8>, Option<Vec<u8>>) {
        let commit = self.alice.commit(change).unwrap();
        self.alice.merge_own();
        self.clock += 1;
        let message = handshake(&commit.message, self.clock);
        let invitation = commit.welcome.map(|bare| welcome(&bare, &commit.tree, self.clock));
        (message, invitation)
    }

    /// The current GroupInfo and tree.
    pub fn group_state(&mut self) -> (Vec<u8>, RatchetTreeOption) {
        self.alice
            .with_group(|group, provider, key| {
                let group_info = export_group_info(group, provider, key)?;
                let tree = ratchet_tree::to_wire(&group.export_ratchet_tree())?;
                Ok::<_, Error>((group_info, RatchetTreeOption::Full(tree)))
            })
            .unwrap()
    }

    /// What `joiner` uploads to enter the room in its current epoch.
    pub fn upload_of(&mut self, joiner: &mut Member) -> Upload {
        let (group_info, tree) = self.group_state();
        joiner.external_commit(&group_info, &tree, &[])
    }

    /// The hub accepts this external commit and fans it out.
    pub fn entered(&mut self, upload: &Upload) -> Vec<u8> {
        self.alice.follow(&upload.message).unwrap();
        self.clock += 1;
        handshake(&upload.message, self.clock)
    }

    /// Alice adds Cathy of charlie, who joins; the follower takes the commit.
    pub fn add_cathy(&mut self) -> Member {
        let mut cathy = member("cathy@charlie.example/phone");
        let package = cathy.key_package(KeyPackageKind::SingleUse);
        let commit = self.alice.commit(listed("cathy@charlie.example", &[&package])).unwrap();
        self.alice.merge_own();
        cathy.join(commit.welcome.as_ref().unwrap(), &commit.tree).unwrap();
        self.clock += 1;
        self.follower.accept(&[&handshake(&commit.message, self.clock)]);
        cathy
    }

    /// Alice's next application message as the hub fans it out.
    pub fn message(&mut self) -> Vec<u8> {
        self.clock += 1;
        private(&self.alice.send(b"hello"), self.clock)
    }

    /// A proposal of `proposer`'s making, known to Alice, as the hub fans it out.
    pub fn proposal(&mut self, bare: &[u8]) -> Vec<u8> {
        self.alice
            .with_group(|group, provider, _| {
                let message = public_message(bare);
                let message = group.process_message(provider, message).unwrap();
                let ProcessedMessageContent::ProposalMessage(proposal) = message.into_content()
                else {
                    return Err("no proposal");
                };
                group.store_pending_proposal(provider.storage(), *proposal).unwrap();
                Ok(())
            })
            .unwrap();
        self.clock += 1;
        handshake(bare, self.clock)
    }
}

/// A user comes onto the list, with these KeyPackages.
pub fn listed(user: &str, packages: &[&ValidKeyPackage]) -> RoomChange {
    let entry = UserRoles { user: IdentifierUri(user.into()), roles: vec![Role::RegularUser] };
    RoomChange {
        app_sync: Some(AppSync { add_users: vec![entry], ..AppSync::default() }),
        adds: packages.iter().map(|package| package.key_package.clone()).collect(),
        ..RoomChange::default()
    }
}
