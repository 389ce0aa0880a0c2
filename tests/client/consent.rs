//! What a client makes of consent: its copy of the provider's state, and intents that wait for it.

use mimi_edge::{
    client::{AddOptions, Consent, ErrorCode, Event, IntentId, IntentKind, PendingState},
    error::{Error, UsageError},
    time::UnixMillis,
    transport::Response,
    wire::{
        self, ConsentEntry, ConsentItem, ConsentOperation, ConsentState, FromProvider,
        IdentifierUri, KeyMaterialUserCode,
    },
};

use crate::{
    desk::key_material,
    world::{ALICE, BOB, CATHY, Reopen, World, room, user},
};

const BOB_USER: &str = "bob@bravo.example";
const CATHY_USER: &str = "cathy@charlie.example";

fn item(user: &str, room: Option<&str>, at: u64) -> ConsentItem {
    let room_id = room.map(|room| IdentifierUri(room.into()));
    ConsentItem { user: IdentifierUri(user.into()), room_id, at }
}

fn consent(user: &str, room: Option<&str>, at: u64) -> Consent {
    let room = room.map(|room| mimi_edge::wire::uri::RoomUri::parse(room).unwrap());
    Consent { user: self::user(user), room, at: UnixMillis(at) }
}

/// Alice's provider has this state now, and says so.
fn changed(world: &mut World, state: ConsentState) {
    let version = state.version;
    world.desk.consents.insert("alice@alpha.example".into(), state);
    world.frame(ALICE, &FromProvider::Consent { version });
    world.run();
}

/// Alice's events about consent since the last time.
fn told(world: &mut World) -> Vec<Event> {
    let events = std::mem::take(&mut world.devices[ALICE].events);
    let is_about_consent = |event: &Event| {
        matches!(
            event,
            Event::ConsentRequested { .. }
                | Event::ConsentCancelled { .. }
                | Event::ConsentGranted { .. }
                | Event::ConsentDone { .. }
                | Event::ConsentFailed { .. }
                | Event::WaitingForConsent { .. }
                | Event::IntentDone { .. }
                | Event::IntentFailed { .. }
        )
    };
    events.into_iter().filter(is_about_consent).collect()
}

/// What Alice said about consent, in order.
fn said(world: &World) -> Vec<(ConsentOperation, String, Option<IdentifierUri>)> {
    let posts = world.desk.requests.iter().filter(|(path, _)| path == "POST consent");
    posts
        .map(|(_, body)| {
            let entry: ConsentEntry = wire::decode_exact(body).unwrap();
            assert_eq!(entry.requester_user.0, "alice@alpha.example");
            (entry.operation, entry.target_user.0, entry.room_id)
        })
        .collect()
}

/// Alice adds Bob, who has to consent, and asks him for it.
fn add_bob(world: &mut World) -> IntentId {
    refuse_claim(world);
    if world.reopen == Reopen::Always {
        // The first answer is lost.
        refuse_claim(world);
    }
    let options = AddOptions { request_consent: true, ..AddOptions::default() };
    let now = world.now;
    let bob = user(BOB_USER);
    world.devices[ALICE].act(|alice| alice.add_user(&room(), &bob, options, now)).unwrap()
}

/// Bob's provider refuses the next claim.
fn refuse_claim(world: &mut World) {
    let refusal = key_material(BOB_USER, KeyMaterialUserCode::NoConsent);
    let refusal = Response::tls(200, wire::encode(&refusal).unwrap());
    world.desk.answer("keyMaterial", Some(refusal));
}

fn granted(version: u64, room: Option<&str>) -> ConsentState {
    let received = vec![item(BOB_USER, room, version)];
    ConsentState { version, received, ..ConsentState::default() }
}

