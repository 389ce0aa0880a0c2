//! Welcomes on their way to a user's devices, pushes, and the list of rooms.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{Bob, DAY, Device, answer, claim_request, refusal, welcome};
use mimi_edge::{
    transport::{Action, Effect, Endpoint, Response, RoomFacts},
    wire::{
        Cursor, Directory, EventPage, FromClient, FromProvider, LogEvent, RoomList, RoomProfile,
        RoomSummary, decode_exact, encode,
        uri::{Domain, RoomUri},
    },
};
use openmls::key_packages::KeyPackage;

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn tablet() -> Device {
    Device::new("bob@bravo.example/tablet")
}

fn room(name: &str) -> RoomUri {
    RoomUri::parse(&format!("{name}@alpha.example")).unwrap()
}

fn deliver() -> Endpoint {
    Endpoint::DeliverWelcome { room: room("club") }
}

/// Publishes a KeyPackage that can be used more than once, and says its ref.
fn published(bob: &mut Bob, device: &Device) -> Vec<u8> {
    published_as(bob, device, device.last_resort(bob.now))
}

fn published_as(bob: &mut Bob, device: &Device, key_package: KeyPackage) -> Vec<u8> {
    let reference = device.reference(&key_package);
    assert_eq!(bob.publish(device, &[key_package]).status, 200);
    reference
}

fn page(bob: &mut Bob, device: &Device, after: u64) -> EventPage {
    let path = format!("/client/v1/inbox?after={after}");
    let response = answer(bob.signed(device, "GET", &path, b""));
    assert_eq!(response.status, 200);
    decode_exact(&response.body).unwrap()
}

fn event(position: u64, previous: u64, message: &[u8]) -> LogEvent {
    let message = decode_exact(message).unwrap();
    LogEvent { room_id: room("club").to_wire(), position, previous, message }
}

fn inbox_frame(device: &Device, event: LogEvent) -> Effect {
    let frame = encode(&FromProvider::Inbox(event)).unwrap();
    Effect::Send { device: device.client.clone(), frame }
}

fn ack(bob: &mut Bob, device: &Device, room_id: &str, position: u64) -> Vec<Effect> {
    let cursor = Cursor { room_id: common::user::uri(room_id), position };
    let frame = encode(&FromClient::Ack(cursor)).unwrap();
    bob.frame(Some(&device.client), &frame)
}

#[test]
fn r76_a_device_gets_the_welcomes_with_a_key_package_ref_of_its_own() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let (of_phone, of_tablet) = (published(&mut bob, &phone), published(&mut bob, &tablet));
    let first = welcome(&[&of_phone, b"somebody else's"], 1);
    let second = welcome(&[&of_tablet], 2);
    let third = welcome(&[&of_tablet, &of_phone], 3);

    assert_eq!(bob.own(deliver(), first.clone()), Response::empty(200));
    assert_eq!(bob.object.take_effects(), [inbox_frame(&phone, event(1, 0, &first))]);
    assert_eq!(bob.own(deliver(), second.clone()), Response::empty(200));
    assert_eq!(bob.object.take_effects(), [inbox_frame(&tablet, event(2, 0, &second))]);
    assert_eq!(bob.own(deliver(), third.clone()), Response::empty(200));
    assert_eq!(
        bob.object.take_effects(),
        [inbox_frame(&phone, event(3, 1, &third)), inbox_frame(&tablet, event(3, 2, &third))]
    );

    let all = EventPage {
        events: vec![event(1, 0, &first), event(3, 1, &third)],
        end: 3,
        more: false,
        gap: false,
    };
    assert_eq!(page(&mut bob, &phone, 0), all);
    assert_eq!(page(&mut bob, &phone, 1).events, all.events[1..]);
    assert_eq!(page(&mut bob, &phone, 3).events, []);
    assert_eq!(page(&mut bob, &phone, u64::MAX).events, []);
    assert_eq!(page(&mut bob, &tablet, 0).events.len(), 2);
}

#[test]
fn d3_a_welcome_that_comes_twice_is_stored_once() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let reference = published(&mut bob, &phone);
    let first = welcome(&[&reference], 1);
    assert_eq!(bob.own(deliver(), first.clone()), Response::empty(200));
    bob.object.take_effects();
    let before = bob.storage.snapshot();
    assert_eq!(bob.own(deliver(), first.clone()), Response::empty(200));
    assert_eq!(bob.object.take_effects(), []);
    assert_eq!(bob.storage.snapshot(), before);

    // Also when the device has it and it is deleted.
    ack(&mut bob, &phone, "", 1);
    let before = bob.storage.snapshot();
    assert_eq!(bob.own(deliver(), first), Response::empty(200));
    assert_eq!(bob.storage.snapshot(), before);
    // Another Welcome for the same KeyPackage is another Welcome.
    assert_eq!(bob.own(deliver(), welcome(&[&reference], 2)), Response::empty(200));
    assert_eq!(page(&mut bob, &phone, 1).events.len(), 1);
}

