//! Leaving: proposals for somebody else's commit, until this device is out (R57).

use mimi_edge::{
    client::{Event, IntentKind, RoomPhase},
    error::{Error, UsageError},
    transport::Response,
    wire::{self, UpdateContent, UpdateRequest, UpdateResponseCode},
};
use openmls::prelude::Sender;

use super::{
    desk::update_response,
    rogue::{self, Twin},
    world::{ALICE, BOB, CATHY, Reopen, World, room, user},
};

/// How many proposals each bundle had that was sent.
fn bundles(world: &World) -> Vec<usize> {
    let updates = world.desk.requests.iter().filter(|(path, _)| path.starts_with("POST update/"));
    updates
        .filter_map(|(_, body)| {
            let update: UpdateRequest = wire::decode_exact(body).unwrap();
            match update.content {
                UpdateContent::Proposal(more) => Some(more.len() + 1),
                UpdateContent::Commit(_) => None,
            }
        })
        .collect()
}

fn leave(world: &mut World, who: usize) -> u64 {
    world.ask(who, |client, now| client.leave(&room(), now))
}

#[test]
fn r57_a_leave_survives_the_loss_of_every_instance() {
    let mut world = World::with_bob_and_cathy();
    world.reopen = Reopen::Always;
    leave(&mut world, BOB);
    world.run();
    assert!(world.state(BOB).leaving);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    assert_eq!(world.failures(BOB), [] as [&str; 0]);
    world.assert_agreement(&[ALICE, CATHY]);
}

#[test]
fn r57_a_leaver_proposes_and_is_out_with_the_next_commit() {
    let mut world = World::with_bob_and_cathy();
    let id = leave(&mut world, BOB);
    assert_eq!(leave(&mut world, BOB), id, "it is the same wish");
    world.run();
    assert_eq!(bundles(&world), [2]);
    let state = world.state(BOB);
    assert_eq!((state.epoch, state.phase, state.leaving), (2, RoomPhase::Joined, true));
    assert_eq!(state.pending[0].what, IntentKind::Leave);
    assert!(!world.state(ALICE).leaving);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    let expected = [Event::RoomLeft { room: room() }, Event::IntentDone { room: room(), id }];
    assert_eq!(world.devices[BOB].events, expected);
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    world.assert_agreement(&[ALICE, CATHY]);
    let users: Vec<_> = world.state(ALICE).participants.into_iter().map(|it| it.user).collect();
    assert_eq!(users, [user("alice@alpha.example"), user("cathy@charlie.example")]);
}

#[test]
fn r57_a_leaver_sends_no_commits_and_no_messages() {
    let mut world = World::with_bob_and_cathy();
    leave(&mut world, BOB);
    world.run();
    world.desk.requests.clear();
    world.ask(BOB, |bob, now| bob.update_keys(&room(), now));
    let now = world.now;
    let refused = world.devices[BOB].act(|bob| bob.send(&room(), b"wait".to_vec(), now));
    assert!(matches!(refused, Err(Error::Usage(UsageError::BadState(_)))));
    world.run();
    assert_eq!(world.desk.count("POST"), 0);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(world.failures(BOB), ["not-allowed"]);
}

#[test]
fn r57_a_message_that_waited_is_not_sent_by_a_leaver() {
    let mut world = World::with_bob_and_cathy();
    world.devices[BOB].online = false;
    world.send(BOB, "too late");
    leave(&mut world, BOB);
    world.devices[BOB].online = true;
    world.run();
    assert_eq!(world.desk.count("submitMessage"), 0);
}

#[test]
fn r56_r57_a_leave_that_its_epoch_took_away_is_sent_again() {
    let mut world = World::with_bob_and_cathy();
    leave(&mut world, BOB);
    world.devices[CATHY].online = false;
    world.run();
    for _ in 0..2 {
        // As an external commit would: it ends the epoch without the proposals.
        let mut twin = Twin::of(&world.devices[ALICE]);
        let commit = twin.update();
        rogue::accept(&mut world, commit);
        world.devices[ALICE].stored = twin.into_stored();
        let now = world.now;
        world.devices[ALICE].reopen(now);
        world.run();
    }
    assert_eq!(bundles(&world), [2, 2, 2]);
    assert!(world.state(BOB).leaving);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
}

