//! What becomes of a message of this device: taken back, given up and kept, sent again, over restarts.

use mimi_edge::{
    client::{Delivery, ErrorCode, Event, RoomPhase},
    transport::Response,
    wire::{FromProvider, SubmitStatus},
};

use super::{
    desk::submit_response,
    world::{ALICE, BOB, World, deliveries, room},
};

/// Content and place of each message of a device that has not come back from the log.
fn unsent(world: &World, who: usize) -> Vec<(String, Delivery)> {
    let unsent = world.devices[who].client.unsent(&room()).unwrap();
    let text = |content| String::from_utf8(content).unwrap();
    unsent.into_iter().map(|message| (text(message.content), message.delivery)).collect()
}

/// The texts of a room's log, as a device has them.
fn history(world: &World, who: usize) -> Vec<String> {
    let history = world.devices[who].client.history(&room(), 0, 99).unwrap();
    history.into_iter().map(|message| String::from_utf8(message.content).unwrap()).collect()
}

fn failed(code: ErrorCode, retryable: bool) -> Delivery {
    Delivery::Failed { code, retryable }
}

fn named(text: &str, delivery: Delivery) -> (String, Delivery) {
    (text.to_owned(), delivery)
}

#[test]
fn a_message_that_waits_is_taken_back_and_nobody_gets_it() {
    let mut world = World::with_bob();
    let first = world.send(ALICE, "first");
    let second = world.send(ALICE, "second");
    assert_eq!(
        unsent(&world, ALICE),
        [named("first", Delivery::Queued), named("second", Delivery::Queued)]
    );
    assert!(world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &first, now)));
    assert_eq!(deliveries(&world, ALICE, &first), [Delivery::Queued, Delivery::Cancelled]);
    assert_eq!(unsent(&world, ALICE), [named("second", Delivery::Queued)]);
    // The same calls again, also after a restart, change nothing.
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.ask(ALICE, |alice, now| alice.send_as(&room(), &first, b"first".to_vec(), now));
    assert!(world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &first, now)));
    world.run();
    assert_eq!(history(&world, BOB), ["second"]);
    assert_eq!(world.desk.count("submitMessage"), 1);
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &second, now)));
}

#[test]
fn a_message_that_was_handed_out_is_not_taken_back() {
    let mut world = World::with_bob();
    let key = world.send(ALICE, "gone");
    let (id, call) = world.poll(ALICE).unwrap();
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &key, now)));
    // Nor when its answer is lost, after a restart: others may have it.
    world.desk.handle(&call);
    world.respond(ALICE, id, None);
    let now = world.now;
    world.devices[ALICE].reopen(now);
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &key, now)));
    world.ask(ALICE, |alice, now| alice.discard_message(&room(), &key, now));
    assert_eq!(unsent(&world, ALICE), [named("gone", Delivery::Sending)]);
    world.run();
    assert_eq!(history(&world, BOB), ["gone"]);
}

#[test]
fn d12_a_message_that_the_hub_refused_for_its_epoch_waits_again_and_can_be_taken_back() {
    let mut world = World::with_bob();
    world.desk.answer("submitMessage", Some(submit_response(409, SubmitStatus::EpochTooOld(9))));
    let key = world.send(ALICE, "late");
    world.exchange(ALICE);
    let states = deliveries(&world, ALICE, &key);
    assert_eq!(states, [Delivery::Queued, Delivery::Sending, Delivery::Queued]);
    assert!(world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &key, now)));
    world.run();
    assert_eq!(world.desk.count("submitMessage"), 1);
    assert_eq!(unsent(&world, ALICE), []);
}

#[test]
fn r72_a_refused_message_is_kept_over_a_restart_until_it_is_sent_again() {
    let mut world = World::with_bob();
    world.desk.answer("submitMessage", Some(submit_response(403, SubmitStatus::NotAllowed)));
    let key = world.send(ALICE, "no");
    world.send(ALICE, "yes");
    world.run();
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.run();
    assert_eq!(unsent(&world, ALICE), [named("no", failed(ErrorCode::NotAllowed, false))]);
    let counts = |world: &World| {
        let reading = world.devices[ALICE].client.reading(&room()).unwrap();
        (reading.waiting, reading.failed)
    };
    assert_eq!(counts(&world), (0, 1));
    world.forget_events();
    world.ask(ALICE, |alice, now| alice.retry_message(&room(), &key, now));
    assert_eq!(unsent(&world, ALICE), [named("no", Delivery::Queued)]);
    assert_eq!(counts(&world), (1, 0));
    // Once is enough.
    world.ask(ALICE, |alice, now| alice.retry_message(&room(), &key, now));
    world.run();
    assert_eq!(history(&world, BOB), ["yes", "no"]);
    assert_eq!(counts(&world), (0, 0));
    let own = world.devices[ALICE].client.history(&room(), 0, 9).unwrap();
    assert_eq!(own[1].key, key);
    assert_eq!(world.desk.count("submitMessage"), 3);
    let states = deliveries(&world, ALICE, &key);
    assert_eq!(states[..2], [Delivery::Queued, Delivery::Sending]);
    assert!(matches!(states[2..], [Delivery::Accepted { .. }]), "{states:?}");
}

#[test]
fn a_message_that_was_given_up_is_sent_again_after_those_that_wait() {
    let mut world = World::with_bob();
    world.desk.answer("submitMessage", Some(submit_response(403, SubmitStatus::NotAllowed)));
    let key = world.send(ALICE, "one");
    world.exchange(ALICE);
    world.send(ALICE, "two");
    world.ask(ALICE, |alice, now| alice.retry_message(&room(), &key, now));
    assert_eq!(
        unsent(&world, ALICE),
        [named("two", Delivery::Queued), named("one", Delivery::Queued)]
    );
    world.run();
    assert_eq!(history(&world, BOB), ["two", "one"]);
}