#[test]
fn d17_changes_are_told_once_in_words() {
    let mut world = World::new();
    let club = Some("club@bravo.example");
    let asks = |user: &str, room, at| {
        let Consent { user, room, at } = consent(user, room, at);
        Event::ConsentRequested { from: user, room, at }
    };
    let with = |version, incoming: Vec<ConsentItem>| ConsentState {
        version,
        incoming,
        ..ConsentState::default()
    };
    changed(&mut world, with(1, vec![item(BOB_USER, None, 5), item(BOB_USER, club, 6)]));
    assert_eq!(told(&mut world), [asks(BOB_USER, None, 5), asks(BOB_USER, club, 6)]);
    let incoming = world.devices[ALICE].client.consent_incoming().unwrap();
    assert_eq!(incoming, [consent(BOB_USER, None, 5), consent(BOB_USER, club, 6)]);
    // One is taken back, one is made again.
    changed(&mut world, with(4, vec![item(BOB_USER, club, 9)]));
    let cancelled = Event::ConsentCancelled { from: user(BOB_USER), room: None };
    assert_eq!(told(&mut world), [asks(BOB_USER, club, 9), cancelled]);
    // Granted, on this device or another; a grant for any room answers every request.
    let given = vec![item(BOB_USER, None, 10)];
    changed(&mut world, ConsentState { given, ..with(5, vec![item(CATHY_USER, None, 10)]) });
    assert_eq!(told(&mut world), [asks(CATHY_USER, None, 10)]);
    assert_eq!(
        world.devices[ALICE].client.consent_granted().unwrap(),
        [consent(BOB_USER, None, 10)]
    );
    // Refused.
    let refused = vec![item(CATHY_USER, None, 11)];
    changed(&mut world, ConsentState { refused, ..with(6, vec![]) });
    assert_eq!(told(&mut world), []);
    assert_eq!(world.devices[ALICE].client.consent_incoming().unwrap(), []);
}

#[test]
fn d17_a_decision_about_something_else_does_not_hide_that_a_request_was_taken_back() {
    let mut world = World::new();
    let (club, lounge) = (Some("club@bravo.example"), Some("lounge@bravo.example"));
    let incoming = vec![item(BOB_USER, None, 5), item(BOB_USER, club, 6)];
    changed(&mut world, ConsentState { version: 1, incoming, ..ConsentState::default() });
    told(&mut world);
    let refused = vec![item(BOB_USER, lounge, 7), item(CATHY_USER, None, 7)];
    let given = vec![item(BOB_USER, club, 4)];
    changed(&mut world, ConsentState { version: 2, refused, given, ..ConsentState::default() });
    let room = consent(BOB_USER, club, 0).room;
    assert_eq!(
        told(&mut world),
        [
            Event::ConsentCancelled { from: user(BOB_USER), room: None },
            Event::ConsentCancelled { from: user(BOB_USER), room },
        ]
    );
}

#[test]
fn r100_grants_are_told_and_what_was_granted_before_this_device_came_is_not() {
    let mut world = World::new();
    changed(&mut world, granted(3, None));
    assert_eq!(told(&mut world), []);
    let club = Some("club@alpha.example");
    let received = vec![item(BOB_USER, None, 3), item(BOB_USER, club, 4)];
    changed(&mut world, ConsentState { version: 4, received, ..ConsentState::default() });
    let room = consent(BOB_USER, club, 0).room;
    assert_eq!(told(&mut world), [Event::ConsentGranted { by: user(BOB_USER), room }]);
    // Again after it was revoked, which nobody told.
    changed(&mut world, granted(5, None));
    assert_eq!(told(&mut world), [Event::ConsentGranted { by: user(BOB_USER), room: None }]);
    changed(&mut world, ConsentState { version: 6, ..ConsentState::default() });
    assert_eq!(told(&mut world), []);
}

#[test]
fn an_older_state_is_ignored_and_a_provider_is_not_asked_for_ever() {
    let mut world = World::new();
    changed(&mut world, granted(7, None));
    let asked = world.desk.count("GET consent");
    for version in [0, 6, 7] {
        world.frame(ALICE, &FromProvider::Consent { version });
        world.run();
    }
    assert_eq!(world.desk.count("GET consent"), asked);
    // Announced, and not there.
    world.frame(ALICE, &FromProvider::Consent { version: 99 });
    world.run();
    assert_eq!(world.desk.count("GET consent"), asked + 1);
    let incoming = vec![item(BOB_USER, None, 1)];
    let older = ConsentState { version: 6, incoming, ..ConsentState::default() };
    world.desk.consents.insert("alice@alpha.example".into(), older);
    let now = world.now;
    world.devices[ALICE].act(|alice| alice.catch_up(now)).unwrap();
    world.run();
    assert_eq!(world.desk.count("GET consent"), asked + 2);
    assert_eq!(world.devices[ALICE].client.consent_incoming().unwrap(), []);
    // Nonsense is as if nothing had changed.
    world.desk.answer("consent", Some(Response::tls(200, vec![1, 2, 3])));
    world.devices[ALICE].act(|alice| alice.catch_up(now)).unwrap();
    world.run();
    assert_eq!(told(&mut world), []);
}

