//! A device's WebSocket: hello, catching up, acknowledgements.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{Bob, Device, MINUTE, uri, welcome};
use mimi_edge::{
    transport::{
        Action, Effect, Endpoint, Forward, IncomingRequest, ObjectCall, ObjectClass, ObjectName,
        Outcome, Outgoing, Response, Source,
    },
    wire::{
        Cursor, DeviceAuth, EventPage, FromClient, FromProvider, LogEvent, decode_exact, encode,
        uri::RoomUri,
    },
};

const SOCKET: &str = "/client/v1/socket/bob%40bravo.example%2Fphone";

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn cursor(room: &str, position: u64) -> Cursor {
    Cursor { room_id: uri(room), position }
}

fn hello_with(auth: DeviceAuth, cursors: Vec<Cursor>) -> Vec<u8> {
    encode(&FromClient::Hello { auth, cursors }).unwrap()
}

fn hello(bob: &Bob, device: &Device, cursors: Vec<Cursor>) -> Vec<u8> {
    hello_with(device.auth("GET", SOCKET, b"", bob.now), cursors)
}

fn bind(device: &Device) -> Effect {
    Effect::Bind { socket: 7, device: device.client.clone() }
}

fn send(device: &Device, frame: &FromProvider) -> Effect {
    Effect::Send { device: device.client.clone(), frame: encode(frame).unwrap() }
}

fn catching_up(device: &Device, room: &str, end: u64, left: u32) -> Effect {
    send(device, &FromProvider::CatchingUp { room_id: uri(room), end, left })
}

fn close(code: u16) -> Effect {
    Effect::Close { socket: 7, code }
}

/// An event of a room; any message will do.
fn event(room: &str, position: u64, previous: u64) -> LogEvent {
    let private = [&[0, 1, 0, 2, 1, b'g'][..], &[0; 8], &[1, 0, 0, 0], &[0; 8]].concat();
    let message = decode_exact(&private).unwrap();
    LogEvent { room_id: uri(room), position, previous, message }
}

fn page(events: Vec<LogEvent>, more: bool, gap: bool) -> Outcome {
    let end = events.last().map_or(0, |event| event.position);
    Some(Response::tls(200, encode(&EventPage { events, end, more, gap }).unwrap()))
}

/// The one question among `effects`, and the effects before it.
fn question(mut effects: Vec<Effect>) -> (Vec<Effect>, ObjectCall, Vec<u8>) {
    let Some(Effect::Ask(Forward { outgoing: Outgoing::Object(call), then, .. })) = effects.pop()
    else {
        panic!("no question at the end")
    };
    (effects, call, then)
}

fn resume(bob: &mut Bob, then: &[u8], outcome: Outcome) -> Vec<Effect> {
    assert_eq!(bob.resume(then, outcome), Action::Respond(Response::empty(200)));
    bob.object.take_effects()
}

fn events_call(device: &Device, class: ObjectClass, room: &str, after: u64) -> ObjectCall {
    ObjectCall {
        object: ObjectName { class, name: room.into() },
        request: IncomingRequest {
            source: Source::Device(device.client.clone()),
            endpoint: Endpoint::Events { room: RoomUri::parse(room).unwrap(), after },
            body: Vec::new(),
        },
    }
}

#[test]
fn a_hello_without_cursors_is_caught_up_at_once() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let frame = hello(&bob, &phone, vec![]);
    let caught_up = send(&phone, &FromProvider::CaughtUp);
    assert_eq!(bob.frame(None, &frame), [bind(&phone), caught_up]);
    // The hello's nonce is used now.
    assert_eq!(bob.frame(None, &frame), [close(4401)]);
}

