//! The shell around a provider's objects: one transaction per call, the outbox, directories.
//!
//! A [`Role`] decides about one request at a time and writes what it decided into a [`Step`]. The
//! [`Object`] around it applies the step when it ended well and drops it when it did not, sends what
//! the outbox holds, and finds out where another provider's endpoints are.

mod announce;
mod delivery;
mod directories;
mod listeners;
mod peers;
mod refusal;
mod sending;
mod user_lane;
mod version;

use std::{collections::BTreeMap, rc::Rc};

use serde::{Deserialize, Serialize};

pub use self::{
    announce::News,
    refusal::{plain_refusal, room_refusal},
    user_lane::UserEntry,
    version::STORAGE_VERSION,
};

use self::{
    announce::announce,
    directories::{Directories, Resolved},
    listeners::Listeners,
    sending::Pending,
    version::Stored,
};
use crate::{
    config::ProviderConfig,
    error::{Error, InternalError, ProtocolError, Result},
    outbox::Outbox,
    storage::{MAX_VALUE_BYTES, Storage, Transaction, Write, decode_row, encode_row},
    time::UnixMillis,
    transport::{
        Action, Effect, Endpoint, Forward, IncomingRequest, ObjectCall, ObjectName, Outcome,
        Outgoing, PeerCall, RequestId, Response, Source,
    },
    wire::{
        FromProvider, encode,
        uri::{ClientUri, Domain, UserUri},
    },
};

/// The tables that the shell keeps in every object's storage. Roles use table bytes below `0xF0`.
mod table {
    pub(super) const OUTBOX_ENTRIES: u8 = 0xF0;
    pub(super) const OUTBOX_LANES: u8 = 0xF1;
    pub(super) const DIRECTORIES: u8 = 0xF2;
    pub(super) const OUTBOX_DUE: u8 = 0xF3;
    pub(super) const OUTBOX_SHARED: u8 = 0xF4;
    /// The object has announced itself.
    pub(super) const ANNOUNCED: u8 = 0xF5;
    /// Which version of this program wrote the rows.
    pub(super) const VERSION: u8 = 0xF6;
}

/// What the receiver of an entry may keep beside it in one row, in bytes.
const KEPT_WITH_ENTRY_BYTES: usize = 64 << 10;

/// How many entries of a lane go into one request.
const LANE_BATCH: usize = 64;

/// Where the entries of an outbox lane go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    /// Another provider.
    Provider(Domain),
    /// An object of our own.
    Object(ObjectName),
}

/// One call of an object: its storage, seen through the call's own writes, and what else it causes.
pub struct Step<'s> {
    /// The storage.
    pub transaction: Transaction<'s>,
    /// The time of the call.
    pub now: UnixMillis,
    /// The provider's settings.
    pub config: &'s ProviderConfig,
    outbox: &'s mut Outbox,
    listeners: &'s mut Listeners,
    effects: Vec<Effect>,
}

