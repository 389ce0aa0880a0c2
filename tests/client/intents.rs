//! What a device shows of what it still has to do, and takes back.

use mimi_edge::client::{
    CreateOptions, Delivery, ErrorCode, Event, HubProposals, IntentKind, PendingState, Rights,
    RoomPhase,
};

use super::{
    rogue::{self, Twin},
    world::{ALICE, BOB, CATHY, World, room, user},
};

#[test]
fn what_waits_can_be_taken_back_and_what_is_on_its_way_cannot() {
    let mut world = World::with_bob_and_cathy();
    let bob = user("bob@bravo.example");
    let removal = world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob, now));
    let renewal = world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    let states: Vec<_> = world.state(ALICE).pending.iter().map(|intent| intent.state).collect();
    assert_eq!(states, [PendingState::Committing, PendingState::Queued]);

    assert!(!world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), removal, now)));
    for _ in ["once", "and whoever does not know whether that was heard says it again"] {
        assert!(world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), renewal, now)));
    }
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

/// The state of each message of Alice's in the room, whatever became of it.
fn deliveries(world: &World) -> Vec<Delivery> {
    let events = world.devices[ALICE].events.iter();
    let delivery = |event: &Event| match event {
        Event::Delivery(own) => Some(own.delivery),
        _ => None,
    };
    events.filter_map(delivery).collect()
}

#[test]
fn what_is_to_be_done_is_listed_in_a_room_of_which_this_device_has_nothing_yet() {
    let mut world = World::new();
    let creation = create(&mut world, HubProposals::On);
    let alice = &mut world.devices[ALICE].client;
    assert_eq!(alice.room_state(&room()).unwrap(), None, "the external sender is not known");
    let pending = alice.pending(&room()).unwrap();
    let listed: Vec<_> = pending.iter().map(|intent| (intent.id, intent.what)).collect();
    assert_eq!(listed, [(creation, IntentKind::Create)]);

    world.run();
    assert_eq!(world.devices[ALICE].client.pending(&room()).unwrap(), []);
}

fn create(world: &mut World, hub_proposals: HubProposals) -> u64 {
    let options = CreateOptions { hub_proposals, ..CreateOptions::default() };
    world.ask(ALICE, |alice, now| alice.create_room(&room(), options, now))
}

#[test]
fn d1_a_creation_of_which_the_provider_does_not_know_is_taken_back_with_all_that_waits_for_it() {
    for hub_proposals in [HubProposals::On, HubProposals::Off] {
        let mut world = World::new();
        let creation = create(&mut world, hub_proposals);
        world.add(ALICE, "bob@bravo.example");
        world.send(ALICE, "hello");
        // To ask for the hub's key does not give the room away.
        let asked = match hub_proposals {
            HubProposals::On => world.poll(ALICE),
            HubProposals::Off => None,
        };
        assert!(world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), creation, now)));
        assert_eq!(world.devices[ALICE].client.rooms().unwrap(), []);
        assert_eq!(world.failures(ALICE), ["aborted", "aborted"]);
        assert_eq!(deliveries(&world), [Delivery::Queued, Delivery::Cancelled]);
        // The same name again: what was asked for the first one does not count.
        let second = create(&mut world, hub_proposals);
        if let Some((id, call)) = asked {
            assert!(call.url.contains("external-sender"));
            let answer = world.desk.handle(&call);
            world.respond(ALICE, id, answer);
        }
        world.run();
        let done = Event::IntentDone { room: room(), id: second };
        assert!(world.devices[ALICE].events.contains(&done));
        assert_eq!(world.desk.count("POST rooms/"), 1);
        assert_eq!(world.desk.count("submitMessage"), 0);
        world.add(ALICE, "bob@bravo.example");
        world.run();
        world.assert_agreement(&[ALICE, BOB]);
    }
}

#[test]
fn d1_a_creation_that_was_handed_out_is_not_taken_back() {
    let mut world = World::new();
    let creation = create(&mut world, HubProposals::Off);
    let (id, call) = world.poll(ALICE).unwrap();
    assert!(call.url.contains("/rooms/"));
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), creation, now)));
    world.respond(ALICE, id, None);
    let now = world.now;
    world.devices[ALICE].reopen(now);
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_intent(&room(), creation, now)));
    world.run();
    assert_eq!(world.state(ALICE).epoch, 0);
}

#[test]
fn r57_a_wish_to_leave_of_which_the_hub_does_not_know_is_taken_back() {
    let mut world = World::with_bob_and_cathy();
    world.send(BOB, "shall I?");
    let id = world.ask(BOB, |bob, now| bob.leave(&room(), now));
    assert!(world.state(BOB).leaving);
    assert!(world.ask(BOB, |bob, now| bob.cancel_intent(&room(), id, now)));
    assert!(!world.state(BOB).leaving);
    assert_eq!(world.failures(BOB), ["aborted"]);
    world.run();
    assert_eq!(world.desk.count("submitMessage"), 1, "what waited goes out");
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Joined);
    // The next wish is another one.
    world.ask(BOB, |bob, now| bob.leave(&room(), now));
    world.run();
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(world.state(BOB).phase, RoomPhase::Left);
    assert_eq!(world.failures(BOB), ["aborted"]);
}

#[test]
fn r57_a_wish_to_leave_that_was_handed_out_is_not_taken_back_in_that_epoch() {
    let mut world = World::with_bob_and_cathy();
    let id = world.ask(BOB, |bob, now| bob.leave(&room(), now));
    let cancel = |world: &mut World| world.ask(BOB, |bob, now| bob.cancel_intent(&room(), id, now));
    let (_, call) = world.poll(BOB).unwrap();
    assert!(call.url.contains("/update/"));
    assert!(!cancel(&mut world));
    let now = world.now;
    world.devices[BOB].reopen(now);
    assert!(!cancel(&mut world));
    world.exchange(BOB);
    assert!(!cancel(&mut world), "the hub has the proposals");
    // A commit that does not cover them ends their epoch.
    let commit = Twin::of(&world.devices[CATHY]).update();
    rogue::accept(&mut world, commit);
    world.push(BOB);
    assert!(cancel(&mut world));
    assert!(!world.state(BOB).leaving);
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
