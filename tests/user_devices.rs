//! Registering devices, and the proof that a request is a device's own.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{Bob, Device, MINUTE, answer, asked, config, not_signed_in, refusal};
use mimi_edge::{
    config::{ProviderConfig, Registration},
    transport::{Endpoint, ObjectClass, ObjectName, Response, Source},
    wire::encode,
};

const STOCK: &str = "/client/v1/keyPackages";

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn register_body(device: &Device) -> Vec<u8> {
    encode(&device.registration()).unwrap()
}

#[test]
fn d9_a_device_registers_once_and_never_with_a_second_key() {
    let phone = phone();
    let mut bob = Bob::new(config());
    assert_eq!(bob.register(&phone), Response::empty(201));
    let before = bob.storage.snapshot();
    assert_eq!(bob.register(&phone), Response::empty(200));
    let conflict = refusal(409, "conflict: the device has another key");
    assert_eq!(bob.register(&phone.impostor()), conflict);
    assert_eq!(bob.storage.snapshot(), before);

    let tablet = Device::new("bob@bravo.example/tablet");
    assert_eq!(bob.register(&tablet), Response::empty(201));
}

#[test]
fn d15_a_user_does_not_take_the_name_of_a_room() {
    let phone = phone();
    let mut bob = Bob::new(config());
    let action = bob.handle(Source::Own, Endpoint::RegisterDevice, register_body(&phone));
    let (call, then) = asked(action);
    let room = ObjectName { class: ObjectClass::HubRoom, name: "bob@bravo.example".into() };
    assert_eq!(
        (call.object, call.request.endpoint, call.request.source),
        (room, Endpoint::Exists, Source::Own)
    );

    let before = bob.storage.snapshot();
    assert_eq!(
        answer(bob.resume(&then, Some(Response::empty(200)))),
        refusal(409, "conflict: a room has this name")
    );
    for outcome in [None, Some(Response::empty(500))] {
        assert_eq!(answer(bob.resume(&then, outcome)), refusal(504, "hub unresponsive"));
    }
    assert_eq!(bob.storage.snapshot(), before);
    assert_eq!(bob.own(Endpoint::Exists, vec![]).status, 404);

    assert_eq!(answer(bob.resume(&then, Some(Response::empty(404)))), Response::empty(201));
    assert_eq!(bob.own(Endpoint::Exists, vec![]), Response::empty(200));
    // The user exists: nobody has to be asked about its second device.
    let tablet = Device::new("bob@bravo.example/tablet");
    let second = bob.handle(Source::Own, Endpoint::RegisterDevice, register_body(&tablet));
    assert_eq!(answer(second), Response::empty(201));
}

#[test]
fn a_registration_is_signed_by_the_key_that_it_registers() {
    let (phone, other) = (phone(), phone());
    let mut bob = Bob::new(config());
    let mut forged = phone.registration();
    forged.signature = other.registration().signature;
    let mut renamed = phone.registration();
    renamed.tbs.client_uri.0 = "bob@bravo.example/tablet".into();
    for registration in [forged, renamed] {
        let response = bob.own(Endpoint::RegisterDevice, encode(&registration).unwrap());
        assert_eq!(response, not_signed_in("signature"));
    }
    let mut scheme = phone.registration();
    scheme.tbs.signature_scheme = 0;
    let response = bob.own(Endpoint::RegisterDevice, encode(&scheme).unwrap());
    assert_eq!(response, refusal(400, "malformed: signature scheme"));
    let alice = Device::new("alice@bravo.example/phone");
    let response = bob.own(Endpoint::RegisterDevice, register_body(&alice));
    assert_eq!(response, refusal(400, "malformed: client of another user"));
    assert_eq!(bob.storage.snapshot().rows().count(), 0);
}

