//! Whether people are who they seem: devices of others that change, safety numbers, epoch codes.

use mimi_edge::{
    client::{Client, CreateOptions, ErrorCode, Event, SafetyNumber, Trust, epoch_code},
    error::Error,
    wire::{
        FromProvider,
        uri::{ClientUri, RoomUri},
    },
};

use super::world::{ALICE, BOB, CATHY, Reopen, World, room, user};

const NAME_OF_BOB: &str = "bob@bravo.example";

/// A user, whose devices were added, whose were removed.
type Change = (String, Vec<ClientUri>, Vec<ClientUri>);

/// What a device was told of other users' devices, in order.
fn changes(world: &World, who: usize) -> Vec<Change> {
    let events = world.devices[who].events.iter();
    events
        .filter_map(|event| match event {
            Event::UserDevicesChanged { user, added, removed } => {
                Some((user.to_string(), added.clone(), removed.clone()))
            }
            _ => None,
        })
        .collect()
}

/// What a device was told of trust, in order.
fn trusts(world: &World, who: usize) -> Vec<(String, Trust)> {
    let events = world.devices[who].events.iter();
    events
        .filter_map(|event| match event {
            Event::TrustChanged { user, trust } => Some((user.to_string(), *trust)),
            _ => None,
        })
        .collect()
}

fn device(world: &World, who: usize) -> ClientUri {
    world.devices[who].client.device().clone()
}

fn number(world: &World, who: usize, of: &str) -> SafetyNumber {
    world.devices[who].client.safety_number(&user(of)).unwrap()
}

fn code(result: Result<impl std::fmt::Debug, Error>) -> &'static str {
    ErrorCode::of(&result.unwrap_err()).as_str()
}

fn lounge() -> RoomUri {
    RoomUri::parse("lounge@bravo.example").unwrap()
}

/// Bob has a second device, at the end of the list, which joins the room by itself.
fn second_device_of_bob(world: &mut World) -> usize {
    let second = world.add_device(NAME_OF_BOB);
    world.ask(second, |bob, now| bob.join_room(&room(), now));
    world.run();
    second
}

#[test]
fn a_device_that_joins_is_told_to_others_and_one_that_is_removed_too() {
    for reopen in [Reopen::Never, Reopen::Always] {
        let mut world = World::with_bob();
        world.reopen = reopen;
        let second = second_device_of_bob(&mut world);
        let tablet = device(&world, second);
        let added = (NAME_OF_BOB.to_owned(), vec![tablet.clone()], Vec::new());
        assert_eq!(changes(&world, ALICE), std::slice::from_ref(&added), "{reopen:?}");
        // Not to the user's own devices, which have their own list.
        assert_eq!(changes(&world, BOB), []);
        // It comes after the room's change, and the state is there already.
        let events = &world.devices[ALICE].events;
        let at = |of: fn(&Event) -> bool| events.iter().position(of).unwrap();
        assert!(
            at(|event| matches!(event, Event::RoomChanged { .. }))
                < at(|event| matches!(event, Event::UserDevicesChanged { .. }))
        );

        world.ask(ALICE, |alice, now| alice.remove_device(&room(), &tablet, now));
        world.run();
        let removed = (NAME_OF_BOB.to_owned(), Vec::new(), vec![tablet]);
        assert_eq!(changes(&world, ALICE), [added, removed], "{reopen:?}");
    }
}

#[test]
fn people_who_come_or_go_have_not_changed() {
    let mut world = World::with_room();
    world.add(ALICE, NAME_OF_BOB);
    world.run();
    world.add(ALICE, "cathy@charlie.example");
    world.run();
    world.ask(ALICE, |alice, now| alice.remove_user(&room(), &user("cathy@charlie.example"), now));
    world.run();
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    for who in [ALICE, BOB, CATHY] {
        assert_eq!(changes(&world, who), []);
    }
}

