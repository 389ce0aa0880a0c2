//! The draft's story, once as it should go and once with every instance lost after every call.

use mimi_edge::client::{Delivery, Event, OwnMessage};

use super::world::{ALICE, BOB, CATHY, Reopen, World, room};

fn play(reopen: Reopen) -> World {
    let mut world = World::new();
    world.reopen = reopen;
    world.create();
    world.run();
    world.add(ALICE, "bob@bravo.example");
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
    world.add(BOB, "cathy@charlie.example");
    world.run();
    world.assert_agreement(&[ALICE, BOB, CATHY]);
    world.send(CATHY, "hello");
    world.run();
    world
}

fn messages(world: &World, who: usize) -> Vec<(String, Vec<u8>)> {
    world.devices[who]
        .client
        .history(&room(), 0, 100)
        .unwrap()
        .into_iter()
        .map(|message| (message.sender.user().to_string(), message.content))
        .collect()
}

#[test]
fn the_story_ends_with_three_participants_and_one_message() {
    for reopen in [Reopen::Never, Reopen::Always] {
        let mut world = play(reopen);
        let state = world.devices[ALICE].client.room_state(&room()).unwrap().unwrap();
        assert_eq!(state.epoch, 2, "{reopen:?}");
        let users: Vec<_> = state.participants.iter().map(|entry| entry.user.as_str()).collect();
        assert_eq!(users, ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example"]);
        assert!(state.participants.iter().all(|entry| entry.devices.len() == 1));
        for who in [ALICE, BOB, CATHY] {
            let expected = ("cathy@charlie.example".to_owned(), b"hello".to_vec());
            assert_eq!(messages(&world, who), [expected], "{who} {reopen:?}");
        }
        let received = |who: usize| {
            let events = &world.devices[who].events;
            events.iter().filter(|event| matches!(event, Event::Message(_))).count()
        };
        assert_eq!([received(ALICE), received(BOB), received(CATHY)], [1, 1, 0]);
        let accepted = world.devices[CATHY].events.iter().filter(|event| {
            matches!(event, Event::Delivery(OwnMessage { delivery: Delivery::Accepted { .. }, .. }))
        });
        assert_eq!(accepted.count(), 1);
        assert_eq!(world.desk.rooms["clubhouse@alpha.example"].log.len(), 3);
        // One claim per user, even when its answer was lost: the desk gives what it has.
        assert_eq!(world.desk.rooms["clubhouse@alpha.example"].epoch, 2);
    }
}
