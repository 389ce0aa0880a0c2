//! How another provider's endpoints are found (R10, R11, D13), by an object that asks for what it is
//! told to ask for.
#![cfg(not(target_arch = "wasm32"))]

use std::rc::Rc;

use mimi_edge::{
    config::{
        ConsentDefault, Limits, Peers, ProviderConfig, Registration, Retention, UnknownUsers,
    },
    error::{ProtocolError, Result},
    object::{Ask, Call, Lane, LaneRequest, Object, Reply, Role, Step, plain_refusal},
    storage::MemoryStorage,
    time::UnixMillis,
    transport::{
        Action, Endpoint, HttpCall, IncomingRequest, Method, Outcome, Outgoing, PeerCall,
        PeerEndpoint, Response, Source,
    },
    wire::uri::{Domain, UserUri},
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const SECOND: u64 = 1000;
const HOUR: u64 = 60 * 60 * SECOND;
const ROOM: &str = "club@bravo.example";
const DIRECTORY: &str = "https://bravo.example/.well-known/mimi-protocol-directory";

/// Asks bravo for GroupInfo and answers what bravo said; notifies bravo when the body says so.
struct Asker(PeerEndpoint);

fn bravo() -> Domain {
    Domain::parse("bravo.example").unwrap()
}

fn call(endpoint: PeerEndpoint) -> PeerCall {
    PeerCall {
        domain: bravo(),
        endpoint,
        identifier: ROOM.into(),
        sending_user: Some(UserUri::parse("alice@alpha.example").unwrap()),
        body: b"body".to_vec(),
    }
}

impl Role for Asker {
    const SENDS: &str = "questions";

    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply> {
        if request.body == b"notify" {
            step.enqueue(&Lane::Provider(bravo()), Vec::new())?;
            return Ok(Reply::Respond(Response::empty(202)));
        }
        let call = Call::Peer(call(self.0));
        Ok(Reply::Ask(Ask { call, label: "question".into(), then: b"then".to_vec() }))
    }

    fn resume(&mut self, _: &mut Step<'_>, then: &[u8], outcome: Outcome) -> Result<Reply> {
        assert_eq!(then, b"then");
        outcome.map(Reply::Respond).ok_or(ProtocolError::HubUnresponsive.into())
    }

    fn lane_request(
        &mut self,
        _: &mut Step<'_>,
        _: &Lane,
        _: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        let call = Call::Peer(call(PeerEndpoint::Notify));
        Ok(Some(LaneRequest { call, label: "notification".into(), entries: 1, since: None }))
    }

    fn refuse(_: &Endpoint, error: &ProtocolError) -> Response {
        plain_refusal(error)
    }

    fn forget(&mut self) {}
}

/// An object of alpha.example.
fn asker(endpoint: PeerEndpoint) -> Object<Asker> {
    let config = ProviderConfig {
        domain: Domain::parse("alpha.example").unwrap(),
        hub_keys: Vec::new(),
        consent_default: ConsentDefault::Allow,
        registration: Registration::Closed,
        retention: Retention::default(),
        limits: Limits::default(),
        peers: Peers::default(),
        unknown_users: UnknownUsers::Hidden,
    };
    Object::new(Asker(endpoint), Box::new(MemoryStorage::default()), Rc::new(config))
}

fn request(body: &[u8]) -> IncomingRequest {
    IncomingRequest { source: Source::Own, endpoint: Endpoint::Exists, body: body.to_vec() }
}

/// Bravo's document: everything at one odd place.
fn document(cache_control: Option<&str>) -> Response {
    let members = [
        ("keyMaterial", "targetUser"),
        ("update", "roomId"),
        ("notify", "roomId"),
        ("submitMessage", "roomId"),
        ("groupInfo", "roomId"),
        ("requestConsent", "targetUser"),
        ("updateConsent", "requesterUser"),
    ]
    .map(|(name, variable)| {
        format!(r#""{name}":"https://odd.example:8443/x/{{{variable}}}/{name}?v=1""#)
    });
    let headers = cache_control.map(|value| ("cache-control".to_owned(), value.to_owned()));
    Response {
        status: 200,
        headers: headers.into_iter().collect(),
        body: format!("{{{}}}", members.join(",")).into_bytes(),
    }
}

fn asked(action: Action) -> (HttpCall, Vec<u8>) {
    let Action::Forward(forward) = action else { panic!("{action:?}") };
    let Outgoing::Http(call) = forward.outgoing else { panic!("not to another provider") };
    (call, forward.then)
}

fn answered(action: Action) -> u16 {
    let Action::Respond(response) = action else { panic!("{action:?}") };
    response.status
}

/// Whether the next question has to fetch the directory first; it is answered with `status` then.
fn fetches(object: &mut Object<Asker>, now: UnixMillis, cached: Option<&str>, status: u16) -> bool {
    let (mut call, mut then) = asked(object.handle(request(b""), now));
    let first = call.url == DIRECTORY;
    if first {
        (call, then) = asked(object.resume(&then, Some(document(cached)), now));
    }
    assert_eq!(call.url, "https://odd.example:8443/x/club%40bravo.example/groupInfo?v=1");
    assert_eq!(answered(object.resume(&then, Some(Response::empty(status)), now)), status);
    first
}

#[test]
fn r3_r10_r11_d13_a_peers_urls_are_those_of_its_directory() {
    for (endpoint, name, seconds, media_type) in [
        (PeerEndpoint::KeyMaterial, "keyMaterial", 10, "application/octet-stream"),
        (PeerEndpoint::Update, "update", 30, "application/octet-stream"),
        (PeerEndpoint::SubmitMessage, "submitMessage", 30, "message/mls"),
        (PeerEndpoint::GroupInfo, "groupInfo", 30, "application/octet-stream"),
    ] {
        let mut object = asker(endpoint);
        let (first, then) = asked(object.handle(request(b""), NOW));
        let fetch = HttpCall {
            method: Method::Get,
            url: DIRECTORY.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_millis: 10 * SECOND,
        };
        assert_eq!(first, fetch);
        let (second, _) = asked(object.resume(&then, Some(document(None)), NOW));
        let headers = [
            ("from", "mimi@alpha.example"),
            ("content-type", media_type),
            ("mimi-sending-user", "alice@alpha.example"),
        ];
        let expected = HttpCall {
            method: Method::Post,
            url: format!("https://odd.example:8443/x/club%40bravo.example/{name}?v=1"),
            headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
            body: b"body".to_vec(),
            timeout_millis: seconds * SECOND,
        };
        assert_eq!(second, expected, "D18: so long and no longer");
    }
}

#[test]
fn d13_a_directory_is_kept_as_long_as_it_says_but_a_minute_and_a_day_at_the_most() {
    for (cache_control, kept_millis) in [
        (None, HOUR),
        (Some("no-store"), HOUR),
        (Some("max-age=never"), HOUR),
        (Some("public, max-age=7200"), 2 * HOUR),
        (Some("max-age=0"), 60 * SECOND),
        (Some("max-age=99999999"), 24 * HOUR),
        (Some("max-age=18446744073709551615"), 24 * HOUR),
    ] {
        let mut object = asker(PeerEndpoint::GroupInfo);
        assert!(fetches(&mut object, NOW, cache_control, 200));
        let last = NOW.plus(kept_millis - 1);
        assert!(!fetches(&mut object, last, None, 200), "{cache_control:?} is too short");
        assert!(fetches(&mut object, last.plus(1), None, 200), "{cache_control:?} is too long");
    }
}

#[test]
fn d13_after_404_and_421_an_old_directory_is_fetched_again_once() {
    for status in [404, 421] {
        let mut object = asker(PeerEndpoint::GroupInfo);
        // Just fetched: it is not the directory's fault.
        assert!(fetches(&mut object, NOW, None, status));
        assert!(!fetches(&mut object, NOW.plus(30 * SECOND), None, 200));
        let later = NOW.plus(60 * SECOND);
        assert!(!fetches(&mut object, later, None, status));
        assert!(fetches(&mut object, later, None, status), "{status}");
        assert!(!fetches(&mut object, later, None, status));
    }
    for status in [400, 403, 409, 500] {
        let mut object = asker(PeerEndpoint::GroupInfo);
        assert!(fetches(&mut object, NOW, None, 200));
        assert!(!fetches(&mut object, NOW.plus(120 * SECOND), None, status));
        assert!(!fetches(&mut object, NOW.plus(120 * SECOND), None, 200), "{status}");
    }
}

/// What the outbox sends until it has nothing left that is due; bravo answers `status`.
fn sent(object: &mut Object<Asker>, now: UnixMillis, status: u16) -> Vec<String> {
    let mut urls = Vec::new();
    while let Some(request) = object.poll_request(now).unwrap() {
        let Outgoing::Http(call) = request.outgoing else { panic!() };
        let answer = if call.url == DIRECTORY { document(None) } else { Response::empty(status) };
        urls.push(call.url);
        object.handle_response(request.id, Some(answer), now).unwrap();
    }
    urls
}

#[test]
fn d13_what_waits_in_the_outbox_is_not_lost_to_an_old_directory() {
    const NOTIFY: &str = "https://odd.example:8443/x/club%40bravo.example/notify?v=1";
    let mut object = asker(PeerEndpoint::GroupInfo);
    object.handle(request(b"notify"), NOW);
    assert_eq!(sent(&mut object, NOW, 200), [DIRECTORY, NOTIFY]);
    // R82: 404 is final, but not when it may be of a provider that has moved.
    let later = NOW.plus(90 * SECOND);
    object.handle(request(b"notify"), later);
    assert_eq!(sent(&mut object, later, 404), [NOTIFY]);
    let again = object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut object, again, 404), [DIRECTORY, NOTIFY]);
    assert_eq!(object.next_wake().unwrap(), None);
}

#[test]
fn d13_what_is_no_directory_is_no_answer_and_is_not_kept() {
    let at_most = 64 << 10;
    let of_size = |size: usize| {
        let mut response = document(None);
        response.body.resize(size, b' ');
        response
    };
    let with_body = |body: &str| Some(Response { body: body.into(), ..document(None) });
    let mut object = asker(PeerEndpoint::GroupInfo);
    for outcome in [
        None,
        Some(Response { status: 404, ..document(None) }),
        Some(Response { status: 302, ..document(None) }),
        Some(of_size(at_most + 1)),
        with_body(""),
        with_body("{}"),
        with_body(&"[".repeat(60_000)),
        with_body(&String::from_utf8(document(None).body).unwrap().replace("https:", "http:")),
    ] {
        let (call, then) = asked(object.handle(request(b""), NOW));
        assert_eq!(call.url, DIRECTORY);
        assert_eq!(answered(object.resume(&then, outcome, NOW)), 504);
    }
    let (_, then) = asked(object.handle(request(b""), NOW));
    assert!(matches!(object.resume(&then, Some(of_size(at_most)), NOW), Action::Forward(_)));
}
