//! What a device asks about hubs and rooms: trees by reference, and rooms that it is not in (D10, D13, A23).

use mimi_edge::{
    client::Event,
    transport::Response,
    wire::{
        self, FromProvider, RatchetTreeOption, RatchetTreeSupport, UpdateContent, UpdateRequest,
        uri::RoomUri,
    },
};

use super::world::{ALICE, BOB, CATHY, World, room, user};

/// The trees of all commits, in order: whether they came by reference.
fn by_reference(world: &World) -> Vec<bool> {
    let updates = world.desk.requests.iter().filter(|(path, _)| path.starts_with("POST update/"));
    let trees = updates.map(|(_, body)| {
        let update: UpdateRequest = wire::decode_exact(body).unwrap();
        let UpdateContent::Commit(bundle) = update.content else { panic!("a commit") };
        bundle.ratchet_tree_option == RatchetTreeOption::ByReference
    });
    trees.collect()
}

fn directory() -> Response {
    Response::tls(200, wire::encode(&RatchetTreeSupport::ByReference).unwrap())
}

/// Alice in a room whose hub takes trees by reference.
pub fn with_references() -> World {
    let mut world = World::new();
    world.desk.answer("directory/alpha.example", Some(directory()));
    world.create();
    world.run();
    world
}

#[test]
fn a23_d13_a_hub_that_offers_it_gets_trees_by_reference() {
    let mut world = with_references();
    for _ in 0..2 {
        world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
        world.run();
    }
    assert_eq!(by_reference(&world), [true, true]);
    assert_eq!(world.desk.count("GET directory/"), 1);
}

#[test]
fn a23_d13_a_hub_of_which_nothing_else_is_known_gets_whole_trees() {
    let full = Response::tls(200, wire::encode(&RatchetTreeSupport::Full).unwrap());
    for answer in [full, Response::tls(200, b"{}".to_vec()), Response::empty(502)] {
        let mut world = World::new();
        world.desk.answer("directory/alpha.example", Some(answer));
        world.create();
        world.run();
        world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
        world.run();
        assert_eq!(by_reference(&world), [false]);
    }
}

#[test]
fn a23_d13_a_hub_that_cannot_read_it_gets_the_whole_tree_from_then_on() {
    let mut world = with_references();
    world.desk.answer("update/", Some(Response::empty(400)));
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(by_reference(&world), [true, false, false]);
    assert_eq!(world.failures(ALICE), [] as [&str; 0]);
}

#[test]
fn a23_d13_an_external_commit_is_made_again_with_the_whole_tree() {
    let mut world = with_references();
    world.desk.answer("update/", Some(Response::empty(400)));
    world.frame(ALICE, &FromProvider::Gap { room_id: room().to_wire() });
    world.run();
    assert_eq!(by_reference(&world), [true, false]);
    assert!(world.devices[ALICE].events.contains(&Event::Rejoined { room: room() }));
    // One that the hub cannot read either way is a fault of ours.
    world.desk.answer("update/", Some(Response::empty(400)));
    let second = world.add_device("alice@alpha.example");
    world.ask(second, |second, now| second.join_room(&room(), now));
    world.run();
    assert_eq!(world.failures(second), ["internal"]);
}

#[test]
fn d13_a_hubs_word_is_asked_for_again_after_a_day() {
    let mut world = with_references();
    world.desk.requests.clear();
    for (days, asked) in [(0, 0), (1, 1), (0, 1)] {
        world.now = world.now.plus(days * 24 * 60 * 60 * 1000);
        world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
        world.run();
        assert_eq!(world.desk.count("GET directory/"), asked);
    }
}

#[test]
fn r61_a_whole_tree_that_the_hub_cannot_read_is_a_fault_of_ours() {
    let mut world = World::with_room();
    world.desk.answer("update/", Some(Response::empty(400)));
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_eq!(world.failures(ALICE), ["internal"]);
    assert_eq!(by_reference(&world), [false]);
}

#[test]
fn d10_a_device_is_told_of_its_users_rooms_that_it_is_not_in() {
    let mut world = World::with_bob();
    let available = Event::RoomsAvailable { rooms: vec![room()] };
    for who in [ALICE, CATHY] {
        world.ask(who, |client, now| client.sync_rooms(now));
    }
    world.run();
    assert!(!world.devices[ALICE].events.contains(&available));
    assert!(world.devices[CATHY].events.contains(&available));
    // Who was taken out may join again.
    let device = world.devices[BOB].client.device().clone();
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &device, now));
    world.run();
    world.forget_events();
    world.frame(BOB, &FromProvider::CaughtUp);
    world.run();
    assert!(world.devices[BOB].events.contains(&available));
}

/// The rooms of the last list that a device was told, if it was told one.
fn listed(world: &World, who: usize) -> Option<Vec<RoomUri>> {
    let events = world.devices[who].events.iter().rev();
    let lists = events.filter_map(|event| match event {
        Event::RoomsAvailable { rooms } => Some(rooms.clone()),
        _ => None,
    });
    lists.take(1).next()
}

#[test]
fn d10_a_room_is_listed_until_this_device_is_in_it_or_is_refused() {
    for (answer, code) in
        [(Response::empty(403), "not-allowed"), (Response::tls(200, vec![9]), "incompatible")]
    {
        let mut world = World::with_bob();
        let second = world.add_device("bob@bravo.example");
        world.ask(second, |client, now| client.sync_rooms(now));
        world.run();
        assert_eq!(listed(&world, second), Some(vec![room()]));
        world.forget_events();
        world.desk.answer("groupInfo", Some(answer));
        world.ask(second, |client, now| client.join_room(&room(), now));
        assert_eq!(listed(&world, second), Some(vec![]), "it is on its way");
        world.run();
        assert_eq!(world.failures(second), [code]);
        let rest = if code == "not-allowed" { vec![] } else { vec![room()] };
        assert_eq!(listed(&world, second), Some(rest.clone()), "{code}");
        let now = world.now;
        world.devices[second].reopen(now);
        assert_eq!(world.devices[second].client.available_rooms().unwrap(), rest);
        world.ask(second, |client, now| client.join_room(&room(), now));
        world.run();
        assert_eq!(listed(&world, second), Some(vec![]));
    }
}

#[test]
fn d10_a_room_that_the_user_has_left_is_not_listed_and_one_that_was_lost_is() {
    let mut world = World::with_bob();
    for who in [ALICE, BOB] {
        world.ask(who, |client, now| client.sync_rooms(now));
    }
    world.run();
    assert_eq!((listed(&world, ALICE), listed(&world, BOB)), (None, None));
    world.desk.answer("groupInfo", Some(Response::empty(409)));
    world.frame(ALICE, &FromProvider::Gap { room_id: room().to_wire() });
    world.run();
    assert_eq!(listed(&world, ALICE), Some(vec![room()]));
    world.ask(ALICE, |alice, now| alice.join_room(&room(), now));
    world.run();
    assert_eq!(listed(&world, ALICE), Some(vec![]));
    let bob = user("bob@bravo.example");
    world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob, now));
    world.run();
    assert!(world.devices[BOB].events.contains(&Event::RoomLeft { room: room() }));
    assert_eq!(listed(&world, BOB), None);
}
