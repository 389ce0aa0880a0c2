//! Consent at a provider: the endpoints E6 and E7, `consent` of the client API, and what claims of
//! KeyPackages are told.
use mimi_edge::{
    config::ConsentDefault,
    provider::{Peer, Routed, Via, route},
    transport::{
        Effect, Endpoint, HttpRequest, IncomingRequest, ObjectCall, ObjectName, Outgoing, Response,
        Source,
    },
    wire::{
        ConsentItem, ConsentState, FromProvider, IdentifierUri, KeyMaterialUserCode as Code,
        MAX_BODY_BYTES, encode,
    },
};

use crate::{
    bench::{
        self, ALICE, BOB, Bench, CLUB, LOUNGE, Word, entry, from_alpha, item, phone, said_by_bob,
        state, told,
    },
    common::user::{DAY, Device, answer, claim_request, config, user},
};

/// What becomes of a request of `from` to bravo.example.
fn routed(from: &str, endpoint: &str, segment: &str, body: &[u8]) -> Routed {
    let headers = [("host", "bravo.example"), ("from", &format!("mimi@{from}"))]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let request = HttpRequest {
        method: "POST".into(),
        path: format!("/v1/{endpoint}/{segment}"),
        headers,
        body: body.to_vec(),
    };
    route(&config(), &request, &Via::Providers { peer: Peer::Verified(vec![from.into()]) })
}

fn refused(status: u16, text: &str) -> Routed {
    Routed::Respond(Response::text(status, text))
}

#[test]
fn r95_a8_each_operation_has_one_endpoint_and_gets_400_at_the_other() {
    for (word, requester, target, endpoint, other) in [
        (Word::Request, ALICE, BOB, "requestConsent", "updateConsent"),
        (Word::Cancel, ALICE, BOB, "requestConsent", "updateConsent"),
        (Word::Grant, BOB, ALICE, "updateConsent", "requestConsent"),
        (Word::Revoke, BOB, ALICE, "updateConsent", "requestConsent"),
    ] {
        let body = encode(&entry(word, requester, target, None)).unwrap();
        let call = ObjectCall {
            object: ObjectName::user(&user(BOB)),
            request: IncomingRequest {
                source: from_alpha(),
                endpoint: Endpoint::Consent,
                body: body.clone(),
            },
        };
        // A8: the path names the user or its provider.
        for segment in ["bob%40bravo.example", "bravo.example"] {
            assert_eq!(
                routed("alpha.example", endpoint, segment, &body),
                Routed::Call(call.clone()),
                "{word:?}"
            );
            assert_eq!(
                routed("alpha.example", other, segment, &body),
                refused(400, "malformed: an operation of the other endpoint"),
                "{word:?}"
            );
        }
        for segment in ["alice%40alpha.example", "alpha.example", "bob", "bob%40bravo.exampl"] {
            assert_eq!(
                routed("alpha.example", endpoint, segment, &body),
                refused(400, "malformed: the user is not the path's")
            );
        }
    }
    let mut unknown = encode(&entry(Word::Request, ALICE, BOB, None)).unwrap();
    unknown[0] = 4;
    for endpoint in ["requestConsent", "updateConsent"] {
        assert_eq!(
            routed("alpha.example", endpoint, "bravo.example", &unknown),
            refused(400, "malformed: body")
        );
    }
}

#[test]
fn r98_who_says_it_is_a_user_of_the_source() {
    for (word, requester, target, endpoint) in [
        (Word::Request, ALICE, BOB, "requestConsent"),
        (Word::Cancel, ALICE, BOB, "requestConsent"),
        (Word::Grant, BOB, ALICE, "updateConsent"),
        (Word::Revoke, BOB, ALICE, "updateConsent"),
    ] {
        let body = encode(&entry(word, requester, target, None)).unwrap();
        for source in ["charlie.example", "a.alpha.example", "lpha.example"] {
            assert_eq!(
                routed(source, endpoint, "bob%40bravo.example", &body),
                refused(403, "peer refused: not the provider of the user who says it"),
                "{word:?} by {source}"
            );
        }
    }
}

