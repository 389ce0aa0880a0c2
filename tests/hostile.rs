//! Bodies that mean no good, at every endpoint of both doors of a provider with a room, its follower
//! and its users: refused with 400, and nothing is stored or sent.
#![cfg(not(target_arch = "wasm32"))]

mod common;
mod wire_fixtures;

use std::collections::BTreeSet;

use common::{
    universe::{Faults, Universe, room, user},
    user::Device,
};
use mimi_edge::{
    client::{AddOptions, CreateOptions},
    transport::{HttpCall, HttpRequest, Method, ObjectClass, ObjectName},
    wire::{
        ConsentEntry, GroupInfoRequest, KeyMaterialRequest, KeyPackageList, RoomCreation,
        UpdateRequest, decode_exact, encode,
    },
};
use tls_codec::DeserializeBytes;
use wire_fixtures::{hand::vector, samples::samples};

const ROOM: &str = "clubhouse@alpha.example";
const ALPHA: &str = "alpha.example";
const BRAVO: &str = "bravo.example";

/// Alice of alpha in a room of alpha with Bob of bravo.
fn in_a_room() -> Universe {
    let mut universe = Universe::new(&[ALPHA, BRAVO], 1);
    let alice = universe.add_device("alice@alpha.example");
    universe.add_device("bob@bravo.example");
    universe.run();
    universe
        .act(&alice, |client, now| client.create_room(&room(ROOM), CreateOptions::default(), now))
        .unwrap();
    universe.run();
    let bob = user("bob@bravo.example");
    universe
        .act(&alice, |client, now| client.add_user(&room(ROOM), &bob, AddOptions::default(), now))
        .unwrap();
    universe.run();
    universe
}

/// Lengths that lie, vectors in vectors, JSON, single bytes, noise.
fn small_bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    bodies.push(Vec::new());
    bodies.push([&[0xBF; 4][..], &[1; 100]].concat());
    bodies.push([&[1, 0xBF, 0xFF, 0xFF, 0xFF][..], &[1; 100]].concat());
    bodies.push([&[1, 0x7F, 0xFF][..], &[1; 100]].concat());
    bodies.push([&[1, 0xC0, 0, 0, 0, 0, 0, 0, 1][..], &[1; 100]].concat());
    bodies.push("[".repeat(60_000).into_bytes());
    bodies.push(br#"{"a":"#.repeat(10_000));
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        nested = vector(&nested);
    }
    bodies.push([&[1][..], &nested].concat());
    bodies.push(nested);
    let mut noise = Faults::none(7);
    for length in 1..200 {
        // The first byte is no protocol of which the rest need not be understood (R34).
        let bytes = (0..length).map(|_| u8::try_from(noise.below(256)).unwrap());
        bodies.push([1].into_iter().chain(bytes).collect());
    }
    bodies
}

/// As large as the endpoint takes, of one byte, and of one good message after the other.
fn large_bodies(limit: usize) -> Vec<Vec<u8>> {
    let mut bodies: Vec<_> =
        [0, 1, 0x3F, 0x40, 0x7F, 0x80, 0xBF, 0xFF].map(|byte| vec![byte; limit]).into();
    for sample in samples() {
        let times = limit / sample.bytes.len() - 1;
        bodies.push([&sample.bytes.repeat(times)[..], &[0xFF]].concat());
    }
    bodies
}

/// Good bodies of any endpoint, cut short or with something after them.
fn damaged_bodies() -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for sample in samples().into_iter().filter(|sample| !sample.name.contains("another protocol")) {
        for at in (0..sample.bytes.len()).step_by(sample.bytes.len() / 30 + 1) {
            bodies.push(sample.bytes[..at].to_vec());
        }
        bodies.push([&sample.bytes[..], &[0]].concat());
    }
    bodies
}

/// A user's table of the nonces of signed requests, which are kept whatever else the request says.
const NONCES: u8 = 2;

/// What has been stored, by provider and object, but for nonces.
fn stored(universe: &mut Universe) -> BTreeSet<(&'static str, ObjectName, Vec<u8>, Vec<u8>)> {
    let mut all = BTreeSet::new();
    for domain in [ALPHA, BRAVO] {
        for (name, rows) in universe.provider(domain).stored() {
            let is_user = name.class == ObjectClass::User;
            for (key, value) in rows.rows().filter(|(key, _)| !is_user || key[0] != NONCES) {
                all.insert((domain, name.clone(), key.to_vec(), value.to_vec()));
            }
        }
    }
    all
}

/// Whether these bytes are a body, by chance: then the endpoint has more to say than 400.
type IsBody = fn(&[u8]) -> bool;

fn is<T: DeserializeBytes>(bytes: &[u8]) -> bool {
    decode_exact::<T>(bytes).is_ok()
}

