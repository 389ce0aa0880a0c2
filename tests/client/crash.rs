//! Instances that die: at every call of the story, between storing, sending and the answer.

use mimi_edge::{
    client::{Event, RoomPhase},
    storage::MemoryStorage,
};

use super::world::{ALICE, BOB, CATHY, Reopen, World, room};

/// Where an instance dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// The request is stored and not sent.
    BeforeSending,
    /// The request is sent; nobody is there for the answer.
    BeforeTheAnswer,
    /// The answer is taken in and stored.
    AfterTheAnswer,
}

/// The story of one addition and one message, in which the `at`th exchange of `who` meets a death.
/// Says whether there was such an exchange.
fn story(who: usize, at: usize, death: Death) -> bool {
    let mut world = World::new();
    let mut count = 0;
    let mut died = false;
    world.create();
    drive(&mut world, who, &mut count, at, death, &mut died);
    world.add(ALICE, "bob@bravo.example");
    drive(&mut world, who, &mut count, at, death, &mut died);
    world.add(BOB, "cathy@charlie.example");
    world.send(ALICE, "hello");
    drive(&mut world, who, &mut count, at, death, &mut died);
    world.assert_agreement(&[ALICE, BOB, CATHY]);
    for reader in [ALICE, BOB] {
        let messages = world.devices[reader].client.history(&room(), 0, 9).unwrap();
        let contents: Vec<_> = messages.iter().map(|message| message.content.as_slice()).collect();
        assert_eq!(contents, [b"hello"], "{who} {at} {death:?}");
    }
    let failed = |event: &Event| {
        matches!(
            event,
            Event::IntentFailed { .. }
                | Event::Undecryptable { .. }
                | Event::Gap { .. }
                | Event::Diverged { .. }
                | Event::WelcomeFailed { .. }
        )
    };
    for device in &world.devices {
        assert!(!device.events.iter().any(failed), "{who} {at} {death:?}: {:?}", device.events);
    }
    died
}

fn drive(
    world: &mut World,
    who: usize,
    count: &mut usize,
    at: usize,
    death: Death,
    died: &mut bool,
) {
    for _ in 0..2_000 {
        let mut busy = false;
        for index in [ALICE, BOB, CATHY] {
            let Some((id, call)) = world.poll(index) else { continue };
            busy = true;
            let dies = index == who && *count == at;
            *count += usize::from(index == who);
            if dies && death == Death::BeforeSending {
                *died = true;
                let now = world.now;
                world.devices[index].reopen(now);
                continue;
            }
            let response = world.desk.handle(&call);
            if dies && death == Death::BeforeTheAnswer {
                *died = true;
                let now = world.now;
                world.devices[index].reopen(now);
                continue;
            }
            world.respond(index, id, response);
            if dies {
                *died = true;
                let now = world.now;
                world.devices[index].reopen(now);
            }
        }
        for index in [ALICE, BOB, CATHY] {
            busy |= world.push(index);
        }
        if busy {
            continue;
        }
        let limit = world.now.plus(60_000);
        let wakes =
            world.devices.iter().filter_map(|device| device.client.next_wake().unwrap()).min();
        match wakes {
            Some(next) if next <= limit => world.now = next.max(world.now),
            _ => return,
        }
    }
    panic!("it never ends");
}

#[test]
fn d6_a_death_at_any_exchange_changes_nothing_in_the_end() {
    for death in [Death::BeforeSending, Death::BeforeTheAnswer, Death::AfterTheAnswer] {
        for who in [ALICE, BOB, CATHY] {
            let mut at = 0;
            while story(who, at, death) {
                at += 1;
            }
            assert!(at >= 2, "{who} {death:?}");
        }
    }
}

#[test]
fn d6_what_is_not_stored_was_never_sent() {
    let mut world = World::with_room();
    world.add(ALICE, "bob@bravo.example");
    world.exchange(ALICE);
    // The instance that has the commit dies before it could store the step.
    let before: MemoryStorage = world.devices[ALICE].stored.clone();
    let (_, call) = world.poll(ALICE).unwrap();
    assert!(call.url.contains("/update/"));
    let now = world.now;
    world.devices[ALICE].stored = before;
    world.devices[ALICE].reopen(now);
    let (_, again) = world.poll(ALICE).unwrap();
    assert_eq!(again.body, call.body);
}

#[test]
fn a_pending_creation_survives() {
    let mut world = World::new();
    world.create();
    world.reopen = Reopen::Always;
    world.add(ALICE, "bob@bravo.example");
    world.send(ALICE, "first");
    assert_eq!(world.devices[ALICE].client.rooms().unwrap(), [(room(), RoomPhase::Creating)]);
    world.run();
    world.assert_agreement(&[ALICE, BOB]);
}