#[test]
fn r3_d15_d18_what_a_consent_entry_has_to_be() {
    let cathy = "cathy@charlie.example";
    let elsewhere = encode(&entry(Word::Request, ALICE, cathy, None)).unwrap();
    assert_eq!(
        routed("alpha.example", "requestConsent", "cathy%40charlie.example", &elsewhere),
        refused(404, "not found: user")
    );
    for (requester, target, room, text) in [
        ("Alice", BOB, None, "user"),
        (ALICE, "bob@Bravo.example", None, "user"),
        (BOB, BOB, None, "consent to oneself"),
        (ALICE, BOB, Some(""), "room"),
        (ALICE, BOB, Some("club"), "room"),
    ] {
        let mut body = entry(Word::Request, requester, target, None);
        body.room_id = room.map(|room| IdentifierUri(room.into()));
        assert_eq!(
            routed("alpha.example", "requestConsent", "bravo.example", &encode(&body).unwrap()),
            refused(400, &format!("malformed: {text}"))
        );
    }
    let large = vec![0; MAX_BODY_BYTES + 1];
    assert_eq!(
        routed("alpha.example", "requestConsent", "bravo.example", &large),
        refused(413, "body too large")
    );
}

#[test]
fn r4_a_device_does_not_reach_the_endpoint_of_the_providers() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let body = encode(&entry(Word::Request, ALICE, BOB, None)).unwrap();
    let device = Source::Device(bench.phone.client.clone());
    let response = answer(bench.bob.handle(device, Endpoint::Consent, body));
    assert_eq!(response.status, 403);
    assert_eq!(state(&mut bench), ConsentState::default());
    // And another provider reaches nothing else of a user.
    let response = answer(bench.bob.handle(from_alpha(), Endpoint::Exists, vec![]));
    assert_eq!(response, Response::text(403, "peer refused: not for others"));
}

#[test]
fn d17_r96_requests_are_listed_by_scope_and_pushed_to_all_devices() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let tablet = Device::new("bob@bravo.example/tablet");
    assert_eq!(bench.bob.register(&tablet).status, 201);
    bench.bob.object.take_effects();
    for room in [None, Some(CLUB)] {
        bench.told(Word::Request, ALICE, room);
    }
    let now = bench.bob.now;
    let open = state(&mut bench);
    assert_eq!(open.incoming, [item(ALICE, None, now), item(ALICE, Some(CLUB), now)]);
    let frame = |version| encode(&FromProvider::Consent { version }).unwrap();
    let pushed = |device: &Device, version| Effect::Send {
        device: device.client.clone(),
        frame: frame(version),
    };
    let effects = bench.bob.object.take_effects();
    let expected: Vec<Effect> = [1, 2]
        .into_iter()
        .flat_map(|version| [pushed(&bench.phone, version), pushed(&tablet, version)])
        .collect();
    assert_eq!(effects, expected);
    // The same again has no effect.
    let before = bench.bob.storage.snapshot();
    bench.bob.now = bench.bob.now.plus(1000);
    bench.told(Word::Request, ALICE, Some(CLUB));
    assert_eq!(bench.bob.storage.snapshot(), before);
    assert_eq!(bench.bob.object.take_effects(), []);
}

#[test]
fn r103_cancel_takes_back_what_was_requested_with_its_scope_and_nothing_else() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.told(Word::Request, ALICE, Some(CLUB));
    let before = (bench.bob.storage.snapshot(), bench.bob.object.take_effects().len());
    assert_eq!(before.1, 1);
    for room in [None, Some(LOUNGE)] {
        bench.told(Word::Cancel, ALICE, room);
    }
    bench.told(Word::Cancel, "alan@alpha.example", Some(CLUB));
    assert_eq!(bench.bob.storage.snapshot(), before.0);
    assert_eq!(bench.bob.object.take_effects(), []);
    bench.told(Word::Cancel, ALICE, Some(CLUB));
    assert_eq!(state(&mut bench), ConsentState { version: 2, ..ConsentState::default() });
    assert_eq!(bench.bob.object.take_effects().len(), 1);
}

#[test]
fn d17_of_more_than_1000_open_requests_the_oldest_is_dropped() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    for number in 0..1001 {
        bench.told(Word::Request, &other(number), None);
    }
    assert_bounded(&state(&mut bench).incoming);
}

