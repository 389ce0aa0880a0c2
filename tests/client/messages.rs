//! Messages: sent, refused, echoed, received, lost.

use super::{
    desk::submit_response,
    rogue::{self, Twin},
    world::{ALICE, BOB, CATHY, World, deliveries, room},
};
use mimi_edge::{
    client::{Delivery, Event, HistoryEntry},
    transport::Response,
    wire::{EventPage, FromProvider, SubmitStatus, encode},
};

fn received(world: &World, who: usize) -> Vec<String> {
    let events = world.devices[who].events.iter();
    events
        .filter_map(|event| match event {
            Event::Message(message) => Some(String::from_utf8(message.content.clone()).unwrap()),
            _ => None,
        })
        .collect()
}

fn submits(world: &World) -> Vec<&Vec<u8>> {
    let requests = world.desk.requests.iter();
    requests.filter(|(path, _)| path.contains("submitMessage")).map(|(_, body)| body).collect()
}

#[test]
fn a_message_has_the_hubs_time_and_the_sender_of_its_signature() {
    let mut world = World::with_bob();
    let key = world.send(ALICE, "hello");
    assert_eq!(key.len(), 32);
    world.run();
    let at = mimi_edge::time::UnixMillis(world.desk.clock);
    let expected = [Delivery::Queued, Delivery::Sending, Delivery::Accepted { at }];
    assert_eq!(deliveries(&world, ALICE, &key), expected);
    let Event::Message(message) = &world.devices[BOB].events[0] else { panic!("a message") };
    assert_eq!(message.sender, *world.devices[ALICE].client.device());
    assert_eq!((message.epoch, message.accepted_at, message.position), (1, at, 2));
    assert_eq!(message.content, b"hello");
    // Alice's own copy has the key that she knows.
    let own = world.devices[ALICE].client.history(&room(), 0, 9).unwrap();
    assert_eq!((own[0].key.as_str(), own[0].position), (key.as_str(), 2));
}

#[test]
fn messages_keep_their_order() {
    let mut world = World::with_bob();
    for text in ["one", "two", "three"] {
        world.send(ALICE, text);
    }
    world.run();
    assert_eq!(received(&world, BOB), ["one", "two", "three"]);
}

#[test]
fn d12_a_message_for_an_ended_epoch_is_encrypted_again_under_its_key() {
    let mut world = World::with_bob();
    world.add(ALICE, "cathy@charlie.example");
    world.run();
    world.forget_events();
    // Alice does not know of the commit when she sends.
    let commit = Twin::of(&world.devices[BOB]).update();
    rogue::accept(&mut world, commit);
    let key = world.send(ALICE, "still here");
    let (id, call) = world.poll(ALICE).unwrap();
    let response = world.desk.handle(&call);
    assert_eq!(response.as_ref().unwrap().status, 409);
    world.respond(ALICE, id, response);
    world.run();
    let sent = submits(&world);
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);
    assert_eq!(received(&world, CATHY), ["still here"]);
    let states = deliveries(&world, ALICE, &key);
    assert!(matches!(states.last(), Some(Delivery::Accepted { .. })), "{states:?}");
    assert_eq!(world.devices[ALICE].client.history(&room(), 0, 9).unwrap()[0].key, key);
}

#[test]
fn d12_nothing_is_encrypted_again_before_the_log_has_brought_the_epoch() {
    let mut world = World::with_bob();
    let commit = Twin::of(&world.devices[BOB]).update();
    world.devices[BOB].online = false;
    // The hub is an epoch ahead of what Alice's provider has.
    world.desk.rooms.get_mut(room().as_str()).unwrap().epoch += 1;
    let key = world.send(ALICE, "wait");
    world.run();
    assert_eq!(submits(&world).len(), 1);
    rogue::append(&mut world, commit);
    world.run();
    assert_eq!(submits(&world).len(), 2);
    let last = deliveries(&world, ALICE, &key).pop().unwrap();
    assert!(matches!(last, Delivery::Accepted { .. }));
}

