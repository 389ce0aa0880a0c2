//! External commits among real providers: new devices, and devices that lost the thread.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::{
    scene::{ALICE, BOB, CATHY, ROOM, Scene},
    universe::{Faults, room, user},
};
use mimi_edge::{
    client::{Event, RoomPhase},
    wire::FromProvider,
};

#[test]
fn r85_r89_d10_a_new_device_joins_with_nobody_online() {
    for (name, index) in [(ALICE, 0), (CATHY, 2)] {
        let (mut scene, devices) = Scene::new(1);
        let second = scene.universe.add_device(name);
        scene.universe.run();
        let available = Event::RoomsAvailable { rooms: vec![room(ROOM)] };
        assert!(scene.universe.events(&second).contains(&available));
        for device in &devices {
            scene.universe.set_online(device, false);
        }
        scene.ask(&second, |second, now| second.join_room(&room(ROOM), now));
        scene.universe.run();
        assert_eq!(scene.phase(&second), RoomPhase::Joined);
        scene.send(&second, "hello from my new device");
        for device in &devices {
            scene.universe.set_online(device, true);
        }
        scene.universe.run();
        let [alice, bob, cathy] = &devices;
        assert_eq!(scene.agree(&[alice, bob, cathy, &second]), [ALICE, BOB, CATHY]);
        for device in &devices {
            assert_eq!(scene.messages(device), ["hello from my new device"], "{device}");
        }
        scene.send(&devices[index], "so it is you");
        assert_eq!(scene.messages(&second), ["so it is you"]);
        // It can commit, too.
        scene.commit(&second);
        assert_eq!(scene.agree(&[alice, bob, cathy, &second]), [ALICE, BOB, CATHY]);
    }
}

#[test]
fn r90_who_is_not_on_the_list_cannot_join() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(2);
    let eve = scene.universe.add_device("eve@bravo.example");
    scene.universe.run();
    scene.ask(&eve, |eve, now| eve.join_room(&room(ROOM), now));
    scene.universe.run();
    assert_eq!(scene.failures(&eve), ["not-allowed"]);
    assert_eq!(scene.universe.act(&eve, |eve, _| eve.rooms()).unwrap(), []);
    assert_eq!(scene.agree(&[&alice, &bob, &cathy]), [ALICE, BOB, CATHY]);
}

#[test]
fn d22_d4_a_device_that_lost_the_thread_is_back_with_the_same_leaf() {
    for index in 0..3 {
        let (mut scene, devices) = Scene::new(3);
        let lost = &devices[index];
        scene.frame(lost, &FromProvider::Gap { room_id: room(ROOM).to_wire() });
        scene.ask(lost, |lost, now| lost.send(&room(ROOM), b"I am back".to_vec(), now));
        scene.universe.run();
        let events = scene.universe.events(lost);
        assert!(events.contains(&Event::Gap { room: room(ROOM) }));
        assert!(events.contains(&Event::Rejoined { room: room(ROOM) }));
        let [alice, bob, cathy] = &devices;
        assert_eq!(scene.agree(&[alice, bob, cathy]), [ALICE, BOB, CATHY]);
        assert_eq!(scene.state(lost).epoch, 3);
        let others: Vec<_> = devices.iter().filter(|device| *device != lost).collect();
        for device in &others {
            assert_eq!(scene.messages(device), ["I am back"]);
        }
        for device in others {
            scene.send(device, "good");
        }
        assert_eq!(scene.messages(lost), ["good", "good"]);
    }
}

#[test]
fn d20_devices_that_join_at_the_same_time_all_get_in() {
    for seed in 0..6 {
        let (mut scene, [alice, bob, cathy]) = Scene::new(seed);
        let new = [ALICE, BOB, CATHY].map(|name| scene.universe.add_device(name));
        scene.universe.run();
        scene.universe.faults = Faults::stormy(seed);
        for device in &new {
            scene.ask(device, |device, now| device.join_room(&room(ROOM), now));
        }
        scene.universe.run_steps(20);
        for device in &new {
            scene.universe.reopen(device);
        }
        scene.universe.calm_down();
        let members = [&alice, &bob, &cathy, &new[0], &new[1], &new[2]];
        assert_eq!(scene.agree(&members), [ALICE, BOB, CATHY], "seed {seed}");
        scene.universe.faults = Faults::none(seed);
        for device in members {
            scene.universe.events(device);
        }
        scene.send(&new[1], "all in");
        for device in members.into_iter().filter(|device| **device != new[1]) {
            assert_eq!(scene.messages(device), ["all in"], "seed {seed}: {device}");
        }
    }
}

#[test]
fn d2_who_was_away_while_taken_out_and_brought_in_again_misses_nothing_of_what_was_for_it() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(4);
    scene.universe.set_online(&bob, false);
    for text in ["one", "two"] {
        scene.ask(&alice, |alice, now| alice.remove_user(&room(ROOM), &user(BOB), now));
        scene.universe.run();
        scene.send(&alice, "he must not hear this");
        scene.add(&alice, BOB);
        scene.send(&cathy, text);
    }
    scene.universe.set_online(&bob, true);
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice, &bob, &cathy]), [ALICE, CATHY, BOB]);
    assert_eq!(scene.messages(&bob), ["one", "two"]);
}

#[test]
fn r54_who_comes_in_again_does_not_commit_what_was_pending_before() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(5);
    scene.ask(&cathy, |cathy, now| cathy.leave(&room(ROOM), now));
    scene.universe.run();
    scene.ask(&alice, |alice, now| alice.remove_user(&room(ROOM), &user(BOB), now));
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice]), [ALICE]);
    scene.add(&alice, BOB);
    scene.universe.exchanges.clear();
    scene.commit(&bob);
    assert_eq!(scene.updates_from("bravo.example"), [200]);
    assert_eq!(scene.agree(&[&alice, &bob]), [ALICE, BOB]);
    assert_eq!(scene.phase(&cathy), RoomPhase::Left);
}
