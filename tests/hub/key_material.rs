//! `POST /keyMaterial/{targetUser}` through the hub (R17–R20, R22, R25, R32–R34).

use mimi_edge::{
    mls::key_package::LIFETIME_SECONDS,
    storage::encode_row,
    transport::{Endpoint, ObjectName, Outgoing, Response, Source},
    wire::{
        ClientKeyMaterial, ClientMaterial, IdentifierUri, KeyMaterialBody, KeyMaterialRequest,
        KeyMaterialResponse, KeyMaterialUserCode as Code, Protocol, encode, uri::UserUri,
    },
};

use crate::common::{
    group::{Member, sync},
    hub::{Hub, claim, claimed, provider, source_of},
    member::{adds, bans, member, uri},
};

const BRAVO: &str = "bravo.example";

fn endpoint(target: &UserUri) -> Endpoint {
    Endpoint::KeyMaterial { target: target.clone() }
}

fn cathy() -> Member {
    member("cathy@charlie.example/phone")
}

/// The claim is answered without asking anybody, and nothing is stored.
fn answers(hub: &mut Hub, source: Source, request: &KeyMaterialRequest, answer: (u16, Vec<u8>)) {
    let target = uri("cathy@charlie.example");
    hub.refused(source, endpoint(&target), encode(request).unwrap(), answer);
}

fn empty(protocol: Protocol, user_status: Code) -> Vec<u8> {
    let user_uri = uri("cathy@charlie.example").to_wire();
    encode(&KeyMaterialResponse { protocol, user_status, user_uri, clients: Vec::new() }).unwrap()
}

#[test]
fn r17_r18_r22_malformed_claims() {
    let (mut hub, alice, _) = Hub::with_alice_and_bob();
    let good = claim(&alice.user(), &cathy().user());
    let target = good.target_users[0].clone();
    let bob = uri("bob@bravo.example").to_wire();
    let mut no_suite = good.clone();
    if let KeyMaterialBody::Mls10(body) = &mut no_suite.body {
        body.acceptable_ciphersuites.clear();
    }
    let two = vec![target.clone(), bob.clone()];
    let cases = [
        (
            KeyMaterialRequest { target_users: vec![], ..good.clone() },
            "not exactly one target user",
        ),
        (KeyMaterialRequest { target_users: two, ..good.clone() }, "not exactly one target user"),
        (
            KeyMaterialRequest { target_users: vec![bob], ..good.clone() },
            "the target is not the path's",
        ),
        (KeyMaterialRequest { room_id: IdentifierUri::default(), ..good.clone() }, "another room"),
        (no_suite, "no cipher suite"),
        (
            KeyMaterialRequest { requesting_user: IdentifierUri("alice".into()), ..good },
            "requestingUser",
        ),
    ];
    for (request, text) in cases {
        let answer = (400, format!("malformed: {text}").into_bytes());
        answers(&mut hub, source_of(&alice.client), &request, answer);
    }
}

#[test]
fn r20_the_requesting_user_is_the_sources() {
    let (mut hub, alice, bob) = Hub::with_alice_and_bob();
    let refused = b"peer refused: not the requesting user's provider".to_vec();
    let (alices, bobs) =
        (claim(&alice.user(), &cathy().user()), claim(&bob.user(), &cathy().user()));
    for (source, request) in [
        (provider(BRAVO), &alices),
        (provider("charlie.example"), &bobs),
        (source_of(&alice.client), &bobs),
        (source_of(&member("eve@alpha.example/phone").client), &alices),
        (Source::Own, &alices),
    ] {
        answers(&mut hub, source, request, (403, refused.clone()));
    }
}

#[test]
fn r20_only_an_active_participant_claims() {
    let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
    let refused = (200, empty(Protocol::MLS10, Code::NoConsentForThisRoom));
    let stranger = member("beth@bravo.example/phone");
    let request = claim(&stranger.user(), &cathy().user());
    answers(&mut hub, provider(BRAVO), &request, refused.clone());
    let alices = source_of(&alice.client);
    hub.accept(alices, &alice.propose(vec![sync(&bans(&bob.user()))], &[], &[]));
    hub.deliver();
    hub.effects();
    answers(&mut hub, provider(BRAVO), &claim(&bob.user(), &cathy().user()), refused);
}

#[test]
fn r34_another_protocol_is_incompatible_and_its_body_is_not_read() {
    let (mut hub, alice, _) = Hub::with_alice_and_bob();
    let mut body = encode(&claim(&alice.user(), &cathy().user())).unwrap();
    body[0] = 9;
    body.truncate(body.len() - 3);
    let response = {
        let mut answer = empty(Protocol::MLS10, Code::IncompatibleProtocol);
        answer[0] = 9;
        answer
    };
    let target = endpoint(&cathy().user());
    hub.refused(source_of(&alice.client), target.clone(), body.clone(), (200, response));
    body[0] = 0;
    let malformed = (400, b"malformed: body".to_vec());
    hub.refused(source_of(&alice.client), target, body, malformed);
}