#[test]
fn a_message_that_was_given_up_is_discarded() {
    let mut world = World::with_bob();
    world.desk.answer("submitMessage", Some(submit_response(403, SubmitStatus::NotAllowed)));
    let key = world.send(ALICE, "no");
    world.run();
    world.ask(ALICE, |alice, now| alice.discard_message(&room(), &key, now));
    assert_eq!(deliveries(&world, ALICE, &key).pop(), Some(Delivery::Cancelled));
    assert_eq!(unsent(&world, ALICE), []);
    world.ask(ALICE, |alice, now| alice.retry_message(&room(), &key, now));
    world.run();
    assert_eq!(world.desk.count("submitMessage"), 1);
    assert_eq!(history(&world, BOB), [] as [&str; 0]);
}

/// Alice's device is cut off while its message has no answer, and does not come in again by itself.
fn cut_off(world: &mut World, is_accepted: bool) -> (String, Vec<u8>, u64, Option<Response>) {
    world.desk.answer("groupInfo", Some(Response::empty(404)));
    let key = world.send(ALICE, "perhaps");
    let (id, call) = world.poll(ALICE).unwrap();
    let answer = if is_accepted { world.desk.handle(&call) } else { None };
    world.frame(ALICE, &FromProvider::Gap { room_id: room().to_wire() });
    while world.state(ALICE).phase != RoomPhase::Gap {
        assert!(world.exchange(ALICE), "the refusal of a GroupInfo");
    }
    assert_eq!(unsent(world, ALICE), [named("perhaps", failed(ErrorCode::RoomUnknown, false))]);
    (key, call.body, id, answer)
}

#[test]
fn r67_a_message_without_an_answer_that_was_given_up_is_not_sent_as_a_second_one() {
    let mut world = World::with_bob();
    world.devices[BOB].online = false;
    let (key, bytes, ..) = cut_off(&mut world, true);
    assert!(!world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &key, now)));
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.ask(ALICE, |alice, now| alice.join_room(&room(), now));
    world.ask(ALICE, |alice, now| alice.retry_message(&room(), &key, now));
    assert_eq!(unsent(&world, ALICE), [named("perhaps", Delivery::Sending)]);
    world.devices[BOB].online = true;
    // The log does not show it any more.
    let alice = world.devices[ALICE].client.device().to_string();
    let log = world.desk.rooms.get_mut(room().as_str()).unwrap();
    log.windows.insert(alice, log.log.len() as u64);
    world.run();
    let requests = world.desk.requests.iter();
    let sent = requests.filter(|(path, _)| path.contains("submitMessage"));
    assert!(sent.clone().all(|(_, body)| *body == bytes));
    assert_eq!(sent.count(), 2);
    assert_eq!(history(&world, BOB), ["perhaps"]);
    assert!(matches!(deliveries(&world, ALICE, &key).pop(), Some(Delivery::Accepted { .. })));
}

#[test]
fn an_answer_that_comes_after_a_message_was_given_up_counts() {
    for is_accepted in [true, false] {
        let mut world = World::with_bob();
        let (key, _, id, answer) = cut_off(&mut world, is_accepted);
        let answer = answer.or(Some(submit_response(403, SubmitStatus::NotAllowed)));
        world.respond(ALICE, id, answer);
        let [(_, delivery)] = &unsent(&world, ALICE)[..] else { panic!("one") };
        if is_accepted {
            assert!(matches!(delivery, Delivery::Accepted { .. }), "{delivery:?}");
        } else {
            assert_eq!(*delivery, failed(ErrorCode::NotAllowed, false));
            // Now it is certain that nobody has it.
            assert!(world.ask(ALICE, |alice, now| alice.cancel_message(&room(), &key, now)));
        }
    }
}

#[test]
fn an_echo_that_comes_after_a_message_was_given_up_counts() {
    let mut world = World::with_bob();
    let (key, _, id, _) = cut_off(&mut world, true);
    world.respond(ALICE, id, None);
    world.ask(ALICE, |alice, now| alice.join_room(&room(), now));
    world.run();
    assert_eq!(world.desk.count("submitMessage"), 1);
    assert_eq!(history(&world, ALICE), ["perhaps"]);
    assert_eq!(unsent(&world, ALICE), []);
    assert!(matches!(deliveries(&world, ALICE, &key).pop(), Some(Delivery::Accepted { .. })));
}

#[test]
fn an_accepted_message_is_listed_until_the_log_has_it_and_has_its_place_after() {
    let mut world = World::with_bob();
    let key = world.send(ALICE, "here");
    let written_at = world.now;
    let (id, call) = world.poll(ALICE).unwrap();
    let response = world.desk.handle(&call);
    world.respond(ALICE, id, response);
    let now = world.now;
    world.devices[ALICE].reopen(now);
    let at = mimi_edge::time::UnixMillis(world.desk.clock);
    assert_eq!(unsent(&world, ALICE), [named("here", Delivery::Accepted { at })]);
    assert_eq!(world.devices[ALICE].client.unsent(&room()).unwrap()[0].written_at, written_at);
    world.run();
    assert_eq!(unsent(&world, ALICE), []);
    let echoed = world.devices[ALICE].events.iter().find_map(|event| match event {
        Event::Echoed(message) => Some(message),
        _ => None,
    });
    let echoed = echoed.unwrap();
    assert_eq!((&echoed.key, echoed.position, echoed.accepted_at), (&key, 2, at));
}
