//! Consent between real clients over real providers, which ask for it.

use std::rc::Rc;

use mimi_edge::{
    client::{AddOptions, Client, Consent, CreateOptions, ErrorCode, Event, IntentId, RoomPhase},
    config::{ConsentDefault, ProviderConfig},
    error::Result,
    time::UnixMillis,
    wire::uri::{ClientUri, RoomUri, UserUri},
};

use crate::common::universe::{Exchange, Faults, Universe, room, user};

const ROOM: &str = "clubhouse@alpha.example";
const ALICE: &str = "alice@alpha.example";
const BOB: &str = "bob@bravo.example";
const CATHY: &str = "cathy@charlie.example";

/// Three providers that ask, Alice in her room, Bob and Cathy.
struct Story {
    universe: Universe,
    alice: ClientUri,
    bob: ClientUri,
    cathy: ClientUri,
}

impl Story {
    fn new(seed: u64) -> Self {
        let domains = ["alpha.example", "bravo.example", "charlie.example"];
        let mut universe = Universe::new(&domains, seed);
        for domain in domains {
            let provider = universe.provider(domain);
            let config = ProviderConfig::clone(&provider.config);
            let consent_default = ConsentDefault::Ask;
            provider.config = Rc::new(ProviderConfig { consent_default, ..config });
        }
        let [alice, bob, cathy] = [ALICE, BOB, CATHY].map(|name| universe.add_device(name));
        universe.run();
        let mut story = Self { universe, alice, bob, cathy };
        story.create(ROOM);
        story.universe.exchanges.clear();
        story
    }

    fn create(&mut self, name: &str) {
        let options = CreateOptions::default();
        self.universe
            .act(&self.alice, |client, now| client.create_room(&room(name), options, now))
            .unwrap();
        self.universe.run();
    }

    /// Alice adds somebody to a room and waits for the consent.
    fn add(&mut self, name: &str, whom: &str) -> IntentId {
        let id = self.start_add(name, whom, true);
        self.universe.run();
        id
    }

    fn start_add(&mut self, name: &str, whom: &str, request_consent: bool) -> IntentId {
        let options = AddOptions { request_consent, ..AddOptions::default() };
        self.universe
            .act(&self.alice, |client, now| client.add_user(&room(name), &user(whom), options, now))
            .unwrap()
    }

    /// One says something to another, and everything comes of it that does.
    fn say(
        &mut self,
        who: &ClientUri,
        call: fn(&mut Client, &UserUri, Option<&RoomUri>, UnixMillis) -> Result<IntentId>,
        (to, scope): (&str, Option<&str>),
    ) {
        let scope = scope.map(room);
        self.universe.act(who, |client, now| call(client, &user(to), scope.as_ref(), now)).unwrap();
        self.universe.run();
    }

    fn events(&mut self, who: &ClientUri) -> Vec<Event> {
        self.universe.events(who)
    }

    fn incoming(&mut self, who: &ClientUri) -> Vec<(String, Option<String>)> {
        let open = self.universe.act(who, |client, _| client.consent_incoming()).unwrap();
        let pair = |Consent { user, room, .. }| -> (String, Option<String>) {
            (UserUri::to_string(&user), room.map(|room: RoomUri| room.to_string()))
        };
        open.into_iter().map(pair).collect()
    }

    fn assert_together(&mut self, name: &str, members: &[&ClientUri]) {
        let states: Vec<_> = members
            .iter()
            .map(|member| {
                let state = self.universe.act(member, |client, _| client.room_state(&room(name)));
                state.unwrap().expect("is in the room")
            })
            .collect();
        for state in &states {
            assert_eq!(state.phase, RoomPhase::Joined);
            assert_eq!(state.epoch_authenticator, states[0].epoch_authenticator);
            assert_eq!(state.pending, []);
        }
        let devices: usize = states[0].participants.iter().map(|it| it.devices.len()).sum();
        assert_eq!(devices, members.len());
    }

    /// What went from provider to provider since the last time.
    fn lines(&mut self) -> Vec<String> {
        let exchanges = std::mem::take(&mut self.universe.exchanges);
        let line = |exchange: &Exchange| {
            let Exchange { from, to, label, status, .. } = exchange;
            let what = label.split(' ').take(2).collect::<Vec<_>>().join(" ");
            format!("{from} → {to}: {what} {}", status.unwrap_or(0))
        };
        let of_note =
            exchanges.iter().filter(|exchange| !exchange.path.starts_with("/.well-known"));
        of_note.map(line).collect()
    }
}