#[test]
fn r95_what_is_said_goes_to_the_own_provider_in_order_and_comes_back_by_name() {
    for reopen in [Reopen::Never, Reopen::Always] {
        let mut world = World::new();
        world.reopen = reopen;
        let now = world.now;
        let (bob, club) = (user(BOB_USER), room());
        let names: Vec<IntentId> = world.devices[ALICE].act(|alice| {
            vec![
                alice.request_consent(&bob, Some(&club), now).unwrap(),
                alice.cancel_consent(&bob, Some(&club), now).unwrap(),
                alice.request_consent(&bob, None, now).unwrap(),
            ]
        });
        world.run();
        let mut said = said(&world);
        // Each is repeated where the first answer was lost.
        said.dedup();
        let room_id = Some(club.to_wire());
        assert_eq!(
            said,
            [
                (ConsentOperation::Request, BOB_USER.into(), room_id.clone()),
                (ConsentOperation::Cancel, BOB_USER.into(), room_id),
                (ConsentOperation::Request, BOB_USER.into(), None),
            ]
        );
        let done: Vec<Event> = names.into_iter().map(|id| Event::ConsentDone { id }).collect();
        assert_eq!(told(&mut world), done);
    }
}

#[test]
fn r96_grants_and_revokes_name_the_own_user_as_the_target() {
    let mut world = World::new();
    let now = world.now;
    let bob = user(BOB_USER);
    world.devices[ALICE].act(|alice| alice.grant_consent(&bob, None, now)).unwrap();
    world.devices[ALICE].act(|alice| alice.revoke_consent(&bob, None, now)).unwrap();
    world.devices[ALICE]
        .act(|alice| alice.grant_consent_with_key_package(&bob, None, now))
        .unwrap();
    world.run();
    let posts = world.desk.requests.iter().filter(|(path, _)| path == "POST consent");
    let entries: Vec<ConsentEntry> =
        posts.map(|(_, body)| wire::decode_exact(body).unwrap()).collect();
    for entry in &entries {
        assert_eq!(entry.requester_user.0, BOB_USER);
        assert_eq!(entry.target_user.0, "alice@alpha.example");
    }
    assert_eq!(entries[0].operation, ConsentOperation::Grant(Vec::new()));
    assert_eq!(entries[1].operation, ConsentOperation::Revoke);
    let ConsentOperation::Grant(key_packages) = &entries[2].operation else { panic!() };
    assert_eq!(key_packages.len(), 1);
    assert!(!world.desk.published.contains(&key_packages[0].bytes().to_vec()), "R27");
}

#[test]
fn nobody_consents_to_itself() {
    let mut world = World::new();
    let now = world.now;
    let alice = user("alice@alpha.example");
    let refused = world.devices[ALICE].act(|client| client.request_consent(&alice, None, now));
    assert_eq!(refused, Err(Error::Usage(UsageError::BadArgument("consent of oneself"))));
    world.run();
    assert_eq!(said(&world), []);
}

#[test]
fn what_the_provider_does_not_take_has_failed() {
    let mut world = World::new();
    world.desk.answer("consent", Some(Response::empty(429)));
    world.desk.answer("consent", Some(Response::empty(403)));
    let now = world.now;
    let bob = user(BOB_USER);
    let id = world.devices[ALICE].act(|alice| alice.request_consent(&bob, None, now)).unwrap();
    world.run();
    // 429 is asked again.
    assert_eq!(said(&world).len(), 2);
    assert_eq!(told(&mut world), [Event::ConsentFailed { id, code: ErrorCode::NotAllowed }]);
}

