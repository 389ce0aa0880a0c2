//! What a device can be asked to do in a room, and what of it is still to do, seen from the room as it
//! stands (D5, D20, R40–R42).

use openmls::{group::MlsGroup, key_packages::KeyPackageIn};
use serde::{Deserialize, Serialize};

use super::{
    AddOptions, CreateOptions, ErrorCode, IntentKind, LastResort, RoomPhase, commit::Plan,
    outlook::Outlook, room::required_by, step::Step,
};
use crate::{
    error::Result,
    mls::key_package::check_key_package,
    room::policy,
    storage::Row,
    time::UnixMillis,
    wire::{
        self, AppSync, Role, UserRoles, Verbatim,
        uri::{ClientUri, UserUri},
    },
};

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Task {
    /// Create the room (D1).
    Create(CreateOptions),
    /// Add a user with its clients (R40).
    Add(Add),
    /// Remove a user with its clients (R42).
    Remove(UserUri),
    /// Give a user these roles.
    SetRoles(Roles),
    /// Remove one client.
    RemoveDevice(ClientUri),
    /// Set the room's policy (R36).
    SetPolicy(Vec<u8>),
    /// Replace this device's keys.
    UpdateKeys,
    /// Leave the room (R57); what was proposed for that last.
    Leave(Option<Leave>),
    /// Join by an external commit.
    Join(Join),
    /// Commit what others proposed, so that messages can go on. Nobody asked for it.
    CommitPending,
}

/// A user to add.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Add {
    pub(super) user: UserUri,
    roles: Roles,
    pub(super) last_resort: LastResort,
    /// Whether the user was in the room already: then its missing devices are added.
    was_there: bool,
    /// Whether to ask for consent where it is missing.
    pub(super) request_consent: bool,
    /// How often it was asked for.
    pub(super) requests: u32,
    /// Since when the user's provider does not answer.
    pub(super) silent_since: Option<UnixMillis>,
    /// The claimed KeyPackages, once they are there; kept across replays (D5).
    pub(super) key_packages: Option<Vec<Vec<u8>>>,
}

/// A user and its roles, encoded as `UserRoles`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Roles {
    user: UserUri,
    entry: Vec<u8>,
}

/// The proposals by which this user leaves, as they were sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Leave {
    /// The epoch that they are for.
    pub(super) epoch: u64,
}

/// An external commit on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Join {
    /// Whether nobody asked for it.
    pub(super) is_automatic: bool,
    /// What the room was before; `None` for one that this device did not know.
    pub(super) was: Option<RoomPhase>,
    /// Since when the hub does not answer.
    pub(super) silent_since: Option<UnixMillis>,
    /// SelfRemoves that the commit has to cover (A17).
    pub(super) self_removes: Vec<Vec<u8>>,
    /// The rows of the group after the commit, kept until the hub takes it.
    pub(super) group: Vec<Row>,
}

/// What to do next.
pub(super) enum Next {
    /// The room is as it should be.
    Done,
    /// Ask for KeyPackages.
    Claim,
    /// Commit this, and it is done.
    Commit(Plan),
    /// Commit what is pending, and look again.
    CommitPending,
    /// Propose this user's way out.
    Propose,
    /// It cannot be done.
    Fail(ErrorCode),
}

impl Roles {
    /// `user` with these roles.
    pub(super) fn new(user: &UserUri, roles: Vec<Role>) -> Result<Self> {
        let entry = wire::encode(&UserRoles { user: user.to_wire(), roles })?;
        Ok(Self { user: user.clone(), entry })
    }

    fn entry(&self) -> Result<UserRoles> {
        Ok(wire::decode_exact(&self.entry)?)
    }
}

impl Join {
    const fn new(is_automatic: bool, was: Option<RoomPhase>) -> Self {
        Self { is_automatic, was, silent_since: None, self_removes: Vec::new(), group: Vec::new() }
    }

    /// One that the application asked for, in a room that was in this phase.
    pub(super) const fn wished(was: Option<RoomPhase>) -> Self {
        Self::new(false, was)
    }

    /// One that nobody asked for (D4, D8, D9).
    pub(super) const fn automatic(was: Option<RoomPhase>) -> Self {
        Self::new(true, was)
    }
}

impl Task {
    /// The task to add `user` to the room of this outlook.
    pub(super) fn add(
        outlook: Option<&Outlook>,
        user: &UserUri,
        options: AddOptions,
    ) -> Result<Self> {
        let was_there = outlook.is_some_and(|outlook| {
            outlook.list.is_participant(user) && outlook.leaves_of(user).next().is_some()
        });
        let AddOptions { roles, last_resort, request_consent } = options;
        Ok(Self::Add(Add {
            user: user.clone(),
            roles: Roles::new(user, roles)?,
            last_resort,
            was_there,
            request_consent,
            requests: 0,
            silent_since: None,
            key_packages: None,
        }))
    }

    /// What it is called; `None` when nobody asked for it.
    pub(super) const fn kind(&self) -> Option<IntentKind> {
        Some(match self {
            Self::Create(_) => IntentKind::Create,
            Self::Add(_) => IntentKind::Add,
            Self::Remove(_) => IntentKind::Remove,
            Self::SetRoles(_) => IntentKind::SetRoles,
            Self::RemoveDevice(_) => IntentKind::RemoveDevice,
            Self::SetPolicy(_) => IntentKind::SetPolicy,
            Self::UpdateKeys => IntentKind::UpdateKeys,
            Self::Leave(_) => IntentKind::Leave,
            Self::Join(Join { is_automatic: false, .. }) => IntentKind::Join,
            Self::Join(_) | Self::CommitPending => return None,
        })
    }