#[test]
fn r31_r98_alice_asks_bob_allows_and_he_is_in() {
    let mut story = Story::new(1);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    let id = story.add(ROOM, BOB);
    assert_eq!(
        story.lines(),
        [
            "alpha.example → bravo.example: keyMaterial 200",
            "alpha.example → bravo.example: consent request 201",
        ]
    );
    assert!(story.events(&alice).contains(&Event::WaitingForConsent { room: room(ROOM), id }));
    assert_eq!(story.incoming(&bob), [(ALICE.to_owned(), Some(ROOM.to_owned()))]);
    let asked = story.events(&bob).into_iter().any(|event| {
        matches!(event, Event::ConsentRequested { from, room: Some(_), .. } if from == user(ALICE))
    });
    assert!(asked);

    story.say(&bob, Client::grant_consent, (ALICE, Some(ROOM)));
    let granted = Event::ConsentGranted { by: user(BOB), room: Some(room(ROOM)) };
    let events = story.events(&alice);
    assert!(events.contains(&granted));
    assert!(events.contains(&Event::IntentDone { room: room(ROOM), id }));
    assert_eq!(
        story.lines(),
        [
            "bravo.example → alpha.example: consent grant 201",
            "alpha.example → bravo.example: keyMaterial 200",
            "alpha.example → bravo.example: welcome +",
        ]
        .map(|line| if line.ends_with('+') {
            format!("{line} 200")
        } else {
            line.to_owned()
        })
    );
    story.assert_together(ROOM, &[&alice, &bob]);
    assert_eq!(story.incoming(&bob), []);
    // R96: for this room, and no other.
    story.create("den@alpha.example");
    story.start_add("den@alpha.example", BOB, false);
    story.universe.run();
    let refused = story
        .events(&alice)
        .into_iter()
        .any(|event| matches!(event, Event::IntentFailed { code: ErrorCode::NoConsent, .. }));
    assert!(refused, "R102: a common room gives no consent");
}

#[test]
fn r100_a_refusal_is_not_told_and_alice_may_stop_waiting() {
    let mut story = Story::new(2);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    let id = story.add(ROOM, BOB);
    story.events(&alice);
    story.lines();
    story.say(&bob, Client::revoke_consent, (ALICE, None));
    assert_eq!(story.lines(), Vec::<String>::new());
    assert_eq!(story.events(&alice), []);
    assert_eq!(story.incoming(&bob), []);
    let cancelled =
        story.universe.act(&alice, |client, now| client.cancel_intent(&room(ROOM), id, now));
    assert_eq!(cancelled, Ok(true));
    story.universe.run();
    assert_eq!(story.lines(), ["alpha.example → bravo.example: consent cancel 201"]);
    // Later Bob changes his mind.
    story.say(&bob, Client::grant_consent, (ALICE, None));
    story.add(ROOM, BOB);
    story.assert_together(ROOM, &[&alice, &bob]);
}

#[test]
fn r103_alice_takes_her_request_back() {
    let mut story = Story::new(3);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    story.say(&alice, Client::request_consent, (BOB, None));
    assert_eq!(story.incoming(&bob), [(ALICE.to_owned(), None)]);
    let requested = story.universe.act(&alice, |client, _| client.consent_requested()).unwrap();
    assert_eq!(requested.len(), 1);
    story.events(&bob);
    story.say(&alice, Client::cancel_consent, (BOB, None));
    assert_eq!(story.incoming(&bob), []);
    let cancelled = Event::ConsentCancelled { from: user(ALICE), room: None };
    assert_eq!(story.events(&bob), [Event::ConsentChanged, cancelled]);
    let requested = story.universe.act(&alice, |client, _| client.consent_requested()).unwrap();
    assert_eq!(requested, []);
}