#[test]
fn r31_an_add_waits_for_the_grant_that_it_asked_for_and_goes_on_by_itself() {
    for reopen in [Reopen::Never, Reopen::Always] {
        for scope in [None, Some("clubhouse@alpha.example")] {
            let mut world = World::with_room();
            changed(&mut world, ConsentState { version: 1, ..ConsentState::default() });
            world.forget_events();
            world.reopen = reopen;
            let id = add_bob(&mut world);
            world.run();
            let mut requests = said(&world);
            requests.dedup();
            let expected = (ConsentOperation::Request, BOB_USER.into(), Some(room().to_wire()));
            assert_eq!(requests, [expected]);
            assert_eq!(told(&mut world), [Event::WaitingForConsent { room: room(), id }]);
            let pending = world.devices[ALICE].client.room_state(&room()).unwrap().unwrap().pending;
            assert_eq!((pending[0].id, pending[0].state), (id, PendingState::WaitingConsent));
            // Grants of others and for other rooms are not waited for.
            let received =
                vec![item(CATHY_USER, None, 2), item(BOB_USER, Some("den@alpha.example"), 2)];
            changed(&mut world, ConsentState { version: 2, received, ..ConsentState::default() });
            assert_eq!(
                world.desk.count("keyMaterial"),
                if reopen == Reopen::Always { 2 } else { 1 }
            );
            changed(&mut world, granted(3, scope));
            assert!(told(&mut world).contains(&Event::IntentDone { room: room(), id }));
            world.assert_agreement(&[ALICE, BOB]);
        }
    }
}

#[test]
fn d20_the_rooms_other_intents_do_not_wait_for_consent() {
    let mut world = World::with_room();
    let waiting = add_bob(&mut world);
    world.run();
    let other = world.add(ALICE, CATHY_USER);
    world.run();
    let told = told(&mut world);
    assert!(told.contains(&Event::IntentDone { room: room(), id: other }));
    let pending = world.devices[ALICE].client.room_state(&room()).unwrap().unwrap().pending;
    assert_eq!(pending.iter().map(|intent| intent.id).collect::<Vec<_>>(), [waiting]);
}

#[test]
fn an_intent_that_is_resumed_does_not_take_the_answer_of_another() {
    let mut world = World::with_room();
    changed(&mut world, ConsentState { version: 1, ..ConsentState::default() });
    let waiting = add_bob(&mut world);
    world.run();
    let other = world.add(ALICE, CATHY_USER);
    // Cathy's claim is out when Bob's grant comes.
    let (id, call) = world.poll(ALICE).unwrap();
    assert!(call.url.contains("keyMaterial/cathy"));
    let state = granted(2, None);
    world.desk.consents.insert("alice@alpha.example".into(), state);
    world.frame(ALICE, &FromProvider::Consent { version: 2 });
    while world.exchange(ALICE) {}
    let response = world.desk.handle(&call);
    world.respond(ALICE, id, response);
    world.run();
    let told = told(&mut world);
    for id in [waiting, other] {
        assert!(told.contains(&Event::IntentDone { room: room(), id }), "{told:?}");
    }
}

/// Bob is not added.
fn failed(id: u64, code: ErrorCode) -> Event {
    let (what, user) = (IntentKind::Add, Some(user(BOB_USER)));
    Event::IntentFailed { room: room(), id, what, user, code, retryable: false }
}

#[test]
fn r31_without_request_consent_the_add_fails() {
    let mut world = World::with_room();
    world.forget_events();
    refuse_claim(&mut world);
    let id = world.add(ALICE, BOB_USER);
    world.run();
    let failed = failed(id, ErrorCode::NoConsent);
    assert_eq!(told(&mut world), [failed]);
    assert_eq!(said(&world), []);
}

#[test]
fn r101_grants_that_are_of_no_use_end_the_waiting() {
    let mut world = World::with_room();
    changed(&mut world, ConsentState { version: 1, ..ConsentState::default() });
    let id = add_bob(&mut world);
    world.run();
    for version in 2..7 {
        refuse_claim(&mut world);
        changed(&mut world, granted(version, None));
    }
    let failed = failed(id, ErrorCode::NoConsent);
    assert_eq!(told(&mut world).last(), Some(&failed));
    assert_eq!(said(&world).len(), 5);
}

