//! Devices that are revoked and users who are deleted, with real clients.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::universe::{Universe, room, user};
use mimi_edge::{
    client::{AddOptions, CreateOptions, ErrorCode, Event},
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectName, Source},
    wire::uri::ClientUri,
};

const ROOM: &str = "clubhouse@alpha.example";
const BOB: &str = "bob@bravo.example";

/// Alice with a room, Bob with two devices.
fn alice_and_bob(seed: u64) -> (Universe, ClientUri, [ClientUri; 2]) {
    let mut universe = Universe::new(&["alpha.example", "bravo.example"], seed);
    let alice = universe.add_device("alice@alpha.example");
    let bob = [BOB; 2].map(|name| universe.add_device(name));
    universe.run();
    universe
        .act(&alice, |alice, now| alice.create_room(&room(ROOM), CreateOptions::default(), now))
        .unwrap();
    universe.run();
    (universe, alice, bob)
}

fn is_told(universe: &mut Universe, device: &ClientUri) -> bool {
    universe.events(device).contains(&Event::Revoked)
}

fn add_bob(universe: &mut Universe, alice: &ClientUri) -> Vec<Event> {
    universe.events(alice);
    let options = AddOptions::default();
    universe
        .act(alice, |alice, now| alice.add_user(&room(ROOM), &user(BOB), options, now))
        .unwrap();
    universe.run();
    universe.events(alice)
}

#[test]
fn d9_a_device_that_another_one_revokes_is_out_and_others_are_not_told_of_it() {
    let (mut universe, alice, [phone, tablet]) = alice_and_bob(1);
    let known = universe.device(&phone).client.devices().unwrap();
    assert_eq!(known.len(), 2);

    universe.act(&phone, |phone, now| phone.revoke_device(&tablet, now)).unwrap();
    universe.run();
    assert!(is_told(&mut universe, &tablet));
    assert!(!is_told(&mut universe, &phone));
    let left = universe.device(&phone).client.devices().unwrap();
    assert_eq!((left.len(), &left[0].client), (1, &phone));

    add_bob(&mut universe, &alice);
    let state = universe.device(&alice).client.room_state(&room(ROOM)).unwrap().unwrap();
    assert_eq!(state.participants[1].devices, [phone]);
    assert_eq!(universe.device(&tablet).client.rooms().unwrap(), []);
}

fn devices_of_bob(universe: &mut Universe, by: &ClientUri) -> Vec<ClientUri> {
    let state = universe.act(by, |client, _| client.room_state(&room(ROOM))).unwrap().unwrap();
    let bob = state.participants.into_iter().find(|one| one.user == user(BOB));
    bob.map(|bob| bob.devices).unwrap_or_default()
}

#[test]
fn d9_a_revoked_device_is_taken_out_of_the_rooms_that_the_other_one_is_in() {
    let (mut universe, alice, [phone, tablet]) = alice_and_bob(4);
    add_bob(&mut universe, &alice);
    assert_eq!(devices_of_bob(&mut universe, &alice).len(), 2);
    universe.act(&phone, |phone, now| phone.revoke_device(&tablet, now)).unwrap();
    universe.run();
    for member in [&alice, &phone] {
        assert_eq!(devices_of_bob(&mut universe, member), std::slice::from_ref(&phone));
    }
    assert!(is_told(&mut universe, &tablet));
    universe.act(&alice, |alice, now| alice.send(&room(ROOM), b"hello".to_vec(), now)).unwrap();
    universe.run();
    let is_message = |event: &Event| matches!(event, Event::Message(_));
    assert_eq!(universe.events(&phone).iter().filter(|event| is_message(event)).count(), 1);
    assert_eq!(universe.events(&tablet).iter().filter(|event| is_message(event)).count(), 0);
}

#[test]
fn d19_r56_r77_a_deleted_user_of_the_hub_goes_with_the_next_commit_and_one_of_a_follower_stays() {
    for (name, stays) in [("dave@alpha.example", false), ("dave@bravo.example", true)] {
        let (mut universe, alice, bob) = alice_and_bob(5);
        add_bob(&mut universe, &alice);
        let dave = universe.add_device(name);
        universe.run();
        let options = AddOptions::default();
        universe
            .act(&alice, |alice, now| alice.add_user(&room(ROOM), &user(name), options, now))
            .unwrap();
        universe.run();
        universe.act(&dave, |dave, now| dave.delete_user(now)).unwrap();
        universe.run();
        assert!(is_told(&mut universe, &dave));
        universe.act(&alice, |alice, now| alice.send(&room(ROOM), b"well".to_vec(), now)).unwrap();
        universe.run();
        for member in [&alice, &bob[0], &bob[1]] {
            let state = universe.act(member, |client, _| client.room_state(&room(ROOM)));
            let participants = state.unwrap().unwrap().participants;
            assert_eq!(participants.iter().any(|one| one.user == user(name)), stays, "{member}");
        }
        // Nothing of what is said reaches who is gone.
        let heard = universe.events(&dave);
        assert!(!heard.iter().any(|event| matches!(event, Event::Message(_))), "{heard:?}");
    }
}

#[test]
fn d9_a_device_that_was_offline_learns_it_when_it_comes_back() {
    let (mut universe, _, [phone, tablet]) = alice_and_bob(2);
    universe.set_online(&tablet, false);
    universe.act(&phone, |phone, now| phone.revoke_device(&tablet, now)).unwrap();
    universe.run();
    universe.set_online(&tablet, true);
    universe.act(&tablet, |tablet, now| tablet.refresh_devices(now)).unwrap();
    universe.run();
    assert!(is_told(&mut universe, &tablet));
}

#[test]
fn d19_a_user_whom_the_operator_deleted_is_nobody_for_anybody() {
    let (mut universe, alice, bob) = alice_and_bob(3);
    let request =
        IncomingRequest { source: Source::Own, endpoint: Endpoint::DeleteUser, body: vec![] };
    let call = ObjectCall { object: ObjectName::user(&user(BOB)), request };
    assert_eq!(universe.call(user(BOB).domain(), call).status, 200);
    universe.run();
    for device in &bob {
        assert!(is_told(&mut universe, device));
    }
    let events = add_bob(&mut universe, &alice);
    let code = events.iter().find_map(|event| match event {
        Event::IntentFailed { code, .. } => Some(*code),
        _ => None,
    });
    assert_eq!(code, Some(ErrorCode::UserUnknown));
    // The name is gone for good.
    let again = universe.add_device(BOB);
    universe.run();
    assert!(!universe.device(&again).client.is_registered().unwrap());
    assert_eq!(universe.device(&alice).client.room_state(&room(ROOM)).unwrap().unwrap().epoch, 0);
}
