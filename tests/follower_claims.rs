//! Claims of KeyPackages for rooms of other providers.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    mls::key_package::{KeyPackageKind, LIFETIME_SECONDS},
    storage::{MemoryStorage, encode_row},
    time::UnixMillis,
    transport::{
        Action, Endpoint, HttpCall, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Outgoing,
        Response, Source,
    },
    wire::{KeyMaterialResponse, KeyMaterialUserCode, Protocol, encode, uri::Domain},
};

use common::{
    follower::{
        BOB, Follower, NOW, Story, alpha, claim_body, device, key_material, user_uri, welcome,
    },
    group::room,
    member::member,
};

const ALICE: &str = "alice@alpha.example";
const BOB_USER: &str = "bob@bravo.example";
const CATHY: &str = "cathy@charlie.example";

fn key_material_of(user: &str) -> Endpoint {
    Endpoint::KeyMaterial { target: user_uri(user) }
}

fn provider(domain: &str) -> Source {
    Source::Provider(Domain::parse(domain).unwrap())
}

fn no_consent(user: &str) -> Vec<u8> {
    encode(&KeyMaterialResponse {
        protocol: Protocol::MLS10,
        user_status: KeyMaterialUserCode::NoConsent,
        user_uri: user_uri(user).to_wire(),
        clients: Vec::new(),
    })
    .unwrap()
}

/// The call that asks one of our users.
fn own_user(user: &str, body: &[u8]) -> Outgoing {
    Outgoing::Object(ObjectCall {
        object: ObjectName { class: ObjectClass::User, name: user.into() },
        request: IncomingRequest {
            source: Source::Own,
            endpoint: key_material_of(user),
            body: body.to_vec(),
        },
    })
}

#[test]
fn r19_the_claim_of_a_device_goes_to_the_hub_of_its_room() {
    let mut follower = Follower::new();
    let body = claim_body(BOB_USER, CATHY, room().as_str());
    let answer = Response::tls(200, no_consent(CATHY));
    let (outgoing, response) =
        follower.ask_through(device(BOB), key_material_of(CATHY), &body, Some(answer.clone()));
    assert_eq!(response, answer);
    let Outgoing::Http(HttpCall { url, body: sent, .. }) = outgoing else { panic!() };
    assert_eq!(url, "https://alpha.example/v1/keyMaterial/cathy%40charlie.example");
    assert_eq!(sent, body);
    // The hub is asked for users of ours too.
    let body = claim_body(BOB_USER, "bea@bravo.example", room().as_str());
    let (outgoing, _) = follower.ask_through(
        device(BOB),
        key_material_of("bea@bravo.example"),
        &body,
        Some(answer),
    );
    assert!(matches!(outgoing, Outgoing::Http(_)));
}

#[test]
fn d18_a_hub_that_does_not_answer_a_claim_is_504() {
    let mut follower = Follower::new();
    let body = claim_body(BOB_USER, CATHY, room().as_str());
    let (_, response) = follower.ask_through(device(BOB), key_material_of(CATHY), &body, None);
    assert_eq!(response, Response::text(504, "hub unresponsive"));
}

#[test]
fn r20_the_hubs_claim_goes_unchanged_to_the_target() {
    let mut follower = Follower::new();
    for requester in [ALICE, CATHY] {
        let body = claim_body(requester, BOB_USER, room().as_str());
        let answer = Response::tls(200, no_consent(BOB_USER));
        let (outgoing, response) =
            follower.ask_through(alpha(), key_material_of(BOB_USER), &body, Some(answer.clone()));
        assert_eq!(response, answer);
        assert_eq!(outgoing, own_user(BOB_USER, &body));
    }
}

#[test]
fn r19_r20_a_claim_past_the_hub_is_403() {
    let mut follower = Follower::new();
    // Charlie asks for its own user, in a room that alpha hosts.
    let body = claim_body(CATHY, BOB_USER, room().as_str());
    for source in [provider("charlie.example"), Source::Own] {
        follower.assert_refused(403, |follower| {
            follower.answer(source.clone(), key_material_of(BOB_USER), &body)
        });
    }
}

