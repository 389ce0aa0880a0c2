//! Pseudonyms between providers: used as anybody's address, and linked to nobody (R91–R93).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::collections::BTreeSet;

use common::universe::{Exchanged, Faults, Universe, room, user};
use mimi_edge::{
    client::{AddOptions, CreateOptions, ErrorCode, Event},
    mls::{MlsCrypto, key_package::check_key_package},
    time::UnixMillis,
    wire::{
        ClientMaterial, KeyMaterialResponse, RequiredCapabilities, decode_exact, encode,
        uri::{ClientUri, UserUri},
    },
};

const ALICE: &str = "alice@alpha.example";
const BOB: &str = "bob@bravo.example";
const CLUB: &str = "clubhouse@bravo.example";
const DEN: &str = "den@bravo.example";
const DOMAINS: [&str; 2] = ["alpha.example", "bravo.example"];

/// Alice and Bob with a device each; what the providers say to each other is kept.
fn alice_and_bob(seed: u64) -> (Universe, ClientUri, ClientUri) {
    let mut universe = Universe::new(&DOMAINS, seed);
    universe.tapped = Some(Vec::new());
    let [alice, bob] = [ALICE, BOB].map(|name| universe.add_device(name));
    universe.run();
    (universe, alice, bob)
}

/// A new pseudonym of a device, with a client of its own.
fn pseudonym(universe: &mut Universe, of: &ClientUri) -> ClientUri {
    universe.act(of, |client, now| client.request_pseudonym(now)).unwrap();
    universe.run();
    let issued = universe.events(of).into_iter().find_map(|event| match event {
        Event::PseudonymIssued { user } => Some(user),
        _ => None,
    });
    let known = universe.device(of).client.pseudonyms().unwrap();
    let pseudonym = known.into_iter().find(|known| Some(known.user()) == issued).unwrap();
    let client = universe.add_pseudonym(pseudonym);
    universe.run();
    client
}

fn create(universe: &mut Universe, by: &ClientUri, name: &str) {
    universe
        .act(by, |client, now| client.create_room(&room(name), CreateOptions::default(), now))
        .unwrap();
    universe.run();
}

/// Adds a user; says why not, if it fails.
fn add(universe: &mut Universe, by: &ClientUri, name: &str, whom: &UserUri) -> Option<ErrorCode> {
    universe.events(by);
    let options = AddOptions::default();
    universe.act(by, |client, now| client.add_user(&room(name), whom, options, now)).unwrap();
    universe.run();
    universe.events(by).into_iter().find_map(|event| match event {
        Event::IntentFailed { code, .. } => Some(code),
        _ => None,
    })
}

fn say(universe: &mut Universe, by: &ClientUri, name: &str, text: &str) {
    universe.act(by, |client, now| client.send(&room(name), text.into(), now)).unwrap();
    universe.run();
}

/// Who said what, as a device saw it.
fn heard(universe: &mut Universe, by: &ClientUri) -> Vec<(ClientUri, String)> {
    let messages = universe.events(by).into_iter().filter_map(|event| match event {
        Event::Message(message) => Some((message.sender, message.content)),
        _ => None,
    });
    messages.map(|(sender, content)| (sender, String::from_utf8(content).unwrap())).collect()
}