#[test]
fn r27_r76_a_key_package_that_is_used_once_is_good_for_one_welcome() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let key_package = phone.key_package(bob.now);
    let reference = published_as(&mut bob, &phone, key_package);
    let of_tablet = published(&mut bob, &tablet);
    assert_eq!(bob.own(deliver(), welcome(&[&reference], 1)), Response::empty(200));
    bob.object.take_effects();
    let before = bob.storage.snapshot();
    let other = Endpoint::DeliverWelcome { room: RoomUri::parse("club@other.example").unwrap() };
    for (endpoint, timestamp) in [(deliver(), 2), (other, 1), (deliver(), 3)] {
        let again = welcome(&[&reference], timestamp);
        assert_eq!(bob.own(endpoint, again), Response::empty(200));
        assert_eq!(bob.object.take_effects(), []);
        assert_eq!(bob.storage.snapshot(), before);
    }
    // The other device gets what is for it.
    bob.own(deliver(), welcome(&[&reference, &of_tablet], 4));
    assert_eq!(page(&mut bob, &phone, 0).events.len(), 1);
    assert_eq!(page(&mut bob, &tablet, 0).events.len(), 1);
}

#[test]
fn r28_r76_of_a_last_resort_key_package_each_hub_can_make_64_welcomes() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let reference = published(&mut bob, &phone);
    for timestamp in 0..70 {
        assert_eq!(bob.own(deliver(), welcome(&[&reference], timestamp)), Response::empty(200));
    }
    assert_eq!(page(&mut bob, &phone, 0).events.len(), 64);
    let other = Endpoint::DeliverWelcome { room: RoomUri::parse("club@other.example").unwrap() };
    bob.own(other, welcome(&[&reference], 1));
    assert_eq!(page(&mut bob, &phone, 0).events.len(), 65);
}

#[test]
fn r33_of_a_key_package_that_has_long_ended_no_welcome_is_remembered() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let reference = published(&mut bob, &phone);
    let remembered = |bob: &Bob| {
        // The table of Welcomes.
        bob.storage.snapshot().rows().filter(|(key, _)| key[0] == 0x0A).count()
    };
    bob.own(deliver(), welcome(&[&reference], 1));
    assert_eq!(remembered(&bob), 1);
    bob.now = bob.now.plus(86 * DAY);
    bob.claim(&claim_request());
    assert_eq!(remembered(&bob), 0);
}

#[test]
fn r76_what_is_no_welcome_for_this_user_is_refused() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let unknown = welcome(&[b"unknown"], 1);
    assert_eq!(bob.own(deliver(), unknown), refusal(404, "not found: no KeyPackage of this user"));
    // A PrivateMessage: group id, epoch, content type, and three more vectors; then the timestamp.
    let private = [&[0, 1, 0, 2, 1, b'g'][..], &[0; 8], &[1, 0, 0, 0], &[0; 8]].concat();
    assert_eq!(bob.own(deliver(), private), refusal(400, "malformed: not a Welcome"));
    assert_eq!(bob.own(deliver(), vec![]), refusal(400, "malformed: body"));
    assert_eq!(bob.storage.snapshot(), before);
    assert_eq!(bob.object.take_effects(), []);
}

#[test]
fn a_welcome_stays_until_every_device_that_it_is_for_has_it() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let (of_phone, of_tablet) = (published(&mut bob, &phone), published(&mut bob, &tablet));
    let both = welcome(&[&of_phone, &of_tablet], 1);
    bob.own(deliver(), both.clone());
    bob.own(deliver(), welcome(&[&of_phone], 2));
    bob.object.take_effects();

    assert_eq!(ack(&mut bob, &phone, "", 1), []);
    assert_eq!(page(&mut bob, &phone, 0).events.len(), 1);
    assert_eq!(page(&mut bob, &tablet, 0).events, [event(1, 0, &both)]);
    let before = bob.storage.snapshot().rows().count();
    assert_eq!(ack(&mut bob, &tablet, "", 1), []);
    assert_eq!(bob.storage.snapshot().rows().count(), before - 1);
    // Positions go on where they were, and `previous` with them.
    ack(&mut bob, &phone, "", 2);
    let third = welcome(&[&of_phone], 3);
    bob.own(deliver(), third.clone());
    assert_eq!(page(&mut bob, &phone, 2).events, [event(3, 2, &third)]);
}

