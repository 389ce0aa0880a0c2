//! What is unread in a room, and the rows of an older version.

use mimi_edge::{
    client::{Client, ClientOptions, Delivery, Event},
    storage::{MemoryStorage, Storage as _},
};

use super::{
    clock::real_time,
    world::{ALICE, BOB, World, open, room, user},
};

/// How much is unread, up to where it is read, and the last message.
fn reading(client: &Client) -> (u64, u64, Option<String>) {
    let reading = client.reading(&room()).unwrap();
    let last = reading.last.map(|message| String::from_utf8(message.content).unwrap());
    (reading.unread, reading.read_to, last)
}

#[test]
fn others_messages_are_unread_until_they_are_marked_and_own_ones_never_are() {
    let mut world = World::with_bob();
    let bob = |world: &World| reading(&world.devices[BOB].client);
    assert_eq!(bob(&world), (0, 0, None));
    for text in ["one", "two", "three"] {
        world.send(ALICE, text);
    }
    world.run();
    world.send(BOB, "mine");
    world.run();
    let positions: Vec<_> = world.devices[BOB].client.history(&room(), 0, 9).unwrap();
    let positions: Vec<_> = positions.iter().map(|message| message.position).collect();
    assert_eq!(bob(&world), (3, 0, Some("mine".into())));
    assert_eq!(reading(&world.devices[ALICE].client).0, 1);
    world.forget_events();
    world.ask(BOB, |bob, now| bob.mark_read(&room(), positions[1], now));
    assert_eq!(world.devices[BOB].events, [Event::Read { room: room() }]);
    assert_eq!(bob(&world), (1, positions[1], Some("mine".into())));
    let now = world.now;
    world.devices[BOB].reopen(now);
    assert_eq!(bob(&world), (1, positions[1], Some("mine".into())));
    // Nothing becomes unread again.
    world.forget_events();
    world.ask(BOB, |bob, now| bob.mark_read(&room(), positions[0], now));
    assert_eq!(world.devices[BOB].events, []);
    assert_eq!(bob(&world).1, positions[1]);
    world.send(ALICE, "four");
    world.run();
    assert_eq!(bob(&world), (2, positions[1], Some("four".into())));
}

#[test]
fn what_is_still_to_come_cannot_be_read() {
    let mut world = World::with_bob();
    world.send(ALICE, "one");
    world.run();
    world.ask(BOB, |bob, now| bob.mark_read(&room(), u64::MAX, now));
    assert_eq!(reading(&world.devices[BOB].client).0, 0);
    world.send(ALICE, "two");
    world.run();
    assert_eq!(reading(&world.devices[BOB].client).0, 1);
}

/// Alice's rows as version 1 wrote them: "one" of Bob and "two" of Alice are in the log; the hub has
/// "three" and "four", of which Alice knows only that it took "three"; "five" waits.
fn rows_of_version_1() -> MemoryStorage {
    let text = include_str!("../fixtures/client/rows-of-version-1.txt");
    let bytes = |hex: &str| {
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<_>>()
    };
    let row = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        (bytes(key), bytes(value))
    };
    MemoryStorage::with_rows(text.lines().map(row))
}

fn alice() -> ClientOptions {
    ClientOptions::new(user("alice@alpha.example"))
}

#[test]
fn the_rows_of_version_1_become_rows_of_this_one_in_one_transaction() {
    let mut stored = rows_of_version_1();
    let mut client = open(&alice(), &stored, real_time());
    let changes = client.take_changes();
    stored.apply(changes).unwrap();
    for client in [client, open(&alice(), &stored, real_time())] {
        let history = client.history(&room(), 0, 9).unwrap();
        let history: Vec<_> = history.iter().map(|message| &message.content[..]).collect();
        assert_eq!(history, [b"one", b"two"]);
        let unsent = client.unsent(&room()).unwrap();
        let unsent: Vec<_> =
            unsent.iter().map(|message| (&message.content[..], message.delivery)).collect();
        let expected: [(&[u8], _); 3] = [
            (b"three", Delivery::Sending),
            (b"four", Delivery::Sending),
            (b"five", Delivery::Queued),
        ];
        assert_eq!(unsent, expected);
        let position = client.history(&room(), 0, 9).unwrap()[1].position;
        assert_eq!(reading(&client), (0, position, Some("two".into())));
    }
    // It is done once.
    let mut again = open(&alice(), &stored, real_time());
    assert!(again.take_changes().iter().all(|write| write.key[0] != 0x12));
}