#[test]
fn r96_the_drafts_example_both_allow_each_other() {
    let mut story = Story::new(4);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    story.say(&alice, Client::request_consent, (BOB, None));
    // At the same time, and without being asked.
    story.say(&alice, Client::grant_consent, (BOB, None));
    story.say(&bob, Client::grant_consent, (ALICE, None));
    assert_eq!(
        story.lines(),
        [
            "alpha.example → bravo.example: consent request 201",
            "alpha.example → bravo.example: consent grant 201",
            "bravo.example → alpha.example: consent grant 201",
        ]
    );
    for (device, other) in [(&alice, BOB), (&bob, ALICE)] {
        let granted = Event::ConsentGranted { by: user(other), room: None };
        assert!(story.events(device).contains(&granted));
    }
    let granted = story.universe.act(&bob, |client, _| client.consent_granted()).unwrap();
    assert_eq!((granted[0].user.as_str(), granted.len()), (ALICE, 1));
    story.add(ROOM, BOB);
    story.assert_together(ROOM, &[&alice, &bob]);
}

#[test]
fn r98_users_of_one_provider_need_no_other() {
    let mut story = Story::new(5);
    let dave = story.universe.add_device("dave@alpha.example");
    story.universe.run();
    let alice = story.alice.clone();
    story.add(ROOM, "dave@alpha.example");
    assert_eq!(story.incoming(&dave), [(ALICE.to_owned(), Some(ROOM.to_owned()))]);
    story.say(&dave, Client::grant_consent, (ALICE, Some(ROOM)));
    story.assert_together(ROOM, &[&alice, &dave]);
    assert_eq!(story.lines(), Vec::<String>::new());
}

#[test]
fn r99_somebody_who_does_not_exist_is_waited_for_as_somebody_who_does_not_answer() {
    let mut story = Story::new(6);
    let alice = story.alice.clone();
    for whom in [CATHY, "nobody@charlie.example"] {
        story.add(ROOM, whom);
        assert_eq!(
            story.lines(),
            [
                "alpha.example → charlie.example: keyMaterial 200",
                "alpha.example → charlie.example: consent request 201",
            ]
        );
        let mut events = story.events(&alice);
        events.retain(|event| !matches!(event, Event::KeyPackages(_)));
        assert!(matches!(events.as_slice(), [.., Event::WaitingForConsent { .. }]), "{events:?}");
    }
}

#[test]
fn r97_bob_sends_a_key_package_along_and_is_added_without_a_claim() {
    let mut story = Story::new(7);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    story.say(&bob, Client::grant_consent_with_key_package, (ALICE, None));
    assert_eq!(story.lines(), ["bravo.example → alpha.example: consent grant 201"]);
    story.add(ROOM, BOB);
    assert_eq!(story.lines(), ["alpha.example → bravo.example: welcome + 200"]);
    story.assert_together(ROOM, &[&alice, &bob]);
    // The next time there is a claim again.
    story.create("den@alpha.example");
    story.add("den@alpha.example", BOB);
    assert_eq!(
        story.lines(),
        [
            "alpha.example → bravo.example: keyMaterial 200",
            "alpha.example → bravo.example: welcome + 200",
        ]
    );
    story.assert_together("den@alpha.example", &[&alice, &bob]);
}

#[test]
fn r100_a_key_package_is_put_away_when_bob_changes_his_mind() {
    let mut story = Story::new(8);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    story.say(&bob, Client::grant_consent_with_key_package, (ALICE, None));
    story.events(&alice);
    story.say(&bob, Client::revoke_consent, (ALICE, None));
    assert_eq!(
        story.lines(),
        [
            "bravo.example → alpha.example: consent grant 201",
            "bravo.example → alpha.example: consent revoke 201",
        ]
    );
    assert_eq!(story.events(&alice), []);
    story.start_add(ROOM, BOB, false);
    story.universe.run();
    let mut events = story.events(&alice);
    let Some(Event::IntentFailed { code, .. }) = events.pop() else { panic!("{events:?}") };
    assert_eq!(code, ErrorCode::NoConsent);
}