#[test]
fn r62_an_unknown_room_is_404() {
    let request = claim(&uri("alice@alpha.example"), &cathy().user());
    let source = source_of(&member("alice@alpha.example/phone").client);
    answers(&mut Hub::new(), source, &request, (404, b"not found: room".to_vec()));
}

#[test]
fn r19_the_claim_goes_on_unchanged_to_the_targets_provider() {
    let (mut hub, _, bob) = Hub::with_alice_and_bob();
    let mut cathy = cathy();
    let package = cathy.single_use();
    let answer = encode(&claimed(&cathy.user(), &[(&cathy.client, &package)])).unwrap();
    let body = encode(&claim(&bob.user(), &cathy.user())).unwrap();
    let mut asked = Vec::new();
    let response =
        hub.request(provider(BRAVO), endpoint(&cathy.user()), body.clone(), |outgoing| {
            let Outgoing::Http(call) = outgoing else { panic!("{outgoing:?}") };
            asked.push((call.url.clone(), call.body.clone()));
            Some(Response::tls(200, answer.clone()))
        });
    assert_eq!((response.status, response.body), (200, answer));
    let url = "https://charlie.example/v1/keyMaterial/cathy%40charlie.example".to_owned();
    assert_eq!(asked, [(url, body)]);
}

#[test]
fn r19_a_claim_for_an_own_user_goes_to_that_user() {
    let (mut hub, _, bob) = Hub::with_alice_and_bob();
    let mut dave = member("dave@alpha.example/phone");
    let package = dave.single_use();
    let answer = encode(&claimed(&dave.user(), &[(&dave.client, &package)])).unwrap();
    let body = encode(&claim(&bob.user(), &dave.user())).unwrap();
    let response = hub.request(provider(BRAVO), endpoint(&dave.user()), body.clone(), |outgoing| {
        let Outgoing::Object(call) = outgoing else { panic!("{outgoing:?}") };
        assert_eq!(call.object, ObjectName::user(&dave.user()));
        assert_eq!(call.request.source, Source::Own);
        assert_eq!(call.request.endpoint, endpoint(&dave.user()));
        assert_eq!(call.request.body, body);
        Some(Response::tls(200, answer.clone()))
    });
    assert_eq!((response.status, response.body), (200, answer));
}

#[test]
fn r97_what_came_with_a_grant_is_as_good_as_claimed_through_this_hub() {
    let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
    let mut cathy = cathy();
    let packages = [cathy.single_use()];
    let [package] = &packages;
    let target = || Endpoint::GrantedKeyMaterial { target: uri("cathy@charlie.example") };
    let answer = encode(&claimed(&cathy.user(), &[(&cathy.client, package)])).unwrap();
    let body = |requester: &UserUri| {
        let claim = encode(&claim(requester, &cathy.user())).unwrap();
        encode_row(&(claim, answer.clone())).unwrap()
    };
    // R20: for an active participant, and who that is has to be true.
    let beth = member("beth@alpha.example/phone");
    let nothing = (200, empty(Protocol::MLS10, Code::NoConsentForThisRoom));
    hub.refused(source_of(&beth.client), target(), body(&beth.user()), nothing);
    let text = b"peer refused: not the requesting user's provider".to_vec();
    hub.refused(source_of(&alice.client), target(), body(&bob.user()), (403, text));
    let response = hub.call(source_of(&alice.client), target(), body(&alice.user()));
    assert_eq!((response.status, &response.body), (200, &answer));
    let upload = alice.propose(vec![sync(&adds(&cathy.user()))], &packages, &[]);
    hub.accept(source_of(&alice.client), &upload);
    let sent = hub.deliver();
    let welcome = sent.iter().find_map(|sent| sent.welcome_for(&cathy.client)).unwrap();
    cathy.enter(&welcome);
}