#[test]
fn r20_a_hub_does_not_claim_in_the_name_of_our_users_who_are_not_in_the_room() {
    let body = claim_body(BOB_USER, BOB_USER, room().as_str());
    Follower::new()
        .assert_refused(403, |follower| follower.answer(alpha(), key_material_of(BOB_USER), &body));
    let mut story = Story::new();
    let answer = Response::tls(200, no_consent(BOB_USER));
    let claimed = |story: &mut Story| {
        story.follower.ask_through(alpha(), key_material_of(BOB_USER), &body, Some(answer.clone()))
    };
    assert_eq!(claimed(&mut story), (own_user(BOB_USER, &body), answer.clone()));
}

#[test]
fn r21_without_a_room_the_requesters_provider_asks() {
    let mut follower = Follower::named("*@charlie.example");
    let body = claim_body(CATHY, BOB_USER, "");
    let answer = Response::tls(200, no_consent(BOB_USER));
    let (outgoing, response) = follower.ask_through(
        provider("charlie.example"),
        key_material_of(BOB_USER),
        &body,
        Some(answer.clone()),
    );
    assert_eq!((outgoing, response), (own_user(BOB_USER, &body), answer));
    // R20: a forged requester.
    for requester in [ALICE, "cathy"] {
        let status = if requester == ALICE { 403 } else { 400 };
        let body = claim_body(requester, BOB_USER, "");
        follower.assert_refused(status, |follower| {
            follower.answer(provider("charlie.example"), key_material_of(BOB_USER), &body)
        });
    }
}

#[test]
fn r21_a_device_without_a_room_asks_the_targets_provider() {
    let mut follower = Follower::named("*@bravo.example");
    let body = claim_body(BOB_USER, CATHY, "");
    let answer = Response::tls(200, no_consent(CATHY));
    let (outgoing, _) =
        follower.ask_through(device(BOB), key_material_of(CATHY), &body, Some(answer.clone()));
    let Outgoing::Http(HttpCall { url, .. }) = outgoing else { panic!() };
    assert_eq!(url, "https://charlie.example/v1/keyMaterial/cathy%40charlie.example");
    let body = claim_body(BOB_USER, "bea@bravo.example", "");
    let bea = key_material_of("bea@bravo.example");
    let (outgoing, _) = follower.ask_through(device(BOB), bea, &body, Some(answer));
    assert_eq!(outgoing, own_user("bea@bravo.example", &body));
}

#[test]
fn a_claim_for_another_room_than_the_objects_is_400() {
    let mut follower = Follower::new();
    let body = claim_body(ALICE, BOB_USER, "den@alpha.example");
    follower
        .assert_refused(400, |follower| follower.answer(alpha(), key_material_of(BOB_USER), &body));
    follower.assert_refused(400, |follower| {
        follower.answer(alpha(), key_material_of(BOB_USER), b"\x01")
    });
}

#[test]
fn r32_whose_key_packages_went_out_is_recorded_before_the_answer() {
    let mut follower = Follower::new();
    let (mut alice, mut bob) = (member("alice@alpha.example/phone"), member(BOB));
    alice.create(None);
    let package = bob.key_package(KeyPackageKind::SingleUse);
    let bytes = encode(&package.key_package).unwrap();
    let answer = key_material(&user_uri(BOB_USER), &[(bob.client.clone(), bytes)]);
    let body = claim_body(ALICE, BOB_USER, room().as_str());
    follower.ask_through(
        alpha(),
        key_material_of(BOB_USER),
        &body,
        Some(Response::tls(200, answer.clone())),
    );
    // The KeyPackageRef is in the storage of the object, with its user.
    let stored = follower.storage.snapshot();
    let mut rows = stored.rows();
    let (key, value) = rows.next().unwrap();
    assert!(key.ends_with(&package.reference));
    assert!(value.windows(BOB_USER.len()).any(|window| window == BOB_USER.as_bytes()));
    let (end, _) = rows.next().unwrap();
    assert!(end.ends_with(&package.reference));
    // The version of the rows.
    assert_eq!(rows.next(), Some((&[0xF6][..], &[1][..])));
    assert_eq!(rows.next(), None);
    // So the Welcome finds him.
    let commit = alice.commit(common::follower::listed(BOB_USER, &[&package])).unwrap();
    follower.accept(&[&welcome(commit.welcome.as_ref().unwrap(), &commit.tree, 1)]);
    assert_eq!(follower.told().first().unwrap().0, BOB_USER);
    // The same claim through a device of ours leaves nothing here.
    let mut other = Follower::new();
    let body = claim_body("bea@bravo.example", BOB_USER, room().as_str());
    let asked = Some(Response::tls(200, answer));
    other.ask_through(device("bea@bravo.example/x"), key_material_of(BOB_USER), &body, asked);
    let claims = other.storage.snapshot();
    assert!(!claims.rows().any(|(key, _)| key.ends_with(&package.reference)));
}

