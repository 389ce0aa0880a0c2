//! A provider that answers nonsense, and a socket that brings it: nothing of it is believed, and
//! nothing is lost.

use mimi_edge::{
    client::{Delivery, ErrorCode, Event, OwnMessage},
    error::{Error, ProtocolError},
    transport::Response,
    wire::{FromProvider, IdentifierUri, encode},
};

use super::world::{ALICE, BOB, CATHY, World};

/// What decodes as nothing: lengths that lie, vectors in vectors, text, a great deal of one byte.
fn garbage() -> Vec<Vec<u8>> {
    let mut nested = Vec::new();
    for _ in 0..5_000 {
        let length = u32::try_from(nested.len()).unwrap() | 0x8000_0000;
        nested = [&length.to_be_bytes()[..], &nested].concat();
    }
    vec![
        Vec::new(),
        vec![0xFF],
        vec![1, 0xBF, 0xFF, 0xFF, 0xFF, 1],
        vec![1, 0xC0, 0, 0, 0, 0, 0, 0, 1, 1],
        b"<!doctype html><title>502</title>".to_vec(),
        "[".repeat(30_000).into_bytes(),
        nested,
        vec![0x3F; 300 << 10],
        vec![0xFF; 300 << 10],
    ]
}

#[test]
fn r5_frames_that_are_none_are_refused_and_change_nothing() {
    let mut world = World::with_bob();
    world.send(ALICE, "hello");
    world.exchange(ALICE);
    let bob = world.devices[BOB].client.device().to_string();
    let event = world.desk.seen_by(&bob, "clubhouse@alpha.example", 0).pop().unwrap();
    let good = encode(&FromProvider::Event(event)).unwrap();
    let mut frames = garbage();
    frames.extend((0..good.len()).map(|end| good[..end].to_vec()));
    frames.extend((0..=u8::MAX).map(|byte| [&good[..], &[byte]].concat()));
    let (stored, now) = (world.devices[BOB].stored.clone(), world.now);
    for frame in frames {
        let refused = world.devices[BOB].act(|client| client.handle_frame(&frame, now));
        let malformed = Error::Protocol(ProtocolError::Malformed("body"));
        assert_eq!(refused, Err(malformed), "{} bytes", frame.len());
    }
    assert!(world.devices[BOB].stored == stored);
    assert_eq!(world.devices[BOB].events, []);
    world.devices[BOB].act(|client| client.handle_frame(&good, now)).unwrap();
    assert!(matches!(world.devices[BOB].events[..], [Event::Message(_)]));
}

/// Events of other rooms, of none, for nobody; of the right room at a position that was there, and
/// with a message that is damaged.
#[test]
fn r8_d11_events_that_belong_elsewhere_change_nothing() {
    let mut world = World::with_bob();
    world.send(ALICE, "hello");
    world.run();
    world.forget_events();
    let bob = world.devices[BOB].client.device().to_string();
    let event = world.desk.seen_by(&bob, "clubhouse@alpha.example", 0).pop().unwrap();
    let mut others = vec![event.clone()];
    for room in ["", "club", "den@alpha.example", "*@alpha.example"] {
        let mut other = event.clone();
        other.room_id.0 = room.into();
        (other.previous, other.position) = (event.position, event.position + 1);
        others.push(other);
    }
    let epoch = world.devices[BOB].epoch();
    for other in &others {
        world.frame(BOB, &FromProvider::Event(other.clone()));
        world.frame(BOB, &FromProvider::Inbox(other.clone()));
    }
    let unknown = FromProvider::Gap { room_id: IdentifierUri("den@alpha.example".into()) };
    world.frame(BOB, &unknown);
    let none = encode(&FromProvider::Gap { room_id: IdentifierUri("club".into()) }).unwrap();
    let now = world.now;
    let refused = world.devices[BOB].act(|client| client.handle_frame(&none, now));
    assert_eq!(refused, Err(Error::Protocol(ProtocolError::Malformed("room of a gap"))));
    world.run();
    assert_eq!(world.devices[BOB].events, []);
    assert_eq!(world.devices[BOB].epoch(), epoch);
    world.send(ALICE, "still there");
    world.run();
    assert!(matches!(world.devices[BOB].events[..], [Event::Message(_)]));
}

/// One garbled answer to each question; the story ends as if there had been none.
#[test]
fn r5_answers_that_are_none_lose_nothing() {
    for endpoint in ["events", "inbox", "external-sender", "keyPackages"] {
        for body in garbage() {
            for status in [200, 302] {
                let mut world = World::new();
                world.desk.answer(endpoint, Some(Response::tls(status, body.clone())));
                world.create();
                world.run();
                if refused(&world) {
                    world.create();
                    world.run();
                }
                world.add(ALICE, "bob@bravo.example");
                world.run();
                world.send(BOB, "hello");
                world.run();
                world.assert_agreement(&[ALICE, BOB]);
                assert!(heard(&world), "{endpoint}: {status} with {} bytes", body.len());
            }
        }
    }
}

/// An answer that is none fails what was asked for, with a code, and the next try goes through.
#[test]
fn r5_r62_a_claim_that_is_answered_with_nonsense_fails_and_the_next_one_goes_through() {
    for body in garbage() {
        let mut world = World::with_room();
        world.desk.answer("keyMaterial", Some(Response::tls(200, body)));
        world.add(ALICE, "bob@bravo.example");
        world.run();
        let failed = world.devices[ALICE].events.iter().find_map(|event| match event {
            Event::IntentFailed { code, .. } => Some(*code),
            _ => None,
        });
        assert_eq!(failed, Some(ErrorCode::Incompatible));
        world.add(ALICE, "bob@bravo.example");
        world.run();
        world.assert_agreement(&[ALICE, BOB]);
    }
}

fn refused(world: &World) -> bool {
    world.devices[ALICE].events.iter().any(|event| matches!(event, Event::IntentFailed { .. }))
}

fn heard(world: &World) -> bool {
    let mut events = world.devices[ALICE].events.iter();
    events.any(|event| matches!(event, Event::Message(message) if message.content == b"hello"))
}

/// The hub took it, and the answer came garbled: the log says what became of it.
#[test]
fn r62_r72_the_log_decides_when_the_answer_is_garbled() {
    for body in garbage() {
        let mut world = World::with_bob();
        world.add(ALICE, "cathy@charlie.example");
        garble(&mut world, "update", &body);
        world.run();
        world.assert_agreement(&[ALICE, BOB, CATHY]);
        world.send(ALICE, "hello");
        garble(&mut world, "submitMessage", &body);
        world.run();
        for who in [BOB, CATHY] {
            let heard = world.devices[who].events.iter().filter(
                |event| matches!(event, Event::Message(message) if message.content == b"hello"),
            );
            assert_eq!(heard.count(), 1);
        }
        assert!(world.devices[ALICE].events.iter().any(|event| matches!(
            event,
            Event::Delivery(OwnMessage { delivery: Delivery::Accepted { .. }, .. })
        )));
        assert!(!refused(&world));
    }
}

/// Answers Alice's requests up to the one to `endpoint`, which has its effect and this answer.
fn garble(world: &mut World, endpoint: &str, body: &[u8]) {
    loop {
        let (id, call) = world.poll(ALICE).unwrap();
        let found = call.url.contains(endpoint);
        let answer = world.desk.handle(&call);
        if !found {
            world.respond(ALICE, id, answer);
            continue;
        }
        assert_eq!(answer.unwrap().status, 200);
        world.respond(ALICE, id, Some(Response::tls(200, body.to_vec())));
        return;
    }
}