#[test]
fn registration_can_be_closed_and_a_user_has_at_most_32_devices() {
    let phone = phone();
    let mut bob = Bob::new(ProviderConfig { registration: Registration::Closed, ..config() });
    assert_eq!(bob.register(&phone), refusal(403, "not allowed: registration is closed"));
    assert_eq!(bob.storage.snapshot().rows().count(), 0);

    let mut bob = Bob::new(config());
    for number in 0..32 {
        let device = Device::new(&format!("bob@bravo.example/device{number}"));
        assert_eq!(bob.register(&device).status, 201);
    }
    let before = bob.storage.snapshot();
    assert_eq!(bob.register(&phone), refusal(429, "too many requests"));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d14_a_signed_request_is_at_most_five_minutes_off() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    for minutes in [5_i64, -5] {
        let created = bob.now.0.checked_add_signed(minutes * 60_000).unwrap();
        let auth = phone.auth("GET", STOCK, b"", mimi_edge::time::UnixMillis(created));
        assert_eq!(answer(bob.signed_with(&auth, "GET", STOCK, b"")).status, 200);
    }
    let before = bob.storage.snapshot();
    for millis in [300_001_i64, -300_001] {
        let created = bob.now.0.checked_add_signed(millis).unwrap();
        let auth = phone.auth("GET", STOCK, b"", mimi_edge::time::UnixMillis(created));
        assert_eq!(answer(bob.signed_with(&auth, "GET", STOCK, b"")), not_signed_in("time"));
    }
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn a_nonce_is_used_once_for_at_least_ten_minutes() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let auth = phone.auth_with_nonce("GET", STOCK, b"", bob.now, &[9; 16]);
    assert_eq!(answer(bob.signed_with(&auth, "GET", STOCK, b"")).status, 200);
    let before = bob.storage.snapshot();
    assert_eq!(answer(bob.signed_with(&auth, "GET", STOCK, b"")), not_signed_in("nonce"));
    for minutes in [1, 4, 5] {
        bob.now = bob.now.plus(minutes * MINUTE);
        let again = phone.auth_with_nonce("GET", "/client/v1/rooms", b"", bob.now, &[9; 16]);
        let response = answer(bob.signed_with(&again, "GET", "/client/v1/rooms", b""));
        assert_eq!(response, not_signed_in("nonce"));
    }
    assert_eq!(bob.storage.snapshot(), before);
    let short = phone.auth_with_nonce("GET", STOCK, b"", bob.now, &[9; 15]);
    assert_eq!(answer(bob.signed_with(&short, "GET", STOCK, b"")), not_signed_in("nonce"));
}

#[test]
fn old_nonces_are_cleared_away() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let empty = bob.storage.snapshot().rows().count();
    for _ in 0..20 {
        bob.stock(&phone);
    }
    bob.now = bob.now.plus(30 * MINUTE);
    for _ in 0..5 {
        bob.stock(&phone);
    }
    assert_eq!(bob.storage.snapshot().rows().count(), empty + 5);
}

#[test]
fn d21_a_request_that_no_device_signed_is_not_signed_in() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let now = bob.now;

    let unknown = Device::new("bob@bravo.example/tablet").auth("GET", STOCK, b"", now);
    let refused = answer(bob.signed_with(&unknown, "GET", STOCK, b""));
    assert_eq!(refused, not_signed_in("unknown device"));
    assert_eq!(refused.header("www-authenticate"), Some("Mimi-Device"));

    let impostor = phone.impostor().auth("GET", STOCK, b"", now);
    assert_eq!(answer(bob.signed_with(&impostor, "GET", STOCK, b"")), not_signed_in("signature"));
    let endpoint =
        Endpoint::Signed { method: "GET".into(), path: STOCK.into(), auth: vec![1, 2, 3] };
    assert_eq!(bob.own(endpoint, vec![]), not_signed_in("authorization"));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn a_signature_covers_method_path_query_and_body() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let path = "/client/v1/inbox?after=1";
    let auth = phone.auth("GET", path, b"", bob.now);
    for (method, path, body) in [
        ("POST", path, &b""[..]),
        ("GET", "/client/v1/inbox?after=2", b""),
        ("GET", "/client/v1/inbox", b""),
        ("GET", path, b"x"),
    ] {
        let response = answer(bob.signed_with(&auth, method, path, body));
        assert_eq!(response, not_signed_in("signature"), "{method} {path}");
    }
    assert_eq!(bob.storage.snapshot(), before);
    assert_eq!(answer(bob.signed_with(&auth, "GET", path, b"")).status, 200);
}

#[test]
fn r4_nobody_but_own_objects_calls_a_user() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let peer = Source::Provider(mimi_edge::wire::uri::Domain::parse("alpha.example").unwrap());
    for source in [peer, Source::Device(phone.client.clone())] {
        for endpoint in [Endpoint::Exists, Endpoint::RegisterDevice] {
            let response = answer(bob.handle(source.clone(), endpoint, vec![]));
            assert_eq!(response, refusal(403, "peer refused: not for others"));
        }
    }
    assert_eq!(bob.storage.snapshot(), before);
}
