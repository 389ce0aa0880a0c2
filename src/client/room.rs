//! What a device keeps of a room beside MLS' own state.

use openmls::group::MlsGroup;
use openmls_traits::OpenMlsProvider;
use serde::{Deserialize, Serialize};

use super::{
    ErrorCode, Event, IntentId, Participant, Rights, RoomPhase, RoomState, Trust, external, intent,
    known, leave,
    outlook::Outlook,
    request::Request,
    rooms, send,
    step::Step,
    task::{Join, Task},
    verification, waiting,
};
use crate::{
    error::{InternalError, Result},
    mls::entry::group_id,
    room::{ParticipantList, Profile, app_sync, policy},
    sorted::SortedMap,
    wire::{
        RequiredCapabilities, Role,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Most commits of one epoch that are made anew because the hub wants more in them (D20).
const MOST_REBUILDS: u32 = 5;

/// One room of this device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Room {
    /// The room.
    pub(super) uri: RoomUri,
    /// Where it is in its life on this device.
    pub(super) phase: RoomPhase,
    /// The epoch in which this device came in; nothing before it can be read (D11).
    pub(super) joined_epoch: u64,
    /// The last position of the room's log that is stored here.
    pub(super) cursor: u64,
    /// Whether a page of the log is on its way.
    pub(super) fetching: bool,
    /// This device's commit of which the epoch has not ended here yet (D6).
    pub(super) own_commit: Option<OwnCommit>,
    /// Epoch and hash of the last commit of this device that was merged.
    pub(super) last_own_commit: Option<(u64, Vec<u8>)>,
    /// How many commits of this epoch were made anew because the hub wanted more in them (D20).
    pub(super) rebuilds: u32,
    /// Whether this device joined by an external commit that the log has not shown yet: what is missing
    /// before it does not matter.
    pub(super) awaits_own_join: bool,
    /// Whether this device has joined anew by itself and has not followed a commit since (D8).
    pub(super) rejoined: bool,
    /// Users whom the hub wants off the list with the next commit (R56).
    pub(super) departed: Vec<UserUri>,
    /// Whether the hub said that it has closed the room: it ends here where the log ends (R57).
    pub(super) closed: bool,
    /// The inbox's events with Welcomes for this device that came while it was in the room: it may have
    /// come in again after a commit that takes it out, which is still to come. In order, at most
    /// [`super::join::MOST_WAITING`].
    pub(super) welcomes: Vec<Vec<u8>>,
}

/// A commit of this device, from stored to the end of its epoch (D6).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OwnCommit {
    /// What it is for.
    pub(super) intent: IntentId,
    /// The epoch that it ends.
    pub(super) epoch: u64,
    /// SHA-256 of the MLSMessage.
    pub(super) hash: Vec<u8>,
    /// What the hub said.
    pub(super) fate: Fate,
    /// Whether it does all that it is for; if not, it was in the way of that.
    pub(super) fulfils: bool,
    /// Whether the tree was not sent with it (A23).
    pub(super) by_reference: bool,
}

impl OwnCommit {
    /// One that is about to be sent, and does all that it is for.
    pub(super) const fn new(
        intent: IntentId,
        epoch: u64,
        hash: Vec<u8>,
        by_reference: bool,
    ) -> Self {
        Self { intent, epoch, hash, fate: Fate::Unknown, fulfils: true, by_reference }
    }
}

/// What the hub said about a commit. The log has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fate {
    /// Nothing yet.
    Unknown,
    /// success.
    Accepted,
    /// wrongEpoch: another commit ended the epoch.
    WrongEpoch,
}

impl Room {
    /// A room in `phase`, of which nothing is read yet.
    pub(super) const fn new(uri: RoomUri, phase: RoomPhase, joined_epoch: u64) -> Self {
        Self {
            uri,
            phase,
            joined_epoch,
            cursor: 0,
            fetching: false,
            own_commit: None,
            last_own_commit: None,
            rebuilds: 0,
            awaits_own_join: false,
            rejoined: false,
            departed: Vec::new(),
            closed: false,
            welcomes: Vec::new(),
        }
    }

    /// Whether the answer to this phase's commit for `epoch` still matters.
    pub(super) fn awaits(&self, phase: RoomPhase, epoch: u64) -> bool {
        self.phase == phase && self.own_commit.as_ref().is_some_and(|own| own.epoch == epoch)
    }

    /// Whether what the log brings is taken in: not while another state of the room is on its way.
    pub(super) const fn follows_the_log(&self) -> bool {
        !matches!(self.phase, RoomPhase::Creating | RoomPhase::Joining)
    }

    /// Whether the last commit of this device has this hash.
    pub(super) fn has_own_commit(&self, hash: &[u8]) -> bool {
        self.last_own_commit.as_ref().is_some_and(|(_, own)| own == hash)
    }

    /// Whether its intents can go on, given time.
    pub(super) fn is_ready_for_intents(&self) -> bool {
        self.own_commit.as_ref().is_none_or(|own| own.fate == Fate::WrongEpoch && !self.fetching)
    }

    /// Asks for the log after the cursor, unless that is on its way.
    pub(super) fn fetch(&mut self, step: &mut Step<'_>) -> Result<()> {
        if self.fetching {
            return Ok(());
        }
        self.fetching = true;
        Ok(step.enqueue(&Request::Log(self.uri.clone(), self.cursor))?)
    }