#[test]
fn r25_a_contradictory_answer_is_a_bad_gateway_and_nothing_of_it_is_kept() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut cathy = cathy();
    hub.claim(&alice.client, &mut [&mut cathy]);
    let package = cathy.single_use();
    let good = claimed(&cathy.user(), &[(&cathy.client, &package)]);
    let other = uri("bob@bravo.example").to_wire();
    let with = |user_status| KeyMaterialResponse { user_status, ..good.clone() };
    let none = KeyMaterialResponse { clients: Vec::new(), ..good.clone() };
    let foreign = cathy.user().client("phone").unwrap();
    let foreign =
        claimed(&cathy.user(), &[(&foreign, &member("bob@bravo.example/x").single_use())]);
    let mut answers: Vec<Vec<u8>> = [
        with(Code::NoConsent),
        with(Code::PartialSuccess),
        with(Code::NoCompatibleMaterial),
        none,
        KeyMaterialResponse { user_uri: other, ..good.clone() },
        foreign,
    ]
    .iter()
    .map(|answer| encode(answer).unwrap())
    .collect();
    answers.push(vec![1, 2, 3]);
    let body = encode(&claim(&alice.user(), &cathy.user())).unwrap();
    let before = hub.rows();
    for answer in answers {
        let response =
            hub.request(source_of(&alice.client), endpoint(&cathy.user()), body.clone(), |_| {
                Some(Response::tls(200, answer.clone()))
            });
        assert_eq!(response.status, 502);
        assert!(hub.rows() == before);
    }
    // The ref is unknown: its Add would be refused.
    let upload = alice.propose(vec![sync(&adds(&cathy.user()))], &[package], &[]);
    assert_eq!(hub.update(source_of(&alice.client), upload.body()).status, 403);
}

#[test]
fn r62_no_answer_is_a_time_out_and_a_refusal_a_bad_gateway() {
    let (mut hub, alice, _) = Hub::with_alice_and_bob();
    let body = encode(&claim(&alice.user(), &cathy().user())).unwrap();
    let mut ask = |outcome: Option<Response>| {
        let target = endpoint(&cathy().user());
        hub.request(source_of(&alice.client), target, body.clone(), |_| outcome.clone()).status
    };
    assert_eq!(ask(None), 504);
    for status in [400, 403, 404, 500, 503] {
        assert_eq!(ask(Some(Response::empty(status))), 502, "{status}");
    }
}

#[test]
fn r32_the_refs_survive_a_restart() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut cathy = cathy();
    let packages = hub.claim(&alice.client, &mut [&mut cathy]);
    hub.restart();
    let upload = alice.propose(vec![sync(&adds(&cathy.user()))], &packages, &[]);
    hub.accept(source_of(&alice.client), &upload);
    let sent = hub.deliver();
    let welcome = sent.iter().find_map(|sent| sent.welcome_for(&cathy.client)).unwrap();
    cathy.enter(&welcome);
}

#[test]
fn r33_refs_are_forgotten_a_day_after_their_key_packages_end() {
    let (mut hub, alice, mut bob) = Hub::with_alice_and_bob();
    let mut cathy = cathy();
    hub.claim(&alice.client, &mut [&mut cathy]);
    let rows = hub.rows().rows().count();
    let claim_nothing = |hub: &mut Hub| {
        let target = uri("dave@alpha.example");
        let body = encode(&claim(&alice.user(), &target)).unwrap();
        let none = KeyMaterialResponse {
            protocol: Protocol::MLS10,
            user_status: Code::NoConsent,
            user_uri: target.to_wire(),
            clients: Vec::new(),
        };
        let none = encode(&none).unwrap();
        let response = hub.request(source_of(&alice.client), endpoint(&target), body, |_| {
            Some(Response::tls(200, none.clone()))
        });
        assert_eq!(response.status, 200);
    };
    hub.now = hub.now.plus(LIFETIME_SECONDS * 1000 + 23 * 60 * 60 * 1000);
    claim_nothing(&mut hub);
    assert_eq!(hub.rows().rows().count(), rows);
    hub.now = hub.now.plus(2 * 60 * 60 * 1000);
    claim_nothing(&mut hub);
    // Bob's and cathy's, each by ref and by end.
    assert_eq!(hub.rows().rows().count(), rows - 4);
    assert_eq!(bob.epoch(), 1);
}

#[test]
fn d18_an_answer_of_more_than_256_kib_is_a_bad_gateway() {
    let (mut hub, alice, _) = Hub::with_alice_and_bob();
    let cathy = cathy();
    let exhausted = ClientKeyMaterial {
        client_uri: cathy.client.to_wire(),
        material: ClientMaterial::KeyMaterialExhausted,
    };
    let mut answer = |devices: usize| {
        let answer = KeyMaterialResponse {
            protocol: Protocol::MLS10,
            user_status: Code::NoCompatibleMaterial,
            user_uri: cathy.user().to_wire(),
            clients: vec![exhausted.clone(); devices],
        };
        let body = encode(&claim(&alice.user(), &cathy.user())).unwrap();
        let source = source_of(&alice.client);
        let answer = encode(&answer).unwrap();
        let status = hub
            .request(source, endpoint(&cathy.user()), body, |_| {
                Some(Response::tls(200, answer.clone()))
            })
            .status;
        (answer.len() > 256 << 10, status)
    };
    assert_eq!(answer(9_000), (false, 200));
    assert_eq!(answer(10_000), (true, 502));
}