#[test]
fn r57_proposals_for_an_epoch_that_has_ended_are_made_for_the_next() {
    let mut world = World::with_bob_and_cathy();
    leave(&mut world, BOB);
    let (id, call) = world.poll(BOB).unwrap();
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.devices[BOB].online = false;
    world.run();
    let response = world.desk.handle(&call);
    assert_eq!(response.as_ref().map(|response| response.status), Some(409));
    world.devices[BOB].online = true;
    world.respond(BOB, id, response);
    world.run();
    assert_eq!(bundles(&world), [2, 2]);
    world.ask(CATHY, |cathy, now| cathy.update_keys(&room(), now));
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    world.assert_agreement(&[ALICE, CATHY]);
}

#[test]
fn r57_all_devices_of_a_user_leave_together_and_see_it() {
    let mut world = World::with_bob_and_cathy();
    let second = world.add_device("bob@bravo.example");
    world.add(BOB, "bob@bravo.example");
    world.run();
    world.assert_agreement(&[ALICE, BOB, CATHY, second]);
    leave(&mut world, BOB);
    world.run();
    assert_eq!(bundles(&world), [3]);
    assert!(world.state(second).leaving);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    for device in [BOB, second] {
        assert_eq!(world.state(device).phase, RoomPhase::Left);
    }
    world.assert_agreement(&[ALICE, CATHY]);
}

#[test]
fn a17_only_a_last_leaf_removes_itself() {
    let senders = |world: &World| -> Vec<(usize, bool)> {
        let updates = world.desk.requests.iter().rev();
        let (_, body) = updates.clone().find(|(path, _)| path.contains("update/")).unwrap();
        let update: UpdateRequest = wire::decode_exact(body).unwrap();
        let member = matches!(update.proposal_or_commit.sender(), Sender::Member(_));
        // A SelfRemove has no content but its type; a Remove names a leaf.
        vec![(update.proposal_or_commit.bytes().len(), member)]
    };
    let mut world = World::with_bob();
    leave(&mut world, BOB);
    world.run();
    let alone = senders(&world);
    let mut world = World::with_bob();
    let second = world.add_device("bob@bravo.example");
    world.add(BOB, "bob@bravo.example");
    world.run();
    leave(&mut world, second);
    world.run();
    assert_eq!(senders(&world), [(alone[0].0 + 4, true)]);
}

#[test]
fn r57_when_the_last_user_leaves_the_room_is_over() {
    let mut world = World::with_room();
    let id = leave(&mut world, ALICE);
    world.run();
    assert_eq!(world.state(ALICE).phase, RoomPhase::Left);
    assert!(world.devices[ALICE].events.contains(&Event::IntentDone { room: room(), id }));
    // When the two last leave, the one who proposed first learns it from the other's proposals.
    let mut world = World::with_bob();
    leave(&mut world, BOB);
    world.run();
    leave(&mut world, ALICE);
    world.run();
    for device in [ALICE, BOB] {
        assert_eq!(world.state(device).phase, RoomPhase::Left);
    }
}

#[test]
fn r57_a_room_that_the_hub_has_closed_is_left_where_its_log_ends() {
    let mut world = World::with_bob();
    world.devices[BOB].online = false;
    world.send(ALICE, "goodbye");
    world.run();
    world.devices[BOB].online = true;
    world.desk.answer("update/", Some(Response::empty(404)));
    leave(&mut world, BOB);
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    assert_eq!(world.failures(BOB), [] as [&str; 0]);
    assert!(world.devices[BOB].events.iter().any(|event| matches!(event, Event::Message(_))));
}

#[test]
fn r61_a_refused_leave_fails_and_the_device_goes_on() {
    let mut world = World::with_bob();
    let answer = update_response(403, UpdateResponseCode::NotAllowed);
    world.desk.answer("update/", Some(answer));
    leave(&mut world, BOB);
    world.run();
    assert_eq!(world.failures(BOB), ["not-allowed"]);
    assert!(!world.state(BOB).leaving);
    world.ask(BOB, |bob, now| bob.update_keys(&room(), now));
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
    world.send(BOB, "still here");
    world.run();
    assert!(world.devices[ALICE].events.iter().any(|event| matches!(event, Event::Message(_))));
}