#[test]
fn a_page_holds_256_welcomes_and_says_that_there_are_more() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let reference = published(&mut bob, &phone);
    for timestamp in 1..=257 {
        // No hub can make so many.
        let room = RoomUri::parse(&format!("club@h{}.example", timestamp / 64)).unwrap();
        let message = welcome(&[&reference], timestamp);
        assert_eq!(bob.own(Endpoint::DeliverWelcome { room }, message).status, 200);
    }
    let first = page(&mut bob, &phone, 0);
    assert_eq!((first.events.len(), first.more, first.end), (256, true, 257));
    let second = page(&mut bob, &phone, 256);
    assert_eq!((second.events.len(), second.more, second.end), (1, false, 257));
    assert!(!page(&mut bob, &phone, 1).more);
}

#[test]
fn a_push_goes_to_the_devices_of_the_user_alone() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let frame = encode(&FromProvider::CaughtUp).unwrap();
    let devices = vec![phone.client.clone(), tablet.client.clone()];
    assert_eq!(bob.own(Endpoint::Push { devices }, frame.clone()), Response::empty(200));
    assert_eq!(bob.object.take_effects(), [Effect::Send { device: phone.client, frame }]);
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d10_a_device_learns_the_rooms_of_its_user() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let mut set = |name: &str, cipher_suite: Option<u16>| {
        let profile = Some(RoomProfile::A);
        let facts = cipher_suite.map(|cipher_suite| RoomFacts { cipher_suite, profile });
        let endpoint = Endpoint::Membership { room: room(name), facts };
        assert_eq!(bob.own(endpoint, vec![]), Response::empty(200));
    };
    for (name, suite) in [("zoo", Some(1)), ("club", Some(2)), ("bar", Some(1)), ("bar", None)] {
        set(name, suite);
    }
    set("zoo", Some(3));
    let response = answer(bob.signed(&phone, "GET", "/client/v1/rooms", b""));
    let summary = |name: &str, cipher_suite| RoomSummary {
        room_id: room(name).to_wire(),
        cipher_suite,
        profile: Some(RoomProfile::A),
        ratchet_tree: None,
    };
    let rooms = RoomList { rooms: vec![summary("club", 2), summary("zoo", 3)] };
    assert_eq!(response, Response::tls(200, encode(&rooms).unwrap()));
}

#[test]
fn d10_d13_a_device_learns_what_trees_a_rooms_hub_takes_as_far_as_its_provider_knows() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    for name in ["club@alpha.example", "club@bravo.example"] {
        let facts = Some(RoomFacts { cipher_suite: 1, profile: None });
        let room = RoomUri::parse(name).unwrap();
        bob.own(Endpoint::Membership { room, facts }, vec![]);
    }
    let known = |bob: &mut Bob| {
        let response = answer(bob.signed(&phone, "GET", "/client/v1/rooms", b""));
        let RoomList { rooms } = decode_exact(&response.body).unwrap();
        rooms.iter().map(|room| room.ratchet_tree).collect::<Vec<_>>()
    };
    let own = Some(Directory::of(&Domain::parse("bravo.example").unwrap()).ratchet_tree_support());
    assert_eq!(known(&mut bob), [None, own]);
    // A device asked for the hub's directory: it is known from there on.
    let path = "/client/v1/directory/alpha.example";
    let Action::Forward(forward) = bob.signed(&phone, "GET", path, b"") else { panic!("asked") };
    let alphas = Directory::of(&Domain::parse("alpha.example").unwrap());
    let document = alphas.to_json().unwrap();
    let found = Response { status: 200, headers: Vec::new(), body: document };
    assert_eq!(answer(bob.resume(&forward.then, Some(found))).status, 200);
    assert_eq!(known(&mut bob), [Some(alphas.ratchet_tree_support()), own]);
}

#[test]
fn d10_nobody_is_in_no_room() {
    let mut nobody = Bob::new(common::user::config());
    let endpoint = Endpoint::Membership { room: room("club"), facts: None };
    assert_eq!(nobody.own(endpoint, vec![]), refusal(404, "not found: user"));
    assert_eq!(nobody.storage.snapshot().rows().count(), 0);
}