#[test]
fn d12_the_end_of_the_epoch_by_an_own_commit_sends_what_waited_for_it() {
    let mut world = World::with_bob();
    world.add(ALICE, "cathy@charlie.example");
    assert!(world.exchange(ALICE), "the claim");
    // The hub takes the commit; its answer is still on its way when the message is refused.
    let (update, call) = world.poll(ALICE).unwrap();
    let accepted = world.desk.handle(&call);
    world.send(ALICE, "welcome, Cathy");
    assert!(world.exchange(ALICE), "the message, for the old epoch");
    assert_eq!(submits(&world).len(), 1);
    world.respond(ALICE, update, accepted);
    let before = world.now;
    while world.exchange(ALICE) {}
    assert_eq!(world.now, before);
    assert_eq!(submits(&world).len(), 2, "it does not wait for its next turn");
}

#[test]
fn d12_after_twenty_tries_a_message_is_given_up() {
    let mut world = World::with_bob();
    for _ in 0..40 {
        world
            .desk
            .answer("submitMessage", Some(submit_response(409, SubmitStatus::EpochTooOld(1))));
    }
    let mut bob = Twin::of(&world.devices[BOB]);
    world.devices[BOB].online = false;
    let key = world.send(ALICE, "in vain");
    // Each refusal is followed by another epoch.
    for _ in 0..20 {
        world.run();
        let commit = bob.update();
        rogue::accept(&mut world, commit);
    }
    let last = deliveries(&world, ALICE, &key).pop().unwrap();
    assert!(
        matches!(last, Delivery::Failed { code, retryable: true } if code.as_str() == "epoch-too-old")
    );
    assert_eq!(submits(&world).len(), 20);
}

#[test]
fn d12_the_echo_is_known_by_its_hash_whether_it_comes_before_or_after_the_answer() {
    for echo_first in [false, true] {
        let mut world = World::with_bob();
        let key = world.send(ALICE, "once");
        let (id, call) = world.poll(ALICE).unwrap();
        let response = world.desk.handle(&call);
        if echo_first {
            world.push(ALICE);
            world.respond(ALICE, id, response);
        } else {
            world.respond(ALICE, id, response);
            world.push(ALICE);
        }
        world.run();
        let accepted = deliveries(&world, ALICE, &key);
        let count = accepted.iter().filter(|state| matches!(state, Delivery::Accepted { .. }));
        assert_eq!(count.count(), 1, "{echo_first}");
        assert_eq!(received(&world, ALICE), [] as [&str; 0]);
        assert_eq!(world.devices[ALICE].client.history(&room(), 0, 9).unwrap().len(), 1);
    }
}

#[test]
fn r67_a_message_without_an_answer_is_sent_again_as_the_same_bytes() {
    let mut world = World::with_bob();
    world.send(ALICE, "twice");
    let (id, call) = world.poll(ALICE).unwrap();
    world.desk.handle(&call);
    world.respond(ALICE, id, None);
    world.devices[ALICE].events.clear();
    world.run();
    let sent = submits(&world);
    assert!(sent.iter().all(|body| *body == sent[0]));
    assert_eq!(received(&world, BOB), ["twice"]);
}

#[test]
fn r72_a_success_without_a_body_is_accepted_with_the_time_of_the_echo() {
    let mut world = World::with_bob();
    let key = world.send(ALICE, "bare");
    let (id, call) = world.poll(ALICE).unwrap();
    world.desk.handle(&call);
    world.respond(ALICE, id, Some(Response::empty(200)));
    assert_eq!(deliveries(&world, ALICE, &key), [Delivery::Queued, Delivery::Sending]);
    world.run();
    let at = mimi_edge::time::UnixMillis(world.desk.clock);
    assert_eq!(deliveries(&world, ALICE, &key).pop(), Some(Delivery::Accepted { at }));
}

#[test]
fn r72_a_refused_message_fails_and_the_next_one_goes() {
    let mut world = World::with_bob();
    world.desk.answer("submitMessage", Some(submit_response(403, SubmitStatus::NotAllowed)));
    let key = world.send(ALICE, "no");
    world.send(ALICE, "yes");
    world.run();
    let last = deliveries(&world, ALICE, &key).pop().unwrap();
    assert!(
        matches!(last, Delivery::Failed { code, retryable: false } if code.as_str() == "not-allowed")
    );
    assert_eq!(received(&world, BOB), ["yes"]);
}

