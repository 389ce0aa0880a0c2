//! A client: one device of one user, without IO.
//!
//! The application's wishes and what comes from the own provider go in; requests, frames, changes of
//! the storage and events come out. After every call the order is: [`Client::take_changes`], persist
//! them, and only then send what [`Client::poll_request`] and [`Client::take_frames`] gave, and show
//! what [`Client::take_events`] gives. A client that is opened over the persisted rows goes on where
//! the last one stopped, whatever was sent, answered or lost.
//!
//! In scope: the device's identity and KeyPackages, its rooms and what it wants of them. Out of scope:
//! moving bytes, and how anything is shown.

mod auth;
mod catch_up;
mod claim;
mod code;
mod commit;
mod consent;
mod create;
mod devices;
mod event;
mod external;
mod history;
mod hubs;
mod identity;
mod inbound;
mod intent;
mod join;
mod key_packages;
mod known;
mod leave;
mod message;
mod migration;
mod options;
mod outgoing;
mod outlook;
mod proposals;
mod pseudonyms;
mod pump;
mod request;
mod room;
mod rooms;
mod safety_number;
mod send;
mod socket;
mod step;
mod tables;
mod task;
mod verification;
mod waiting;
mod wishes;

pub use code::ErrorCode;
pub use consent::Consent;
pub use devices::Device;
pub use event::{
    Event, IntentId, IntentKind, Participant, PendingIntent, PendingState, Progress, Rights,
    RoomPhase, RoomState, Stock, Trust,
};
pub use message::{
    Delivery, HistoryEntry, Message, MessageKey, OwnMessage, Reading, Undecryptable,
};
pub use options::{
    AddOptions, ClientOptions, CreateOptions, HubProposals, KeyPackageChoice, KeyPackageOptions,
    LastResort,
};
pub use pseudonyms::Pseudonym;
pub use safety_number::{SafetyNumber, epoch_code};

pub use crate::room::Profile;

use std::collections::BTreeMap;

use self::{
    catch_up::CatchUp,
    identity::{Account, Identity, Registration},
    request::Request,
    step::Step,
};
use crate::{
    error::{Result, UsageError},
    mls::MlsCrypto,
    outbox::Outbox,
    sorted::SortedMap,
    storage::{MemoryStorage, Row, Storage, Transaction, Write, encode_row},
    time::UnixMillis,
    transport::RequestId,
    wire::uri::{ClientUri, RoomUri},
};

/// One device of one user.
pub struct Client {
    storage: MemoryStorage,
    /// What was written since [`Client::take_changes`].
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    identity: Identity,
    crypto: MlsCrypto,
    outbox: Outbox,
    /// What was sent and is not answered: lane, number and request.
    sent: SortedMap<RequestId, (Vec<u8>, u64, Request)>,
    next_id: RequestId,
    events: Vec<Event>,
    acks: SortedMap<Option<RoomUri>, u64>,
    catch_up: CatchUp,
}

impl Client {
    /// Opens the client that `rows` hold; without rows, makes a new device and registers it.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when the rows are another user's, or the options out of bounds;
    /// [`UsageError::StorageNewer`] when they are of a newer version; [`UsageError::BadUri`] when the
    /// device's name is none.
    pub fn open(
        options: &ClientOptions,
        rows: Vec<Row>,
        crypto: MlsCrypto,
        now: UnixMillis,
    ) -> Result<Self> {
        let storage = MemoryStorage::with_rows(rows);
        let version = Transaction::new(&storage).load::<u32>(&tables::schema())?;
        let known = match version {
            None => None,
            Some(1..=tables::VERSION) => {
                Some(Identity::load(&Transaction::new(&storage), &options.user)?)
            }
            Some(_) => return Err(UsageError::StorageNewer.into()),
        };
        let identity = match known {
            Some(identity) => identity,
            None => Identity::new(options, &crypto)?,
        };
        let mut client = Self {
            storage,
            changes: BTreeMap::new(),
            identity,
            crypto,
            outbox: Outbox::new(tables::OUTBOX_ENTRIES, tables::OUTBOX_LANES, tables::OUTBOX_DUE),
            sent: SortedMap::new(),
            next_id: 1,
            events: Vec::new(),
            acks: SortedMap::new(),
            catch_up: CatchUp::default(),
        };
        client.step(now, |step| {
            if let Some(version) = version {
                migration::run(step, version)?;
            }
            key_packages::choose(step, options.key_packages)?;
            if version.is_none() { set_up(step) } else { resume(step) }
        })?;
        Ok(client)
    }

