//! Providers that do not answer: what waits for them fails after a while or is taken back, and what is
//! behind it goes on.

use mimi_edge::{
    client::{Event, RoomPhase},
    transport::Response,
    wire::FromProvider,
};

use super::world::{ALICE, BOB, CATHY, World, room};

/// The provider behind `endpoint` is silent until this is taken back.
fn silence(world: &mut World, endpoint: &str, status: u16) {
    for _ in 0..200 {
        world.desk.answer(endpoint, Some(Response::empty(status)));
    }
}

/// The last failure of a device: its code and whether asking again may help.
fn failure(world: &World, who: usize) -> Option<(&'static str, bool)> {
    world.devices[who].events.iter().rev().find_map(|event| match event {
        Event::IntentFailed { code, retryable, .. } => Some((code.as_str(), *retryable)),
        _ => None,
    })
}

#[test]
fn r62_d5_d20_an_add_of_somebody_whose_provider_is_silent_fails_and_the_next_change_goes_on() {
    for status in [502, 504] {
        let mut world = World::with_room();
        silence(&mut world, "keyMaterial/bob", status);
        let before = world.now;
        world.add(ALICE, "bob@bravo.example");
        world.add(ALICE, "cathy@charlie.example");
        world.run();
        assert_eq!(failure(&world, ALICE), Some(("hub-unresponsive", true)));
        assert!(world.now.since(before) < 600_000);
        world.assert_agreement(&[ALICE, CATHY]);
        world.desk.script.clear();
        world.add(ALICE, "bob@bravo.example");
        world.run();
        world.assert_agreement(&[ALICE, BOB, CATHY]);
    }
}

#[test]
fn r62_an_add_goes_on_when_the_provider_is_silent_for_a_moment() {
    let mut world = World::with_room();
    for _ in 0..2 {
        world.desk.answer("keyMaterial/", Some(Response::empty(504)));
    }
    world.add(ALICE, "bob@bravo.example");
    world.run();
    assert_eq!(failure(&world, ALICE), None);
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn the_answer_to_a_claim_that_was_taken_back_meets_no_other_add() {
    let mut world = World::with_room();
    let first = world.add(ALICE, "bob@bravo.example");
    let second = world.add(ALICE, "cathy@charlie.example");
    let (id, call) = world.poll(ALICE).unwrap();
    assert!(call.url.contains("keyMaterial/bob"));
    assert!(world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), first, now)));
    let answer = world.desk.handle(&call);
    world.respond(ALICE, id, answer);
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: room(), id: second }));
    assert_eq!(world.failures(ALICE), ["aborted"]);
    world.assert_agreement(&[ALICE, CATHY]);
    assert_eq!(world.state(ALICE).participants.len(), 2);
}

#[test]
fn a_claim_of_an_add_that_was_taken_back_is_not_sent_again() {
    let mut world = World::with_room();
    let id = world.add(ALICE, "bob@bravo.example");
    silence(&mut world, "keyMaterial/", 504);
    world.exchange(ALICE);
    assert!(world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), id, now)));
    world.run();
    assert_eq!(world.desk.count("keyMaterial/"), 1);
}

#[test]
fn a_join_at_a_silent_hub_fails_and_one_that_is_taken_back_is_over() {
    for status in [502, 504] {
        let mut world = World::with_bob();
        let second = world.add_device("bob@bravo.example");
        silence(&mut world, "groupInfo/", status);
        world.ask(second, |client, now| client.join_room(&room(), now));
        world.run();
        assert_eq!(failure(&world, second), Some(("hub-unresponsive", true)));
        assert_eq!(world.devices[second].client.rooms().unwrap(), []);
        let id = world.ask(second, |client, now| client.join_room(&room(), now));
        world.exchange(second);
        assert!(world.ask(second, |client, now| client.cancel_intent(&room(), id, now)));
        assert_eq!(failure(&world, second), Some(("aborted", false)));
        assert_eq!(world.devices[second].client.rooms().unwrap(), []);
        world.desk.requests.clear();
        world.run();
        assert_eq!(world.desk.count("groupInfo/"), 0);
        world.desk.script.clear();
        world.ask(second, |client, now| client.join_room(&room(), now));
        world.run();
        world.assert_agreement(&[ALICE, BOB, second]);
    }
}

#[test]
fn a_device_that_lost_the_thread_waits_for_a_silent_hub() {
    let mut world = World::with_bob();
    for _ in 0..20 {
        world.desk.answer("groupInfo/", Some(Response::empty(504)));
    }
    world.frame(BOB, &FromProvider::Gap { room_id: room().to_wire() });
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Joined);
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn r62_a_join_of_which_the_hub_says_nothing_fails_and_can_be_asked_for_again() {
    for (status, is_accepted) in [(502, false), (504, false), (504, true)] {
        let mut world = World::with_bob();
        let second = world.add_device("bob@bravo.example");
        world.ask(second, |client, now| client.join_room(&room(), now));
        assert!(world.exchange(second), "the GroupInfo");
        let (id, call) = world.poll(second).unwrap();
        assert!(call.url.contains("/update/"));
        if is_accepted {
            world.desk.handle(&call);
        }
        silence(&mut world, "update/", status);
        world.respond(second, id, Some(Response::empty(status)));
        world.devices[BOB].online = false;
        world.run();
        assert_eq!(failure(&world, second), Some(("hub-unresponsive", true)));
        assert_eq!(world.devices[second].client.rooms().unwrap(), []);
        assert!(world.desk.count("POST update/") > 2, "the same again for a while");
        world.desk.script.clear();
        world.devices[BOB].online = true;
        world.ask(second, |client, now| client.join_room(&room(), now));
        world.run();
        world.assert_agreement(&[ALICE, BOB, second]);
        assert_eq!(world.state(ALICE).participants[1].devices.len(), 2);
    }
}

#[test]
fn a_device_that_lost_the_thread_sends_its_commit_until_the_hub_answers() {
    let mut world = World::with_bob();
    for _ in 0..20 {
        world.desk.answer("update/", Some(Response::empty(504)));
    }
    world.frame(BOB, &FromProvider::Gap { room_id: room().to_wire() });
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Joined);
    world.assert_agreement(&[ALICE, BOB]);
}
