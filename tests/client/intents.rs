//! What a device shows of what it still has to do, and takes back.

use mimi_edge::client::{ErrorCode, Event, IntentKind, PendingState, Rights};

use super::world::{ALICE, BOB, World, room, user};

#[test]
fn what_waits_can_be_taken_back_and_what_is_on_its_way_cannot() {
    let mut world = World::with_bob_and_cathy();
    let bob = user("bob@bravo.example");
    let removal = world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob, now));
    let renewal = world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    let states: Vec<_> = world.state(ALICE).pending.iter().map(|intent| intent.state).collect();
    assert_eq!(states, [PendingState::Committing, PendingState::Queued]);

    assert!(!world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), removal, now)));
    assert!(world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), renewal, now)));
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), renewal, now)));
    let aborted = Event::IntentFailed {
        room: room(),
        id: renewal,
        what: IntentKind::UpdateKeys,
        user: None,
        code: ErrorCode::Aborted,
        retryable: false,
    };
    assert_eq!(world.devices[ALICE].events, [aborted]);
    world.run();
    assert_eq!(world.state(ALICE).epoch, 3, "the removal alone was committed");
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), removal, now)));
}

#[test]
fn a_creation_cannot_be_taken_back() {
    let mut world = World::new();
    let creation = world.create();
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), creation, now)));
    world.run();
    assert_eq!(world.state(ALICE).epoch, 0);
}

#[test]
fn what_waits_for_a_claim_of_another_can_be_taken_back_and_is_not_claimed() {
    let mut world = World::with_room();
    world.add(ALICE, "bob@bravo.example");
    let second = world.add(ALICE, "cathy@charlie.example");
    assert!(world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), second, now)));
    world.desk.requests.clear();
    world.run();
    let claims = world.desk.requests.iter().filter(|(path, _)| path.contains("keyMaterial/"));
    assert_eq!(claims.count(), 1);
    assert_eq!(world.state(ALICE).participants.len(), 2);
}

#[test]
fn r43_r45_a_participant_may_change_and_send_and_nobody_who_is_out() {
    let mut world = World::with_bob();
    let all = Rights { change: true, send: true };
    assert_eq!((world.state(ALICE).rights, world.state(BOB).rights), (all, all));
    let bob = user("bob@bravo.example");
    world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob, now));
    world.run();
    assert_eq!(world.state(BOB).rights, Rights { change: false, send: false });
    assert_eq!(world.state(ALICE).rights, all);
}
