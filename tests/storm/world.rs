//! The people, the room and the weather of one storm.

use std::collections::{BTreeMap, BTreeSet};

use mimi_edge::{
    client::{AddOptions, CreateOptions, Delivery, Event, MessageKey, RoomPhase, RoomState},
    room::Profile,
    wire::uri::{ClientUri, RoomUri, UserUri},
};

use crate::common::universe::{Exchange, Faults, Universe, journal::Epoch, room};

pub const DOMAINS: [&str; 3] = ["alpha.example", "bravo.example", "charlie.example"];
const PEOPLE: [&str; 5] = [
    "alice@alpha.example",
    "bob@bravo.example",
    "cathy@charlie.example",
    "dave@alpha.example",
    "eve@bravo.example",
];
const MOST_CLIENTS: u64 = 6;
const FEWEST_STEPS: u64 = 10;
const MOST_STEPS: u64 = 40;
/// How often the end may ask for one more commit, so that what waits for one is done.
const MOST_LAST_COMMITS: usize = 12;

/// A message that somebody sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub by: ClientUri,
    pub key: MessageKey,
    pub state: Delivery,
}

/// One storm.
pub struct World {
    pub seed: u64,
    pub universe: Universe,
    pub room: RoomUri,
    pub devices: Vec<ClientUri>,
    pub steps: u64,
    /// By text, which nobody sends twice.
    pub sent: BTreeMap<String, Sent>,
    /// Every event of every device, in order.
    pub events: BTreeMap<ClientUri, Vec<Event>>,
    /// What was done, in words that are the same in every run.
    pub trace: Vec<String>,
    show: bool,
    dice: Faults,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Faults::none(seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
        let mut universe = Universe::new(&DOMAINS, seed);
        let clients = 2 + dice.below(MOST_CLIENTS - 1);
        let devices: Vec<ClientUri> = (0..clients)
            .map(|number| {
                // The sixth client, and now and then another one, is somebody's second device.
                let person = if number > 1 && dice.below(4) == 0 { number / 2 } else { number };
                let person = usize::try_from(person).unwrap() % PEOPLE.len();
                universe.add_device(PEOPLE[person])
            })
            .collect();
        universe.run();
        let steps = FEWEST_STEPS + dice.below(MOST_STEPS - FEWEST_STEPS + 1);
        let hub = devices[0].domain().clone();
        let events = devices.iter().map(|device| (device.clone(), Vec::new())).collect();
        let mut world = Self {
            seed,
            universe,
            room: room(&format!("clubhouse@{hub}")),
            devices,
            steps,
            sent: BTreeMap::new(),
            events,
            trace: Vec::new(),
            show: std::env::var_os("STORM_TRACE").is_some(),
            dice,
        };
        world.create();
        world.universe.faults = match world.dice.below(4) {
            0 => Faults::slow(seed),
            _ => Faults::stormy(seed),
        };
        world
    }

    fn create(&mut self) {
        let profile = if self.below(4) == 0 { Profile::A } else { Profile::B };
        let (creator, room) = (self.devices[0].clone(), self.room.clone());
        let options = CreateOptions { profile, ..CreateOptions::default() };
        self.universe.act(&creator, |client, now| client.create_room(&room, options, now)).unwrap();
        self.universe.run();
        self.note(&format!("{} created the room, profile {profile:?}", name(&creator)));
        for user in self.devices[1..].iter().map(ClientUri::user).collect::<BTreeSet<_>>() {
            if user == creator.user() || self.below(3) == 0 {
                continue;
            }
            let room = self.room.clone();
            self.universe
                .act(&creator, |client, now| {
                    client.add_user(&room, &user, AddOptions::default(), now)
                })
                .unwrap();
            self.universe.run();
            self.note(&format!("{user} is in"));
        }
        self.collect();
    }

