//! Members that commit and send at the same time, devices and providers that die meanwhile, on the
//! real objects.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::collections::BTreeSet;

use common::universe::{Faults, Universe, room, user};
use mimi_edge::{
    client::{AddOptions, CreateOptions, Event, RoomState},
    wire::uri::ClientUri,
};

const ROOM: &str = "clubhouse@alpha.example";
const DOMAINS: [&str; 3] = ["alpha.example", "bravo.example", "charlie.example"];
const FOUNDERS: [&str; 3] = ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example"];
const GUESTS: [&str; 3] = ["dave@alpha.example", "eve@bravo.example", "frank@charlie.example"];

/// Alice, Bob and Cathy in a room, and three more who are not.
fn in_a_room(seed: u64) -> (Universe, Vec<ClientUri>, Vec<ClientUri>) {
    let mut universe = Universe::new(&DOMAINS, seed);
    let founders: Vec<_> = FOUNDERS.iter().map(|name| universe.add_device(name)).collect();
    let guests: Vec<_> = GUESTS.iter().map(|name| universe.add_device(name)).collect();
    universe.run();
    universe
        .act(&founders[0], |alice, now| {
            alice.create_room(&room(ROOM), CreateOptions::default(), now)
        })
        .unwrap();
    universe.run();
    for name in &FOUNDERS[1..] {
        add(&mut universe, &founders[0], name);
        universe.run();
    }
    (universe, founders, guests)
}

fn add(universe: &mut Universe, by: &ClientUri, name: &str) {
    let options = AddOptions::default();
    universe
        .act(by, |client, now| client.add_user(&room(ROOM), &user(name), options, now))
        .unwrap();
}

fn send(universe: &mut Universe, by: &ClientUri, text: String) {
    universe.act(by, |client, now| client.send(&room(ROOM), text.into_bytes(), now)).unwrap();
}

fn assert_agreement(universe: &mut Universe, members: &[ClientUri]) -> RoomState {
    let states: Vec<RoomState> = members
        .iter()
        .map(|member| universe.act(member, |client, _| client.room_state(&room(ROOM))))
        .map(|state| state.unwrap().unwrap())
        .collect();
    for state in &states {
        assert_eq!(state.epoch, states[0].epoch);
        assert_eq!(state.epoch_authenticator, states[0].epoch_authenticator);
        assert_eq!(state.participants, states[0].participants);
        assert_eq!(state.pending, []);
    }
    states[0].clone()
}

fn assert_no_trouble(universe: &mut Universe, members: &[ClientUri], run: &str) {
    for member in members {
        let trouble = universe.events(member).into_iter().find(|event| {
            matches!(
                event,
                Event::IntentFailed { .. }
                    | Event::Gap { .. }
                    | Event::Diverged { .. }
                    | Event::Undecryptable { .. }
            )
        });
        assert_eq!(trouble, None, "{run}: {member}");
    }
}

#[test]
fn r47_d20_members_who_add_at_the_same_time_all_succeed_in_the_end() {
    for seed in 0..4 {
        let (mut universe, founders, guests) = in_a_room(seed);
        for (founder, guest) in founders.iter().zip(GUESTS) {
            add(&mut universe, founder, guest);
        }
        universe.run();
        let members = [founders, guests].concat();
        let state = assert_agreement(&mut universe, &members);
        assert_eq!(state.epoch, 5, "one epoch per commit");
        assert!(state.participants.iter().all(|participant| participant.devices.len() == 1));
        assert_no_trouble(&mut universe, &members, &format!("seed {seed}"));
    }
}

#[test]
fn d5_members_who_add_the_same_user_at_the_same_time_add_it_once() {
    let (mut universe, founders, guests) = in_a_room(7);
    for founder in &founders {
        add(&mut universe, founder, GUESTS[0]);
    }
    universe.run();
    let members = [&founders[..], &guests[..1]].concat();
    let state = assert_agreement(&mut universe, &members);
    assert_eq!(state.epoch, 3);
    for founder in &founders {
        let done = universe.events(founder).into_iter().any(
            |event| matches!(event, Event::IntentDone { id, .. } if id > 0 || *founder != founders[0]),
        );
        assert!(done);
    }
}

#[test]
fn d6_d12_storms_and_deaths_lose_nothing_and_repeat_nothing() {
    for seed in 0..6 {
        let (mut universe, founders, guests) = in_a_room(seed);
        universe.faults = Faults::stormy(seed);
        let mut sent = BTreeSet::new();
        for round in 0..3 {
            add(&mut universe, &founders[round], GUESTS[round]);
            for (index, founder) in founders.iter().enumerate() {
                let text = format!("{round} {index}");
                send(&mut universe, founder, text.clone());
                sent.insert(text);
            }
            for _ in 0..6 {
                universe.run_steps(5);
                let victim = universe.faults.below(3);
                universe.reopen(&founders[usize::try_from(victim).unwrap()]);
            }
            let victim = universe.faults.below(3);
            universe.restart(DOMAINS[usize::try_from(victim).unwrap()]);
            universe.calm_down();
        }
        let run = format!("seed {seed}");
        let members = [founders.clone(), guests].concat();
        assert_agreement(&mut universe, &members);
        for founder in &founders {
            let history = universe.act(founder, |client, _| client.history(&room(ROOM), 0, 99));
            let texts: Vec<_> = history
                .unwrap()
                .into_iter()
                .map(|message| String::from_utf8(message.content).unwrap())
                .collect();
            assert_eq!(texts.len(), sent.len(), "{run}: {texts:?}");
            assert_eq!(texts.into_iter().collect::<BTreeSet<_>>(), sent, "{run}");
        }
        assert_no_trouble(&mut universe, &members, &run);
    }
}
