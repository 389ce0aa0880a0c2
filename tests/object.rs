//! The shell around an object, with a role that sends what it is asked to send.
#![cfg(not(target_arch = "wasm32"))]

use std::rc::Rc;

use mimi_edge::{
    config::{
        ConsentDefault, Limits, Peers, ProviderConfig, Registration, Retention, UnknownUsers,
    },
    error::{InternalError, ProtocolError, Result},
    object::{Call, Lane, LaneRequest, Object, Reply, Role, Step, plain_refusal},
    storage::{MAX_VALUE_BYTES, MemoryStorage},
    time::UnixMillis,
    transport::{
        Action, Effect, Endpoint, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Outcome,
        Outgoing, PeerCall, PeerEndpoint, Response, Source,
    },
    wire::{Directory, uri::Domain},
};

const BRAVO: &str = "bravo.example";
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// Puts each word of a body into the lane of that name, bravo's if it says so; cannot send to
/// `broken`.
struct Sender<const GIVES_UP: bool>;

fn lane(name: &str) -> Lane {
    if name == BRAVO {
        return Lane::Provider(Domain::parse(name).unwrap());
    }
    Lane::Object(ObjectName { class: ObjectClass::User, name: name.into() })
}

fn request() -> IncomingRequest {
    IncomingRequest { source: Source::Own, endpoint: Endpoint::Exists, body: Vec::new() }
}

impl<const GIVES_UP: bool> Role for Sender<GIVES_UP> {
    const SENDS: &str = "words";
    const GIVES_UP: bool = GIVES_UP;

    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply> {
        for word in String::from_utf8(request.body).unwrap().split(' ') {
            let (name, text) = word.split_once('=').unwrap_or((word, word));
            step.enqueue(&lane(name), text.as_bytes().to_vec())?;
        }
        Ok(Reply::Respond(Response::empty(200)))
    }

    fn resume(&mut self, _: &mut Step<'_>, _: &[u8], _: Outcome) -> Result<Reply> {
        Err(ProtocolError::NotFound("asks nobody").into())
    }

    fn lane_request(
        &mut self,
        _: &mut Step<'_>,
        lane: &Lane,
        entries: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        let (call, entries) = match lane.clone() {
            Lane::Object(object) if object.name == "broken" => {
                return Err(InternalError::Storage("broken").into());
            }
            Lane::Object(object) => (Call::Object(ObjectCall { object, request: request() }), 1),
            Lane::Provider(domain) => {
                let call = PeerCall {
                    domain,
                    endpoint: PeerEndpoint::Notify,
                    identifier: "club@alpha.example".into(),
                    sending_user: None,
                    body: entries.join(&b' '),
                };
                (Call::Peer(call), entries.len())
            }
        };
        Ok(Some(LaneRequest { call, label: String::new(), entries, since: None }))
    }

    fn refuse(_: &Endpoint, error: &ProtocolError) -> Response {
        plain_refusal(error)
    }

    fn forget(&mut self) {}
}

fn sender(words: &str) -> Object<Sender<true>> {
    sender_of(words)
}

fn sender_of<const GIVES_UP: bool>(words: &str) -> Object<Sender<GIVES_UP>> {
    let config = ProviderConfig {
        domain: Domain::parse("alpha.example").unwrap(),
        hub_keys: Vec::new(),
        consent_default: ConsentDefault::Allow,
        unknown_users: UnknownUsers::Hidden,
        registration: Registration::Closed,
        retention: Retention::default(),
        limits: Limits::default(),
        peers: Peers::default(),
    };
    let mut object =
        Object::new(Sender::<GIVES_UP>, Box::new(MemoryStorage::default()), Rc::new(config));
    object.handle(IncomingRequest { body: words.into(), ..request() }, NOW);
    object
}

/// Sends what is due, to each name in turn; everybody answers `status`. Says the names, and what
/// went to a provider.
fn sent(object: &mut Object<impl Role>, now: UnixMillis, status: u16) -> Vec<String> {
    sent_to(object, now, |_| Some(Response::empty(status)))
}

