//! Several devices of one user, at the hub and at a follower.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::{
    scene::{ALICE, BOB, CATHY, ROOM, Scene},
    universe::room,
};
use mimi_edge::client::{Event, RoomPhase};

#[test]
fn r16_a_user_adds_its_other_devices_by_the_same_rules() {
    for (name, index) in [(ALICE, 0), (BOB, 1)] {
        let (mut scene, devices) = Scene::new(1);
        let second = scene.universe.add_device(name);
        scene.universe.run();
        scene.add(&devices[index], name);
        let [alice, bob, cathy] = &devices;
        assert_eq!(scene.agree(&[alice, bob, cathy, &second]), [ALICE, BOB, CATHY]);
        let events = scene.universe.events(&second);
        assert!(events.contains(&Event::RoomAdded { room: room(ROOM) }));
        assert_eq!(scene.failures(&devices[index]), [] as [&str; 0]);
        // Nothing is missing now.
        let epoch = scene.state(alice).epoch;
        scene.add(&devices[index], name);
        assert_eq!(scene.state(alice).epoch, epoch);
    }
}

#[test]
fn r60_a_users_other_devices_see_what_one_did() {
    for (name, index) in [(ALICE, 0), (BOB, 1)] {
        let (mut scene, devices) = Scene::new(2);
        let second = scene.universe.add_device(name);
        scene.universe.run();
        scene.add(&devices[index], name);
        let [alice, bob, cathy] = &devices;
        let all = [alice, bob, cathy, &second];
        scene.universe.events(&second);
        scene.commit(&devices[index]);
        assert_eq!(scene.agree(&all), [ALICE, BOB, CATHY]);
        scene.send(&devices[index], "from the other one");
        assert_eq!(scene.messages(&second), ["from the other one"]);
        scene.send(&second, "and back");
        assert_eq!(scene.messages(&devices[index]), ["and back"]);
    }
}

#[test]
fn a_user_who_is_added_comes_in_with_all_devices() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(3);
    let daves = [(); 3].map(|()| scene.universe.add_device("dave@bravo.example"));
    scene.universe.run();
    scene.add(&cathy, "dave@bravo.example");
    let members = [&alice, &bob, &cathy, &daves[0], &daves[1], &daves[2]];
    assert_eq!(scene.agree(&members).len(), 4);
    assert_eq!(scene.state(&alice).epoch, 3);
}

#[test]
fn a_device_is_removed_and_the_others_stay() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(4);
    let second = scene.universe.add_device(BOB);
    scene.universe.run();
    scene.ask(&second, |second, now| second.join_room(&room(ROOM), now));
    scene.universe.run();
    scene.ask(&second, |second, now| second.remove_device(&room(ROOM), &bob, now));
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice, &cathy, &second]), [ALICE, BOB, CATHY]);
    assert_eq!(scene.phase(&bob), RoomPhase::Left);
    scene.send(&alice, "still with us?");
    assert_eq!(scene.messages(&second), ["still with us?"]);
    assert_eq!(scene.messages(&bob), [] as [&str; 0]);
    scene.ask(&bob, |bob, now| bob.join_room(&room(ROOM), now));
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice, &bob, &cathy, &second]), [ALICE, BOB, CATHY]);
}
