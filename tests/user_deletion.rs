//! Deleting a user (D19): who is told, what is left, and what nobody can do any more.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{
    Bob, Device, answer, claim_request, config, dismissed, refusal, revoked, uri, user, welcome,
};
use mimi_edge::{
    config::{ConsentDefault, ProviderConfig, UnknownUsers},
    transport::{
        Effect, Endpoint, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Outgoing, Response,
        RoomFacts, Source,
    },
    wire::{Cursor, FromClient, KeyMaterialRequest, KeyMaterialUserCode, encode, uri::RoomUri},
};

const DELETE: &str = "/client/v1/delete-user";
const ROOMS: &str = "/client/v1/rooms";

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn tablet() -> Device {
    Device::new("bob@bravo.example/tablet")
}

fn room(text: &str) -> RoomUri {
    RoomUri::parse(text).unwrap()
}

fn join(bob: &mut Bob, name: &str) -> Response {
    let facts = Some(RoomFacts { cipher_suite: 1, profile: None });
    bob.own(Endpoint::Membership { room: room(name), facts }, vec![])
}

fn delete(bob: &mut Bob, device: &Device) -> Response {
    answer(bob.signed(device, "POST", DELETE, b""))
}

/// What the outbox sends, each answered with 200.
fn sent(bob: &mut Bob) -> Vec<ObjectCall> {
    let mut calls = Vec::new();
    while let Some(request) = bob.object.poll_request(bob.now).unwrap() {
        let Outgoing::Object(call) = request.outgoing else { panic!("not an object") };
        calls.push(call);
        bob.object.handle_response(request.id, Some(Response::empty(200)), bob.now).unwrap();
    }
    calls
}

fn user_deleted(class: ObjectClass, name: &str) -> ObjectCall {
    ObjectCall {
        object: ObjectName { class, name: name.into() },
        request: IncomingRequest {
            source: Source::Own,
            endpoint: Endpoint::UserDeleted { user: user("bob@bravo.example") },
            body: Vec::new(),
        },
    }
}

#[test]
fn d19_every_room_of_the_user_is_told_that_it_was_deleted() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    for name in ["club@alpha.example", "den@bravo.example", "left@alpha.example"] {
        assert_eq!(join(&mut bob, name), Response::empty(200));
    }
    let left = Endpoint::Membership { room: room("left@alpha.example"), facts: None };
    assert_eq!(bob.own(left, vec![]), Response::empty(200));
    assert_eq!(sent(&mut bob), []);

    assert_eq!(delete(&mut bob, &phone), Response::empty(200));
    let mut calls = sent(&mut bob);
    calls.sort_by(|a, b| a.object.cmp(&b.object));
    let told = [
        user_deleted(ObjectClass::HubRoom, "den@bravo.example"),
        user_deleted(ObjectClass::FollowedRoom, "club@alpha.example"),
    ];
    assert_eq!(calls, told);
}

#[test]
fn d19_a_room_that_does_not_answer_is_told_again_also_after_a_restart() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    join(&mut bob, "club@alpha.example");
    delete(&mut bob, &phone);
    let request = bob.object.poll_request(bob.now).unwrap().unwrap();
    bob.object.handle_response(request.id, None, bob.now).unwrap();
    assert_eq!(sent(&mut bob), []);
    bob.restart();
    bob.now = bob.object.next_wake().unwrap().unwrap();
    assert_eq!(sent(&mut bob), [user_deleted(ObjectClass::FollowedRoom, "club@alpha.example")]);
    assert_eq!(bob.object.next_wake().unwrap(), None);
}

#[test]
fn d19_r25_a_claim_for_a_deleted_user_says_so_and_lists_no_client() {
    let phone = phone();
    let ask = ProviderConfig { consent_default: ConsentDefault::Ask, ..config() };
    for config in [config(), ask] {
        let mut bob = Bob::with_config(config, &[&phone]);
        bob.publish(&phone, &[phone.key_package(bob.now), phone.last_resort(bob.now)]);
        delete(&mut bob, &phone);
        let before = bob.storage.snapshot();
        // userDeleted, bob@bravo.example, no clients.
        let bytes = [&[1, 7, 17][..], b"bob@bravo.example", &[0]].concat();
        assert_eq!(bob.claim_answer(&claim_request()), Response::tls(200, bytes));
        let own =
            KeyMaterialRequest { requesting_user: uri("bob@bravo.example"), ..claim_request() };
        assert_eq!(bob.claim(&own).user_status, KeyMaterialUserCode::UserDeleted);
        assert_eq!(bob.storage.snapshot(), before);
    }
}