fn participants(universe: &mut Universe, by: &ClientUri, name: &str) -> Vec<(UserUri, usize)> {
    let state = universe.act(by, |client, _| client.room_state(&room(name))).unwrap().unwrap();
    state.participants.into_iter().map(|one| (one.user, one.devices.len())).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn exchanged(universe: &Universe) -> &[Exchanged] {
    universe.tapped.as_deref().unwrap()
}

#[test]
fn r91_r93_one_takes_part_under_a_pseudonym_as_an_address_and_others_learn_the_provider_alone() {
    let (mut universe, alice, bob) = alice_and_bob(1);
    let client = pseudonym(&mut universe, &alice);
    create(&mut universe, &bob, CLUB);
    assert_eq!(add(&mut universe, &bob, CLUB, &client.user()), None);
    say(&mut universe, &client, CLUB, "hello from nobody");
    assert_eq!(heard(&mut universe, &bob), [(client.clone(), "hello from nobody".to_owned())]);
    say(&mut universe, &bob, CLUB, "welcome");
    assert_eq!(heard(&mut universe, &client), [(bob.clone(), "welcome".to_owned())]);
    let expected = [(user(BOB), 1), (client.user(), 1)];
    assert_eq!(participants(&mut universe, &bob, CLUB), expected);

    assert!(exchanged(&universe).len() >= 4);
    for Exchanged { path, request, response } in exchanged(&universe) {
        for bytes in [path.as_bytes(), request, response] {
            assert!(!contains(bytes, b"alice"), "{path}");
        }
    }
    // Alice's own client has nothing of it either, but the key.
    assert_eq!(universe.device(&alice).client.rooms().unwrap(), []);
    assert_eq!(heard(&mut universe, &alice), []);
}

#[test]
fn r93_one_creates_a_room_under_a_pseudonym() {
    const SALON: &str = "salon@alpha.example";
    let (mut universe, alice, bob) = alice_and_bob(2);
    let client = pseudonym(&mut universe, &alice);
    create(&mut universe, &client, SALON);
    assert_eq!(add(&mut universe, &client, SALON, &user(BOB)), None);
    say(&mut universe, &client, SALON, "hello");
    assert_eq!(heard(&mut universe, &bob), [(client.clone(), "hello".to_owned())]);
    let expected = [(client.user(), 1), (user(BOB), 1)];
    assert_eq!(participants(&mut universe, &bob, SALON), expected);
    for Exchanged { path, request, response } in exchanged(&universe) {
        for bytes in [path.as_bytes(), request, response] {
            assert!(!contains(bytes, b"alice"), "{path}");
        }
    }
}

#[test]
fn r93_the_user_and_its_pseudonym_are_two_for_everybody() {
    let (mut universe, alice, bob) = alice_and_bob(3);
    let client = pseudonym(&mut universe, &alice);
    create(&mut universe, &bob, CLUB);
    assert_eq!(add(&mut universe, &bob, CLUB, &user(ALICE)), None);
    let expected = [(user(BOB), 1), (user(ALICE), 1)];
    assert_eq!(participants(&mut universe, &bob, CLUB), expected);
    assert_eq!(universe.device(&client).client.rooms().unwrap(), []);
    let state = universe.act(&bob, |bob, _| bob.room_state(&room(CLUB))).unwrap().unwrap();
    assert_eq!(state.participants[1].devices, std::slice::from_ref(&alice));

    assert_eq!(add(&mut universe, &bob, CLUB, &client.user()), None);
    let expected = [(user(BOB), 1), (user(ALICE), 1), (client.user(), 1)];
    assert_eq!(participants(&mut universe, &bob, CLUB), expected);
    assert_eq!(universe.device(&alice).client.rooms().unwrap().len(), 1);
}

#[test]
fn r91_a_pseudonym_that_is_in_one_room_is_not_to_be_had_for_another() {
    let (mut universe, alice, bob) = alice_and_bob(4);
    let client = pseudonym(&mut universe, &alice);
    for name in [CLUB, DEN] {
        create(&mut universe, &bob, name);
    }
    assert_eq!(add(&mut universe, &bob, CLUB, &client.user()), None);
    let refused = add(&mut universe, &bob, DEN, &client.user());
    assert_eq!(refused, Some(ErrorCode::NoConsent));
    assert_eq!(participants(&mut universe, &bob, DEN).len(), 1);
    // Nor does it create one.
    let name = room("salon@alpha.example");
    let options = CreateOptions::default();
    let second = universe.act(&client, |client, now| client.create_room(&name, options, now));
    assert!(second.is_err());
    assert_eq!(universe.device(&client).client.rooms().unwrap().len(), 1);
}

/// What could tell that two KeyPackages are of one client: addresses and keys.
fn marks(response: &[u8], now: UnixMillis) -> Vec<Vec<u8>> {
    let response: KeyMaterialResponse = decode_exact(response).unwrap();
    let mut marks = vec![response.user_uri.0.into_bytes()];
    for client in response.clients {
        let ClientMaterial::Success(key_package) = client.material else { continue };
        marks.push(client.client_uri.0.into_bytes());
        let valid = check_key_package(
            MlsCrypto::new().algorithms(),
            key_package.into_value(),
            &RequiredCapabilities::default(),
            now,
        );
        let valid = valid.unwrap();
        let leaf = valid.key_package.leaf_node();
        marks.push(leaf.credential().serialized_content().to_vec());
        marks.push(leaf.signature_key().as_slice().to_vec());
        marks.push(encode(leaf.encryption_key()).unwrap());
        marks.push(valid.key_package.hpke_init_key().as_slice().to_vec());
        marks.push(valid.reference);
    }
    marks
}

#[test]
fn r92_two_rooms_share_no_address_no_credential_and_no_key() {
    let (mut universe, alice, bob) = alice_and_bob(5);
    let clients = [CLUB, DEN].map(|name| {
        let client = pseudonym(&mut universe, &alice);
        create(&mut universe, &bob, name);
        assert_eq!(add(&mut universe, &bob, name, &client.user()), None);
        say(&mut universe, &client, name, "hello");
        (name, client)
    });
    let now = universe.now;
    let of_room = |name: &str, client: &ClientUri| -> (Vec<Vec<u8>>, Vec<&Exchanged>) {
        let claim = format!("/v1/keyMaterial/{}", client.user());
        let exchanged = exchanged(&universe).iter();
        let is_of_room = |exchanged: &&Exchanged| {
            exchanged.path == claim || exchanged.path.ends_with(&format!("/{name}"))
        };
        let exchanged: Vec<_> = exchanged.filter(is_of_room).collect();
        let claims = exchanged.iter().filter(|exchanged| exchanged.path == claim);
        let marks = claims.flat_map(|exchanged| marks(&exchanged.response, now)).collect();
        (marks, exchanged)
    };
    let both = clients.each_ref().map(|(name, client)| of_room(name, client));
    for (here, there) in [(&both[0], &both[1]), (&both[1], &both[0])] {
        assert_eq!(here.0.len(), 7);
        assert!(there.1.len() >= 3);
        for mark in &here.0 {
            // It is in its own room's exchanges, and in none of the other's.
            let is_in = |exchanged: &&&Exchanged| {
                contains(&exchanged.request, mark) || contains(&exchanged.response, mark)
            };
            assert!(here.1.iter().any(|one| is_in(&one)));
            assert!(!there.1.iter().any(|one| is_in(&one)));
        }
    }
}

#[test]
fn r91_r67_a_pseudonym_is_asked_for_once_on_a_bad_network_and_across_a_restart() {
    let mut all = BTreeSet::new();
    for seed in 0..6 {
        let (mut universe, alice, _) = alice_and_bob(seed);
        universe.faults = Faults::stormy(seed);
        universe.act(&alice, |alice, now| alice.request_pseudonym(now)).unwrap();
        universe.run_steps(usize::try_from(seed).unwrap());
        universe.reopen(&alice);
        universe.restart("alpha.example");
        universe.run();
        universe.calm_down();
        let known = universe.device(&alice).client.pseudonyms().unwrap();
        assert_eq!(known.len(), 1, "seed {seed}");
        let objects = universe.provider("alpha.example").stored();
        let pseudonyms = objects.keys().filter(|name| name.name == known[0].user().as_str());
        assert_eq!(pseudonyms.count(), 1);
        let users = objects.keys().filter(|name| name.class.name() == "User");
        assert_eq!(users.count(), 2, "seed {seed}: alice and the pseudonym");
        all.insert(known[0].user());
    }
    assert_eq!(all.len(), 6);
}

#[test]
fn r91_d19_a_pseudonym_ends_with_its_owner() {
    let (mut universe, alice, bob) = alice_and_bob(6);
    let client = pseudonym(&mut universe, &alice);
    create(&mut universe, &bob, CLUB);
    add(&mut universe, &bob, CLUB, &client.user());
    universe.act(&alice, |alice, now| alice.delete_user(now)).unwrap();
    universe.run();
    for device in [&alice, &client] {
        assert!(universe.events(device).contains(&Event::Revoked), "{device}");
    }
    let code = add(&mut universe, &bob, CLUB, &user(ALICE));
    assert_eq!(code, Some(ErrorCode::UserUnknown));
}
