//! How far a device is after it was away.

use mimi_edge::{
    client::{Event, Progress},
    wire::FromProvider,
};

use super::world::{ALICE, BOB, World, room};

/// What a device was told of its progress: thousandths and rooms.
fn told(world: &mut World, who: usize) -> Vec<(u64, u64)> {
    let events = std::mem::take(&mut world.devices[who].events);
    let progress = events.into_iter().filter_map(|event| match event {
        Event::CatchingUp(Progress { done_thousandths, rooms }) => Some((done_thousandths, rooms)),
        _ => None,
    });
    progress.collect()
}

/// Bob was away while Alice wrote four messages; his hello has one room, or two.
fn world(rooms: u64) -> World {
    let mut world = World::with_bob();
    world.send(ALICE, "before");
    world.run();
    world.devices[BOB].online = false;
    for text in ["one", "two", "three", "four"] {
        world.send(ALICE, text);
    }
    world.run();
    if rooms == 2 {
        let other = mimi_edge::wire::uri::RoomUri::parse("other@bravo.example").unwrap();
        world.ask(BOB, |bob, now| bob.create_room(&other, Default::default(), now));
        while world.exchange(BOB) {}
    }
    world.forget_events();
    let now = world.now;
    world.devices[BOB].act(|bob| bob.hello(now)).unwrap();
    world
}

/// The provider's frames for the room's log.
fn frames(world: &World, left: u32) -> Vec<FromProvider> {
    let bob = world.devices[BOB].client.device().to_string();
    let events = world.desk.seen_by(&bob, room().as_str(), 2);
    let end = events.last().unwrap().position;
    assert_eq!((events.len(), end), (4, 6));
    let first = FromProvider::CatchingUp { room_id: room().to_wire(), end, left };
    [first].into_iter().chain(events.into_iter().map(FromProvider::Event)).collect()
}

#[test]
fn progress_goes_up_with_the_positions_of_the_rooms_log() {
    let mut world = world(1);
    for (frame, thousandths) in frames(&world, 0).iter().zip([0, 250, 500, 750, 1000]) {
        world.frame(BOB, frame);
        assert_eq!(told(&mut world, BOB), [(thousandths, 1)]);
    }
    // What was there already is none.
    let again = frames(&world, 0);
    world.frame(BOB, &again[2]);
    assert_eq!(told(&mut world, BOB), []);
    world.frame(BOB, &FromProvider::CaughtUp);
    assert_eq!(world.devices[BOB].events, [Event::CaughtUp]);
    // A later event is no catching up.
    world.devices[BOB].online = true;
    world.forget_events();
    world.send(ALICE, "five");
    world.run();
    assert_eq!(told(&mut world, BOB), []);
}

#[test]
fn rooms_of_which_nothing_is_missing_are_done_and_those_to_come_are_not() {
    for (left, thousandths) in [(0, [1000, 1250]), (1, [0, 250])] {
        let mut world = world(2);
        for frame in &frames(&world, left)[..2] {
            world.frame(BOB, frame);
        }
        assert_eq!(told(&mut world, BOB), thousandths.map(|done| (done, 2)));
    }
}

#[test]
fn a_new_socket_begins_anew() {
    let mut world = world(1);
    for frame in &frames(&world, 0)[..3] {
        world.frame(BOB, frame);
    }
    told(&mut world, BOB);
    let now = world.now;
    world.devices[BOB].act(|bob| bob.hello(now)).unwrap();
    let frame = FromProvider::CatchingUp { room_id: room().to_wire(), end: 6, left: 0 };
    world.frame(BOB, &frame);
    assert_eq!(told(&mut world, BOB), [(0, 1)]);
}

#[test]
fn a_provider_that_says_nonsense_of_the_end_is_believed_nothing() {
    for (end, left) in [(0, 0), (u64::MAX, u32::MAX)] {
        let mut world = world(1);
        world.frame(BOB, &FromProvider::CatchingUp { room_id: room().to_wire(), end, left });
        for frame in &frames(&world, 0)[1..] {
            world.frame(BOB, frame);
        }
        let told = told(&mut world, BOB);
        assert!(told.iter().all(|(done, rooms)| *done <= 1000 && *rooms == 1), "{told:?}");
        assert_eq!(world.devices[BOB].client.history(&room(), 2, 9).unwrap().len(), 4);
    }
}