    /// Counts a commit that is made anew because the hub wants more in it; whether that may be (D20).
    pub(super) const fn may_rebuild(&mut self) -> bool {
        self.rebuilds += 1;
        self.rebuilds <= MOST_REBUILDS
    }

    /// The group is in another epoch.
    pub(super) fn epoch_changed(&mut self, step: &mut Step<'_>, group: &MlsGroup) -> Result<()> {
        self.rebuilds = 0;
        self.departed.clear();
        step.store_room(self)?;
        let epoch = group.epoch().as_u64();
        step.emit(Event::RoomChanged { room: self.uri.clone(), epoch });
        known::room_changed(step, &self.uri, group)?;
        intent::epoch_changed(step, &self.uri, group)?;
        send::go_on(step, &self.uri)
    }

    /// The room ends here: nothing more is sent, and what waits is given up. A device that lost the
    /// thread joins anew by itself, once, before that (D4, D8).
    pub(super) fn end(&mut self, step: &mut Step<'_>, ending: Ending) -> Result<()> {
        let room = self.uri.clone();
        let (phase, code, event) = match ending {
            Ending::Left => (RoomPhase::Left, ErrorCode::NotAllowed, Event::RoomLeft { room }),
            Ending::Gap => (RoomPhase::Gap, ErrorCode::Gap, Event::Gap { room }),
            Ending::Diverged => {
                (RoomPhase::Diverged, ErrorCode::Diverged, Event::Diverged { room })
            }
        };
        self.phase = phase;
        self.own_commit = None;
        step.emit(event);
        if phase != RoomPhase::Left && !self.rejoined {
            self.rejoined = true;
            external::begin(step, self, Join::automatic(Some(phase)))?;
            return Ok(());
        }
        step.store_room(self)?;
        match phase {
            RoomPhase::Left => {
                known::room_left(step, &self.uri);
                rooms::ended(step, &self.uri)?;
            }
            _ => rooms::phase_changed(step)?,
        }
        self.give_up_all(step, code)
    }

    /// What waits is given up; whoever wanted to leave has left.
    pub(super) fn give_up_all(&self, step: &mut Step<'_>, code: ErrorCode) -> Result<()> {
        for intent in intent::all(&step.transaction, &self.uri)? {
            if self.phase == RoomPhase::Left && matches!(intent.task, Task::Leave(_)) {
                intent.done(step, &self.uri);
            } else {
                waiting::give_up(step, &self.uri, &intent, code)?;
            }
        }
        send::give_up_all(step, &self.uri, code)
    }
}

/// Why nothing more is sent in a room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// This device was removed.
    Left,
    /// Events are missing.
    Gap,
    /// This device rejects what the hub accepted (D8).
    Diverged,
}

/// What a group requires of every KeyPackage that is added.
pub(super) fn required_by(group: &MlsGroup) -> Result<RequiredCapabilities> {
    Ok(app_sync::required_capabilities(Profile::of(group.extensions())?))
}

/// The room as the application sees it; `None` when this device does not know it or has no state of
/// it yet.
pub(super) fn state(step: &mut Step<'_>, uri: &RoomUri) -> Result<Option<RoomState>> {
    let Some(room) = step.room(uri)? else { return Ok(None) };
    let group = MlsGroup::load(step.provider().storage(), &group_id(uri))?;
    let Some(group) = group else { return Ok(None) };
    let outlook = Outlook::of(&group)?;
    let rights = rights(&room, &outlook.list, &step.identity.client.user());
    let participants = participants(&outlook, &verification::all(&step.transaction)?);
    let pending = intent::shown(&step.transaction, &room)?;
    Ok(Some(RoomState {
        room: uri.clone(),
        hub: uri.domain().clone(),
        phase: room.phase,
        epoch: group.epoch().as_u64(),
        epoch_authenticator: group.epoch_authenticator().as_slice().to_vec(),
        me: step.identity.client.clone(),
        participants,
        policy: policy::room_policy(group.extensions())?,
        profile: Profile::of(group.extensions())?,
        leaving: outlook.own_leaf_goes() || leave::is_asked_for(step, uri)?,
        rights,
        pending,
    }))
}

fn participants(room: &Outlook, trust: &SortedMap<UserUri, Trust>) -> Vec<Participant> {
    let mut devices: SortedMap<UserUri, Vec<ClientUri>> = SortedMap::new();
    for (_, client) in &room.leaves {
        devices.change(client.user(), |devices| devices.push(client.clone()));
    }
    let to_participant = |(user, roles): (&UserUri, &[Role])| Participant {
        user: user.clone(),
        roles: roles.to_vec(),
        devices: devices.remove(user).unwrap_or_default(),
        trust: trust.get(user).copied().unwrap_or_default(),
    };
    room.list.iter().map(to_participant).collect()
}

/// What this device may do in a room, by the hub's own rules.
fn rights(room: &Room, list: &ParticipantList, user: &UserUri) -> Rights {
    let is_in = room.phase == RoomPhase::Joined;
    Rights {
        change: is_in && policy::authorize_commit(list, user).is_ok(),
        send: is_in && policy::authorize_application_message(list, user).is_ok(),
    }
}

/// SHA-256, by which bytes are recognised.
pub(super) fn hash(bytes: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).to_vec()
}

/// What openmls says when it cannot do what our own state allows.
pub(super) fn mls_error<E>(what: &'static str) -> impl FnOnce(E) -> InternalError {
    move |_| InternalError::Mls(what)
}
