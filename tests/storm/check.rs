//! What has to be so when a storm is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::AddAssign,
};

use mimi_edge::{
    client::{Delivery, ErrorCode, Event, HubProposals, RoomPhase},
    wire::uri::ClientUri,
};

use crate::world::{World, name};

/// What a storm brought.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub steps: u64,
    pub epochs: u64,
    pub sent: u64,
    pub accepted: u64,
    pub delivered: u64,
    pub rejoined: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.epochs += other.epochs;
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.rejoined += other.rejoined;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, epochs, sent, accepted, delivered, rejoined } = self;
        write!(
            f,
            "{steps} steps, {epochs} epochs, {sent} messages sent, {accepted} accepted, {delivered} \
             delivered, {rejoined} rejoins"
        )
    }
}

/// Checks everything; gives the figures.
pub fn all(world: &mut World) -> Figures {
    let figures = messages(world);
    agreement(world);
    intents(world);
    figures
}

/// Messages of one device as its room's history has them: by text, with their epoch.
fn history(world: &mut World, device: &ClientUri) -> Vec<(String, u64)> {
    let room = world.room.clone();
    let messages =
        world.universe.act(device, |client, _| client.history(&room, 0, usize::MAX)).unwrap();
    messages
        .into_iter()
        .map(|message| (String::from_utf8(message.content).unwrap(), message.epoch))
        .collect()
}

/// Every message that the hub took reached everybody who was in the room in its epoch, once, and
/// nobody else.
fn messages(world: &mut World) -> Figures {
    let seed = world.seed;
    let epochs = world.universe.journal.epochs(&world.room);
    let heard: BTreeMap<ClientUri, Vec<String>> =
        world.events.iter().map(|(device, events)| (device.clone(), texts(events))).collect();
    let rejoined: BTreeSet<ClientUri> = world
        .events
        .iter()
        .filter(|(_, events)| {
            events.iter().any(|event| {
                matches!(
                    event,
                    Event::Gap { .. } | Event::Rejoined { .. } | Event::WelcomeFailed { .. }
                )
            })
        })
        .map(|(device, _)| device.clone())
        .collect();
    let interrupted: BTreeSet<ClientUri> = rejoined.union(&world.gone).cloned().collect();
    let mut figures = Figures {
        steps: world.steps,
        epochs: epochs.len() as u64,
        sent: world.sent.len() as u64,
        rejoined: rejoined.len() as u64,
        ..Figures::default()
    };
    for (text, sent) in world.sent.clone() {
        let by = name(&sent.by);
        let own = history(world, &sent.by).into_iter().find(|(own, _)| *own == text);
        match sent.state {
            Delivery::Accepted { .. } => {}
            Delivery::Failed { code, .. } => {
                assert!(own.is_none(), "seed {seed}: {text:?} of {by} failed and was accepted");
                assert_ne!(code, ErrorCode::Internal, "seed {seed}: {text:?} of {by}");
            }
            _ if world.gone.contains(&sent.by) || world.stuck => {}
            state => panic!("seed {seed}: {text:?} of {by} is {state:?} for ever"),
        }
        let receivers: Vec<&ClientUri> = heard
            .iter()
            .filter(|(_, texts)| texts.contains(&text))
            .map(|(device, _)| device)
            .collect();
        let Some((_, epoch)) = own else {
            let excused =
                !matches!(sent.state, Delivery::Accepted { .. }) || interrupted.contains(&sent.by);
            assert!(excused, "seed {seed}: {by} has lost {text:?}, which the hub took");
            assert!(
                receivers.is_empty() || interrupted.contains(&sent.by),
                "seed {seed}: {text:?} of {by} failed, and {receivers:?} have it"
            );
            continue;
        };
        figures.accepted += 1;
        let members = &epochs.get(&epoch).expect("the hub was in that epoch").active;
        for (device, texts) in &heard {
            let times = texts.iter().filter(|other| **other == text).count();
            let expected = usize::from(members.contains(device) && *device != sent.by);
            figures.delivered += times as u64;
            let excused = interrupted.contains(device) || epoch < came_by_itself(world, device);
            let fits = times == expected || (times == 0 && excused);
            assert!(
                fits,
                "seed {seed}: {} has {text:?} of {by}, epoch {epoch}, {times} times instead of \
                 {expected}",
                name(device)
            );
        }
    }
    figures
}

