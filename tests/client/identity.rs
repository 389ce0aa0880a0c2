//! The device itself: identity, registration, KeyPackages, storage.

use mimi_edge::{
    client::{Client, ClientOptions, Event},
    error::{Error, UsageError},
    mls::{MlsCrypto, credential::client_uri_of, labels},
    transport::Response,
    wire::{self, DeviceAuth, DeviceRegistration, DeviceRequestTbs, KeyPackageList},
};
use openmls::{key_packages::KeyPackageIn, prelude::SignatureScheme};

use super::clock::real_time;
use super::world::{ALICE, Device, World, open, user};

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

fn published(world: &World, at: usize) -> Vec<KeyPackageIn> {
    let requests = world.desk.requests.iter();
    let bodies: Vec<_> = requests.filter(|(path, _)| path == "POST keyPackages").collect();
    let list: KeyPackageList = wire::decode_exact(&bodies[at].1).unwrap();
    list.key_packages.into_iter().map(wire::Verbatim::into_value).collect()
}

#[test]
fn a25_the_credential_and_the_registration_name_the_device() {
    let mut world = World::new();
    let device = world.devices[ALICE].client.device().clone();
    assert_eq!(device.user(), user("alice@alpha.example"));
    let (_, body) = world.desk.requests.iter().find(|(path, _)| path == "POST devices").unwrap();
    let registration: DeviceRegistration = wire::decode_exact(body).unwrap();
    assert_eq!(registration.tbs.client_uri, device.to_wire());
    let key = registration.tbs.signature_key.as_slice();
    assert!(labels::verifies_with_label(
        MlsCrypto::new().algorithms(),
        (SignatureScheme::ED25519, key),
        labels::DEVICE,
        &wire::encode(&registration.tbs).unwrap(),
        registration.signature.as_slice(),
    ));
    for key_package in published(&world, 0) {
        let credential = key_package.unverified_credential();
        assert_eq!(client_uri_of(&credential.credential).unwrap(), device);
        assert_eq!(credential.signature_key.as_slice(), key);
    }
    // The name is random: another device of the user is another client.
    let now = world.now;
    world.devices.push(Device::new("alice@alpha.example", now));
    assert_ne!(*world.devices[3].client.device(), device);
}

#[test]
fn d9_the_same_rows_are_the_same_device_and_nobody_elses() {
    let mut world = World::new();
    let device = world.devices[ALICE].client.device().clone();
    let now = world.now;
    world.devices[ALICE].reopen(now);
    assert_eq!(*world.devices[ALICE].client.device(), device);
    assert!(world.devices[ALICE].client.is_registered().unwrap());

    let stored = &world.devices[ALICE].stored;
    let rows = stored.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    let options = ClientOptions::new(user("bob@bravo.example"));
    let refused = Client::open(&options, rows, MlsCrypto::new(), now).err();
    assert!(matches!(refused, Some(Error::Usage(UsageError::BadArgument(_)))));
}

#[test]
fn storage_of_a_newer_version_is_left_alone() {
    let world = World::new();
    let rows: Vec<_> = world.devices[ALICE]
        .stored
        .rows()
        .map(|(key, value)| {
            let value = if key == [1] { vec![99] } else { value.to_vec() };
            (key.to_vec(), value)
        })
        .collect();
    let options = ClientOptions::new(user("alice@alpha.example"));
    let refused = Client::open(&options, rows, MlsCrypto::new(), world.now).err();
    assert_eq!(refused, Some(Error::Usage(UsageError::StorageNewer)));
}

#[test]
fn d21_every_request_but_the_registration_is_signed() {
    let mut world = World::new();
    let now = world.now;
    world.devices[ALICE].act(|alice| alice.catch_up(now)).unwrap();
    let (_, call) = world.poll(ALICE).unwrap();
    let (_, header) = call.headers.iter().find(|(name, _)| name == "authorization").unwrap();
    let auth = DeviceAuth::from_header(header).unwrap();
    assert_eq!(auth.client_uri, world.devices[ALICE].client.device().to_wire());
    assert_eq!((auth.created, auth.nonce.as_slice().len()), (now.0, 16));
    let tbs = DeviceRequestTbs {
        client_uri: auth.client_uri,
        created: auth.created,
        nonce: auth.nonce,
        method: b"GET".as_slice().into(),
        path: call.url.as_bytes().into(),
        body_hash: <sha2::Sha256 as sha2::Digest>::digest(&call.body).to_vec().into(),
    };
    let key = published(&world, 0)[0].unverified_credential().signature_key;
    assert!(labels::verifies_with_label(
        MlsCrypto::new().algorithms(),
        (SignatureScheme::ED25519, key.as_slice()),
        labels::DEVICE_REQUEST,
        &wire::encode(&tbs).unwrap(),
        auth.signature.as_slice(),
    ));
    assert_eq!(call.url, "/client/v1/inbox?after=0");
}

#[test]
fn a_refused_registration_is_told_and_nothing_more_is_sent() {
    let now = real_time();
    let stored = mimi_edge::storage::MemoryStorage::default();
    let mut client = open(&ClientOptions::new(user("alice@alpha.example")), &stored, now);
    let request = client.poll_request(now).unwrap().unwrap();
    client.handle_response(request.id, Some(Response::empty(409)), now).unwrap();
    let events = client.take_events();
    assert!(
        matches!(&events[..], [Event::RegistrationFailed { code }] if code.as_str() == "conflict")
    );
    assert_eq!(client.poll_request(now.plus(DAY_MILLIS)).unwrap(), None);
}

#[test]
fn a_refused_device_asks_again_when_it_is_opened_again() {
    let now = real_time();
    let mut device = Device::new("alice@alpha.example", now);
    let request = device.act(|client| client.poll_request(now)).unwrap().unwrap();
    let refusal = Some(Response::empty(403));
    device.act(|client| client.handle_response(request.id, refusal, now)).unwrap();
    device.reopen(now);
    let again = device.act(|client| client.poll_request(now)).unwrap().unwrap();
    assert_eq!(again.outgoing, request.outgoing);
    let taken = Some(Response::empty(201));
    device.act(|client| client.handle_response(again.id, taken, now)).unwrap();
    assert!(device.client.is_registered().unwrap());
}