    /// A number below `bound`, from the seed.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.dice.below(bound)
    }

    /// One of the devices.
    pub fn any_device(&mut self) -> ClientUri {
        let number = usize::try_from(self.below(self.devices.len() as u64)).unwrap();
        self.devices[number].clone()
    }

    /// One of the users.
    pub fn any_user(&mut self) -> UserUri {
        self.any_device().user()
    }

    pub fn any_domain(&mut self) -> &'static str {
        DOMAINS[usize::try_from(self.below(DOMAINS.len() as u64)).unwrap()]
    }

    /// Takes down what was done.
    pub fn note(&mut self, what: &str) {
        let epoch = self.last_epoch().map_or(0, |(epoch, _)| epoch);
        let line = format!("epoch {epoch}: {what}");
        if self.show {
            println!("seed {}: {line}", self.seed);
        }
        self.trace.push(line);
    }

    /// Lets the network do a little of what it has to do, or all of it.
    pub fn blow(&mut self) {
        match self.below(5) {
            0 => self.universe.run(),
            _ => {
                let steps = usize::try_from(self.below(25)).unwrap();
                self.universe.run_steps(steps);
            }
        }
        self.collect();
    }

    /// Takes the events of all devices.
    pub fn collect(&mut self) {
        for exchange in std::mem::take(&mut self.universe.exchanges) {
            let Exchange { from, to, path, label, status } = exchange;
            let line = format!("    {from} → {to} {path} {label}: {status:?}");
            if self.show {
                println!("{line}");
            }
            self.trace.push(line);
        }
        for device in self.devices.clone() {
            for event in self.universe.events(&device) {
                if let Event::Delivery { key, state, .. } = &event
                    && let Some(sent) = self.sent.values_mut().find(|sent| sent.key == *key)
                {
                    sent.state = *state;
                }
                if self.show && !matches!(event, Event::KeyPackages(_) | Event::CaughtUp) {
                    println!("    {}: {event:?}", name(&device));
                }
                self.events.get_mut(&device).unwrap().push(event);
            }
        }
    }

    /// The room at the hub, in its last epoch.
    pub fn last_epoch(&self) -> Option<(u64, Epoch)> {
        let epochs = self.universe.journal.epochs(&self.room);
        epochs.last_key_value().map(|(epoch, state)| (*epoch, state.clone()))
    }

    pub fn state(&mut self, device: &ClientUri) -> Option<RoomState> {
        let room = self.room.clone();
        self.universe.act(device, |client, _| client.room_state(&room)).unwrap()
    }

    /// The weather clears up: everybody is back, what was lost is sent again, what waits for a commit
    /// gets one.
    pub fn settle(&mut self) {
        self.universe.faults = Faults::none(self.seed);
        for domain in DOMAINS {
            self.universe.provider(domain).online = true;
        }
        for device in self.devices.clone() {
            self.universe.set_online(&device, true);
        }
        for _ in 0..MOST_LAST_COMMITS {
            self.universe.calm_down();
            self.collect();
            let Some(committer) = self.one_who_can_commit() else { return };
            self.note(&format!("{} commits, so that nothing waits", name(&committer)));
            let room = self.room.clone();
            self.universe.act(&committer, |client, now| client.update_keys(&room, now)).unwrap();
        }
    }

    /// A member that stays, if something waits for its commit.
    fn one_who_can_commit(&mut self) -> Option<ClientUri> {
        let mut waiting = false;
        let mut stays = None;
        for device in self.devices.clone() {
            let Some(state) = self.state(&device) else { continue };
            if state.phase != RoomPhase::Joined {
                continue;
            }
            if state.leaving || !state.pending.is_empty() {
                waiting = true;
            } else {
                stays = Some(device);
            }
        }
        stays.filter(|_| waiting)
    }
}

/// A client in few letters.
pub fn name(client: &ClientUri) -> String {
    let text = client.as_str();
    let user = text.split('@').next().unwrap_or_default();
    let device = text.rsplit('/').next().unwrap_or_default();
    format!("{user}/{}", device.get(..4).unwrap_or(device))
}
