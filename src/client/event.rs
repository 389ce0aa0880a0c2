//! What a client tells its application.

use serde::{Deserialize, Serialize};

use super::{ErrorCode, Message, OwnMessage, Undecryptable};
use crate::{
    room::Profile,
    time::UnixMillis,
    wire::{
        Role,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// Names something that a client was asked to do and that survives a restart.
pub type IntentId = u64;

/// Something that happened, in the order in which it happened. The state that explains it is already
/// there when the application sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The own provider knows this device.
    Registered,
    /// The own provider refuses this device; nothing more is sent.
    RegistrationFailed {
        /// Why.
        code: ErrorCode,
    },
    /// The own provider says that this device was revoked, or its user deleted; nothing more is sent.
    Revoked,
    /// The user has other devices than before.
    DevicesChanged {
        /// Those that are new.
        added: Vec<ClientUri>,
        /// Those that were revoked.
        removed: Vec<ClientUri>,
    },
    /// The own provider issued a pseudonym; [`Client::pseudonyms`](super::Client::pseudonyms) has it.
    PseudonymIssued {
        /// The pseudonym.
        user: UserUri,
    },
    /// The own provider refuses a pseudonym.
    PseudonymRefused {
        /// Why.
        code: ErrorCode,
    },
    /// Another user has other devices in the rooms that this device is in; also when a verified user
    /// comes back with others than were verified. A device whose key is another one is both added and
    /// removed. Users who come to be known, or are seen no more, have not changed.
    UserDevicesChanged {
        /// The user.
        user: UserUri,
        /// Those that are new, by address.
        added: Vec<ClientUri>,
        /// Those that are gone, by address.
        removed: Vec<ClientUri>,
    },
    /// Another user is trusted otherwise than before, in every room.
    TrustChanged {
        /// The user.
        user: UserUri,
        /// What holds now.
        trust: Trust,
    },
    /// What the own provider holds of this device's KeyPackages.
    KeyPackages(Stock),
    /// The own provider has the KeyPackages that a call asked for.
    KeyPackagesMade {
        /// The name of the call.
        id: IntentId,
        /// How many were made.
        made: u32,
    },
    /// A room is there: created, joined by a Welcome, or joined by an external commit.
    RoomAdded {
        /// The room.
        room: RoomUri,
    },
    /// The rooms that the user is in and this device is not, nor on its way, are others than before
    /// (D10): it may join them.
    RoomsAvailable {
        /// All of them, by address.
        rooms: Vec<RoomUri>,
    },
    /// This device is in the room again, by an external commit (D4, D8, D9). What was sent in between
    /// cannot be read.
    Rejoined {
        /// The room.
        room: RoomUri,
    },
    /// The room is in another epoch.
    RoomChanged {
        /// The room.
        room: RoomUri,
        /// The epoch.
        epoch: u64,
    },
    /// This device is no longer in the room.
    RoomLeft {
        /// The room.
        room: RoomUri,
    },
    /// A message from somebody else.
    Message(Message),
    /// A message that cannot be decrypted; the log goes on after it.
    Undecryptable(Undecryptable),
    /// What became of a message of this device.
    Delivery(OwnMessage),
    /// A message of this device has come back from the room's log: it has its place there.
    Echoed(Message),
    /// The user has read further ([`Client::mark_read`](super::Client::mark_read)).
    Read {
        /// The room.
        room: RoomUri,
    },
    /// An intent is fulfilled.
    IntentDone {
        /// The room.
        room: RoomUri,
        /// The intent.
        id: IntentId,
    },
    /// An intent is given up.
    IntentFailed {
        /// The room.
        room: RoomUri,
        /// The intent.
        id: IntentId,
        /// What was to be done.
        what: IntentKind,
        /// The user whom it was about, if it was about one.
        user: Option<UserUri>,
        /// Why.
        code: ErrorCode,
        /// Whether asking again may help.
        retryable: bool,
    },
    /// An intent to add somebody has asked for consent and waits for it.
    WaitingForConsent {
        /// The room.
        room: RoomUri,
        /// The intent.
        id: IntentId,
    },
    /// Others ask, or are allowed, who were not before; through another device of the user, too.
    ConsentChanged,
    /// Somebody asks to be allowed to add the user.
    ConsentRequested {
        /// Who asks.
        from: UserUri,
        /// The room that it is about; `None`: any room.
        room: Option<RoomUri>,
        /// When the own provider took note of it.
        at: UnixMillis,
    },
    /// Somebody took a request back.
    ConsentCancelled {
        /// Who asked.
        from: UserUri,
        /// The room that it was about; `None`: any room.
        room: Option<RoomUri>,
    },
    /// Somebody allows the user to add it.
    ConsentGranted {
        /// Who allows it.
        by: UserUri,
        /// The room that it is about; `None`: any room.
        room: Option<RoomUri>,
    },
    /// The own provider has what was said about consent.
    ConsentDone {
        /// The name of the call.
        id: IntentId,
    },
    /// The own provider does not take what was said about consent.
    ConsentFailed {
        /// The name of the call.
        id: IntentId,
        /// Why.
        code: ErrorCode,
    },
    /// The own provider has done what was asked of it for the account: revoked a device, or deleted
    /// the user.
    AccountDone {
        /// The name of the call.
        id: IntentId,
    },
    /// The own provider does not do what was asked of it for the account, or for the device.
    AccountFailed {
        /// The name of the call.
        id: IntentId,
        /// Why.
        code: ErrorCode,
    },
    /// A Welcome for this device cannot be opened (D9).
    WelcomeFailed {
        /// The room that it would have led into.
        room: RoomUri,
    },
    /// Events of the room are gone; this device has to join anew (D4, D22).
    Gap {
        /// The room.
        room: RoomUri,
    },
    /// The hub accepted what this device has to reject; it sends nothing there any more (D8).
    Diverged {
        /// The room.
        room: RoomUri,
    },
    /// Everything that there was when the socket opened has arrived.
    CaughtUp,
    /// How far this device is with what there was when the socket opened. It is told when there is
    /// something, and goes only up.
    CatchingUp(Progress),
}

/// How far a device is with catching up. A room that is being read counts in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// In thousandths of a room.
    pub done_thousandths: u64,
    /// How many rooms there are.
    pub rooms: u64,
}