    /// The user whom it is about.
    pub(super) fn user(&self) -> Option<UserUri> {
        match self {
            Self::Add(Add { user, .. }) | Self::Remove(user) => Some(user.clone()),
            Self::SetRoles(roles) => Some(roles.user.clone()),
            Self::RemoveDevice(client) => Some(client.user()),
            Self::Create(_)
            | Self::SetPolicy(_)
            | Self::UpdateKeys
            | Self::Leave(_)
            | Self::Join(_)
            | Self::CommitPending => None,
        }
    }

    /// What is still to do. What others proposed about the same user, or about the list before a new
    /// policy (a.5, trap 1), is committed by itself first.
    pub(super) fn next(&self, step: &Step<'_>, group: &MlsGroup, room: &Outlook) -> Result<Next> {
        let next = match self {
            Self::Add(add) => add.next(step, group, room)?,
            Self::Remove(user) => remove(room, user),
            Self::SetRoles(roles) => roles.next(room)?,
            Self::RemoveDevice(client) => remove_device(room, client),
            Self::SetPolicy(policy) => set_policy(group, policy)?,
            Self::UpdateKeys => Next::Commit(Plan { update_keys: true, ..Plan::default() }),
            Self::Leave(_) => leave(step, room),
            Self::CommitPending if room.is_pending() => Next::CommitPending,
            Self::Create(_) | Self::Join(_) | Self::CommitPending => Next::Done,
        };
        let waits = self.user().is_some_and(|user| room.is_about(&user))
            || matches!(self, Self::SetPolicy(_)) && room.list_changes();
        match next {
            Next::Commit(_) if waits => Ok(Next::CommitPending),
            other => Ok(other),
        }
    }
}

impl Add {
    /// R40, D5.
    fn next(&self, step: &Step<'_>, group: &MlsGroup, room: &Outlook) -> Result<Next> {
        let takes_part = room.list.is_participant(&self.user);
        let leaves: Vec<_> = room.leaves_of(&self.user).map(|(_, client)| client).collect();
        if takes_part && !leaves.is_empty() && !self.was_there {
            return Ok(Next::Done);
        }
        let Some(key_packages) = &self.key_packages else { return Ok(Next::Claim) };
        let app_sync = match room.list.roles_of(&self.user) {
            None => Some(AppSync { add_users: vec![self.roles.entry()?], ..AppSync::default() }),
            Some(_) if takes_part => None,
            Some(_) => {
                Some(AppSync { update_users: vec![self.roles.entry()?], ..AppSync::default() })
            }
        };
        let required = required_by(group)?;
        let mut valid = Vec::new();
        for bytes in key_packages {
            let key_package = Verbatim::<KeyPackageIn>::own(bytes.clone())?.into_value();
            valid.extend(
                check_key_package(step.algorithms(), key_package, &required, step.now).ok(),
            );
        }
        if valid.is_empty() {
            // They were valid when they came: too much time has passed.
            return Ok(Next::Claim);
        }
        valid.retain(|key_package| !leaves.contains(&&key_package.client));
        let adds: Vec<_> = valid.into_iter().map(|key_package| key_package.bytes).collect();
        if adds.is_empty() && app_sync.is_none() {
            return Ok(Next::Done);
        }
        Ok(Next::Commit(Plan { adds, app_sync, ..Plan::default() }))
    }
}

impl Roles {
    /// R37, R41: who is banned loses its leaves in the same commit.
    fn next(&self, room: &Outlook) -> Result<Next> {
        let entry = self.entry()?;
        let bans = entry.roles.contains(&Role::Banned);
        let present = room.list.roles_of(&self.user);
        let removes = if bans { room.staying_leaves_of(&self.user) } else { Vec::new() };
        if present == Some(entry.roles.as_slice()) && removes.is_empty() {
            return Ok(Next::Done);
        }
        let app_sync = match present {
            None if !bans => return Ok(Next::Fail(ErrorCode::UserUnknown)),
            None => Some(AppSync { add_users: vec![entry], ..AppSync::default() }),
            Some(roles) if roles == entry.roles => None,
            Some(_) => Some(AppSync { update_users: vec![entry], ..AppSync::default() }),
        };
        Ok(Next::Commit(Plan { removes, app_sync, ..Plan::default() }))
    }
}

/// R41, R42: the list's change and the Removes in one commit.
fn remove(room: &Outlook, user: &UserUri) -> Next {
    let removes: Vec<u32> = room.leaves_of(user).map(|(leaf, _)| leaf).collect();
    let is_listed = room.list.roles_of(user).is_some();
    if removes.is_empty() && !is_listed {
        return Next::Done;
    }
    let app_sync =
        is_listed.then(|| AppSync { remove_users: vec![user.to_wire()], ..AppSync::default() });
    Next::Commit(Plan { removes, app_sync, ..Plan::default() })
}

fn remove_device(room: &Outlook, client: &ClientUri) -> Next {
    let leaf = room.leaves.iter().find(|(_, other)| other == client);
    match leaf {
        Some((leaf, _)) => Next::Commit(Plan { removes: vec![*leaf], ..Plan::default() }),
        None => Next::Done,
    }
}

/// R57. What others want of this user's roles is committed before: it cannot be named twice (R38).
fn leave(step: &Step<'_>, room: &Outlook) -> Next {
    let user = step.identity.client.user();
    if room.names(&user) && room.list_after.is_participant(&user) && !room.own_leaf_goes() {
        return Next::CommitPending;
    }
    Next::Propose
}

fn set_policy(group: &MlsGroup, policy: &[u8]) -> Result<Next> {
    if policy::room_policy(group.extensions())?.as_deref() == Some(policy) {
        return Ok(Next::Done);
    }
    Ok(Next::Commit(Plan { policy: Some(policy.to_vec()), ..Plan::default() }))
}