fn sent_to(
    object: &mut Object<impl Role>,
    now: UnixMillis,
    mut answer: impl FnMut(&str) -> Outcome,
) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(request) = object.poll_request(now).unwrap() {
        let (name, outcome) = match request.outgoing {
            Outgoing::Object(call) => (call.object.name, answer("")),
            Outgoing::Http(call) if call.url.ends_with(Directory::PATH) => {
                let document = Directory::of(&Domain::parse(BRAVO).unwrap()).to_json().unwrap();
                let found = Response { status: 200, headers: Vec::new(), body: document };
                object.handle_response(request.id, Some(found), now).unwrap();
                continue;
            }
            Outgoing::Http(call) => {
                let text = String::from_utf8(call.body).unwrap();
                let outcome = answer(&text);
                (text, outcome)
            }
        };
        names.push(name);
        object.handle_response(request.id, outcome, now).unwrap();
    }
    names
}

/// More words come.
fn request_with(body: String) -> IncomingRequest {
    IncomingRequest { body: body.into_bytes(), ..request() }
}

fn come(object: &mut Object<impl Role>, words: &str, now: UnixMillis) {
    object.handle(IncomingRequest { body: words.into(), ..request() }, now);
}

/// What the operator was told since the last time.
fn reports(object: &mut Object<impl Role>) -> Vec<String> {
    let line = |effect| match effect {
        Effect::Report { line } => line,
        other => panic!("{other:?}"),
    };
    object.take_effects().into_iter().map(line).collect()
}

#[test]
fn r84_a_lane_that_cannot_be_sent_does_not_stop_the_others() {
    let mut object = sender("broken sound");
    assert_eq!(sent(&mut object, NOW, 200), ["sound"]);
    // It is tried again, later and later.
    assert_eq!(object.next_wake().unwrap(), Some(NOW.plus(500)));
    assert!(sent(&mut object, NOW.plus(500), 200).is_empty());
    assert_eq!(object.next_wake().unwrap(), Some(NOW.plus(1500)));
}

#[test]
fn r82_five_codes_are_final_and_all_other_refusals_are_not() {
    for status in [400, 404, 413, 415, 422] {
        let mut object = sender("bob");
        assert_eq!(sent(&mut object, NOW, status), ["bob"]);
        assert_eq!(object.next_wake().unwrap(), None, "{status}");
    }
    for status in [302, 401, 403, 405, 408, 409, 421, 425, 429, 500, 503] {
        let mut object = sender("bob");
        assert_eq!(sent(&mut object, NOW, status), ["bob"]);
        let again = object.next_wake().unwrap().unwrap();
        assert_eq!(sent(&mut object, again, 200), ["bob"], "{status}");
        assert_eq!(object.next_wake().unwrap(), None);
    }
}

#[test]
fn r82_a_request_without_an_answer_is_looked_after_when_the_object_stops() {
    let mut object = sender("bob");
    assert!(object.poll_request(NOW).unwrap().is_some());
    assert!(object.next_wake().unwrap().unwrap() > NOW.plus(30_000), "D18: it may take 30 s");
}

/// Tries again whenever it is time, until `end`; nobody answers. Says how often.
fn tried_until(object: &mut Object<impl Role>, end: UnixMillis) -> usize {
    let mut tries = 0;
    while let Some(now) = object.next_wake().unwrap().filter(|now| *now < end) {
        tries += sent_to(object, now, |_| None).len();
    }
    tries
}

#[test]
fn d22_a_provider_that_fails_for_three_days_gets_nothing_until_it_answers_again() {
    let mut object = sender("bravo.example=a bravo.example=b charlie");
    let given_up = NOW.plus(3 * DAY_MILLIS);
    sent_to(&mut object, NOW, |text| text.is_empty().then(|| Response::empty(200)));
    assert!(tried_until(&mut object, given_up) > 500);
    assert_eq!(reports(&mut object), [""; 0]);
    let last = object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut object, last, 503), ["a b"]);
    assert_eq!(reports(&mut object), ["words to bravo.example: given up"]);
    assert_eq!(object.next_wake().unwrap(), None, "nothing waits any more");

    // What comes waits for an hour, is tried once, and is forgotten.
    let hour = 60 * 60 * 1000;
    come(&mut object, "bravo.example=c", last.plus(5));
    assert_eq!(object.next_wake().unwrap(), Some(last.plus(hour)));
    assert_eq!(sent(&mut object, last.plus(hour), 403), ["c"]);
    assert_eq!(object.next_wake().unwrap(), None);
    assert_eq!(reports(&mut object), [""; 0], "it was said");

    // What comes then is delivered, and everything after it at once.
    come(&mut object, "bravo.example=d bravo.example=e", last.plus(hour));
    assert_eq!(sent(&mut object, last.plus(2 * hour), 200), ["d e"]);
    assert_eq!(reports(&mut object), ["words to bravo.example: answers again"]);
    come(&mut object, "bravo.example=f", last.plus(2 * hour));
    assert_eq!(sent(&mut object, last.plus(2 * hour), 503), ["f"]);
    assert_eq!(object.next_wake().unwrap(), Some(last.plus(2 * hour + 500)));
    assert_eq!(sent(&mut object, last.plus(2 * hour + 500), 200), ["f"]);
}