#[test]
fn d14_d21_a_hello_that_proves_nothing_closes_with_4401_and_binds_nothing() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let now = bob.now;
    let other_path = "/client/v1/socket/bob%40bravo.example%2Ftablet";
    for auth in [
        phone.impostor().auth("GET", SOCKET, b"", now),
        phone.auth("POST", SOCKET, b"", now),
        phone.auth("GET", other_path, b"", now),
        phone.auth("GET", SOCKET, b"x", now),
        phone.auth("GET", SOCKET, b"", now.plus(5 * MINUTE + 1)),
        Device::new("bob@bravo.example/tablet").auth("GET", other_path, b"", now),
    ] {
        assert_eq!(bob.frame(None, &hello_with(auth, vec![])), [close(4401)]);
    }
    let ack = encode(&FromClient::Ack(cursor("", 1))).unwrap();
    assert_eq!(bob.frame(None, &ack), [close(4401)]);
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn a_frame_that_is_none_closes_with_4400() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let mut trailing = hello(&bob, &phone, vec![]);
    trailing.push(0);
    for frame in [&b""[..], b"\x09", &trailing, &vec![1; 300 << 10]] {
        assert_eq!(bob.frame(None, frame), [close(4400)]);
        assert_eq!(bob.frame(Some(&phone.client), frame), [close(4400)]);
    }
    // A second hello; an acknowledgement of no room.
    let again = hello(&bob, &phone, vec![]);
    assert_eq!(bob.frame(Some(&phone.client), &again), [close(4400)]);
    let no_room = encode(&FromClient::Ack(cursor("club", 1))).unwrap();
    assert_eq!(bob.frame(Some(&phone.client), &no_room), [close(4400)]);
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn cursors_are_of_rooms_each_once_and_at_most_4096() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let many = (0..4097).map(|number| cursor(&format!("r{number}@a.example"), 0)).collect();
    for cursors in [
        vec![cursor("club", 1)],
        vec![cursor("*@alpha.example", 1)],
        vec![cursor("club@alpha.example", 1), cursor("club@alpha.example", 2)],
        vec![cursor("", 1), cursor("", 2)],
        many,
    ] {
        let frame = hello(&bob, &phone, cursors);
        assert_eq!(bob.frame(None, &frame), [close(4400)]);
    }
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn a_hello_brings_the_inbox_and_then_room_by_room_what_the_device_lacks() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let key_package = phone.last_resort(bob.now);
    let reference = phone.reference(&key_package);
    bob.publish(&phone, &[key_package]);
    let room = RoomUri::parse("club@alpha.example").unwrap();
    let messages = [welcome(&[&reference], 1), welcome(&[&reference], 2)];
    for message in &messages {
        bob.own(Endpoint::DeliverWelcome { room: room.clone() }, message.clone());
    }
    bob.object.take_effects();

    let cursors =
        vec![cursor("own@bravo.example", 5), cursor("", 1), cursor("club@alpha.example", 3)];
    let frame = hello(&bob, &phone, cursors);
    let (effects, call, then) = question(bob.frame(None, &frame));
    let second = LogEvent {
        room_id: room.to_wire(),
        position: 2,
        previous: 1,
        message: decode_exact(&messages[1]).unwrap(),
    };
    assert_eq!(effects, [bind(&phone), send(&phone, &FromProvider::Inbox(second))]);
    assert_eq!(call, events_call(&phone, ObjectClass::FollowedRoom, "club@alpha.example", 3));

    // There is more: the same room again, from where the page ended.
    let (four, nine) = (event("club@alpha.example", 4, 3), event("club@alpha.example", 9, 4));
    let outcome = page(vec![four.clone(), nine.clone()], true, false);
    let (effects, call, then) = question(resume(&mut bob, &then, outcome));
    let mut expected = vec![catching_up(&phone, "club@alpha.example", 9, 1)];
    expected.extend([four, nine].map(|event| send(&phone, &FromProvider::Event(event))));
    assert_eq!(effects, expected);
    assert_eq!(call, events_call(&phone, ObjectClass::FollowedRoom, "club@alpha.example", 9));

    // How much there is is said once. A gap is told; then the room of our own.
    let ten = event("club@alpha.example", 10, 9);
    let (effects, call, then) =
        question(resume(&mut bob, &then, page(vec![ten.clone()], false, true)));
    let gap = FromProvider::Gap { room_id: room.to_wire() };
    assert_eq!(effects, [send(&phone, &gap), send(&phone, &FromProvider::Event(ten))]);
    assert_eq!(call, events_call(&phone, ObjectClass::HubRoom, "own@bravo.example", 5));

    let six = event("own@bravo.example", 6, 5);
    let expected = [
        catching_up(&phone, "own@bravo.example", 6, 0),
        send(&phone, &FromProvider::Event(six.clone())),
        send(&phone, &FromProvider::CaughtUp),
    ];
    assert_eq!(resume(&mut bob, &then, page(vec![six], false, false)), expected);
}

/// Its room may think that nobody is there: who enters by the Welcome now has no cursor for it yet.
#[test]
fn d11_the_room_of_a_welcome_hears_of_the_device_that_gets_it() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let key_package = phone.last_resort(bob.now);
    let reference = phone.reference(&key_package);
    bob.publish(&phone, &[key_package]);
    let room = RoomUri::parse("club@alpha.example").unwrap();
    for timestamp in [1, 2] {
        let deliver = Endpoint::DeliverWelcome { room: room.clone() };
        bob.own(deliver, welcome(&[&reference], timestamp));
    }
    bob.object.take_effects();

    let frame = hello(&bob, &phone, vec![cursor("own@bravo.example", 5)]);
    let (effects, call, then) = question(bob.frame(None, &frame));
    assert_eq!(effects.len(), 3);
    assert_eq!(
        call,
        events_call(&phone, ObjectClass::FollowedRoom, "club@alpha.example", u64::MAX)
    );
    // It has nothing after that; what the device asked for comes then, as if this had not been.
    let (effects, call, then) = question(resume(&mut bob, &then, page(vec![], false, false)));
    assert_eq!(effects, []);
    assert_eq!(call, events_call(&phone, ObjectClass::HubRoom, "own@bravo.example", 5));
    let six = event("own@bravo.example", 6, 5);
    let expected = [
        catching_up(&phone, "own@bravo.example", 6, 0),
        send(&phone, &FromProvider::Event(six.clone())),
        send(&phone, &FromProvider::CaughtUp),
    ];
    assert_eq!(resume(&mut bob, &then, page(vec![six], false, false)), expected);
}