#[test]
fn a_user_who_lost_the_last_device_is_not_met_anew_with_another_one() {
    let mut world = World::with_bob();
    let phone = device(&world, BOB);
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &phone, now));
    world.run();
    let gone = (NAME_OF_BOB.to_owned(), Vec::new(), vec![phone]);
    assert_eq!(changes(&world, ALICE), std::slice::from_ref(&gone));
    let second = second_device_of_bob(&mut world);
    let new = (NAME_OF_BOB.to_owned(), vec![device(&world, second)], Vec::new());
    assert_eq!(changes(&world, ALICE), [gone, new]);
}

#[test]
fn a_device_in_several_rooms_is_told_once() {
    let mut world = World::with_bob();
    world.ask(BOB, |bob, now| bob.create_room(&lounge(), CreateOptions::default(), now));
    world.run();
    let add = |bob: &mut Client, now| {
        bob.add_user(&lounge(), &user("alice@alpha.example"), Default::default(), now)
    };
    world.ask(BOB, add);
    world.run();
    assert_eq!(changes(&world, ALICE), []);
    let second = second_device_of_bob(&mut world);
    let tablet = device(&world, second);
    world.ask(second, |bob, now| bob.join_room(&lounge(), now));
    world.run();
    let added = (NAME_OF_BOB.to_owned(), vec![tablet.clone()], Vec::new());
    assert_eq!(changes(&world, ALICE), std::slice::from_ref(&added));
    // Gone when it is gone from the last room.
    world.ask(BOB, |bob, now| bob.remove_device(&room(), &tablet, now));
    world.run();
    assert_eq!(changes(&world, ALICE), std::slice::from_ref(&added));
    world.ask(BOB, |bob, now| bob.remove_device(&lounge(), &tablet, now));
    world.run();
    let removed = (NAME_OF_BOB.to_owned(), Vec::new(), vec![tablet]);
    assert_eq!(changes(&world, ALICE), [added, removed]);
}

#[test]
fn what_changed_while_a_device_had_a_gap_is_told_once_when_it_is_back() {
    let mut world = World::with_bob();
    world.devices[ALICE].online = false;
    let second = second_device_of_bob(&mut world);
    assert_eq!(changes(&world, ALICE), []);
    // The log is gone: Alice joins anew, by a GroupInfo.
    world.frame(ALICE, &FromProvider::Gap { room_id: room().to_wire() });
    world.devices[ALICE].online = true;
    let now = world.now;
    world.devices[ALICE].reopen(now);
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::Rejoined { room: room() }));
    let added = (NAME_OF_BOB.to_owned(), vec![device(&world, second)], Vec::new());
    assert_eq!(changes(&world, ALICE), [added]);
}

#[test]
fn storage_from_before_knows_its_people_without_a_word() {
    let mut world = World::with_bob();
    let stored = &mut world.devices[ALICE].stored;
    let known: Vec<_> = stored.rows().filter(|(key, _)| key[0] == 0x20).collect();
    assert_eq!(known.len(), 1);
    let deletion = known
        .into_iter()
        .map(|(key, _)| mimi_edge::storage::Write { key: key.to_vec(), value: None });
    let deletion: Vec<_> = deletion.collect();
    mimi_edge::storage::Storage::apply(stored, deletion).unwrap();
    let now = world.now;
    world.devices[ALICE].reopen(now);
    assert_eq!(number(&world, ALICE, NAME_OF_BOB), number(&world, BOB, "alice@alpha.example"));
    let second = second_device_of_bob(&mut world);
    let added = (NAME_OF_BOB.to_owned(), vec![device(&world, second)], Vec::new());
    assert_eq!(changes(&world, ALICE), [added]);
}

