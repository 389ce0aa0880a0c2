//! Leaving, removing and banning among real providers.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::{
    scene::{ALICE, BOB, CATHY, ROOM, Scene},
    universe::{Faults, room, user},
};
use mimi_edge::{
    client::{CreateOptions, Event, RoomPhase},
    wire::Role,
};

#[test]
fn r54_r57_r63_the_drafts_leave_with_its_401() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(1);
    // Cathy commits before she hears of Bob's proposals.
    let leave = scene.ask(&bob, |bob, now| bob.leave(&room(ROOM), now));
    scene.ask(&cathy, |cathy, now| cathy.update_keys(&room(ROOM), now));
    scene.universe.run();
    assert_eq!(scene.updates_from("bravo.example"), [200]);
    assert_eq!(scene.updates_from("charlie.example"), [401, 200]);
    assert_eq!(scene.agree(&[&alice, &cathy]), [ALICE, CATHY]);
    assert_eq!(scene.state(&alice).epoch, 3);
    let events = scene.universe.events(&bob);
    assert!(events.contains(&Event::RoomLeft { room: room(ROOM) }));
    assert!(events.contains(&Event::IntentDone { room: room(ROOM), id: leave }));
    assert_eq!(scene.failures(&cathy), [] as [&str; 0]);
    // R83: nothing goes to Bob's provider any more.
    scene.universe.exchanges.clear();
    scene.send(&alice, "he is gone");
    assert_eq!(scene.messages(&cathy), ["he is gone"]);
    assert_eq!(scene.messages(&bob), [] as [&str; 0]);
    let to_bravo = |it: &&common::universe::Exchange| it.to.as_str() == "bravo.example";
    assert_eq!(scene.universe.exchanges.iter().find(to_bravo), None);
}

#[test]
fn r57_a_leave_does_not_stop_the_conversation() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(2);
    scene.ask(&bob, |bob, now| bob.leave(&room(ROOM), now));
    scene.universe.run();
    assert!(scene.state(&bob).leaving);
    scene.ask(&alice, |alice, now| alice.send(&room(ROOM), b"one".to_vec(), now));
    scene.ask(&cathy, |cathy, now| cathy.send(&room(ROOM), b"two".to_vec(), now));
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice, &cathy]), [ALICE, CATHY]);
    assert_eq!(scene.phase(&bob), RoomPhase::Left);
    assert_eq!(scene.messages(&alice), ["two"]);
    assert_eq!(scene.messages(&cathy), ["one"]);
    assert_eq!(scene.messages(&bob), [] as [&str; 0]);
}

#[test]
fn r55_r56_a_leave_that_races_with_external_commits_ends_with_the_user_out() {
    for seed in 0..6 {
        let (mut scene, [alice, bob, cathy]) = Scene::new(seed);
        let second = scene.universe.add_device(CATHY);
        let third = scene.universe.add_device(ALICE);
        scene.universe.run();
        scene.universe.faults = Faults::stormy(seed);
        scene.ask(&bob, |bob, now| bob.leave(&room(ROOM), now));
        scene.ask(&second, |second, now| second.join_room(&room(ROOM), now));
        scene.universe.run_steps(10);
        scene.ask(&third, |third, now| third.join_room(&room(ROOM), now));
        scene.universe.calm_down();
        scene.universe.faults = Faults::none(seed);
        scene.commit(&alice);
        let members = [&alice, &cathy, &second, &third];
        assert_eq!(scene.agree(&members), [ALICE, CATHY], "seed {seed}");
        assert_eq!(scene.phase(&bob), RoomPhase::Left, "seed {seed}");
    }
}

#[test]
fn r56_two_devices_whose_leave_an_external_commit_voids_leave_in_the_next_epoch() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(3);
    let second = scene.universe.add_device(BOB);
    scene.universe.run();
    scene.add(&bob, BOB);
    assert_eq!(scene.agree(&[&alice, &bob, &cathy, &second]), [ALICE, BOB, CATHY]);
    scene.ask(&second, |second, now| second.leave(&room(ROOM), now));
    scene.universe.run();
    assert!(scene.state(&bob).leaving);
    let third = scene.universe.add_device(CATHY);
    scene.universe.run();
    scene.ask(&third, |third, now| third.join_room(&room(ROOM), now));
    scene.universe.run();
    assert!(scene.state(&bob).leaving, "proposed again");
    scene.commit(&cathy);
    assert_eq!(scene.agree(&[&alice, &cathy, &third]), [ALICE, CATHY]);
    assert_eq!((scene.phase(&bob), scene.phase(&second)), (RoomPhase::Left, RoomPhase::Left));
}

#[test]
fn r56_a_user_whose_selfremove_an_external_commit_covered_is_taken_off_the_list() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(7);
    scene.ask(&bob, |bob, now| bob.leave(&room(ROOM), now));
    scene.universe.run();
    let second = scene.universe.add_device(CATHY);
    scene.universe.run();
    scene.ask(&second, |second, now| second.join_room(&room(ROOM), now));
    scene.universe.run();
    // The leaf is gone, but an external commit cannot change the list.
    assert_eq!(scene.phase(&bob), RoomPhase::Left);
    assert_eq!(scene.updates_from("charlie.example"), [401, 200]);
    assert_eq!(scene.state(&alice).participants.len(), 3);
    scene.universe.exchanges.clear();
    scene.commit(&cathy);
    assert_eq!(scene.updates_from("charlie.example"), [403, 200]);
    assert_eq!(scene.failures(&cathy), [] as [&str; 0]);
    assert_eq!(scene.agree(&[&alice, &cathy, &second]), [ALICE, CATHY]);
}