/// Sender, receiver, path, limit.
const PEER_ENDPOINTS: [(&str, &str, &str, usize, IsBody); 8] = [
    (BRAVO, ALPHA, "update/clubhouse%40alpha.example", 4 << 20, is::<UpdateRequest>),
    (BRAVO, ALPHA, "submitMessage/clubhouse%40alpha.example", 256 << 10, |_| false),
    (BRAVO, ALPHA, "groupInfo/clubhouse%40alpha.example", 256 << 10, is::<GroupInfoRequest>),
    (BRAVO, ALPHA, "requestConsent/alice%40alpha.example", 256 << 10, is::<ConsentEntry>),
    (BRAVO, ALPHA, "updateConsent/alice%40alpha.example", 256 << 10, is::<ConsentEntry>),
    (BRAVO, ALPHA, "keyMaterial/alice%40alpha.example", 256 << 10, is::<KeyMaterialRequest>),
    (ALPHA, BRAVO, "keyMaterial/bob%40bravo.example", 256 << 10, is::<KeyMaterialRequest>),
    (ALPHA, BRAVO, "notify/clubhouse%40alpha.example", 8 << 20, |_| false),
];

#[test]
fn r5_r62_d18_other_providers_get_400_for_anything_that_is_no_body() {
    let mut universe = in_a_room();
    let before = stored(&mut universe);
    for (from, to, path, limit, is_body) in PEER_ENDPOINTS {
        let bodies = [small_bodies(), damaged_bodies(), large_bodies(limit)].concat();
        for body in bodies.into_iter().filter(|body| !is_body(body)) {
            let shown = (body.len(), body.first().copied());
            let call = HttpCall {
                method: Method::Post,
                url: format!("https://{to}/v1/{path}"),
                headers: vec![("from".into(), format!("mimi@{from}"))],
                body,
                timeout_millis: 0,
            };
            let response = universe.peer_request(from, &call);
            assert_eq!(response.status, 400, "{path}: {shown:?}");
        }
        assert!(stored(&mut universe) == before, "{path} stored something");
        let larger = HttpCall {
            method: Method::Post,
            url: format!("https://{to}/v1/{path}"),
            headers: vec![("from".into(), format!("mimi@{from}"))],
            body: vec![0; limit + 1],
            timeout_millis: 0,
        };
        assert_eq!(universe.peer_request(from, &larger).status, 413, "{path}");
    }
    universe.exchanges.clear();
    universe.run();
    assert_eq!(universe.exchanges, [], "nothing was caused");
}

/// Path, limit, the answer: the follower looks for a leaf of the device first (R69).
const DEVICE_ENDPOINTS: [(&str, usize, u16, IsBody); 7] = [
    ("keyPackages", 256 << 10, 400, is::<KeyPackageList>),
    ("rooms/den%40bravo.example", 256 << 10, 400, is::<RoomCreation>),
    ("keyMaterial/alice%40alpha.example", 256 << 10, 400, is::<KeyMaterialRequest>),
    ("update/clubhouse%40alpha.example", 4 << 20, 400, is::<UpdateRequest>),
    ("submitMessage/clubhouse%40alpha.example", 256 << 10, 403, |_| false),
    ("groupInfo/clubhouse%40alpha.example", 256 << 10, 400, is::<GroupInfoRequest>),
    ("consent", 256 << 10, 400, is::<ConsentEntry>),
];

/// A request that the device signs, to its provider.
fn signed(device: &Device, universe: &mut Universe, path: &str, body: &[u8], nonce: u64) -> u16 {
    let path = format!("/client/v1/{path}");
    let nonce = [[0; 8], nonce.to_be_bytes()].concat();
    let auth = device.auth_with_nonce("POST", &path, body, universe.now, &nonce);
    let request = HttpRequest {
        method: "POST".into(),
        path,
        headers: vec![("authorization".into(), auth.to_header().unwrap())],
        body: body.to_vec(),
    };
    universe.own_request(BRAVO, &request).status
}

#[test]
fn r5_r62_d18_own_devices_get_400_for_anything_that_is_no_body() {
    let mut universe = in_a_room();
    let device = Device::new("bob@bravo.example/evil");
    let registration = HttpRequest {
        method: "POST".into(),
        path: "/client/v1/devices".into(),
        headers: Vec::new(),
        body: encode(&device.registration()).unwrap(),
    };
    assert_eq!(universe.own_request(BRAVO, &registration).status, 201);
    let mut nonce: u64 = 0;
    let before = stored(&mut universe);
    for (path, limit, refusal, is_body) in DEVICE_ENDPOINTS {
        let bodies = [small_bodies(), damaged_bodies(), large_bodies(limit)].concat();
        for body in bodies.into_iter().filter(|body| !is_body(body)) {
            nonce += 1;
            let status = signed(&device, &mut universe, path, &body, nonce);
            assert_eq!(status, refusal, "{path}: {} bytes from {:?}", body.len(), body.first());
        }
        nonce += 1;
        assert_eq!(signed(&device, &mut universe, path, &vec![0; limit + 1], nonce), 413, "{path}");
        assert!(stored(&mut universe) == before, "{path} stored something");
    }
}
