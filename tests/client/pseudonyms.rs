//! Pseudonyms as the device that asks for them and their own client see them (R91, R92).

use mimi_edge::{
    client::{Client, ClientOptions, CreateOptions, ErrorCode, Event, Pseudonym},
    error::{Error, UsageError},
    mls::{MlsCrypto, labels},
    transport::Response,
    wire::{self, DeviceRegistration, uri::RoomUri},
};
use openmls::prelude::SignatureScheme;

use super::world::{ALICE, Device, World, room, user};

fn request(world: &mut World) {
    let now = world.now;
    world.devices[ALICE].act(|alice| alice.request_pseudonym(now)).unwrap();
}

fn issued(world: &World) -> Vec<Pseudonym> {
    world.devices[ALICE].client.pseudonyms().unwrap()
}

/// Alice has a pseudonym; its client is the last device.
fn with_pseudonym() -> (World, Pseudonym) {
    let mut world = World::new();
    request(&mut world);
    world.run();
    let pseudonym = issued(&world).remove(0);
    let (options, now) = (ClientOptions::of_pseudonym(pseudonym.clone()), world.now);
    world.devices.push(Device::with_options(options, now));
    world.run();
    (world, pseudonym)
}

#[test]
fn r92_the_key_is_new_and_signs_for_the_device_that_asks() {
    let mut world = World::new();
    request(&mut world);
    request(&mut world);
    world.run();
    let bodies = world.desk.requests.iter().filter(|(path, _)| path == "POST pseudonyms");
    let keys: Vec<Vec<u8>> = bodies
        .map(|(_, body)| {
            let DeviceRegistration { tbs, signature } = wire::decode_exact(body).unwrap();
            assert_eq!(tbs.client_uri, world.devices[ALICE].client.device().to_wire());
            let key = tbs.signature_key.as_slice().to_vec();
            assert!(labels::verifies_with_label(
                MlsCrypto::new().algorithms(),
                (SignatureScheme::ED25519, &key),
                labels::PSEUDONYM,
                &wire::encode(&tbs).unwrap(),
                signature.as_slice(),
            ));
            key
        })
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    let registered = world.desk.requests.iter().find(|(path, _)| path == "POST devices").unwrap();
    let registration: DeviceRegistration = wire::decode_exact(&registered.1).unwrap();
    assert!(!keys.iter().any(|key| key == registration.tbs.signature_key.as_slice()));
    assert_eq!(issued(&world).len(), 2);
}

#[test]
fn r91_a_lost_answer_and_a_restart_lead_to_the_same_pseudonym() {
    let mut world = World::new();
    request(&mut world);
    let (_, call) = world.poll(ALICE).unwrap();
    world.desk.handle(&call);
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.run();
    assert_eq!(world.desk.count("POST pseudonyms"), 2);
    let known = issued(&world);
    assert_eq!(known.len(), 1);
    let told = Event::PseudonymIssued { user: known[0].user() };
    assert_eq!(world.devices[ALICE].events.iter().filter(|event| **event == told).count(), 1);
    world.devices[ALICE].reopen(now);
    assert_eq!(issued(&world), known);
}

#[test]
fn r91_a_refusal_is_told_and_leaves_nothing() {
    let mut world = World::new();
    for (status, code) in [(403, ErrorCode::NotAllowed), (429, ErrorCode::RateLimited)] {
        request(&mut world);
        world.desk.answer("pseudonyms", Some(Response::empty(status)));
        world.run();
        if status == 429 {
            // That one is for now alone.
            assert_eq!(issued(&world).len(), 1);
            continue;
        }
        assert_eq!(issued(&world), []);
        let told = Event::PseudonymRefused { code };
        assert!(world.devices[ALICE].events.contains(&told));
    }
    // An answer that is none.
    request(&mut world);
    world.desk.answer("pseudonyms", Some(Response::tls(201, vec![9])));
    world.run();
    assert_eq!(issued(&world).len(), 1);
}

#[test]
fn r92_the_client_of_a_pseudonym_is_the_one_that_was_issued() {
    let (mut world, pseudonym) = with_pseudonym();
    assert_eq!(world.devices[3].client.device(), pseudonym.client());
    assert!(world.devices[3].client.is_registered().unwrap());
    let now = world.now;
    world.devices[3].reopen(now);
    assert_eq!(world.devices[3].client.device(), pseudonym.client());
    // Its provider sees KeyPackages of that client, and the owner's stay its own.
    let published = &world.desk.key_packages;
    assert!(published.contains_key(pseudonym.client().as_str()));
    // As bytes it is the same, and its key is not shown.
    let again = Pseudonym::from_bytes(pseudonym.to_bytes()).unwrap();
    assert_eq!(again, pseudonym);
    assert_eq!(format!("{pseudonym:?}"), format!("Pseudonym({})", pseudonym.client()));
    let wrong = Pseudonym::from_bytes(b"no pseudonym");
    assert!(matches!(wrong, Err(Error::Usage(UsageError::BadArgument(_)))));
    // An ordinary device's identity is no pseudonym.
    let row = world.devices[ALICE].stored.rows().find(|(key, _)| **key == [2]).unwrap().1;
    assert!(Pseudonym::from_bytes(row).is_err());
    // The rows of another user are not its.
    let rows = world.devices[ALICE].stored.rows();
    let rows = rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    let options = ClientOptions::of_pseudonym(pseudonym);
    assert!(Client::open(&options, rows, MlsCrypto::new(), now).is_err());
}

#[test]
fn r91_the_client_of_a_pseudonym_has_one_room_and_no_pseudonyms() {
    let (mut world, pseudonym) = with_pseudonym();
    let now = world.now;
    let nested = world.devices[3].act(|client| client.request_pseudonym(now));
    assert!(matches!(nested, Err(Error::Usage(UsageError::BadState(_)))));
    world.devices[3]
        .act(|client| client.create_room(&room(), CreateOptions::default(), now))
        .unwrap();
    world.run();
    let second = RoomUri::parse("den@alpha.example").unwrap();
    let options = CreateOptions::default();
    let refused = world.devices[3].act(|client| client.create_room(&second, options, now));
    assert!(matches!(refused, Err(Error::Usage(UsageError::BadState(_)))));
    assert_eq!(world.devices[3].client.rooms().unwrap().len(), 1);
    let state = world.devices[3].client.room_state(&room()).unwrap().unwrap();
    assert_eq!(state.participants[0].user, pseudonym.user());
    assert_ne!(pseudonym.user(), user("alice@alpha.example"));
}

#[test]
fn r92_a_device_forgets_a_pseudonym_and_its_key() {
    let (mut world, pseudonym) = with_pseudonym();
    let now = world.now;
    world.devices[ALICE].act(|alice| alice.forget_pseudonym(&pseudonym, now)).unwrap();
    assert_eq!(issued(&world), []);
    let name = pseudonym.user().to_string();
    let is_in = |bytes: &[u8]| bytes.windows(name.len()).any(|part| part == name.as_bytes());
    assert!(!world.devices[ALICE].stored.rows().any(|(key, value)| is_in(key) || is_in(value)));
}