#[test]
fn d11_who_joins_reads_nothing_from_before_and_everything_after() {
    let mut world = World::with_bob();
    world.send(ALICE, "before");
    world.run();
    world.add(BOB, "cathy@charlie.example");
    world.run();
    world.send(ALICE, "after");
    world.run();
    assert_eq!(received(&world, CATHY), ["after"]);

    // Also when the provider shows more than the window.
    let cathy = world.devices[CATHY].client.device().to_string();
    let mut late = World::with_bob();
    late.devices[CATHY].online = false;
    late.send(ALICE, "before");
    late.run();
    late.add(BOB, "cathy@charlie.example");
    late.run();
    let cathy_late = late.devices[CATHY].client.device().to_string();
    assert_ne!(cathy, cathy_late);
    late.desk.rooms.get_mut(room().as_str()).unwrap().windows.insert(cathy_late, 0);
    late.devices[CATHY].online = true;
    late.run();
    assert_eq!(received(&late, CATHY), [] as [&str; 0]);
    let problem = |event: &Event| {
        matches!(event, Event::Undecryptable { .. } | Event::Gap { .. } | Event::Diverged { .. })
    };
    assert!(!late.devices[CATHY].events.iter().any(problem));
    late.assert_agreement(&[ALICE, CATHY]);
}

#[test]
fn d11_a_pushed_event_after_a_missed_one_leads_to_the_log() {
    let mut world = World::with_bob();
    world.devices[BOB].online = false;
    for text in ["one", "two", "three", "four", "five"] {
        world.send(ALICE, text);
    }
    world.run();
    let bob = world.devices[BOB].client.device().to_string();
    let events = world.desk.seen_by(&bob, room().as_str(), 0);
    world.frame(BOB, &FromProvider::Event(events.last().unwrap().clone()));
    assert_eq!(received(&world, BOB), [] as [&str; 0]);
    // Pages of two, and no push any more.
    while world.exchange(BOB) {}
    assert_eq!(received(&world, BOB), ["one", "two", "three", "four", "five"]);
    // What was there already is not taken twice.
    world.frame(BOB, &FromProvider::Event(events.last().unwrap().clone()));
    assert_eq!(received(&world, BOB).len(), 5);
}

#[test]
fn a_gap_in_the_log_ends_the_room_here() {
    let mut world = World::with_bob();
    let page = EventPage { events: Vec::new(), end: 9, more: false, gap: true };
    world.desk.answer("events/", Some(Response::tls(200, encode(&page).unwrap())));
    world.desk.answer("groupInfo", Some(Response::empty(403)));
    let now = world.now;
    world.devices[BOB].act(|bob| bob.catch_up(now)).unwrap();
    world.run();
    assert_eq!(world.devices[BOB].events, [Event::Gap { room: room() }]);
}

#[test]
fn a_message_that_cannot_be_decrypted_is_told_and_the_log_goes_on() {
    let mut world = World::with_bob();
    let mut broken = rogue::message(&world.devices[ALICE], |group, provider, key| {
        group.create_message(provider, key, b"noise").unwrap()
    });
    let last = broken.len() - 1;
    broken[last] ^= 1;
    rogue::append(&mut world, broken);
    world.send(ALICE, "signal");
    world.run();
    let position = 2;
    let told = world.devices[BOB].events.iter().find_map(|event| match event {
        Event::Undecryptable(message) => Some(message.clone()),
        _ => None,
    });
    let lost = told.unwrap();
    assert_eq!((&lost.room, lost.position, lost.epoch, lost.key.len()), (&room(), position, 1, 32));
    // Its place stays visible, before and after a restart.
    let now = world.now;
    world.devices[BOB].reopen(now);
    let entries = world.devices[BOB].client.history_before(&room(), None, 9).unwrap();
    let [HistoryEntry::Undecryptable(kept), HistoryEntry::Message(next)] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!((kept, next.position), (&lost, position + 1));
    assert_eq!(received(&world, BOB), ["signal"]);
}

#[test]
fn d18_a_content_that_no_hub_takes_is_refused_at_once() {
    let mut world = World::with_bob();
    let now = world.now;
    let refused = world.devices[ALICE].act(|alice| alice.send(&room(), vec![0; 256 << 10], now));
    let error = refused.unwrap_err();
    assert_eq!(mimi_edge::client::ErrorCode::of(&error).as_str(), "too-large");
    assert_eq!(world.poll(ALICE), None);
}