#[test]
fn d22_a_provider_that_answers_in_between_is_not_given_up() {
    let mut object = sender("bravo.example=a");
    tried_until(&mut object, NOW.plus(2 * DAY_MILLIS));
    let now = object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut object, now, 200), ["a"]);
    come(&mut object, "bravo.example=b", now);
    tried_until(&mut object, now.plus(2 * DAY_MILLIS));
    let now = object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut object, now, 200), ["b"]);
    assert_eq!(reports(&mut object), [""; 0]);
}

#[test]
fn d22_r98_a_role_that_does_not_give_up_sends_what_waits_when_the_provider_answers() {
    let mut object = sender_of::<false>("bravo.example=a");
    assert!(tried_until(&mut object, NOW.plus(10 * DAY_MILLIS)) > 500);
    let now = object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut object, now, 403), ["a"]);
    let now = object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut object, now, 200), ["a"]);
    assert_eq!(reports(&mut object), [""; 0]);
}

#[test]
fn d22_an_own_object_is_never_given_up() {
    let mut object = sender("bob");
    tried_until(&mut object, NOW.plus(10 * DAY_MILLIS));
    let now = object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut object, now, 200), ["bob"]);
    assert_eq!(reports(&mut object), [""; 0]);
}

#[test]
fn r82_d22_401_and_403_are_tried_again_until_the_give_up_age_and_shown_to_the_operator() {
    for status in [401, 403] {
        let mut object = sender("bravo.example=a");
        let mut now = NOW;
        while now < NOW.plus(3 * DAY_MILLIS) {
            assert_eq!(sent(&mut object, now, status), ["a"]);
            now = object.next_wake().unwrap().unwrap();
        }
        let refused = format!("words to bravo.example: refused, {status}");
        assert_eq!(reports(&mut object), [refused]);
        assert_eq!(sent(&mut object, now, status), ["a"]);
        assert_eq!(object.next_wake().unwrap(), None);
        assert_eq!(reports(&mut object), ["words to bravo.example: given up"]);
    }
}

#[test]
fn r82_a_batch_that_is_refused_is_sent_singly_and_what_is_refused_then_is_recorded_and_skipped() {
    for status in [400, 404, 413, 415, 422] {
        let mut object = sender("bravo.example=a bravo.example=b bravo.example=c");
        let refuses = |text: &str| if text.contains('b') { status } else { 200 };
        // A 404 may come from an old directory, which is fetched anew, once (D13).
        sent_to(&mut object, NOW, |text| Some(Response::empty(refuses(text))));
        let later = object.next_wake().unwrap().unwrap_or(NOW);
        let answer = |text: &str| Some(Response::empty(refuses(text)));
        let mut all = sent_to(&mut object, later, answer);
        all.extend(reports(&mut object));
        assert_eq!(
            all.last().unwrap(),
            &format!("words to bravo.example: a message is refused, {status}")
        );
        assert_eq!(object.next_wake().unwrap(), None);
        come(&mut object, "bravo.example=d bravo.example=e", later);
        assert_eq!(sent(&mut object, later, 200), ["d e"]);
    }
}