/// How many KeyPackages the own provider can hand out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Without the last-resort ones.
    pub available: u32,
    /// How many of them there should be.
    pub target: u32,
    /// The last-resort ones.
    pub last_resort: u32,
    /// When the first of them is no longer handed out; `None` when there is none.
    pub next_expiry: Option<UnixMillis>,
}

/// A room as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomState {
    /// The room.
    pub room: RoomUri,
    /// The domain of its hub.
    pub hub: Domain,
    /// Its phase on this device.
    pub phase: RoomPhase,
    /// The MLS epoch.
    pub epoch: u64,
    /// MLS' epoch authenticator: equal on all devices that are in the same state.
    pub epoch_authenticator: Vec<u8>,
    /// This device.
    pub me: ClientUri,
    /// The participants in the list's order, the banned too.
    pub participants: Vec<Participant>,
    /// The room's base policy, when one was set (R36).
    pub policy: Option<Vec<u8>>,
    /// How the room carries its list, chosen at its creation.
    pub profile: Profile,
    /// Whether the user is leaving: proposals that take it out wait for somebody's commit (R57).
    pub leaving: bool,
    /// Whether the own user may change the room and send to it, as things stand (R43, R45).
    pub rights: Rights,
    /// What this device still has to do here, in order.
    pub pending: Vec<PendingIntent>,
}

/// What this device may do in a room, by the hub's own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Commit: add, remove, give roles.
    pub change: bool,
    /// Send messages.
    pub send: bool,
}

/// A room's phase on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomPhase {
    /// The own provider has not confirmed the creation.
    Creating,
    /// The hub has not confirmed the external commit.
    Joining,
    /// This device is in the room.
    Joined,
    /// This device was removed.
    Left,
    /// Events are missing ([`Event::Gap`]).
    Gap,
    /// The state differs from the hub's ([`Event::Diverged`]).
    Diverged,
}

/// One entry of the participant list with the devices that are in the MLS group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The user.
    pub user: UserUri,
    /// The roles in the list's order.
    pub roles: Vec<Role>,
    /// The user's devices, in the tree's order.
    pub devices: Vec<ClientUri>,
    /// Whether the user's devices were verified; those of the own user never are.
    pub trust: Trust,
}

/// Whether the devices of a user were verified, by a number that people compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trust {
    /// They were not.
    #[default]
    Unverified,
    /// All of them were.
    Verified,
    /// They were, and another one was seen since, or another key.
    Changed,
}

impl Trust {
    /// The state as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Changed => "changed",
        }
    }
}

/// Something that a device still has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingIntent {
    /// Its name.
    pub id: IntentId,
    /// What is to be done.
    pub what: IntentKind,
    /// The user whom it is about, if it is about one.
    pub user: Option<UserUri>,
    /// Where it is.
    pub state: PendingState,
    /// How often the room changed under it.
    pub tries: u32,
}

/// Where something is that a device still has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingState {
    /// Its turn comes.
    Queued,
    /// The user whom it is about was asked for consent, and has not answered.
    WaitingConsent,
    /// Its commit is on its way.
    Committing,
    /// Others changed the room under it: its turn comes again.
    Retrying,
}

impl PendingState {
    /// The state as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::WaitingConsent => "waiting-consent",
            Self::Committing => "committing",
            Self::Retrying => "retrying",
        }
    }
}

/// What an intent is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentKind {
    /// Create the room.
    Create,
    /// Add a user, or the devices of one that are missing.
    Add,
    /// Remove a user.
    Remove,
    /// Give a user other roles.
    SetRoles,
    /// Leave the room.
    Leave,
    /// Remove a device.
    RemoveDevice,
    /// Set the room's base policy.
    SetPolicy,
    /// Replace this device's keys.
    UpdateKeys,
    /// Join, or join again, by an external commit.
    Join,
}

impl IntentKind {
    /// The kind as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::SetRoles => "roles",
            Self::Leave => "leave",
            Self::RemoveDevice => "remove-device",
            Self::SetPolicy => "policy",
            Self::UpdateKeys => "update-keys",
            Self::Join => "join",
        }
    }
}