#[test]
fn r99_the_answer_and_what_is_read_do_not_tell_whether_the_user_exists() {
    let words = [
        (Word::Request, None),
        (Word::Request, Some(CLUB)),
        (Word::Cancel, None),
        (Word::Cancel, Some(CLUB)),
        (Word::Grant, None),
        (Word::Grant, Some(CLUB)),
        (Word::Revoke, None),
        (Word::Revoke, Some(CLUB)),
    ];
    for (word, room) in words {
        let (mut known, known_reads) = bench::counted(&[&phone()]);
        let (mut unknown, unknown_reads) = bench::counted(&[]);
        known_reads.set(0);
        let (at_known, at_unknown) =
            (told(&mut known, word, ALICE, room), told(&mut unknown, word, ALICE, room));
        assert_eq!(at_known, Response::empty(201), "{word:?}");
        assert_eq!(at_unknown, at_known, "{word:?}");
        assert_eq!(known_reads.get(), unknown_reads.get(), "{word:?} {room:?}");
        assert!(known_reads.get() > 0);
        assert_eq!(unknown.storage.snapshot().rows().count(), 0, "{word:?}");
        assert_eq!(unknown.object.take_effects(), []);
        assert_eq!(unknown.object.poll_request(unknown.now).unwrap(), None);
    }
    // R34: a claim is answered as for a known user who was asked nothing yet.
    let (mut known, known_reads) = bench::counted(&[&phone()]);
    let (mut unknown, unknown_reads) = bench::counted(&[]);
    known_reads.set(0);
    let request = claim_request();
    assert_eq!(known.claim_answer(&request), unknown.claim_answer(&request));
    assert_eq!(known_reads.get(), unknown_reads.get());
}

#[test]
fn r96_a_decision_closes_the_requests_that_it_answers() {
    let open = [None, Some(CLUB), Some(LOUNGE)];
    for (word, room, left) in [
        (Word::Grant, None, &[][..]),
        (Word::Revoke, None, &[]),
        // A narrower answer is an answer; a narrower refusal is none.
        (Word::Grant, Some(CLUB), &[Some(LOUNGE)]),
        (Word::Revoke, Some(CLUB), &[None, Some(LOUNGE)]),
    ] {
        let mut bench = Bench::new(ConsentDefault::Ask);
        for room in open {
            bench.told(Word::Request, ALICE, room);
        }
        bench.told(Word::Request, "alan@alpha.example", None);
        bench.says(word, ALICE, room);
        let now = bench.bob.now;
        let mut expected = vec![item("alan@alpha.example", None, now)];
        expected.extend(left.iter().map(|room| item(ALICE, *room, now)));
        assert_eq!(state(&mut bench).incoming, expected, "{word:?} {room:?}");
    }
}

#[test]
fn r98_what_a_user_says_goes_straight_to_the_others_provider_in_order() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.says(Word::Request, ALICE, Some(CLUB));
    bench.says(Word::Cancel, ALICE, Some(CLUB));
    bench.says(Word::Grant, ALICE, None);
    let now = bench.bob.now;
    let expected = [
        (Word::Request, Some(CLUB), "requestConsent", "consent request"),
        (Word::Cancel, Some(CLUB), "requestConsent", "consent cancel"),
        (Word::Grant, None, "updateConsent", "consent grant"),
    ];
    for (word, room, endpoint, label) in expected {
        let body = encode(&said_by_bob(word, ALICE, room)).unwrap();
        // No answer, a refusal that may pass, an answer of any success.
        for status in [None, Some(503), Some(403), Some(202)] {
            let sent = bench.sent().expect(label);
            assert_eq!(sent.label, label);
            let Outgoing::Http(call) = &sent.outgoing else { panic!("{sent:?}") };
            assert_eq!(
                call.url,
                format!("https://alpha.example/v1/{endpoint}/alice%40alpha.example")
            );
            assert_eq!(call.body, body);
            assert!(call.headers.contains(&("from".into(), "mimi@bravo.example".into())));
            bench.settle(&sent, status.map(Response::empty));
        }
    }
    assert_eq!(bench.sent(), None);
    let state = state(&mut bench);
    assert_eq!((state.requested, state.given), (vec![], vec![item(ALICE, None, now)]));
}