impl Step<'_> {
    /// Puts `entry` at the end of `lane`. It is sent after this call, and again until delivered.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn enqueue(&mut self, lane: &Lane, entry: Vec<u8>) -> Result<(), InternalError> {
        if let Lane::Object(object) = lane {
            self.listeners.hear(object);
        }
        self.outbox.enqueue(&mut self.transaction, &encode_row(lane)?, entry, self.now)
    }

    /// Puts `entry` at the end of each of these lanes, as one row. `number` is larger with each call;
    /// lanes that get entries this way get all of them this way.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn fan_out(
        &mut self,
        lanes: &[Lane],
        number: u64,
        entry: Vec<u8>,
    ) -> Result<(), InternalError> {
        let lanes = lanes.iter().map(encode_row).collect::<Result<_, _>>()?;
        self.outbox.enqueue_shared(&mut self.transaction, lanes, number, entry, self.now)
    }

    /// Tells the index of the provider.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn tell_index(&mut self, news: &News) -> Result<(), InternalError> {
        let index = ObjectName::provider(&self.config.domain);
        self.enqueue(&Lane::Object(index), encode_row(news)?)
    }

    /// Each lane that holds something, with the entry at its head.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn lane_heads(&self) -> Result<Vec<(Lane, Vec<u8>)>, InternalError> {
        let heads = self.outbox.heads(&self.transaction)?;
        heads.into_iter().map(|head| Ok((decode_row(&head.lane)?, head.entry))).collect()
    }

    /// The directory document of another provider, if it is known and fresh (D13).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn directory(&self, domain: &Domain) -> Result<Option<Vec<u8>>, InternalError> {
        Directories::known(&self.transaction, domain, self.now)
    }

    /// Does something beside the answer, once, if the call ends well.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Whether this user may have a device connected.
    #[must_use]
    pub fn may_listen(&self, user: &UserUri) -> bool {
        self.listeners.may_listen(&ObjectName::user(user), self.now)
    }

    /// Sends `frame` to those of the user's devices that are connected, once the call ended well; it
    /// may get lost.
    ///
    /// # Errors
    /// When the frame cannot be encoded.
    pub fn push(
        &mut self,
        user: &UserUri,
        devices: Vec<ClientUri>,
        frame: &FromProvider,
    ) -> Result<(), InternalError> {
        let (object, body) = (ObjectName::user(user), encode(frame)?);
        let endpoint = Endpoint::Push { devices };
        let call =
            ObjectCall { object, request: IncomingRequest { source: Source::Own, endpoint, body } };
        let number = self.listeners.number();
        self.effects.push(Effect::Push { call, number });
        Ok(())
    }

    /// Asks an object of our own, outside of any answer, once the call ended well. [`Role::resume`]
    /// gets `then` and the outcome; what it answers is dropped.
    ///
    /// # Errors
    /// When the question cannot be encoded.
    pub fn ask(
        &mut self,
        call: ObjectCall,
        label: &str,
        then: Vec<u8>,
    ) -> Result<(), InternalError> {
        let then = Then {
            endpoint: call.request.endpoint.clone(),
            waiting: None,
            directory: None,
            peer: None,
            label: label.into(),
            role: then,
        };
        let forward = Forward {
            outgoing: Outgoing::Object(call),
            label: label.into(),
            then: encode_row(&then)?,
        };
        self.effects.push(Effect::Ask(forward));
        Ok(())
    }
}

/// What a role decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Answer with this.
    Respond(Response),
    /// Ask somebody first; [`Role::resume`] gets `then` and the outcome.
    Ask(Ask),
}

/// Somebody to ask before a request can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Whom, and what.
    pub call: Call,
    /// What it is, in words for a trace.
    pub label: String,
    /// What the role needs to go on.
    pub then: Vec<u8>,
}

/// A call to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// An object of our own.
    Object(ObjectCall),
    /// Another provider.
    Peer(PeerCall),
    /// The directory document of another provider; afterwards [`Step::directory`] has it.
    Directory(Domain),
}

/// One request made of entries at the head of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRequest {
    /// The request.
    pub call: Call,
    /// What it is, in words for a trace.
    pub label: String,
    /// How many of the entries it carries, at least 1.
    pub entries: usize,
    /// When the first of them was accepted, where that is known.
    pub since: Option<UnixMillis>,
}

/// What is sent and how much of it, in words for a trace: `commit 1.2 kB`.
#[must_use]
pub fn sized_label(what: &str, bytes: usize) -> String {
    format!("{what} {}.{} kB", bytes / 1000, bytes % 1000 / 100)
}

/// What one object of a provider decides.
pub trait Role {
    /// What goes to other providers, in words for the operator.
    const SENDS: &str;
    /// Whether a provider that failed for too long gets nothing of it any more (D22).
    const GIVES_UP: bool = false;

    /// Decides about a request.
    ///
    /// # Errors
    /// Then nothing that the step holds happens, and [`Role::refuse`] makes the answer.
    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply>;