    /// This device.
    #[must_use]
    pub const fn device(&self) -> &ClientUri {
        &self.identity.client
    }

    /// Whether the own provider knows this device.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn is_registered(&self) -> Result<bool> {
        Ok(self.registration()? == Registration::Done)
    }

    fn registration(&self) -> Result<Registration> {
        let account: Option<Account> = Transaction::new(&self.storage).load(&tables::account())?;
        Ok(account.unwrap_or_default().registration)
    }

    /// Asks for the state of consent, the inbox and every room's log after the cursors: for a client without a socket.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn catch_up(&mut self, now: UnixMillis) -> Result<()> {
        self.step(now, |step| {
            if !step.is_registered()? {
                return Ok(());
            }
            join::fetch(step)?;
            consent::fetch(step)?;
            for mut room in step.rooms()? {
                if room.phase == RoomPhase::Joined {
                    room.fetch(step)?;
                    step.store_room(&room)?;
                }
            }
            rooms::sync(step)
        })
    }

    /// What has to be persisted since the last time, in one transaction.
    pub fn take_changes(&mut self) -> Vec<Write> {
        let changes = std::mem::take(&mut self.changes);
        changes.into_iter().map(|(key, value)| Write { key, value }).collect()
    }

    /// What happened since the last time, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// All rooms of this device, by identifier, with their phase.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn rooms(&self) -> Result<Vec<(RoomUri, RoomPhase)>> {
        let rooms = step::rooms(&Transaction::new(&self.storage))?;
        Ok(rooms.into_iter().map(|room| (room.uri, room.phase)).collect())
    }

    /// What this device has still to do in a room, in order; also in one of which it has nothing yet.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn pending(&self, room: &RoomUri) -> Result<Vec<PendingIntent>> {
        let transaction = Transaction::new(&self.storage);
        let known = transaction.load(&tables::room(room))?;
        Ok(known.map_or(Ok(Vec::new()), |known| intent::shown(&transaction, &known))?)
    }

    /// A room as it stands; `None` when this device does not know it, or has nothing of it yet.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn room_state(&mut self, room: &RoomUri) -> Result<Option<RoomState>> {
        // Nothing is done, so the time does not matter.
        self.step(UnixMillis(0), |step| room::state(step, room))
    }

    /// Runs `act` in one transaction: all that it changes happens, or nothing.
    fn step<T>(
        &mut self,
        now: UnixMillis,
        act: impl FnOnce(&mut Step<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut step = Step {
            transaction: Transaction::new(&self.storage),
            now,
            identity: &self.identity,
            crypto: &self.crypto,
            outbox: &mut self.outbox,
            events: Vec::new(),
            acks: SortedMap::new(),
        };
        let value = act(&mut step)?;
        let Step { transaction, events, acks, .. } = step;
        let changes = transaction.into_changes();
        self.storage.apply(changes.clone())?;
        self.changes.extend(changes.into_iter().map(|Write { key, value }| (key, value)));
        self.events.extend(events);
        self.acks.extend(acks);
        Ok(value)
    }
}

/// A new device.
fn set_up(step: &mut Step<'_>) -> Result<()> {
    step.transaction.store(tables::schema(), &tables::VERSION)?;
    step.transaction.write(tables::identity(), encode_row(step.identity)?);
    step.store_account(&Account::default())?;
    Ok(step.enqueue(&Request::Register)?)
}

/// A device that was there before. One that was refused asks again.
fn resume(step: &mut Step<'_>) -> Result<()> {
    known::complete(step)?;
    let mut account = step.account()?;
    match account.registration {
        Registration::Done => key_packages::ask_stock_if_old(step),
        Registration::Asked => Ok(()),
        Registration::Refused => {
            account.registration = Registration::Asked;
            step.store_account(&account)?;
            Ok(step.enqueue(&Request::Register)?)
        }
    }
}