#[test]
fn r103_what_waits_can_be_given_up_and_takes_its_request_back() {
    let mut world = World::with_room();
    let id = add_bob(&mut world);
    world.run();
    world.forget_events();
    let now = world.now;
    let cancelled = world.devices[ALICE].act(|alice| alice.cancel_intent(&room(), id, now));
    assert_eq!(cancelled, Ok(true));
    world.run();
    let failed = failed(id, ErrorCode::Aborted);
    assert_eq!(told(&mut world), [failed]);
    let cancel = (ConsentOperation::Cancel, BOB_USER.to_owned(), Some(room().to_wire()));
    assert_eq!(said(&world).last(), Some(&cancel));
    let again = world.devices[ALICE].act(|alice| alice.cancel_intent(&room(), id, now));
    assert_eq!(again, Ok(true));
}

#[test]
fn r103_what_waits_asks_again_when_another_device_has_taken_the_request_back() {
    let mut world = World::with_room();
    let state = |version, requested| ConsentState { version, requested, ..ConsentState::default() };
    changed(&mut world, state(1, Vec::new()));
    add_bob(&mut world);
    world.run();
    let asked = vec![item(BOB_USER, Some(room().as_str()), 2)];
    changed(&mut world, state(2, asked));
    assert_eq!(said(&world).len(), 1);
    refuse_claim(&mut world);
    changed(&mut world, state(3, Vec::new()));
    let request = (ConsentOperation::Request, BOB_USER.to_owned(), Some(room().to_wire()));
    assert_eq!(said(&world), [request.clone(), request]);
    assert_eq!(world.state(ALICE).pending[0].state, PendingState::WaitingConsent);
    changed(&mut world, granted(4, None));
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn what_is_under_way_cannot_be_given_up_and_what_has_not_begun_can() {
    let mut world = World::with_room();
    world.forget_events();
    let first = world.add(ALICE, BOB_USER);
    let second = world.add(ALICE, CATHY_USER);
    // The claim, then the commit is made.
    world.exchange(ALICE);
    let now = world.now;
    let mut cancel =
        |id| world.devices[ALICE].act(|alice| alice.cancel_intent(&room(), id, now)).unwrap();
    assert!(!cancel(first));
    assert!(cancel(second));
    world.run();
    assert!(told(&mut world).contains(&Event::IntentDone { room: room(), id: first }));
    assert_eq!(said(&world), []);
    world.assert_agreement(&[ALICE, BOB]);
}

#[test]
fn a_request_that_the_provider_does_not_take_ends_the_waiting() {
    let mut world = World::with_room();
    world.forget_events();
    world.desk.answer("consent", Some(Response::empty(404)));
    let id = add_bob(&mut world);
    world.run();
    let failed = failed(id, ErrorCode::NoConsent);
    assert_eq!(told(&mut world), [Event::WaitingForConsent { room: room(), id }, failed]);
}

#[test]
fn r103_who_is_removed_takes_the_requests_for_the_room_back() {
    let mut world = World::with_room();
    world.add(ALICE, CATHY_USER);
    world.run();
    add_bob(&mut world);
    world.run();
    let alice = user("alice@alpha.example");
    world.ask(CATHY, |cathy, now| cathy.remove_user(&room(), &alice, now));
    world.run();
    assert!(world.devices[ALICE].events.contains(&Event::RoomLeft { room: room() }));
    let cancel = (ConsentOperation::Cancel, BOB_USER.to_owned(), Some(room().to_wire()));
    assert_eq!(said(&world).last(), Some(&cancel));
}

#[test]
fn somebody_else_adds_the_user_meanwhile() {
    let mut world = World::with_room();
    world.add(ALICE, CATHY_USER);
    world.run();
    let id = add_bob(&mut world);
    world.run();
    world.forget_events();
    world.add(CATHY, BOB_USER);
    world.run();
    assert_eq!(told(&mut world), [Event::IntentDone { room: room(), id }]);
    let cancel = (ConsentOperation::Cancel, BOB_USER.to_owned(), Some(room().to_wire()));
    assert_eq!(said(&world).last(), Some(&cancel));
}
