//! The draft's story: Alice creates a room, adds Bob, Bob adds Cathy, Cathy says hello; natively, on
//! good and bad networks.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::universe::{Exchange, Faults, Universe, room, user};
use mimi_edge::{
    client::{AddOptions, CreateOptions, Delivery, Event, OwnMessage, RoomState},
    wire::{Role, uri::ClientUri},
};

const ROOM: &str = "clubhouse@alpha.example";
const ALICE: &str = "alice@alpha.example";
const BOB: &str = "bob@bravo.example";
const CATHY: &str = "cathy@charlie.example";

struct Story {
    universe: Universe,
    alice: ClientUri,
    bob: ClientUri,
    cathy: ClientUri,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut universe =
            Universe::new(&["alpha.example", "bravo.example", "charlie.example"], seed);
        let alice = universe.add_device(ALICE);
        let bob = universe.add_device(BOB);
        let cathy = universe.add_device(CATHY);
        universe.run();
        Self { universe, alice, bob, cathy }
    }

    fn create(&mut self) {
        self.universe
            .act(&self.alice, |client, now| {
                client.create_room(&room(ROOM), CreateOptions::default(), now)
            })
            .unwrap();
        self.universe.run();
    }

    fn add(&mut self, by: &ClientUri, whom: &str) {
        self.universe
            .act(by, |client, now| {
                client.add_user(&room(ROOM), &user(whom), AddOptions::default(), now)
            })
            .unwrap();
        self.universe.run();
    }

    fn send(&mut self, by: &ClientUri, text: &str) {
        self.universe
            .act(by, |client, now| client.send(&room(ROOM), text.as_bytes().to_vec(), now))
            .unwrap();
        self.universe.run();
    }

    fn state(&mut self, of: &ClientUri) -> Option<RoomState> {
        self.universe.act(of, |client, _| client.room_state(&room(ROOM))).unwrap()
    }

    /// All that are in the room agree on epoch, keys and list.
    fn agree(&mut self, members: &[ClientUri], users: &[&str]) -> u64 {
        let states: Vec<RoomState> =
            members.iter().map(|member| self.state(member).expect("is in the room")).collect();
        for state in &states {
            assert_eq!(state.epoch, states[0].epoch);
            assert_eq!(state.epoch_authenticator, states[0].epoch_authenticator);
            assert_eq!(state.participants, states[0].participants);
        }
        let listed: Vec<&str> =
            states[0].participants.iter().map(|participant| participant.user.as_str()).collect();
        assert_eq!(listed, users);
        states[0].epoch
    }

    /// The messages that a device was told of, with their senders.
    fn messages(&mut self, of: &ClientUri) -> Vec<(String, String)> {
        let messages = self.universe.events(of).into_iter().filter_map(|event| match event {
            Event::Message(message) => {
                let text = String::from_utf8(message.content).unwrap();
                Some((message.sender.user().to_string(), text))
            }
            _ => None,
        });
        messages.collect()
    }

    fn devices(&self) -> [ClientUri; 3] {
        [self.alice.clone(), self.bob.clone(), self.cathy.clone()]
    }
}

fn lines(exchanges: &[Exchange]) -> Vec<String> {
    let line = |exchange: &Exchange| {
        let Exchange { from, to, path, status, .. } = exchange;
        format!("{from} → {to} {path} {}", status.unwrap_or(0))
    };
    exchanges
        .iter()
        .filter(|exchange| !exchange.path.starts_with("/.well-known"))
        .map(line)
        .collect()
}

#[test]
fn the_drafts_story_with_its_figures() {
    let mut story = Story::new(1);
    let [alice, bob, cathy] = story.devices();

    story.create();
    // R14: nothing of it leaves the provider.
    assert_eq!(lines(&story.universe.exchanges), Vec::<String>::new());
    assert_eq!(story.agree(std::slice::from_ref(&alice), &[ALICE]), 0);
    let creator = &story.state(&alice).unwrap().participants[0];
    assert_eq!(creator.roles, [Role::Owner, Role::Admin, Role::RegularUser]);

    story.add(&alice, BOB);
    assert_eq!(story.agree(&[alice.clone(), bob.clone()], &[ALICE, BOB]), 1);
    assert_eq!(
        lines(&std::mem::take(&mut story.universe.exchanges)),
        [
            "alpha.example → bravo.example /v1/keyMaterial/bob@bravo.example 200",
            "alpha.example → bravo.example /v1/notify/clubhouse@alpha.example 200",
        ]
    );

    story.add(&bob, CATHY);
    assert_eq!(story.agree(&[alice.clone(), bob.clone(), cathy.clone()], &[ALICE, BOB, CATHY]), 2);
    assert_eq!(
        lines(&std::mem::take(&mut story.universe.exchanges)),
        [
            "alpha.example → charlie.example /v1/keyMaterial/cathy@charlie.example 200",
            "bravo.example → alpha.example /v1/keyMaterial/cathy@charlie.example 200",
            "bravo.example → alpha.example /v1/update/clubhouse@alpha.example 200",
            "alpha.example → bravo.example /v1/notify/clubhouse@alpha.example 200",
            "alpha.example → charlie.example /v1/notify/clubhouse@alpha.example 200",
        ]
    );

    for device in [&alice, &bob, &cathy] {
        story.universe.events(device);
    }
    story.send(&cathy, "hello");
    assert_eq!(
        lines(&std::mem::take(&mut story.universe.exchanges)),
        [
            "charlie.example → alpha.example /v1/submitMessage/clubhouse@alpha.example 200",
            "alpha.example → bravo.example /v1/notify/clubhouse@alpha.example 200",
            "alpha.example → charlie.example /v1/notify/clubhouse@alpha.example 200",
        ]
    );
    let accepted = story.universe.events(&cathy).into_iter().any(|event| {
        matches!(event, Event::Delivery(OwnMessage { delivery: Delivery::Accepted { .. }, .. }))
    });
    assert!(accepted, "Cathy's client knows that the hub took it");
    for device in [&alice, &bob] {
        assert_eq!(story.messages(device), [(CATHY.to_owned(), "hello".to_owned())]);
    }
}

#[test]
fn r67_the_story_ends_well_on_a_network_that_drops_repeats_and_reorders() {
    for seed in 1..=40 {
        let mut story = Story::new(seed);
        let [alice, bob, cathy] = story.devices();
        story.universe.faults = Faults::stormy(seed);
        story.create();
        story.universe.calm_down();
        story.add(&alice, BOB);
        story.universe.calm_down();
        story.add(&bob, CATHY);
        story.universe.calm_down();
        for number in 0..5 {
            story.send(&cathy, &format!("{number}"));
            story.send(&alice, &format!("{number}"));
        }
        for device in [&alice, &bob, &cathy] {
            story.universe.reopen(device);
        }
        story.universe.calm_down();
        story.agree(&[alice.clone(), bob.clone(), cathy.clone()], &[ALICE, BOB, CATHY]);
        let at_bob = story.messages(&bob);
        assert_eq!(at_bob.len(), 10, "seed {seed}: each exactly once: {at_bob:?}");
        for (device, other) in [(&alice, CATHY), (&cathy, ALICE)] {
            let of_other: Vec<_> =
                at_bob.iter().filter(|(sender, _)| sender == other).cloned().collect();
            assert_eq!(story.messages(device), of_other, "seed {seed}: in the hub's order");
        }
    }
}
