//! What survives, and what is not taken for whole (R59, decision 9 of the architecture).

use mimi_edge::{
    storage::{Storage, Write},
    transport::{Effect, Endpoint, Response},
    wire::{EventPage, FanoutMessage, Role, decode_exact, encode},
};

use crate::common::{
    group::{Member, room, sync},
    hub::{Hub, provider, source_of},
    member::{adds, member, with_role},
};

const BRAVO: &str = "bravo.example";

#[test]
fn r59_the_object_may_stop_between_any_two_steps() {
    let mut hub = Hub::new();
    let (mut alice, mut bob) =
        (member("alice@alpha.example/phone"), member("bob@bravo.example/phone"));
    let body = encode(&alice.creation(Some(hub.external_sender()))).unwrap();
    assert_eq!(hub.create(source_of(&alice.client), body).status, 201);
    hub.restart();
    let packages = hub.claim(&alice.client, &mut [&mut bob]);
    hub.restart();
    let upload = alice.propose(vec![sync(&adds(&bob.user()))], &packages, &[]);
    hub.accept(source_of(&alice.client), &upload);
    hub.restart();
    alice.merge_own();
    let sent = hub.deliver();
    let welcome = sent.iter().find_map(|sent| sent.welcome_for(&bob.client)).unwrap();
    bob.enter(&welcome);
    for _ in 0..3 {
        hub.restart();
        hub.accept(provider(BRAVO), &bob.propose(Vec::new(), &[], &[]));
        bob.merge_own();
        hub.restart();
        alice.process(&last_event(&mut hub, &alice));
        assert_eq!(hub.submit(provider(BRAVO), bob.message("still here")).status, 200);
        hub.restart();
        assert_eq!(alice.process(&last_event(&mut hub, &alice)).unwrap(), b"still here");
        assert_eq!(hub.notified(BRAVO).len(), 2);
    }
    assert_eq!((alice.epoch(), bob.epoch()), (4, 4));
}

fn last_event(hub: &mut Hub, device: &Member) -> FanoutMessage {
    let endpoint = Endpoint::Events { room: room(), after: 0 };
    let response = hub.call(source_of(&device.client), endpoint, Vec::new());
    let page: EventPage = decode_exact(&response.body).unwrap();
    page.events.into_iter().next_back().unwrap().message
}

/// How many rows a commit and a message write in a room with members at so many other providers.
fn rows_written(providers: usize) -> (usize, usize) {
    let (mut hub, mut alice) = Hub::with_alice();
    for number in 0..providers {
        let mut other = member(&format!("bob@p{number}.example/phone"));
        hub.add(&mut alice, &mut other);
    }
    hub.deliver();
    // The first event of a day writes a row of its own.
    assert_eq!(hub.submit(source_of(&alice.client), alice.message("good morning")).status, 200);
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.accept(source_of(&alice.client), &upload);
    let commit = hub.storage.last_written().len();
    alice.merge_own();
    assert_eq!(hub.submit(source_of(&alice.client), alice.message("hello")).status, 200);
    let message = hub.storage.last_written().len();
    assert_eq!(hub.deliver().len(), providers);
    (commit, message)
}

#[test]
fn r82_a_commit_writes_six_rows_and_a_message_five_whatever_the_number_of_providers() {
    assert_eq!(rows_written(1), (6, 5));
    assert_eq!(rows_written(9), (6, 5));
}

/// The storage says no: the step did not happen, in memory neither.
#[test]
fn r59_a_step_whose_writes_fail_did_not_happen() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.effects();
    let before = hub.rows();
    hub.storage.fail_next_write();
    let response = hub.update(source_of(&alice.client), upload.body());
    assert_eq!(response, Response::empty(500));
    assert!(hub.rows() == before);
    assert!(matches!(hub.effects().as_slice(), [Effect::Report { .. }]));
    assert_eq!(hub.deliver(), Vec::new());
    hub.accept(source_of(&alice.client), &upload);
}

#[test]
fn a_damaged_snapshot_is_refused_reported_and_not_loaded() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let good = hub.rows();
    // Table 3 holds the group.
    let rows: Vec<(Vec<u8>, Vec<u8>)> = good
        .rows()
        .filter(|(key, _)| key[0] == 3)
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    assert!(!rows.is_empty());
    let upload = alice.propose(Vec::new(), &[], &[]).body();
    for (key, value) in rows {
        for at in (0..value.len()).step_by(value.len() / 40 + 1) {
            let mut damaged = value.clone();
            damaged[at] ^= 0x10;
            let write = Write { key: key.clone(), value: Some(damaged) };
            hub.storage.apply(vec![write]).unwrap();
            hub.restart();
            let response = hub.update(source_of(&alice.client), upload.clone());
            assert_eq!(response, Response::empty(500), "at {at}");
            let reported = hub.effects();
            assert!(
                matches!(reported.as_slice(), [Effect::Report { line }] if line.contains("snapshot")),
                "{reported:?}"
            );
        }
        hub.storage.apply(vec![Write { key, value: Some(value) }]).unwrap();
    }
    hub.restart();
    assert!(hub.rows() == good);
    assert_eq!(hub.update(source_of(&alice.client), upload).status, 200);
}

#[test]
fn a_commit_that_adds_100_clients_is_accepted() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut app_sync = adds(&member("user0@charlie.example/phone").user());
    app_sync.add_users.clear();
    let mut packages = Vec::new();
    let mut last = None;
    for number in 0..100 {
        let mut entrant = member(&format!("user{number}@charlie.example/phone"));
        app_sync.add_users.push(with_role(&entrant.user(), Role::RegularUser));
        packages.extend(hub.claim(&alice.client, &mut [&mut entrant]));
        last = Some(entrant);
    }
    let upload = alice.propose(vec![sync(&app_sync)], &packages, &[]);
    hub.accept(source_of(&alice.client), &upload);
    hub.restart();
    let sent = hub.deliver();
    let mut last = last.unwrap();
    last.enter(&sent.iter().find_map(|sent| sent.welcome_for(&last.client)).unwrap());
    bob.process(&sent[0].fanout()[0]);
    assert_eq!(last.list(), bob.list());
    assert_eq!(last.list().participants.len(), 102);
    hub.accept(provider("charlie.example"), &last.propose(Vec::new(), &[], &[]));
}

/// What another version of the program stored is neither read nor changed.
#[test]
fn rows_of_another_version_are_refused_reported_and_left() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let upload = alice.propose(Vec::new(), &[], &[]).body();
    let version = |value: Vec<u8>| Write { key: vec![0xF6], value: Some(value) };
    assert_eq!(hub.storage.read(&[0xF6]).unwrap(), Some(vec![1]));
    hub.effects();
    hub.storage.apply(vec![version(vec![2])]).unwrap();
    let before = hub.rows();
    hub.restart();
    assert_eq!(hub.update(source_of(&alice.client), upload.clone()), Response::empty(500));
    let reported = hub.effects();
    assert!(
        matches!(reported.as_slice(), [Effect::Report { line }] if line.contains("version")),
        "{reported:?}"
    );
    assert!(hub.rows() == before);
    hub.storage.apply(vec![version(vec![1])]).unwrap();
    hub.restart();
    assert_eq!(hub.update(source_of(&alice.client), upload).status, 200);
}