#[test]
fn d11_a_long_inbox_comes_page_by_page_and_the_rooms_after_it() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let packages: Vec<_> = (0..6).map(|_| phone.last_resort(bob.now)).collect();
    bob.publish(&phone, &packages);
    let room = RoomUri::parse("club@alpha.example").unwrap();
    for package in &packages {
        for timestamp in 0..50 {
            let message = welcome(&[&phone.reference(package)], timestamp);
            bob.own(Endpoint::DeliverWelcome { room: room.clone() }, message);
        }
    }
    bob.object.take_effects();
    let frame = hello(&bob, &phone, vec![cursor("club@alpha.example", 3)]);
    let (effects, call, then) = question(bob.frame(None, &frame));
    assert_eq!(effects.len(), 1 + 256);
    let own = ObjectName { class: ObjectClass::User, name: "bob@bravo.example".into() };
    let request =
        IncomingRequest { source: Source::Own, endpoint: Endpoint::Exists, body: Vec::new() };
    assert_eq!(call, ObjectCall { object: own, request });
    let (effects, call, _) = question(resume(&mut bob, &then, Some(Response::empty(200))));
    assert_eq!(effects.len(), 300 - 256);
    assert_eq!(call, events_call(&phone, ObjectClass::FollowedRoom, "club@alpha.example", 3));
}

#[test]
fn a_room_that_does_not_know_the_device_is_passed_over() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    for status in [403, 404] {
        let frame = hello(&bob, &phone, vec![cursor("club@alpha.example", 3)]);
        let (_, _, then) = question(bob.frame(None, &frame));
        let caught_up = send(&phone, &FromProvider::CaughtUp);
        assert_eq!(resume(&mut bob, &then, Some(Response::empty(status))), [caught_up]);
    }
}

#[test]
fn a_device_is_not_caught_up_when_a_room_did_not_answer() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let garbage = Some(Response::tls(200, vec![1, 2, 3]));
    for outcome in [None, Some(Response::empty(500)), garbage] {
        let cursors = vec![cursor("a@alpha.example", 3), cursor("b@alpha.example", 0)];
        let frame = hello(&bob, &phone, cursors);
        let (_, _, then) = question(bob.frame(None, &frame));
        // The other room comes first; then the device is to try again.
        let (effects, call, then) = question(resume(&mut bob, &then, outcome));
        assert_eq!(effects, []);
        assert_eq!(call, events_call(&phone, ObjectClass::FollowedRoom, "b@alpha.example", 0));
        assert_eq!(resume(&mut bob, &then, page(vec![], false, false)), [close(1013)]);
    }
}

#[test]
fn a_page_without_events_is_not_asked_for_again() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let frame = hello(&bob, &phone, vec![cursor("club@alpha.example", 3)]);
    let (_, _, then) = question(bob.frame(None, &frame));
    let caught_up = send(&phone, &FromProvider::CaughtUp);
    assert_eq!(resume(&mut bob, &then, page(vec![], true, false)), [caught_up]);
}

#[test]
fn d22_rooms_hear_now_and_then_what_a_device_has_of_their_logs() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let ack = |bob: &mut Bob, room: &str, position| {
        let frame = encode(&FromClient::Ack(cursor(room, position))).unwrap();
        bob.frame(Some(&phone.client), &frame)
    };
    let told = |class, room: &str, position| {
        [Effect::Call(ObjectCall {
            object: ObjectName { class, name: room.into() },
            request: IncomingRequest {
                source: Source::Device(phone.client.clone()),
                endpoint: Endpoint::Acknowledge { room: RoomUri::parse(room).unwrap(), position },
                body: Vec::new(),
            },
        })]
    };
    let (club, own) = ("club@alpha.example", "own@bravo.example");
    for position in 1..64 {
        assert_eq!(ack(&mut bob, club, position), []);
    }
    assert_eq!(ack(&mut bob, club, 64), told(ObjectClass::FollowedRoom, club, 64));
    assert_eq!(ack(&mut bob, club, 127), []);
    assert_eq!(ack(&mut bob, own, 70), told(ObjectClass::HubRoom, own, 70));
    assert_eq!(ack(&mut bob, club, 128), told(ObjectClass::FollowedRoom, club, 128));
    // An object that starts anew does not know what it said.
    bob.restart();
    assert_eq!(ack(&mut bob, club, 129), told(ObjectClass::FollowedRoom, club, 129));
    assert_eq!(ack(&mut bob, club, 130), []);
    assert_eq!(bob.storage.snapshot(), before, "nothing of it is stored here");
}
