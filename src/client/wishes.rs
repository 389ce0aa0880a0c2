//! What an application can ask of a client: the calls that name an intent.

use super::{
    AddOptions, Client, CreateOptions, IntentId, RoomPhase, external, intent,
    outlook::Outlook,
    room::Room,
    step::Step,
    task::{Join, Roles, Task},
};
use crate::{
    error::{ProtocolError, Result, UsageError},
    room::policy::MAX_ROOM_POLICY_BYTES,
    time::UnixMillis,
    wire::{
        Role,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

impl Client {
    /// Creates a room at the own provider (D1). It can be used once its intent is done.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when the room's domain is not the own provider's,
    /// [`UsageError::BadState`] when this device knows the room already, or is a pseudonym's that has
    /// another one (R91).
    pub fn create_room(
        &mut self,
        room: &RoomUri,
        options: CreateOptions,
        now: UnixMillis,
    ) -> Result<IntentId> {
        self.create_room_with(room, options, Vec::new(), now)
    }

    /// Creates a room and adds these users once it is there, as [`Client::add_user`] does: an intent
    /// each, after the one that is returned. Nothing is done when one of them cannot be added.
    ///
    /// # Errors
    /// Those of [`Client::create_room`]; [`UsageError::BadArgument`] for roles that nobody can have
    /// (R38).
    pub fn create_room_with(
        &mut self,
        room: &RoomUri,
        options: CreateOptions,
        users: Vec<(UserUri, AddOptions)>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        if room.domain() != self.identity.client.domain() {
            return Err(UsageError::BadArgument("a room is created at the own provider").into());
        }
        for (_, options) in &users {
            require_addable(options)?;
        }
        self.step(now, |step| {
            if step.room(room)?.is_some() {
                return Err(UsageError::BadState("the room is there").into());
            }
            require_entry(step, room)?;
            step.store_room(&Room::new(room.clone(), RoomPhase::Creating, 0))?;
            let id = intent::add(step, room, Task::Create(options))?;
            for (user, options) in users {
                intent::add(step, room, Task::add(None, &user, options)?)?;
            }
            Ok(id)
        })
    }

    /// Adds a user with its devices to a room (R19, R40). Of a user who is there already, the devices
    /// that are missing are added, for the own user too (R16).
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`]; [`UsageError::BadArgument`] for roles that nobody can have (R38).
    pub fn add_user(
        &mut self,
        room: &RoomUri,
        user: &UserUri,
        options: AddOptions,
        now: UnixMillis,
    ) -> Result<IntentId> {
        require_addable(&options)?;
        self.step(now, |step| {
            let outlook = outlook(step, room)?;
            let task = Task::add(outlook.as_ref(), user, options)?;
            intent::add(step, room, task)
        })
    }

    /// Removes a user with all its devices, in one commit (R41, R42). A ban is lifted by it (R37).
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`]; [`UsageError::BadArgument`] for the own user, who can leave.
    pub fn remove_user(
        &mut self,
        room: &RoomUri,
        user: &UserUri,
        now: UnixMillis,
    ) -> Result<IntentId> {
        if *user == self.identity.client.user() {
            return Err(UsageError::BadArgument("nobody removes itself").into());
        }
        self.wish(room, Task::Remove(user.clone()), now)
    }

    /// Gives a user of the room other roles. `[Banned]` bans, and takes the user's devices out in the
    /// same commit (R37, R41); somebody who is not there can be banned too. Any other roles lift a ban.
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`]; [`UsageError::BadArgument`] for roles that nobody can have (R38),
    /// or to ban the own user.
    pub fn set_roles(
        &mut self,
        room: &RoomUri,
        user: &UserUri,
        roles: Vec<Role>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        let bans_itself = roles.contains(&Role::Banned) && *user == self.identity.client.user();
        if !are_roles(&roles) || bans_itself {
            return Err(UsageError::BadArgument("roles").into());
        }
        self.wish(room, Task::SetRoles(Roles::new(user, roles)?), now)
    }

    /// Takes one device out of a room; its user stays on the list.
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`]; [`UsageError::BadArgument`] for this device, which can leave.
    pub fn remove_device(
        &mut self,
        room: &RoomUri,
        device: &ClientUri,
        now: UnixMillis,
    ) -> Result<IntentId> {
        if *device == self.identity.client {
            return Err(UsageError::BadArgument("a device does not remove itself").into());
        }
        self.wish(room, Task::RemoveDevice(device.clone()), now)
    }

    /// Sets the room's base policy (R36): bytes that mean something to the application only.
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`]; `TooLarge` for more than 16 KiB.
    pub fn set_policy(
        &mut self,
        room: &RoomUri,
        policy: Vec<u8>,
        now: UnixMillis,
    ) -> Result<IntentId> {
        if policy.len() > MAX_ROOM_POLICY_BYTES {
            return Err(ProtocolError::TooLarge.into());
        }
        self.wish(room, Task::SetPolicy(policy), now)
    }

    /// Replaces this device's keys in a room, so that whoever knows the old ones reads nothing more.
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`].
    pub fn update_keys(&mut self, room: &RoomUri, now: UnixMillis) -> Result<IntentId> {
        self.wish(room, Task::UpdateKeys, now)
    }

    /// Leaves a room with all devices of this user (R57). The hub makes others commit it; it is done
    /// when this device is out, and until then nothing more is sent.
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`].
    pub fn leave(&mut self, room: &RoomUri, now: UnixMillis) -> Result<IntentId> {
        self.step(now, |step| {
            step.room(room)?.ok_or(UsageError::RoomUnknown)?;
            let intents = intent::all(&step.transaction, room)?;
            match intents.iter().find(|intent| matches!(intent.task, Task::Leave(_))) {
                Some(leaving) => Ok(leaving.id),
                None => intent::add(step, room, Task::Leave(None)),
            }
        })
    }

    /// Joins a room of this user by an external commit, with nobody online (R89, D10): as a new device,
    /// or again after this one lost the thread or was removed.
    ///
    /// # Errors
    /// [`UsageError::BadState`] when this device is in the room, or on its way, or is a pseudonym's that
    /// has another one (R91).
    pub fn join_room(&mut self, room: &RoomUri, now: UnixMillis) -> Result<IntentId> {
        self.step(now, |step| {
            require_entry(step, room)?;
            let (mut room, was) = match step.room(room)? {
                None => (Room::new(room.clone(), RoomPhase::Joining, 0), None),
                Some(room) => {
                    let was = room.phase;
                    if !matches!(was, RoomPhase::Left | RoomPhase::Gap | RoomPhase::Diverged) {
                        return Err(UsageError::BadState("this device is in the room").into());
                    }
                    (room, Some(was))
                }
            };
            external::begin(step, &mut room, Join::wished(was))
        })
    }

    /// Takes note of a task in a room that this device knows.
    fn wish(&mut self, room: &RoomUri, task: Task, now: UnixMillis) -> Result<IntentId> {
        self.step(now, |step| {
            step.room(room)?.ok_or(UsageError::RoomUnknown)?;
            intent::add(step, room, task)
        })
    }
}

/// R37, R38: nobody comes in without roles, or banned.
fn require_addable(options: &AddOptions) -> Result<()> {
    if are_roles(&options.roles) && !options.roles.contains(&Role::Banned) {
        return Ok(());
    }
    Err(UsageError::BadArgument("roles").into())
}

/// R91: a pseudonym is in one room alone.
fn require_entry(step: &Step<'_>, room: &RoomUri) -> Result<()> {
    if step.may_enter(room)? {
        return Ok(());
    }
    Err(UsageError::BadState("a pseudonym is for one room").into())
}

/// What a known room is; `None` while it is being created or joined.
fn outlook(step: &mut Step<'_>, room: &RoomUri) -> Result<Option<Outlook>> {
    let known = step.room(room)?.ok_or(UsageError::RoomUnknown)?;
    match known.phase {
        RoomPhase::Creating | RoomPhase::Joining => Ok(None),
        _ => Outlook::of(&step.group(room)?).map(Some),
    }
}

/// At least one role, none twice, `banned` alone (R37, R38).
fn are_roles(roles: &[Role]) -> bool {
    let mut once = roles.to_vec();
    once.sort_unstable();
    once.dedup();
    !roles.is_empty()
        && once.len() == roles.len()
        && (roles.len() == 1 || !roles.contains(&Role::Banned))
}
