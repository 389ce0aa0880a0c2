//! What a follower's log forgets (D22, R82).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::transport::{Endpoint, Response, Source};

use common::{
    follower::{BOB, Story, alpha, device},
    group::room,
};

fn acknowledge(position: u64) -> Endpoint {
    Endpoint::Acknowledge { room: room(), position }
}

/// The hub sends so many messages.
fn say(story: &mut Story, count: usize) -> Vec<Vec<u8>> {
    let messages: Vec<Vec<u8>> = (0..count).map(|_| story.message()).collect();
    let body: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    story.follower.accept(&body);
    story.follower.pushed();
    messages
}

#[test]
fn d22_r82_what_all_devices_have_is_forgotten_but_a_late_duplicate_is_still_one() {
    let mut story = Story::new();
    let messages = say(&mut story, 100);
    let response = story.follower.answer(device(BOB), acknowledge(100), b"");
    assert_eq!(response, Response::empty(200));
    assert_eq!(story.follower.seen(BOB).len(), 100);
    say(&mut story, 28);
    let rest = story.follower.events(BOB, 100);
    assert_eq!((rest.gap, rest.events.len(), rest.events[0].previous), (false, 28, 100));
    assert!(story.follower.events(BOB, 99).gap);
    story.follower.pushed();
    story.follower.accept(&[&messages[0], &messages[99]]);
    assert_eq!((story.follower.events(BOB, 128).end, story.follower.pushed()), (128, Vec::new()));
}

#[test]
fn d22_a_device_that_is_offline_keeps_the_log() {
    let mut story = Story::new();
    say(&mut story, 192);
    let page = story.follower.events(BOB, 0);
    assert_eq!((page.gap, page.events.len()), (false, 192));
}

#[test]
fn d22_only_devices_acknowledge() {
    let mut story = Story::new();
    say(&mut story, 70);
    for source in [alpha(), Source::Own] {
        story
            .follower
            .assert_refused(403, |follower| follower.answer(source.clone(), acknowledge(70), b""));
    }
}
