//! What happens in a storm, one step at a time.

use mimi_edge::{
    client::{AddOptions, RoomPhase},
    error::{Error, UsageError},
    wire::{Role, uri::ClientUri},
};

use crate::world::{Sent, World, name};

/// Something that somebody does, if it can be done.
type Action = fn(&mut World);

/// What may happen, as often as its weight says.
const ACTIONS: [(u64, Action); 18] = [
    (16, send),
    (10, add),
    (3, remove),
    (2, ban),
    (2, lift_ban),
    (3, set_roles),
    (3, leave),
    (5, update_keys),
    (2, set_policy),
    (4, join),
    (1, remove_device),
    (2, World::add_device),
    (1, revoke_device),
    (1, delete_user),
    (2, grant),
    (3, reopen),
    (2, restart),
    (4, toggle_network),
];

impl World {
    /// One step of the story, and a little time for the network.
    pub fn step(&mut self) {
        let total: u64 = ACTIONS.iter().map(|(weight, _)| weight).sum();
        let mut dice = self.below(total);
        for (weight, action) in ACTIONS {
            if dice < weight {
                action(self);
                break;
            }
            dice -= weight;
        }
        self.blow();
    }

    /// A device that is in the room, as far as it knows.
    fn any_member(&mut self) -> Option<ClientUri> {
        let first = self.any_device();
        let mut devices = self.devices.clone();
        let first = devices.iter().position(|device| *device == first)?;
        devices.rotate_left(first);
        devices.into_iter().find(|device| !self.gone.contains(device) && self.is_in(device))
    }

    /// Whether the device is in the room, as far as it knows.
    fn is_in(&mut self, device: &ClientUri) -> bool {
        let rooms = self.universe.act(device, |client, _| client.rooms()).unwrap();
        rooms.contains(&(self.room.clone(), RoomPhase::Joined))
    }

    /// Lets a member do something; what does not fit its state it says at once.
    fn ask<T>(
        &mut self,
        device: &ClientUri,
        what: &str,
        call: impl FnOnce(
            &mut mimi_edge::client::Client,
            mimi_edge::time::UnixMillis,
        ) -> Result<T, Error>,
    ) -> Option<T> {
        match self.universe.act(device, call) {
            Ok(value) => {
                self.note(&format!("{} {what}", name(device)));
                Some(value)
            }
            Err(Error::Usage(
                UsageError::RoomUnknown | UsageError::BadState(_) | UsageError::BadArgument(_),
            )) => None,
            Err(error) => panic!("seed {}: {} {what}: {error}", self.seed, name(device)),
        }
    }
}

fn send(world: &mut World) {
    let Some(device) = world.any_member() else { return };
    let text = format!("message {}", world.sent.len());
    let (room, content) = (world.room.clone(), text.clone().into_bytes());
    let key = world
        .ask(&device, &format!("sends {text:?}"), |client, now| client.send(&room, content, now));
    if let Some(key) = key {
        let state = mimi_edge::client::Delivery::Queued;
        world.sent.insert(text, Sent { by: device, key, state });
    }
}

fn add(world: &mut World) {
    let (Some(device), user) = (world.any_member(), world.any_user()) else { return };
    let room = world.room.clone();
    let options = AddOptions { request_consent: world.below(2) == 0, ..AddOptions::default() };
    world.ask(&device, &format!("adds {user}"), |client, now| {
        client.add_user(&room, &user, options, now)
    });
}

fn remove(world: &mut World) {
    let (Some(device), user) = (world.any_member(), world.any_user()) else { return };
    let room = world.room.clone();
    world.ask(&device, &format!("removes {user}"), |client, now| {
        client.remove_user(&room, &user, now)
    });
}

fn give(world: &mut World, roles: Vec<Role>) {
    let (Some(device), user) = (world.any_member(), world.any_user()) else { return };
    let room = world.room.clone();
    world.ask(&device, &format!("gives {user} {roles:?}"), |client, now| {
        client.set_roles(&room, &user, roles, now)
    });
}

fn ban(world: &mut World) {
    give(world, vec![Role::Banned]);
}

fn lift_ban(world: &mut World) {
    let banned = world.last_epoch().and_then(|(_, epoch)| epoch.banned.first().cloned());
    let (Some(device), Some(user)) = (world.any_member(), banned) else { return };
    let room = world.room.clone();
    world.ask(&device, &format!("lifts the ban of {user}"), |client, now| {
        client.remove_user(&room, &user, now)
    });
}

fn set_roles(world: &mut World) {
    let roles = match world.below(3) {
        0 => vec![Role::Visitor],
        1 => vec![Role::Admin, Role::RegularUser],
        _ => vec![Role::RegularUser],
    };
    give(world, roles);
}

fn leave(world: &mut World) {
    let Some(device) = world.any_member() else { return };
    let room = world.room.clone();
    world.ask(&device, "leaves", |client, now| client.leave(&room, now));
}

fn update_keys(world: &mut World) {
    let Some(device) = world.any_member() else { return };
    let room = world.room.clone();
    world.ask(&device, "updates its keys", |client, now| client.update_keys(&room, now));
}

fn set_policy(world: &mut World) {
    let Some(device) = world.any_member() else { return };
    let (room, policy) = (world.room.clone(), vec![world.below(200) as u8; 8]);
    world.ask(&device, "sets the policy", |client, now| client.set_policy(&room, policy, now));
}

fn join(world: &mut World) {
    let device = world.any_device();
    if world.is_in(&device) || world.gone.contains(&device) {
        return;
    }
    let room = world.room.clone();
    world.ask(&device, "joins by itself", |client, now| client.join_room(&room, now));
}

fn remove_device(world: &mut World) {
    let (Some(device), other) = (world.any_member(), world.any_device()) else { return };
    if device == other {
        return;
    }
    let room = world.room.clone();
    world.ask(&device, &format!("removes the device {}", name(&other)), |client, now| {
        client.remove_device(&room, &other, now)
    });
}

fn revoke_device(world: &mut World) {
    let (device, other) = (world.any_device(), world.any_device());
    if device == other || device.user() != other.user() || world.gone.contains(&device) {
        return;
    }
    world.ask(&device, &format!("revokes {}", name(&other)), |client, now| {
        client.revoke_device(&other, now)
    });
    world.gone.insert(other);
}

fn delete_user(world: &mut World) {
    let device = world.any_device();
    let user = device.user();
    // Somebody has to be left to tell the story.
    if !world.deleted.is_empty() || world.gone.contains(&device) {
        return;
    }
    world.ask(&device, &format!("deletes {user}"), |client, now| client.delete_user(now));
    world.gone.extend(world.devices.iter().filter(|other| other.user() == user).cloned());
    world.deleted.insert(user);
}

fn grant(world: &mut World) {
    let device = world.any_device();
    world.grant(&device);
}

fn reopen(world: &mut World) {
    let device = world.any_device();
    world.note(&format!("{}'s page is loaded anew", name(&device)));
    world.collect();
    world.universe.reopen(&device);
}

fn restart(world: &mut World) {
    let domain = world.any_domain();
    world.note(&format!("{domain} is killed and started again"));
    world.universe.restart(domain);
}

fn toggle_network(world: &mut World) {
    let device = world.any_device();
    let online = !world.universe.device(&device).online;
    world.note(&format!("{} is {}", name(&device), if online { "back" } else { "offline" }));
    world.universe.set_online(&device, online);
}