#[test]
fn d19_d21_nothing_of_the_user_is_left_and_no_device_of_it_is_known() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let package = phone.key_package(bob.now);
    bob.publish(&phone, std::slice::from_ref(&package));
    bob.publish(&tablet, &[tablet.key_package(bob.now)]);
    let reference = phone.reference(&package);
    let deliver = || Endpoint::DeliverWelcome { room: room("club@alpha.example") };
    assert_eq!(bob.own(deliver(), welcome(&[&reference], 1)).status, 200);
    bob.object.take_effects();

    assert_eq!(delete(&mut bob, &tablet), Response::empty(200));
    assert_eq!(bob.object.take_effects(), [dismissed(&phone), dismissed(&tablet)].concat());
    // The mark and the version of the rows; they name nobody and hold no key.
    let stored = bob.storage.snapshot();
    assert_eq!(stored.rows().count(), 2);

    for device in [&phone, &tablet] {
        for (method, path) in [("GET", ROOMS), ("POST", DELETE), ("GET", "/client/v1/keyPackages")]
        {
            assert_eq!(answer(bob.signed(device, method, path, b"")), revoked());
        }
    }
    let path = "/client/v1/socket/bob%40bravo.example%2Fphone";
    let hello = FromClient::Hello {
        auth: phone.auth("GET", path, b"", bob.now),
        cursors: vec![Cursor { room_id: uri(""), position: 0 }],
    };
    let effects = bob.frame(None, &encode(&hello).unwrap());
    assert_eq!(effects, [Effect::Close { socket: 7, code: 4401 }]);
    assert_eq!(bob.own(deliver(), welcome(&[&reference], 2)).status, 404);
    assert_eq!(
        bob.own(Endpoint::Push { devices: vec![phone.client.clone()] }, vec![1]).status,
        200
    );
    assert_eq!(bob.object.take_effects(), []);
    assert_eq!(bob.storage.snapshot(), stored);
}

#[test]
fn d19_the_name_is_never_given_out_again() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    delete(&mut bob, &phone);
    let before = bob.storage.snapshot();
    for device in [&phone, &tablet()] {
        assert_eq!(bob.register(device), refusal(409, "conflict: the user was deleted"));
    }
    // D15: nor may a room have it.
    assert_eq!(bob.own(Endpoint::Exists, vec![]), Response::empty(200));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d19_a_deleted_user_who_turns_up_in_a_room_is_taken_out_of_it_too() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    delete(&mut bob, &phone);
    // The Add was under way.
    assert_eq!(join(&mut bob, "club@alpha.example"), Response::empty(200));
    assert_eq!(sent(&mut bob), [user_deleted(ObjectClass::FollowedRoom, "club@alpha.example")]);
    let left = Endpoint::Membership { room: room("club@alpha.example"), facts: None };
    assert_eq!(bob.own(left, vec![]), Response::empty(200));
    assert_eq!(sent(&mut bob), []);
}

#[test]
fn d19_the_operator_deletes_a_user_and_nobody_else_does() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    join(&mut bob, "club@alpha.example");
    let before = bob.storage.snapshot();
    let peer = Source::Provider(user("alice@alpha.example").domain().clone());
    for source in [peer, Source::Device(phone.client.clone())] {
        let response = answer(bob.handle(source, Endpoint::DeleteUser, vec![]));
        assert_eq!(response, refusal(403, "peer refused: not for others"));
    }
    // A request that another key signed.
    let impostor = phone.impostor().auth("POST", DELETE, b"", bob.now);
    let response = answer(bob.signed_with(&impostor, "POST", DELETE, b""));
    assert_eq!(response.status, 401);
    assert_eq!(bob.storage.snapshot(), before);

    for _ in 0..2 {
        assert_eq!(bob.own(Endpoint::DeleteUser, vec![]), Response::empty(200));
    }
    assert_eq!(sent(&mut bob), [user_deleted(ObjectClass::FollowedRoom, "club@alpha.example")]);
    let mut nobody = Bob::new(config());
    assert_eq!(nobody.own(Endpoint::DeleteUser, vec![]), refusal(404, "not found: user"));
    assert_eq!(nobody.storage.snapshot().rows().count(), 0);
}

#[test]
fn r34_the_operator_may_tell_who_does_not_exist() {
    let told = ProviderConfig { unknown_users: UnknownUsers::Told, ..config() };
    let mut nobody = Bob::new(told.clone());
    let response = nobody.claim(&claim_request());
    assert_eq!(response.user_status, KeyMaterialUserCode::UserUnknown);
    assert_eq!(response.clients, []);
    assert_eq!(nobody.storage.snapshot().rows().count(), 0);
    // One who exists and refuses is another matter.
    let ask = ProviderConfig { consent_default: ConsentDefault::Ask, ..told };
    let mut bob = Bob::with_config(ask, &[&phone()]);
    assert_eq!(bob.claim(&claim_request()).user_status, KeyMaterialUserCode::NoConsent);
}