#[test]
fn both_sides_see_the_same_number_on_each_of_their_devices() {
    let mut world = World::with_bob_and_cathy();
    let with_bob = number(&world, ALICE, NAME_OF_BOB);
    assert_eq!(with_bob, number(&world, BOB, "alice@alpha.example"));
    let groups: Vec<_> = with_bob.digits.split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(
        groups.iter().all(|group| group.len() == 5 && group.bytes().all(|it| it.is_ascii_digit()))
    );
    assert_eq!((with_bob.qr.len(), with_bob.qr[0]), (97, 1));
    // Another pair has another number, and says that it is another pair.
    let with_cathy = number(&world, ALICE, "cathy@charlie.example");
    assert_ne!(with_cathy.digits, with_bob.digits);
    assert_ne!(with_cathy.qr[1..33], with_bob.qr[1..33]);

    let second = second_device_of_bob(&mut world);
    let with_two = number(&world, ALICE, NAME_OF_BOB);
    assert_ne!(with_two.digits, with_bob.digits);
    assert_eq!(with_two.qr[..33], with_bob.qr[..33]);
    for who in [BOB, second] {
        assert_eq!(number(&world, who, "alice@alpha.example"), with_two);
    }
}

#[test]
fn there_is_no_number_with_oneself_or_with_somebody_who_is_in_no_room() {
    let mut world = World::with_bob();
    let alice = &world.devices[ALICE].client;
    assert_eq!(code(alice.safety_number(&user("alice@alpha.example"))), "bad-argument");
    assert_eq!(code(alice.safety_number(&user("cathy@charlie.example"))), "user-unknown");
    let now = world.now;
    let refused =
        world.devices[ALICE].act(|alice| alice.verify(&user("cathy@charlie.example"), None, now));
    assert_eq!(code(refused), "user-unknown");
    // Out of the last room, the device has no say any more.
    world.ask(ALICE, |alice, now| alice.remove_user(&room(), &user(NAME_OF_BOB), now));
    world.run();
    for (who, of) in [(ALICE, NAME_OF_BOB), (BOB, "alice@alpha.example")] {
        assert_eq!(code(world.devices[who].client.safety_number(&user(of))), "user-unknown");
    }
}

#[test]
fn a_verified_user_is_changed_by_a_new_device_until_verified_again() {
    for reopen in [Reopen::Never, Reopen::Always] {
        let mut world = World::with_bob();
        world.reopen = reopen;
        let bob = user(NAME_OF_BOB);
        let compared = number(&world, BOB, "alice@alpha.example").qr;
        world.ask(ALICE, |alice, now| alice.verify(&bob, Some(&compared), now));
        let told = |trust| (NAME_OF_BOB.to_owned(), trust);
        assert_eq!(trusts(&world, ALICE), [told(Trust::Verified)]);
        let trust = |world: &mut World| world.state(ALICE).participants[1].trust;
        assert_eq!(trust(&mut world), Trust::Verified);
        // Verifying the same again is no news.
        world.ask(ALICE, |alice, now| alice.verify(&bob, None, now));
        assert_eq!(trusts(&world, ALICE).len(), 1);

        let second = second_device_of_bob(&mut world);
        assert_eq!(trust(&mut world), Trust::Changed);
        assert_eq!(trusts(&world, ALICE), [Trust::Verified, Trust::Changed].map(told));
        assert_eq!(changes(&world, ALICE).len(), 1);
        // The number from before is no proof of what there is now.
        let now = world.now;
        let refused = world.devices[ALICE].act(|alice| alice.verify(&bob, Some(&compared), now));
        assert_eq!(code(refused), "conflict");

        // That the new device goes again does not undo that it was there.
        let tablet = device(&world, second);
        world.ask(ALICE, |alice, now| alice.remove_device(&room(), &tablet, now));
        world.run();
        assert_eq!(trust(&mut world), Trust::Changed);
        world.ask(ALICE, |alice, now| alice.verify(&bob, Some(&compared), now));
        assert_eq!(world.devices[ALICE].client.trust(&bob).unwrap(), Trust::Verified);
        let verified = world.devices[ALICE].client.verified_users().unwrap();
        assert_eq!(verified, [(bob.clone(), Trust::Verified)]);

        world.ask(ALICE, |alice, now| alice.forget_verification(&bob, now));
        world.ask(ALICE, |alice, now| alice.forget_verification(&bob, now));
        assert_eq!(trust(&mut world), Trust::Unverified);
        let all = [Trust::Verified, Trust::Changed, Trust::Verified, Trust::Unverified];
        assert_eq!(trusts(&world, ALICE), all.map(told), "{reopen:?}");
    }
}