#[test]
fn d18_what_a_row_of_the_receiver_could_not_hold_is_413_and_leaves_nothing() {
    let mut object = sender("");
    assert_eq!(sent(&mut object, NOW, 200), [""]);
    let most = MAX_VALUE_BYTES - (64 << 10);
    let too_large = request_with(format!("bob charlie={}", "c".repeat(most + 1)));
    let refused = Action::Respond(Response::text(413, "body too large"));
    assert_eq!(object.handle(too_large, NOW), refused);
    assert_eq!(object.next_wake().unwrap(), None, "not even bob's");
    let largest = request_with(format!("charlie={}", "c".repeat(most)));
    assert_eq!(object.handle(largest, NOW), Action::Respond(Response::empty(200)));
    assert_eq!(sent(&mut object, NOW, 200), ["charlie"]);
}

#[test]
fn r82_retry_after_is_honoured() {
    for status in [429, 503] {
        let mut object = sender("bravo.example=a");
        let headers = vec![("retry-after".into(), "120".into())];
        let busy = Response { status, headers, body: Vec::new() };
        assert_eq!(sent_to(&mut object, NOW, |_| Some(busy.clone())), ["a"]);
        assert_eq!(object.next_wake().unwrap(), Some(NOW.plus(120_000)));
    }
}

fn operator(endpoint: Endpoint) -> IncomingRequest {
    IncomingRequest { source: Source::Own, endpoint, body: Vec::new() }
}

fn bravo() -> Domain {
    Domain::parse(BRAVO).unwrap()
}

/// What waits for other providers, as the operator reads it.
fn waiting(object: &mut Object<impl Role>, now: UnixMillis) -> String {
    match object.handle(operator(Endpoint::Waiting), now) {
        Action::Respond(Response { status: 200, body, .. }) => String::from_utf8(body).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operator_sees_what_waits_for_a_provider_and_has_it_tried_now() {
    let mut object = sender("bravo.example=one bravo.example=two bob");
    let fresh = r#"[{"peer":"bravo.example","entries":2,"failingSince":null,"attempts":0,"givenUp":false}]"#;
    assert_eq!(waiting(&mut object, NOW), fresh);
    sent_to(&mut object, NOW, |text| (text.is_empty()).then(|| Response::empty(200)));
    let failing = format!(
        r#"[{{"peer":"bravo.example","entries":2,"failingSince":{},"attempts":1,"givenUp":false}}]"#,
        NOW.0
    );
    assert_eq!(waiting(&mut object, NOW), failing);
    assert!(sent(&mut object, NOW.plus(1), 200).is_empty());
    let retry = operator(Endpoint::Retry { peer: bravo() });
    assert_eq!(object.handle(retry, NOW.plus(1)), Action::Respond(Response::empty(200)));
    assert_eq!(sent(&mut object, NOW.plus(1), 200), ["one two"]);
    assert_eq!(waiting(&mut object, NOW.plus(1)), "[]");
}

/// Also while a request is under way: what comes of it is not heard, and what comes later is not lost.
#[test]
fn what_an_operator_drops_is_not_sent_and_what_comes_later_is() {
    let mut object = sender("bravo.example=one bravo.example=two");
    let directory = object.poll_request(NOW).unwrap().unwrap();
    let document = Directory::of(&bravo()).to_json().unwrap();
    let found = Response { status: 200, headers: Vec::new(), body: document };
    object.handle_response(directory.id, Some(found), NOW).unwrap();
    let under_way = object.poll_request(NOW).unwrap().unwrap();
    let drop = operator(Endpoint::Drop { peer: bravo() });
    assert_eq!(object.handle(drop, NOW), Action::Respond(Response::empty(200)));
    assert_eq!(waiting(&mut object, NOW), "[]");
    come(&mut object, "bravo.example=three", NOW);
    object.handle_response(under_way.id, Some(Response::empty(200)), NOW).unwrap();
    assert_eq!(sent(&mut object, NOW, 200), ["three"]);
}

#[test]
fn r3_no_other_provider_is_an_operator() {
    let mut object = sender("bravo.example=one");
    for endpoint in
        [Endpoint::Waiting, Endpoint::Retry { peer: bravo() }, Endpoint::Drop { peer: bravo() }]
    {
        let source = Source::Provider(bravo());
        let request = IncomingRequest { source, endpoint, body: Vec::new() };
        let refused = plain_refusal(&ProtocolError::PeerRefused("not for others"));
        assert_eq!(object.handle(request, NOW), Action::Respond(refused));
    }
    assert_ne!(waiting(&mut object, NOW), "[]");
}
