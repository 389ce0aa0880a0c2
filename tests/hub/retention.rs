//! What a hub's log forgets (D22, R67).

use mimi_edge::{
    config::Retention,
    transport::{Endpoint, Response, Source},
    wire::{EventPage, decode_exact},
};

use super::{BRAVO, provider, source_of};
use crate::common::{
    group::{Member, room},
    hub::{Hub, accepted_at},
};

fn acknowledge(position: u64) -> Endpoint {
    Endpoint::Acknowledge { room: room(), position }
}

/// Alice's device has stored everything up to `position`.
fn acknowledged(hub: &mut Hub, alice: &Member, position: u64) {
    let response = hub.call(source_of(&alice.client), acknowledge(position), Vec::new());
    assert_eq!(response, Response::empty(200));
}

/// Alice says something until the log ends at `end`.
fn say_until(hub: &mut Hub, alice: &mut Member, end: u64) {
    while page(hub, alice, u64::MAX).end < end {
        let message = alice.message("hello");
        assert_eq!(hub.submit(source_of(&alice.client), message).status, 200);
    }
}

fn page(hub: &mut Hub, alice: &Member, after: u64) -> EventPage {
    let endpoint = Endpoint::Events { room: room(), after };
    let response = hub.call(source_of(&alice.client), endpoint, Vec::new());
    decode_exact(&response.body).unwrap()
}

#[test]
fn d22_r67_what_everybody_has_is_forgotten_but_a_late_repetition_is_still_one() {
    let (mut hub, mut alice, _bob) = Hub::with_alice_and_bob();
    let source = source_of(&alice.client);
    let early = alice.message("early");
    let first = accepted_at(&hub.submit(source.clone(), early.clone()));
    say_until(&mut hub, &mut alice, 100);
    hub.settle();
    acknowledged(&mut hub, &alice, 100);
    assert_eq!(page(&mut hub, &alice, 0).events[0].position, 1);
    assert_eq!(accepted_at(&hub.submit(source.clone(), early.clone())), first);
    say_until(&mut hub, &mut alice, 128);
    let rest = page(&mut hub, &alice, 100);
    assert_eq!((rest.gap, rest.events[0].position, rest.events[0].previous), (false, 101, 100));
    let lost = page(&mut hub, &alice, 99);
    assert_eq!((lost.gap, lost.events[0].position), (true, 101));
    hub.settle();
    assert_eq!(accepted_at(&hub.submit(source, early)), first);
    assert_eq!(hub.notified(BRAVO).len(), 0);
    assert_eq!(page(&mut hub, &alice, 100).end, 128);
}

#[test]
fn d22_r67_after_n_events_a_repetition_is_none_any_more() {
    let (mut hub, mut alice, _bob) = Hub::with_alice_and_bob();
    hub.retain(Retention { log_events: 50, ..Retention::default() });
    let source = source_of(&alice.client);
    let early = alice.message("early");
    let first = accepted_at(&hub.submit(source.clone(), early.clone()));
    say_until(&mut hub, &mut alice, 128);
    assert!(accepted_at(&hub.submit(source, early)) > first);
}

#[test]
fn d22_what_a_provider_lacks_is_kept() {
    let (mut hub, mut alice, _bob) = Hub::with_alice_and_bob();
    say_until(&mut hub, &mut alice, 70);
    hub.settle();
    say_until(&mut hub, &mut alice, 100);
    acknowledged(&mut hub, &alice, 100);
    say_until(&mut hub, &mut alice, 128);
    assert!(!page(&mut hub, &alice, 70).gap);
    assert!(page(&mut hub, &alice, 69).gap);
    let positions = hub.notified(BRAVO).len();
    assert_eq!(positions, 58);
}

#[test]
fn d22_a_provider_that_is_too_far_behind_is_not_waited_for() {
    let (mut hub, mut alice, _bob) = Hub::with_alice_and_bob();
    hub.retain(Retention { log_events: 50, ..Retention::default() });
    say_until(&mut hub, &mut alice, 128);
    // The first ones are gone; bravo gets the others, and sees that there is a gap by their epoch.
    let messages = hub.notified(BRAVO);
    assert_eq!(messages.len(), 50);
    assert!(page(&mut hub, &alice, 77).gap);
    assert!(!page(&mut hub, &alice, 78).gap);
}

#[test]
fn d22_only_devices_acknowledge() {
    let (mut hub, mut alice, _bob) = Hub::with_alice_and_bob();
    say_until(&mut hub, &mut alice, 70);
    hub.settle();
    for source in [provider(BRAVO), Source::Own] {
        let text = b"peer refused: events are for own devices".to_vec();
        hub.refused(source, acknowledge(70), Vec::new(), (403, text));
    }
}