/// The last epoch in which a device came in by itself; it may have had no time for a Welcome before.
fn came_by_itself(world: &World, device: &ClientUri) -> u64 {
    let joins = world.events[device].windows(3).filter_map(|events| match events {
        [Event::RoomAdded { .. }, Event::IntentDone { .. }, Event::RoomChanged { epoch, .. }] => {
            Some(*epoch)
        }
        _ => None,
    });
    joins.max().unwrap_or(0)
}

fn texts(events: &[Event]) -> Vec<String> {
    let texts = events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(String::from_utf8(message.content.clone()).unwrap()),
        _ => None,
    });
    texts.collect()
}

/// All that are in the room are in the same epoch with the same keys and list as the hub; who has no
/// leaf knows it (R9, R44, R89).
fn agreement(world: &mut World) {
    let seed = world.seed;
    for (device, events) in &world.events {
        if world.gone.contains(device) || world.deleted.contains(&device.user()) {
            continue;
        }
        for event in events {
            assert!(
                !matches!(event, Event::Diverged { .. } | Event::RegistrationFailed { .. }),
                "seed {seed}: {}: {event:?}",
                name(device)
            );
        }
    }
    if world.universe.journal.is_closed(&world.room) {
        return;
    }
    let (epoch, at_hub) = world.last_epoch().expect("the hub has the room");
    let mut authenticator: Option<Vec<u8>> = None;
    let mut leaving = Vec::new();
    for device in world.devices.clone() {
        if world.gone.contains(&device) {
            continue;
        }
        let who = format!("seed {seed}: {}", name(&device));
        let state = world.state(&device);
        if !at_hub.leaves.contains(&device) {
            let joined = state.is_some_and(|state| state.phase == RoomPhase::Joined);
            assert!(!joined, "{who} thinks that it is in");
            continue;
        }
        let state = state.unwrap_or_else(|| panic!("{who} does not know that it is in"));
        assert_eq!(state.phase, RoomPhase::Joined, "{who}");
        assert_eq!(state.epoch, epoch, "{who}: another epoch than the hub's");
        let same = authenticator.get_or_insert_with(|| state.epoch_authenticator.clone());
        assert_eq!(*same, state.epoch_authenticator, "{who}: other keys");
        let listed: Vec<_> = state.participants.iter().map(|entry| entry.user.clone()).collect();
        assert_eq!(listed, at_hub.listed, "{who}: another list");
        let devices: BTreeSet<ClientUri> =
            state.participants.into_iter().flat_map(|entry| entry.devices).collect();
        assert!(at_hub.leaves.is_superset(&devices), "{who}: other devices");
        leaving.push((who, state.leaving));
    }
    let somebody_stays = leaving.iter().any(|(_, leaving)| !leaving);
    for (who, leaving) in leaving {
        assert!(!leaving || !somebody_stays, "{who} is still leaving");
    }
    let deleted = at_hub.participants().find(|user| world.is_deleted_at_hub(user));
    let is_told = world.hub_proposals == HubProposals::On && authenticator.is_some();
    assert!(deleted.is_none() || !is_told, "seed {seed}: {deleted:?} is deleted and on the list");
    // R9, with R45's exception: after the last commit nobody's leaf is left behind.
    assert_eq!(at_hub.leaves, at_hub.active, "seed {seed}: leaves of nobody who takes part");
}

/// Nothing that was asked for hangs: it was done, or given up for a reason that the API knows.
fn intents(world: &mut World) {
    let seed = world.seed;
    let closed = world.universe.journal.is_closed(&world.room);
    for device in world.devices.clone() {
        if world.gone.contains(&device) {
            continue;
        }
        let Some(state) = world.state(&device) else { continue };
        let pending: Vec<_> =
            state.pending.iter().filter(|intent| !world.waits_in_vain(intent)).collect();
        assert!(
            pending.is_empty() || world.stuck || closed,
            "seed {seed}: {} still has to do {pending:?}",
            name(&device)
        );
    }
    for (device, events) in &world.events {
        for event in events {
            if let Event::IntentFailed { code, .. } = event {
                let documented = matches!(
                    code,
                    ErrorCode::Conflict
                        | ErrorCode::NotAllowed
                        | ErrorCode::Gap
                        | ErrorCode::HubUnresponsive
                        | ErrorCode::RoomUnknown
                        | ErrorCode::UserUnknown
                        | ErrorCode::NoConsent
                        | ErrorCode::NoKeyPackage
                );
                assert!(documented, "seed {seed}: {}: {event:?}", name(device));
            }
        }
    }
}
