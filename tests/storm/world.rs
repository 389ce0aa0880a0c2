//! The people, the room and the weather of one storm.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use mimi_edge::{
    client::{
        AddOptions, Consent, CreateOptions, Delivery, Event, HubProposals, MessageKey,
        PendingIntent, PendingState, RoomPhase, RoomState,
    },
    config::{ConsentDefault, ProviderConfig},
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
pub const MOST_CLIENTS: usize = 6;
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
    /// Users that were deleted at their provider.
    pub deleted: BTreeSet<UserUri>,
    /// Devices that are no more: revoked, or of a deleted user.
    pub gone: BTreeSet<ClientUri>,
    /// Whether in the end something waits for a commit and nobody is left who could make one.
    pub stuck: bool,
    /// Whether the room's hub may propose.
    pub hub_proposals: HubProposals,
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
        if dice.below(4) == 0 {
            let provider = universe.provider(DOMAINS[dice.pick(DOMAINS.len())]);
            let config = ProviderConfig::clone(&provider.config);
            let consent_default = ConsentDefault::Ask;
            provider.config = Rc::new(ProviderConfig { consent_default, ..config });
        }
        universe.hides_directories = dice.below(3) == 0;
        let clients = 2 + dice.pick(MOST_CLIENTS - 1);
        let devices: Vec<ClientUri> = (0..clients)
            .map(|number| {
                // The sixth client, and now and then another one, is somebody's second device.
                let person = if number > 1 && dice.below(4) == 0 { number / 2 } else { number };
                universe.add_device(PEOPLE[person % PEOPLE.len()])
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
            deleted: BTreeSet::new(),
            gone: BTreeSet::new(),
            stuck: false,
            hub_proposals: HubProposals::On,
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
        if self.below(6) == 0 {
            self.hub_proposals = HubProposals::Off;
        }
        let options = CreateOptions { profile, hub_proposals: self.hub_proposals };
        self.universe.act(&creator, |client, now| client.create_room(&room, options, now)).unwrap();
        self.universe.run();
        self.note(&format!("{} created the room: {options:?}", name(&creator)));
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
        let number = self.dice.pick(self.devices.len());
        self.devices[number].clone()
    }

    /// One of the users.
    pub fn any_user(&mut self) -> UserUri {
        self.any_device().user()
    }

    /// A new device of one of the users.
    pub fn add_device(&mut self) {
        let user = self.any_user();
        if self.devices.len() == MOST_CLIENTS || self.deleted.contains(&user) {
            return;
        }
        let device = self.universe.add_device(&user.to_string());
        self.note(&format!("{} is new", name(&device)));
        self.events.insert(device.clone(), Vec::new());
        self.devices.push(device);
    }

    /// One of the providers.
    pub fn any_domain(&mut self) -> &'static str {
        DOMAINS[self.dice.pick(DOMAINS.len())]
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
                if let Event::Delivery(own) = &event
                    && let Some(sent) = self.sent.values_mut().find(|sent| sent.key == own.key)
                {
                    sent.state = own.delivery;
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
        for device in &self.devices {
            if self.deleted.contains(&device.user()) {
                self.gone.insert(device.clone());
            }
        }
        for _ in 0..MOST_LAST_COMMITS {
            self.universe.calm_down();
            self.collect();
            if self.grant_what_is_asked_for() {
                continue;
            }
            let (waiting, stays) = self.who_stays();
            if !waiting {
                return;
            }
            let room = self.room.clone();
            if let Some(committer) = stays {
                self.note(&format!("{} commits, so that nothing waits", name(&committer)));
                self.universe
                    .act(&committer, |client, now| client.update_keys(&room, now))
                    .unwrap();
            } else if let Some(joiner) = self.one_who_can_join() {
                self.note(&format!("{} joins, so that nothing waits", name(&joiner)));
                self.universe.act(&joiner, |client, now| client.join_room(&room, now)).unwrap();
            } else {
                self.stuck = true;
                return;
            }
        }
    }

    /// Whether the hub knows that this user was deleted, and takes its leaves out.
    pub fn is_deleted_at_hub(&self, user: &UserUri) -> bool {
        self.deleted.contains(user) && user.domain() == self.room.domain()
    }

    /// Whether something waits for the consent of somebody who will not answer: that is never told (R99).
    pub fn waits_in_vain(&self, intent: &PendingIntent) -> bool {
        intent.state == PendingState::WaitingConsent
            && intent.user.as_ref().is_some_and(|user| {
                self.devices
                    .iter()
                    .filter(|device| device.user() == *user)
                    .all(|device| self.gone.contains(device))
            })
    }

    /// Everybody allows what it is asked for; whether anybody was asked.
    fn grant_what_is_asked_for(&mut self) -> bool {
        let devices = self.devices.clone();
        devices.iter().filter(|device| self.grant(device)).count() > 0
    }

    /// Allows what this device's user is asked for; whether it was asked.
    pub fn grant(&mut self, device: &ClientUri) -> bool {
        if self.gone.contains(device) {
            return false;
        }
        let asked = self.universe.act(device, |client, _| client.consent_incoming()).unwrap();
        for Consent { user, room, .. } in &asked {
            self.universe
                .act(device, |client, now| client.grant_consent(user, room.as_ref(), now))
                .unwrap();
            self.note(&format!("{} lets {user} add it", name(device)));
        }
        !asked.is_empty()
    }

    /// A device that could come in by itself.
    fn one_who_can_join(&mut self) -> Option<ClientUri> {
        let (_, epoch) = self.last_epoch()?;
        let closed = self.universe.journal.is_closed(&self.room);
        let can_join = |device: &&ClientUri| {
            !closed
                && !self.gone.contains(device)
                && !epoch.leaves.contains(device)
                && epoch.participants().any(|user| *user == device.user())
        };
        self.devices.iter().find(can_join).cloned()
    }

    /// Whether something waits for a commit, and a member that stays.
    fn who_stays(&mut self) -> (bool, Option<ClientUri>) {
        let mut waiting = self.hub_proposals == HubProposals::On
            && self.last_epoch().is_some_and(|(_, epoch)| {
                epoch.participants().any(|user| self.is_deleted_at_hub(user))
            });
        let mut stays = None;
        for device in self.devices.clone() {
            if self.gone.contains(&device) {
                continue;
            }
            let Some(state) = self.state(&device) else { continue };
            if state.phase != RoomPhase::Joined {
                continue;
            }
            if state.leaving || state.pending.iter().any(|intent| !self.waits_in_vain(intent)) {
                waiting = true;
            } else {
                stays = Some(device);
            }
        }
        (waiting, stays)
    }
}

/// A client in few letters.
pub fn name(client: &ClientUri) -> String {
    let text = client.as_str();
    let user = text.split('@').next().unwrap_or_default();
    let device = text.rsplit('/').next().unwrap_or_default();
    format!("{user}/{}", device.get(..4).unwrap_or(device))
}
