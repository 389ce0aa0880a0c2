//! The user's devices as one of them sees them: the list, revoking another one, the end.

use mimi_edge::{
    client::{ErrorCode, Event},
    error::{Error, UsageError},
    time::UnixMillis,
    transport::Response,
    wire::{FromProvider, uri::ClientUri},
};

use super::world::{ALICE, BOB, Device, World, room};

/// Alice with a second device, at the end of the list of devices.
fn with_two_devices() -> (World, [ClientUri; 2]) {
    let mut world = World::new();
    let now = world.now;
    world.devices.push(Device::new("alice@alpha.example", now));
    world.run();
    world.forget_events();
    let devices = [ALICE, 3].map(|who| world.devices[who].client.device().clone());
    (world, devices)
}

fn changes(world: &World, who: usize) -> Vec<(Vec<ClientUri>, Vec<ClientUri>)> {
    let events = world.devices[who].events.iter();
    events
        .filter_map(|event| match event {
            Event::DevicesChanged { added, removed } => Some((added.clone(), removed.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn d9_the_list_comes_when_the_socket_has_caught_up_and_when_it_changed() {
    let (mut world, devices) = with_two_devices();
    world.frame(ALICE, &FromProvider::CaughtUp);
    world.run();
    let mut sorted = devices.to_vec();
    sorted.sort();
    let known = |world: &World| -> Vec<ClientUri> {
        let devices = world.devices[ALICE].client.devices().unwrap();
        assert!(devices.iter().all(|device| device.registered_at == UnixMillis(7)));
        devices.into_iter().map(|device| device.client).collect()
    };
    assert_eq!(known(&world), sorted);
    assert_eq!(changes(&world, ALICE), [(sorted.clone(), Vec::new())]);

    // The same again is no change; it is stored.
    world.frame(ALICE, &FromProvider::DevicesChanged);
    world.run();
    assert_eq!(changes(&world, ALICE).len(), 1);
    let now = world.now;
    world.devices[ALICE].reopen(now);
    assert_eq!(known(&world), sorted);
}

#[test]
fn d9_a_device_revokes_another_one_of_its_user() {
    let (mut world, [phone, tablet]) = with_two_devices();
    world.frame(ALICE, &FromProvider::CaughtUp);
    world.run();
    world.forget_events();
    let now = world.now;
    let id = world.devices[ALICE].act(|alice| alice.revoke_device(&tablet, now)).unwrap();
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::AccountDone { id }));
    assert_eq!(world.desk.count(&format!("POST devices/{tablet}/revoke")), 1);
    assert_eq!(changes(&world, ALICE), [(Vec::new(), vec![tablet.clone()])]);
    let left = world.devices[ALICE].client.devices().unwrap();
    assert_eq!((left.len(), &left[0].client), (1, &phone));

    let bobs = world.devices[BOB].client.device().clone();
    for other in [phone, bobs] {
        let refused = world.devices[ALICE].act(|alice| alice.revoke_device(&other, now));
        assert!(matches!(refused, Err(Error::Usage(UsageError::BadArgument(_)))));
    }
    assert_eq!(world.devices[ALICE].client.next_wake().unwrap().filter(|wake| *wake <= now), None);
}

#[test]
fn d21_a_device_that_was_revoked_says_so_once_and_sends_nothing_more() {
    let (mut world, [_, tablet]) = with_two_devices();
    let now = world.now;
    world.devices[ALICE].act(|alice| alice.revoke_device(&tablet, now)).unwrap();
    world.run();
    world.devices[3].act(|tablet| tablet.refresh_devices(now)).unwrap();
    world.devices[3].act(|tablet| tablet.catch_up(now)).unwrap();
    world.run();
    let told: Vec<_> = world.devices[3].events.iter().filter(|e| **e == Event::Revoked).collect();
    assert_eq!(told.len(), 1);
    assert!(!world.devices[3].client.is_registered().unwrap());
    let sent = world.desk.requests.len();
    world.devices[3].act(|tablet| tablet.create_room(&room(), Default::default(), now)).unwrap();
    world.run();
    assert_eq!(world.desk.requests.len(), sent);
    assert_eq!(world.devices[3].client.next_wake().unwrap(), None);

    // Opened again it asks again; its provider says no.
    world.desk.answer("devices", Some(Response::empty(409)));
    let now = world.now;
    world.devices[3].reopen(now);
    world.run();
    assert_eq!(world.desk.requests.len(), sent + 1);
    let last = world.devices[3].events.last();
    assert!(matches!(last, Some(Event::RegistrationFailed { .. })), "{last:?}");
}

#[test]
fn d21_a_401_without_that_word_is_for_now_alone() {
    let (mut world, _) = with_two_devices();
    let now = world.now;
    let mut refusal = Response::empty(401);
    refusal.headers.push(("www-authenticate".into(), "Mimi-Device".into()));
    world.desk.answer("devices", Some(refusal));
    world.devices[3].act(|tablet| tablet.refresh_devices(now)).unwrap();
    world.run();
    assert!(world.devices[3].client.is_registered().unwrap());
    assert_eq!(world.devices[3].client.devices().unwrap().len(), 2);
}

#[test]
fn d9_d19_a_revocation_and_a_deletion_that_the_provider_refuses_are_told_and_change_nothing() {
    let (mut world, [_, tablet]) = with_two_devices();
    world.frame(ALICE, &FromProvider::CaughtUp);
    world.run();
    let now = world.now;
    for (status, code) in [(404, ErrorCode::BadArgument), (403, ErrorCode::NotAllowed)] {
        world.forget_events();
        world.desk.answer("revoke", Some(Response::empty(status)));
        let id = world.devices[ALICE].act(|alice| alice.revoke_device(&tablet, now)).unwrap();
        world.run();
        assert_eq!(world.devices[ALICE].events, [Event::AccountFailed { id, code }]);
        assert_eq!(world.devices[ALICE].client.devices().unwrap().len(), 2);
    }
    world.forget_events();
    world.desk.answer("delete-user", Some(Response::empty(403)));
    let id = world.devices[ALICE].act(|alice| alice.delete_user(now)).unwrap();
    world.run();
    let refused = Event::AccountFailed { id, code: ErrorCode::NotAllowed };
    assert_eq!(world.devices[ALICE].events, [refused]);
    assert!(world.devices[ALICE].client.is_registered().unwrap());
}

#[test]
fn d19_a_user_is_deleted_and_an_answer_that_was_lost_changes_nothing() {
    for answer_is_lost in [false, true] {
        let mut world = World::new();
        let now = world.now;
        let id = world.devices[BOB].act(|bob| bob.delete_user(now)).unwrap();
        if answer_is_lost {
            let (id, call) = world.poll(BOB).unwrap();
            world.desk.handle(&call);
            world.respond(BOB, id, None);
        }
        world.run();
        let end = |event: &&Event| matches!(event, Event::Revoked | Event::AccountDone { .. });
        let told: Vec<_> = world.devices[BOB].events.iter().filter(end).collect();
        assert_eq!(told, [&Event::AccountDone { id }, &Event::Revoked]);
        assert!(!world.devices[BOB].client.is_registered().unwrap());
    }
}