#[test]
fn r97_whose_key_packages_a_grant_takes_along_is_known_to_the_rooms_of_that_provider() {
    let mut claims = Follower::named("*@charlie.example");
    let endpoint = Endpoint::Granted { user: user_uri(BOB_USER) };
    let body = encode_row(&vec![b"ref".to_vec(), b"other".to_vec()]).unwrap();
    for source in [provider("charlie.example"), device(BOB)] {
        claims.assert_refused(404, |claims| claims.answer(source.clone(), endpoint.clone(), &body));
    }
    assert_eq!(claims.answer(Source::Own, endpoint, &body), Response::empty(200));
    let asked = encode_row(&vec![b"other".to_vec(), b"unknown".to_vec()]).unwrap();
    let answer = claims.answer(Source::Own, Endpoint::ClaimedBy, &asked);
    let known = encode_row(&vec![Some(user_uri(BOB_USER)), None]).unwrap();
    assert_eq!(answer, Response::tls(200, known));
}

#[test]
fn r33_whose_a_key_package_was_is_forgotten_a_day_after_the_longest_life_of_one() {
    let mut follower = Follower::new();
    let mut bob = member(BOB);
    let mut claim_at = |now: UnixMillis| {
        let package = bob.key_package(KeyPackageKind::SingleUse);
        let bytes = encode(&package.key_package).unwrap();
        let answer = key_material(&user_uri(BOB_USER), &[(bob.client.clone(), bytes)]);
        let request = IncomingRequest {
            source: alpha(),
            endpoint: key_material_of(BOB_USER),
            body: claim_body(ALICE, BOB_USER, room().as_str()),
        };
        let Action::Forward(forward) = follower.object.handle(request, now) else { panic!() };
        let answer = Some(Response::tls(200, answer));
        assert!(matches!(follower.object.resume(&forward.then, answer, now), Action::Respond(_)));
        (package.reference, follower.storage.snapshot())
    };
    let holds = |stored: &MemoryStorage, reference: &[u8]| {
        stored.rows().filter(|(key, _)| key.ends_with(reference)).count()
    };
    let (first, _) = claim_at(NOW);
    let end = NOW.plus((LIFETIME_SECONDS + 60 * 60 + 24 * 60 * 60) * 1000);
    let (second, at_the_end) = claim_at(end);
    assert_eq!((holds(&at_the_end, &first), holds(&at_the_end, &second)), (2, 2));
    let (_, after) = claim_at(end.plus(1));
    assert_eq!((holds(&after, &first), holds(&after, &second)), (0, 2));
}

#[test]
fn r32_an_answer_that_cannot_be_recorded_is_not_passed_on() {
    let mut follower = Follower::new();
    let body = claim_body(ALICE, BOB_USER, room().as_str());
    let nonsense = Some(Response::tls(200, b"nonsense".to_vec()));
    let (_, response) = follower.ask_through(alpha(), key_material_of(BOB_USER), &body, nonsense);
    assert_eq!(response.status, 502);
    // An error of the target is passed on as it is.
    let unknown = Response::text(404, "not found: user");
    let (_, response) =
        follower.ask_through(alpha(), key_material_of(BOB_USER), &body, Some(unknown.clone()));
    assert_eq!(response, unknown);
    assert_eq!(follower.storage.snapshot().rows().count(), 0);
}