#[test]
fn a_page_that_brings_nothing_new_is_the_last_one() {
    let mut world = World::with_bob();
    world.send(ALICE, "hi");
    world.run();
    let bob = world.devices[BOB].client.device().to_string();
    let known = world.desk.seen_by(&bob, room().as_str(), 0);
    assert!(!known.is_empty());
    let inbox = world.desk.inbox_of("bob@bravo.example").clone();
    for (part, events) in [("events", known), ("inbox", inbox)] {
        let page = EventPage { events, end: 0, more: true, gap: false };
        let page = Response::tls(200, encode(&page).unwrap());
        for _ in 0..10 {
            world.desk.answer(part, Some(page.clone()));
        }
    }
    world.desk.requests.clear();
    let now = world.now;
    world.devices[BOB].act(|bob| bob.catch_up(now)).unwrap();
    while world.exchange(BOB) {}
    assert_eq!((world.desk.count("GET events"), world.desk.count("GET inbox")), (1, 1));
}

#[test]
fn a_message_says_its_content_wherever_it_is() {
    let mut world = World::with_bob();
    let key = world.send(ALICE, "hello");
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.run();
    let told = world.devices[ALICE].events.iter().filter_map(|event| match event {
        Event::Delivery(own) if own.key == key => Some(own.content.as_slice()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [b"hello"; 3]);
}

#[test]
fn the_history_is_read_backwards_from_any_position() {
    let mut world = World::with_bob();
    for text in ["one", "two", "three"] {
        world.send(ALICE, text);
        world.run();
    }
    let bob = &world.devices[BOB].client;
    let texts = |before, limit| {
        let messages = bob.history_before(&room(), before, limit).unwrap();
        let text = |entry: HistoryEntry| match entry {
            HistoryEntry::Message(message) => String::from_utf8(message.content).unwrap(),
            HistoryEntry::Undecryptable(_) => "?".into(),
        };
        messages.into_iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(texts(None, 9), ["one", "two", "three"]);
    assert_eq!(texts(None, 2), ["two", "three"]);
    let third = bob.history_before(&room(), None, 1).unwrap()[0].position();
    assert_eq!(texts(Some(third), 1), ["two"]);
    assert_eq!(texts(Some(third), 9), ["one", "two"]);
    assert_eq!(texts(Some(0), 9), Vec::<String>::new());
    assert_eq!(texts(None, 0), Vec::<String>::new());
}

const KEY: &str = "00112233445566778899aabbccddeeff";

#[test]
fn d12_a_message_that_is_asked_for_again_under_its_key_is_sent_once() {
    let mut world = World::with_bob();
    let send = |world: &mut World, text: &str| {
        let now = world.now;
        let content = text.as_bytes().to_vec();
        world.devices[ALICE].act(|alice| alice.send_as(&room(), KEY, content, now)).unwrap();
    };
    send(&mut world, "once");
    send(&mut world, "once");
    // Nor while it is on its way, after a restart, or when it is in the log, whatever it is to say.
    let (id, call) = world.poll(ALICE).unwrap();
    send(&mut world, "once");
    let response = world.desk.handle(&call);
    world.respond(ALICE, id, response);
    send(&mut world, "once");
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.run();
    send(&mut world, "twice");
    world.run();
    assert_eq!(submits(&world).len(), 1);
    assert_eq!(received(&world, BOB), ["once"]);
    assert_eq!(world.devices[ALICE].client.history(&room(), 0, 9).unwrap()[0].key, KEY);
    // One of another key is another message, whatever it says.
    world.send(ALICE, "twice");
    world.run();
    assert_eq!(received(&world, BOB), ["once", "twice"]);
}

#[test]
fn a_key_is_32_lowercase_hexadecimal_digits() {
    let mut world = World::with_bob();
    let now = world.now;
    for key in ["", &KEY[1..], &format!("{KEY}0"), &KEY.to_uppercase(), &KEY.replace('f', "g")] {
        let refused = world.devices[ALICE].act(|alice| alice.send_as(&room(), key, vec![1], now));
        let code = mimi_edge::client::ErrorCode::of(&refused.unwrap_err());
        assert_eq!(code.as_str(), "bad-argument", "{key}");
    }
    assert_eq!(world.poll(ALICE), None);
}