#[test]
fn a_verified_user_whose_device_goes_is_still_verified() {
    let mut world = World::with_bob();
    let second = second_device_of_bob(&mut world);
    let bob = user(NAME_OF_BOB);
    world.ask(ALICE, |alice, now| alice.verify(&bob, None, now));
    let tablet = device(&world, second);
    world.ask(ALICE, |alice, now| alice.remove_device(&room(), &tablet, now));
    world.run();
    assert_eq!(world.devices[ALICE].client.trust(&bob).unwrap(), Trust::Verified);
    assert_eq!(changes(&world, ALICE).len(), 2);
}

#[test]
fn a_verified_user_who_comes_back_with_another_device_is_changed() {
    for comes_back_with_the_same in [true, false] {
        let mut world = World::with_bob();
        let bob = user(NAME_OF_BOB);
        world.ask(ALICE, |alice, now| alice.verify(&bob, None, now));
        world.ask(ALICE, |alice, now| alice.remove_user(&room(), &bob, now));
        world.run();
        let phone = device(&world, BOB);
        let tablet = (!comes_back_with_the_same).then(|| {
            world.desk.key_packages.remove(phone.as_str());
            let second = world.add_device(NAME_OF_BOB);
            device(&world, second)
        });
        world.forget_events();
        world.add(ALICE, NAME_OF_BOB);
        world.run();
        let (trust, told) = match tablet {
            None => (Trust::Verified, vec![]),
            Some(tablet) => {
                (Trust::Changed, vec![(NAME_OF_BOB.to_owned(), vec![tablet], vec![phone])])
            }
        };
        assert_eq!(world.devices[ALICE].client.trust(&bob).unwrap(), trust);
        assert_eq!(changes(&world, ALICE), told);
    }
}

#[test]
fn an_epoch_has_the_same_code_on_all_devices_and_the_next_one_another() {
    let mut world = World::with_bob_and_cathy();
    let codes = |world: &mut World| {
        [ALICE, BOB, CATHY].map(|who| epoch_code(&world.state(who).epoch_authenticator).unwrap())
    };
    let first = codes(&mut world);
    assert_eq!(first, [first[0].clone(), first[0].clone(), first[0].clone()]);
    assert_eq!(first[0].split(' ').map(str::len).collect::<Vec<_>>(), [5; 6]);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    let second = codes(&mut world);
    assert_eq!(second[1], second[2]);
    assert_ne!(first[0], second[0]);
}

#[test]
fn a_secret_is_the_same_on_all_devices_of_an_epoch() {
    let mut world = World::with_bob();
    let export = |world: &mut World, who: usize, label: &str, context: &[u8], length: usize| {
        world.devices[who].act(|client| client.export_secret(&room(), label, context, length))
    };
    let secret = export(&mut world, ALICE, "call", b"1", 32).unwrap();
    assert_eq!(secret.len(), 32);
    assert_eq!(export(&mut world, BOB, "call", b"1", 32).unwrap(), secret);
    assert_ne!(export(&mut world, BOB, "call", b"2", 32).unwrap(), secret);
    assert_ne!(export(&mut world, BOB, "file", b"1", 32).unwrap(), secret);
    world.ask(ALICE, |alice, now| alice.update_keys(&room(), now));
    world.run();
    assert_ne!(export(&mut world, ALICE, "call", b"1", 32).unwrap(), secret);

    assert_eq!(export(&mut world, ALICE, "call", b"", 8160).unwrap().len(), 8160);
    for length in [0, 8161] {
        assert_eq!(code(export(&mut world, ALICE, "call", b"", length)), "bad-argument");
    }
    assert_eq!(code(export(&mut world, CATHY, "call", b"", 32)), "room-unknown");
    world.ask(ALICE, |alice, now| alice.remove_user(&room(), &user(NAME_OF_BOB), now));
    world.run();
    assert_eq!(code(export(&mut world, BOB, "call", b"", 32)), "conflict");
}
