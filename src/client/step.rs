//! One call of a client: everything that it changes, in one transaction.

use openmls::group::MlsGroup;
use openmls_traits::OpenMlsProvider;

use super::{
    Event,
    identity::{Account, Identity, Registration, Use},
    request::Request,
    room::Room,
    tables,
};
use crate::{
    error::{InternalError, Result},
    mls::{Algorithms, MlsCrypto, MlsProvider, entry::group_id},
    outbox::Outbox,
    sorted::SortedMap,
    storage::{Transaction, decode_row, encode_row},
    time::UnixMillis,
    wire::uri::RoomUri,
};

/// The storage seen through the call's writes, and what else the call causes.
pub(super) struct Step<'s> {
    /// The storage.
    pub(super) transaction: Transaction<'s>,
    /// The time of the call.
    pub(super) now: UnixMillis,
    /// This device.
    pub(super) identity: &'s Identity,
    /// Cryptography and randomness.
    pub(super) crypto: &'s MlsCrypto,
    /// What waits to be sent.
    pub(super) outbox: &'s mut Outbox,
    /// What the application will see.
    pub(super) events: Vec<Event>,
    /// What the provider may forget: the last position stored, by room (`None` is the inbox).
    pub(super) acks: SortedMap<Option<RoomUri>, u64>,
}

impl<'s> Step<'s> {
    /// Tells the application.
    pub(super) fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Tells the provider what is stored.
    pub(super) fn acknowledge(&mut self, room: Option<RoomUri>, position: u64) {
        self.acks.insert(room, position);
    }

    /// Sends `request` after this call, and again until it is answered.
    pub(super) fn enqueue(&mut self, request: &Request) -> Result<(), InternalError> {
        let lane = encode_row(&request.lane())?;
        let entry = encode_row(request)?;
        self.outbox.enqueue(&mut self.transaction, &lane, entry, self.now)
    }

    /// openmls' view of this step.
    pub(super) fn provider(&mut self) -> MlsProvider<'_, 's> {
        MlsProvider::new(&mut self.transaction, self.crypto)
    }

    /// The algorithms.
    pub(super) fn algorithms(&self) -> &'s Algorithms {
        self.crypto.algorithms()
    }

    /// The account.
    pub(super) fn account(&self) -> Result<Account, InternalError> {
        Ok(self.transaction.load(&tables::account())?.unwrap_or_default())
    }

    /// Whether the own provider knows this device.
    pub(super) fn is_registered(&self) -> Result<bool, InternalError> {
        Ok(self.account()?.registration == Registration::Done)
    }

    /// Stores the account.
    pub(super) fn store_account(&mut self, account: &Account) -> Result<(), InternalError> {
        self.transaction.store(tables::account(), account)
    }

    /// A room.
    pub(super) fn room(&self, uri: &RoomUri) -> Result<Option<Room>, InternalError> {
        self.transaction.load(&tables::room(uri))
    }

    /// Stores a room.
    pub(super) fn store_room(&mut self, room: &Room) -> Result<(), InternalError> {
        self.transaction.store(tables::room(&room.uri), room)
    }

    /// All rooms, by identifier.
    pub(super) fn rooms(&self) -> Result<Vec<Room>, InternalError> {
        rooms(&self.transaction)
    }

    /// R91: whether this device may be in a room. A pseudonym's is in one alone.
    pub(super) fn may_enter(&self, uri: &RoomUri) -> Result<bool, InternalError> {
        Ok(match self.identity.usage {
            Use::AnyRooms => true,
            Use::OneRoom => self.rooms()?.iter().all(|room| room.uri == *uri),
        })
    }

    /// The MLS group of a room.
    pub(super) fn group(&mut self, uri: &RoomUri) -> Result<MlsGroup, InternalError> {
        MlsGroup::load(self.provider().storage(), &group_id(uri))?
            .ok_or(InternalError::Storage("a room without its group"))
    }

    /// A random number of milliseconds, at most `most`.
    pub(super) fn random_delay(&self, most: u64) -> Result<u64, InternalError> {
        let bytes = self.crypto.random_bytes(2)?;
        let number = bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        Ok(number % (most + 1))
    }
}

/// All rooms, by identifier.
pub(super) fn rooms(transaction: &Transaction<'_>) -> Result<Vec<Room>, InternalError> {
    let prefix = tables::all_rooms();
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.iter().map(|(_, row)| decode_row(row)).collect()
}