#[test]
fn r56_r77_a_user_who_was_deleted_at_the_hub_is_off_the_list_with_the_next_commit() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(8);
    let dave = scene.universe.add_device("dave@alpha.example");
    scene.universe.run();
    scene.add(&alice, "dave@alpha.example");
    scene.ask(&dave, |dave, now| dave.delete_user(now));
    scene.universe.run();
    assert_eq!(scene.state(&cathy).participants.len(), 4);
    scene.universe.exchanges.clear();
    // Who wants to send commits the hub's Removes, and adds the AppSync without being told.
    scene.send(&cathy, "poor Dave");
    assert_eq!(scene.updates_from("charlie.example"), [200]);
    assert_eq!(scene.agree(&[&alice, &bob, &cathy]), [ALICE, BOB, CATHY]);
    assert_eq!(scene.messages(&bob), ["poor Dave"]);
}

#[test]
fn r57_when_all_leave_the_room_is_closed() {
    let (mut scene, devices) = Scene::new(4);
    for device in &devices {
        scene.ask(device, |client, now| client.leave(&room(ROOM), now));
    }
    scene.universe.run();
    for device in &devices {
        assert_eq!(scene.phase(device), RoomPhase::Left, "{device}");
        assert_eq!(scene.failures(device), [] as [&str; 0]);
        scene.ask(device, |client, now| client.join_room(&room(ROOM), now));
        scene.universe.run();
        assert_eq!(scene.phase(device), RoomPhase::Left, "{device}");
        let failures = scene.failures(device);
        assert!(matches!(failures[..], ["room-unknown" | "not-allowed"]), "{failures:?}");
    }
}

#[test]
fn r57_a_room_that_somebody_can_still_come_into_stays_open() {
    let (mut scene, [alice, bob, _]) = Scene::empty(7);
    scene.ask(&alice, |alice, now| alice.create_room(&room(ROOM), CreateOptions::default(), now));
    scene.universe.run();
    scene.add(&alice, BOB);
    scene.ask(&alice, |alice, now| alice.remove_device(&room(ROOM), &bob, now));
    scene.universe.run();
    scene.ask(&alice, |alice, now| alice.leave(&room(ROOM), now));
    scene.universe.run();
    assert!(scene.state(&alice).leaving);
    scene.ask(&bob, |bob, now| bob.join_room(&room(ROOM), now));
    scene.universe.run();
    scene.commit(&bob);
    assert_eq!(scene.agree(&[&bob]), [BOB]);
    assert_eq!(scene.phase(&alice), RoomPhase::Left);
}

#[test]
fn r41_r42_r83_a_removed_user_sees_the_commit_and_nothing_after() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(5);
    scene.ask(&alice, |alice, now| alice.remove_user(&room(ROOM), &user(BOB), now));
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice, &cathy]), [ALICE, CATHY]);
    assert_eq!(scene.universe.events(&bob), [Event::RoomLeft { room: room(ROOM) }]);
    scene.send(&cathy, "quiet here");
    assert_eq!(scene.messages(&bob), [] as [&str; 0]);
    // Back again.
    scene.add(&cathy, BOB);
    assert_eq!(scene.agree(&[&alice, &bob, &cathy]), [ALICE, CATHY, BOB]);
    scene.send(&alice, "welcome back");
    assert_eq!(scene.messages(&bob), ["welcome back"]);
}

#[test]
fn r37_r41_r90_a_banned_user_is_out_and_cannot_come_back() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(6);
    scene.ask(&cathy, |cathy, now| {
        cathy.set_roles(&room(ROOM), &user(BOB), vec![Role::Banned], now)
    });
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice, &cathy]), [ALICE, BOB, CATHY]);
    assert_eq!(scene.universe.events(&bob), [Event::RoomLeft { room: room(ROOM) }]);
    scene.send(&alice, "peace");
    scene.ask(&bob, |bob, now| bob.join_room(&room(ROOM), now));
    scene.universe.run();
    assert_eq!(scene.failures(&bob), ["not-allowed"]);
    assert_eq!(scene.messages(&bob), [] as [&str; 0]);
    assert_eq!(scene.agree(&[&alice, &cathy]), [ALICE, BOB, CATHY]);
    // Lifted, and in again by itself.
    let roles = vec![Role::Visitor];
    scene.ask(&alice, |alice, now| alice.set_roles(&room(ROOM), &user(BOB), roles, now));
    scene.universe.run();
    scene.ask(&bob, |bob, now| bob.join_room(&room(ROOM), now));
    scene.universe.run();
    assert_eq!(scene.agree(&[&alice, &bob, &cathy]), [ALICE, BOB, CATHY]);
}

#[test]
fn d20_members_who_change_the_room_at_the_same_time_all_succeed_or_find_it_done() {
    for seed in 0..4 {
        let (mut scene, [alice, bob, cathy]) = Scene::new(seed);
        scene.ask(&alice, |alice, now| alice.remove_user(&room(ROOM), &user(CATHY), now));
        scene.ask(&bob, |bob, now| bob.set_policy(&room(ROOM), b"kind".to_vec(), now));
        scene.ask(&cathy, |cathy, now| cathy.leave(&room(ROOM), now));
        scene.ask(&bob, |bob, now| bob.set_roles(&room(ROOM), &user(BOB), vec![Role::Admin], now));
        scene.universe.run();
        scene.commit(&alice);
        assert_eq!(scene.agree(&[&alice, &bob]), [ALICE, BOB], "seed {seed}");
        assert_eq!(scene.phase(&cathy), RoomPhase::Left, "seed {seed}");
        assert_eq!(scene.state(&alice).policy.as_deref(), Some(&b"kind"[..]));
        assert_eq!(scene.failures(&bob), [] as [&str; 0], "seed {seed}");
    }
}