    /// Goes on after an [`Ask`] of the request with this endpoint.
    ///
    /// # Errors
    /// As [`Role::handle`].
    fn resume(&mut self, step: &mut Step<'_>, then: &[u8], outcome: Outcome) -> Result<Reply>;

    /// Makes a request of the entries at the head of a lane; there is at least one. `None`: there is
    /// nothing to send for the first of them any more.
    ///
    /// # Errors
    /// When the storage fails.
    fn lane_request(
        &mut self,
        step: &mut Step<'_>,
        lane: &Lane,
        entries: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>>;

    /// The answer that says why the request failed.
    fn refuse(endpoint: &Endpoint, error: &ProtocolError) -> Response;

    /// Forgets what it holds in memory: a step that it belonged to did not end well.
    fn forget(&mut self);
}

#[derive(Debug, Serialize, Deserialize)]
struct Then {
    endpoint: Endpoint,
    /// The call that waits for a directory.
    waiting: Option<PeerCall>,
    /// The provider whose directory was asked for.
    directory: Option<Domain>,
    /// The call that was sent, to find out whether a directory is stale.
    peer: Option<Domain>,
    label: String,
    role: Vec<u8>,
}

/// A role with its storage.
pub struct Object<R> {
    role: R,
    storage: Box<dyn Storage>,
    config: Rc<ProviderConfig>,
    outbox: Outbox,
    pending: BTreeMap<RequestId, Pending>,
    /// Lanes whose last request carried several entries and was refused: one at a time (R82).
    singly: BTreeMap<Vec<u8>, u64>,
    next_id: RequestId,
    effects: Vec<Effect>,
    listeners: Listeners,
    /// What it is called in the index; none if it is not to be in it.
    own_name: Option<ObjectName>,
    /// Whether the index was told of it.
    is_announced: bool,
    /// Whether the rows are of this version.
    stored: Stored,
}

impl<R: Role> Object<R> {
    /// An object over what `storage` holds.
    pub fn new(role: R, storage: Box<dyn Storage>, config: Rc<ProviderConfig>) -> Self {
        Self {
            role,
            storage,
            config,
            outbox: Outbox::new(table::OUTBOX_ENTRIES, table::OUTBOX_LANES, table::OUTBOX_DUE)
                .sharing(table::OUTBOX_SHARED),
            pending: BTreeMap::new(),
            singly: BTreeMap::new(),
            next_id: 1,
            effects: Vec::new(),
            listeners: Listeners::default(),
            own_name: None,
            is_announced: false,
            stored: Stored::Unknown,
        }
    }

    /// The object as the index of its provider knows it: it announces itself, and what it reports.
    #[must_use]
    pub fn announcing(self, own_name: ObjectName) -> Self {
        Self { own_name: Some(own_name), ..self }
    }

    /// The object with waits after failures that differ from those of objects of other names.
    #[must_use]
    pub fn spread_by(self, name: &str) -> Self {
        Self { outbox: self.outbox.spread_by(name), ..self }
    }

    /// Decides about a request.
    pub fn handle(&mut self, request: IncomingRequest, now: UnixMillis) -> Action {
        let endpoint = request.endpoint.clone();
        if let Source::Device(device) = &request.source {
            self.listeners.hear(&ObjectName::user(&device.user()));
        }
        let result = match self.operate(&request, now) {
            Some(result) => result.map(Reply::Respond),
            None => self.step(now, |role, step| role.handle(step, request)),
        };
        self.finish(endpoint, result, now)
    }

    /// Goes on with a request after an [`Action::Forward`] or [`Effect::Ask`].
    pub fn resume(&mut self, then: &[u8], outcome: Outcome, now: UnixMillis) -> Action {
        let Ok(then) = decode_row::<Then>(then) else {
            return Action::Respond(Response::empty(500));
        };
        let Then { endpoint, waiting, directory, peer, label, role } = then;
        let Some(call) = waiting else {
            if let Some(domain) = directory {
                // What cannot be learned is not there when the role looks for it.
                let _ = self.learn(&domain, outcome.clone(), now);
            }
            if let (Some(domain), Some(response)) = (&peer, &outcome) {
                self.note_stale_directory(domain, response, now);
            }
            let result = self.step(now, |object, step| object.resume(step, &role, outcome));
            return self.finish(endpoint, result, now);
        };
        if self.learn(&call.domain, outcome, now).is_err() {
            // Without the directory the call has no answer.
            let result = self.step(now, |object, step| object.resume(step, &role, None));
            return self.finish(endpoint, result, now);
        }
        let ask = Ask { call: Call::Peer(call), label, then: role };
        self.finish(endpoint, Ok(Reply::Ask(ask)), now)
    }

    /// When to call [`Object::poll_request`] next, also when nobody answers and the object stops
    /// meanwhile; `None` when nothing waits.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_wake(&self) -> Result<Option<UnixMillis>> {
        Ok(self.outbox.next_wake(&Transaction::new(&*self.storage))?)
    }

    /// The [`Effect::Push`] of this number found no device of the user's connected.
    pub fn found_none(&mut self, user: &ObjectName, number: u64, now: UnixMillis) {
        self.listeners.found_none(user, number, now);
    }

    /// What the calls since the last time cause beside their answers.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Runs `act` in a step of its own, for what a role does beside requests (sockets).
    ///
    /// # Errors
    /// What `act` says; then nothing of the step happened.
    pub fn step<T>(
        &mut self,
        now: UnixMillis,
        act: impl FnOnce(&mut R, &mut Step<'_>) -> Result<T>,
    ) -> Result<T> {
        self.stored = self.stored.known(&*self.storage)?;
        let mut step = Step {
            transaction: Transaction::new(&*self.storage),
            now,
            config: &self.config,
            outbox: &mut self.outbox,
            listeners: &mut self.listeners,
            effects: Vec::new(),
        };
        let mut result = act(&mut self.role, &mut step);
        let is_first = self.stored == Stored::Nothing || !self.is_announced;
        let begins = result.is_ok() && is_first && step.transaction.has_changes();
        if begins
            && let Err(error) = self
                .stored
                .say(&mut step.transaction)
                .and_then(|()| announce(&mut step, self.own_name.as_ref()))
        {
            result = Err(error.into());
        }
        let Step { transaction, effects, .. } = step;
        let changes = transaction.into_changes();
        let result = match result {
            Ok(value) if changes.is_empty() => Ok(value),
            Ok(_) if !changes.iter().all(fits) => Err(ProtocolError::TooLarge.into()),
            Ok(value) => self.storage.apply(changes).map(|()| value).map_err(Error::from),
            Err(error) => Err(error),
        };
        match result {
            Ok(value) => {
                if begins {
                    (self.is_announced, self.stored) = (true, Stored::Current);
                }
                self.effects.extend(effects);
                Ok(value)
            }
            Err(error) => {
                self.role.forget();
                self.outbox.forget();
                Err(error)
            }
        }
    }

    fn finish(&mut self, endpoint: Endpoint, result: Result<Reply>, now: UnixMillis) -> Action {
        match result.and_then(|reply| self.action(&endpoint, reply, now)) {
            Ok(action) => action,
            Err(Error::Protocol(error)) => Action::Respond(R::refuse(&endpoint, &error)),
            Err(error @ (Error::Usage(_) | Error::Internal(_))) => {
                self.effects.push(Effect::Report { line: format!("an error of ours: {error}") });
                Action::Respond(Response::empty(500))
            }
        }
    }

    fn action(&self, endpoint: &Endpoint, reply: Reply, now: UnixMillis) -> Result<Action> {
        let ask = match reply {
            Reply::Respond(response) => return Ok(Action::Respond(response)),
            Reply::Ask(ask) => ask,
        };
        let mut then = Then {
            endpoint: endpoint.clone(),
            waiting: None,
            directory: None,
            peer: None,
            label: ask.label.clone(),
            role: ask.then,
        };
        let (outgoing, label) = match ask.call {
            Call::Object(call) => (Outgoing::Object(call), ask.label),
            Call::Directory(domain) => {
                let http = directories::fetch(&domain);
                then.directory = Some(domain);
                (Outgoing::Http(http), ask.label)
            }
            Call::Peer(call) => {
                let transaction = Transaction::new(&*self.storage);
                match Directories::resolve(&transaction, &self.config, &call, now)? {
                    Resolved::Call(http) => {
                        then.peer = Some(call.domain);
                        (Outgoing::Http(http), ask.label)
                    }
                    Resolved::DirectoryFirst(http) => {
                        then.waiting = Some(call);
                        (Outgoing::Http(http), "directory".into())
                    }
                }
            }
        };
        Ok(Action::Forward(Forward { outgoing, label, then: encode_row(&then)? }))
    }

    /// Takes in the answer to the request for a directory, and tells the index of a provider that is new.
    fn learn(&mut self, domain: &Domain, outcome: Outcome, now: UnixMillis) -> Result<()> {
        let is_in_index = self.own_name.is_some();
        self.step(now, |_, step| {
            if Directories::learn(&mut step.transaction, domain, outcome, now)? && is_in_index {
                step.tell_index(&News::Peer(domain.clone()))?;
            }
            Ok(())
        })
    }

    /// D13: a 404 or 421 may come from an old directory. Forgets it, once, and says whether it did.
    fn note_stale_directory(
        &mut self,
        domain: &Domain,
        response: &Response,
        now: UnixMillis,
    ) -> bool {
        matches!(response.status, 404 | 421)
            && self
                .step(now, |_, step| Directories::forget_if_old(&mut step.transaction, domain, now))
                .unwrap_or(false)
    }
}

/// Whether a change fits into a row: of an entry of the outbox, also into one of its receiver (D18).
fn fits(write: &Write) -> bool {
    let most = match write.key.first() {
        Some(&(table::OUTBOX_ENTRIES | table::OUTBOX_SHARED)) => {
            MAX_VALUE_BYTES - KEPT_WITH_ENTRY_BYTES
        }
        Some(_) | None => MAX_VALUE_BYTES,
    };
    write.value.as_ref().is_none_or(|value| value.len() <= most)
}