#[test]
fn r98_both_users_at_one_provider_need_no_other() {
    let beth = "beth@bravo.example";
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.says(Word::Request, beth, None);
    let sent = bench.sent().unwrap();
    let call = ObjectCall {
        object: ObjectName::user(&user(beth)),
        request: IncomingRequest {
            source: Source::Own,
            endpoint: Endpoint::Consent,
            body: encode(&said_by_bob(Word::Request, beth, None)).unwrap(),
        },
    };
    assert_eq!(
        (sent.outgoing.clone(), sent.label.as_str()),
        (Outgoing::Object(call), "consent request")
    );
    bench.settle(&sent, Some(Response::empty(201)));
    assert_eq!(bench.sent(), None);
    // And what comes from there is taken in as from anywhere.
    let grant = encode(&entry(Word::Grant, BOB, beth, None)).unwrap();
    assert_eq!(bench.bob.own(Endpoint::Consent, grant), Response::empty(201));
    let now = bench.bob.now;
    let state = state(&mut bench);
    assert_eq!((state.requested, state.received), (vec![], vec![item(beth, None, now)]));
}

#[test]
fn what_was_said_is_not_sent_for_ever() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.says(Word::Request, ALICE, None);
    bench.bob.now = bench.bob.now.plus(28 * DAY);
    let sent = bench.sent().unwrap();
    bench.settle(&sent, None);
    bench.bob.now = bench.bob.now.plus(1);
    assert_eq!(bench.sent(), None);
}

#[test]
fn r98_a_user_speaks_for_itself_alone() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let before = bench.bob.storage.snapshot().rows().count();
    for (word, requester, target) in [
        (Word::Request, ALICE, BOB),
        (Word::Cancel, ALICE, BOB),
        (Word::Grant, BOB, ALICE),
        (Word::Revoke, BOB, ALICE),
        (Word::Request, "beth@bravo.example", ALICE),
    ] {
        let response = bench.post(&entry(word, requester, target, None));
        assert_eq!(response, Response::text(403, "not allowed: somebody else's to say"));
    }
    let response = bench.post(&entry(Word::Grant, BOB, BOB, None));
    assert_eq!(response, Response::text(400, "malformed: consent to oneself"));
    assert_eq!(bench.sent(), None);
    // But for the nonces of the requests.
    assert!(bench.bob.storage.snapshot().rows().count() <= before + 6);
    assert_eq!(state(&mut bench), ConsentState::default());
}

#[test]
fn d17_r96_grants_of_others_are_listed_once_and_close_own_requests() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.says(Word::Request, ALICE, Some(CLUB));
    bench.says(Word::Request, ALICE, Some(LOUNGE));
    bench.says(Word::Request, ALICE, None);
    let now = bench.bob.now;
    bench.bob.object.take_effects();
    bench.told(Word::Grant, ALICE, Some(CLUB));
    assert_eq!(bench.bob.object.take_effects().len(), 1);
    let open = state(&mut bench);
    assert_eq!(open.requested, [item(ALICE, Some(LOUNGE), now)]);
    assert_eq!(open.received, [item(ALICE, Some(CLUB), now)]);
    // Delivered twice.
    let before = bench.bob.storage.snapshot();
    bench.bob.now = bench.bob.now.plus(7);
    bench.told(Word::Grant, ALICE, Some(CLUB));
    assert_eq!(bench.bob.storage.snapshot(), before);
    assert_eq!(bench.bob.object.take_effects(), []);
    // Asked anew, granted anew.
    bench.says(Word::Request, ALICE, Some(CLUB));
    bench.told(Word::Grant, ALICE, Some(CLUB));
    let now = bench.bob.now;
    assert_eq!(state(&mut bench).received, [item(ALICE, Some(CLUB), now)]);
}

#[test]
fn r100_a_revoke_of_somebody_else_is_taken_and_nobody_sees_it() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.told(Word::Grant, ALICE, Some(CLUB));
    bench.says(Word::Request, ALICE, Some(LOUNGE));
    bench.bob.object.take_effects();
    let before = (bench.bob.storage.snapshot(), state(&mut bench));
    for room in [Some(CLUB), Some(LOUNGE), None] {
        bench.told(Word::Revoke, ALICE, room);
    }
    assert_eq!(bench.bob.object.take_effects(), []);
    assert_eq!(state(&mut bench), before.1);
}