#[test]
fn r97_users_of_one_provider_too() {
    let mut story = Story::new(9);
    let dave = story.universe.add_device("dave@alpha.example");
    story.universe.run();
    let alice = story.alice.clone();
    story.say(&dave, Client::grant_consent_with_key_package, (ALICE, Some(ROOM)));
    let held = story.universe.provider("alpha.example").stored();
    story.add(ROOM, "dave@alpha.example");
    story.assert_together(ROOM, &[&alice, &dave]);
    let dave = mimi_edge::transport::ObjectName::user(&user("dave@alpha.example"));
    let stock = |stored: &mimi_edge::storage::MemoryStorage| {
        // Client, end and ref of what can be handed out once.
        stored.rows().filter(|(key, _)| key.first() == Some(&0x04)).count()
    };
    let now = story.universe.provider("alpha.example").stored();
    assert_eq!(stock(&held[&dave]), stock(&now[&dave]), "nothing was claimed");
}

#[test]
fn r16_the_other_device_sees_the_request_and_that_it_is_answered() {
    let mut story = Story::new(10);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    let tablet = story.universe.add_device(BOB);
    story.universe.run();
    story.universe.set_online(&tablet, false);
    story.say(&alice, Client::request_consent, (BOB, None));
    story.universe.set_online(&tablet, true);
    story.universe.run();
    for device in [&bob, &tablet] {
        assert_eq!(story.incoming(device), [(ALICE.to_owned(), None)]);
    }
    story.events(&tablet);
    story.say(&bob, Client::grant_consent, (ALICE, None));
    assert_eq!(story.incoming(&tablet), []);
    assert_eq!(story.events(&tablet), [Event::ConsentChanged]);
    let granted = story.universe.act(&tablet, |client, _| client.consent_granted()).unwrap();
    assert_eq!(granted.len(), 1);
}

#[test]
fn d6_waiting_survives_restarts_of_both_providers_and_clients() {
    let mut story = Story::new(11);
    let (alice, bob) = (story.alice.clone(), story.bob.clone());
    story.add(ROOM, BOB);
    for domain in ["alpha.example", "bravo.example"] {
        story.universe.restart(domain);
    }
    story.universe.reopen(&alice);
    story.universe.reopen(&bob);
    story.universe.set_online(&alice, false);
    assert_eq!(story.incoming(&bob), [(ALICE.to_owned(), Some(ROOM.to_owned()))]);
    story.say(&bob, Client::grant_consent, (ALICE, None));
    story.universe.restart("alpha.example");
    story.universe.set_online(&alice, true);
    story.universe.run();
    story.assert_together(ROOM, &[&alice, &bob]);
}

#[test]
fn r98_it_comes_to_a_good_end_on_a_network_that_drops_repeats_and_reorders() {
    for seed in 1..=25 {
        let mut story = Story::new(seed);
        let (alice, bob) = (story.alice.clone(), story.bob.clone());
        story.universe.faults = Faults::stormy(seed);
        story.add(ROOM, BOB);
        story.universe.calm_down();
        story.say(&bob, Client::grant_consent, (ALICE, (seed % 2 == 0).then_some(ROOM)));
        story.universe.calm_down();
        story.assert_together(ROOM, &[&alice, &bob]);
        assert_eq!(story.incoming(&bob), [], "seed {seed}");
        let requested = story.universe.act(&alice, |client, _| client.consent_requested());
        assert_eq!(requested.unwrap(), [], "seed {seed}");
    }
}

#[test]
fn r31_a_grant_that_crosses_the_request_is_not_missed() {
    for steps in 0..10 {
        let mut story = Story::new(100 + steps);
        let (alice, bob) = (story.alice.clone(), story.bob.clone());
        story.start_add(ROOM, BOB, true);
        story.universe.run_steps(usize::try_from(steps).unwrap());
        story.say(&bob, Client::grant_consent, (ALICE, None));
        story.assert_together(ROOM, &[&alice, &bob]);
        assert_eq!(story.incoming(&bob), [], "{steps}");
    }
}

#[test]
fn r16_own_devices_need_no_consent() {
    let mut story = Story::new(12);
    let cathy = story.cathy.clone();
    let second = story.universe.add_device(CATHY);
    story.universe.run();
    let den = room("den@charlie.example");
    story
        .universe
        .act(&cathy, |client, now| client.create_room(&den, CreateOptions::default(), now))
        .unwrap();
    story.universe.run();
    story
        .universe
        .act(&cathy, |client, now| client.add_user(&den, &user(CATHY), AddOptions::default(), now))
        .unwrap();
    story.universe.run();
    story.assert_together("den@charlie.example", &[&cathy, &second]);
}