#[test]
fn r100_a_revoke_is_not_told() {
    let mut bench = Bench::new(ConsentDefault::Allow);
    bench.told(Word::Request, ALICE, Some(CLUB));
    bench.says(Word::Revoke, ALICE, Some(CLUB));
    bench.says(Word::Revoke, ALICE, None);
    assert_eq!(bench.sent(), None);
    let now = bench.bob.now;
    let state = state(&mut bench);
    assert_eq!(state.refused, [item(ALICE, None, now), item(ALICE, Some(CLUB), now)]);
    assert_eq!((state.incoming, state.given), (vec![], vec![]));
}

#[test]
fn r96_who_asks_for_what_is_granted_gets_the_grant_again() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.says(Word::Grant, ALICE, None);
    let sent = bench.sent().unwrap();
    bench.settle(&sent, Some(Response::empty(201)));
    bench.bob.object.take_effects();
    bench.told(Word::Request, ALICE, Some(CLUB));
    let sent = bench.sent().unwrap();
    let Outgoing::Http(call) = sent.outgoing else { panic!("{sent:?}") };
    let grant = said_by_bob(Word::Grant, ALICE, Some(CLUB));
    assert_eq!(call.body, encode(&grant).unwrap());
    assert_eq!(state(&mut bench).incoming, []);
    assert_eq!(bench.bob.object.take_effects(), []);
}

/// Somebody else, by a name that is not in the order of time.
fn other(number: usize) -> String {
    format!("u{}@alpha.example", 5000 - number)
}

fn assert_bounded(list: &[ConsentItem]) {
    assert_eq!(list.len(), 1000);
    assert!(!list.iter().any(|item| item.user.0 == other(0)), "the first one is gone");
}

#[test]
fn d17_of_more_than_1000_own_requests_the_oldest_is_dropped() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    for number in 0..1001 {
        assert_eq!(bench.post(&said_by_bob(Word::Request, &other(number), None)).status, 200);
    }
    assert_bounded(&state(&mut bench).requested);
}

#[test]
fn d17_of_more_than_1000_grants_the_oldest_is_dropped() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    for number in 0..1001 {
        bench.told(Word::Grant, &other(number), None);
    }
    assert_bounded(&state(&mut bench).received);
}

#[test]
fn a_device_that_comes_back_is_told_the_version() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let hello = |bench: &mut Bench| -> Vec<FromProvider> {
        let phone = &bench.phone;
        let path = "/client/v1/socket/bob%40bravo.example%2Fphone";
        let auth = phone.auth("GET", path, b"", bench.bob.now);
        let hello = mimi_edge::wire::FromClient::Hello { auth, cursors: Vec::new() };
        let effects = bench.bob.frame(None, &encode(&hello).unwrap());
        let frames = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { frame, .. } => Some(mimi_edge::wire::decode_exact(&frame).unwrap()),
            _ => None,
        });
        frames.collect()
    };
    assert_eq!(hello(&mut bench), [FromProvider::CaughtUp]);
    bench.told(Word::Request, ALICE, None);
    bench.bob.object.take_effects();
    assert_eq!(hello(&mut bench), [FromProvider::Consent { version: 1 }, FromProvider::CaughtUp]);
}

#[test]
fn d19_r99_a_user_who_was_deleted_is_told_nothing_and_said_nothing() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    bench.says(Word::Grant, ALICE, None);
    bench.told(Word::Request, "alan@alpha.example", None);
    assert_eq!(bench.bob.own(Endpoint::DeleteUser, Vec::new()), Response::empty(200));
    bench.bob.object.take_effects();
    let left = bench.bob.storage.snapshot();
    for word in [Word::Request, Word::Cancel, Word::Grant, Word::Revoke] {
        bench.told(word, ALICE, Some(CLUB));
    }
    assert_eq!(bench.bob.storage.snapshot(), left);
    assert_eq!(bench.bob.object.take_effects(), []);
    assert_eq!(bench.claim(ALICE, CLUB), Code::UserDeleted);
}
