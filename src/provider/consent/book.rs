//! What is stored about a user's consent (D17): requests in both directions, decisions, grants of
//! others; and its version, which every change raises.

use serde::{Deserialize, Serialize};

use crate::{
    error::{InternalError, ProtocolError, Result},
    object::Step,
    provider::{devices, user::table},
    storage::{Key, Transaction, decode_row},
    time::UnixMillis,
    transport::Effect,
    wire::{
        ConsentItem, FromProvider, encode,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Most entries of one list (D17).
const MAX_ENTRIES: usize = 1000;

/// Something between the user and another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// The other user.
    pub(super) user: UserUri,
    /// `None`: any room.
    pub(super) room: Option<RoomUri>,
    /// When it was stored.
    pub(super) at: UnixMillis,
    /// The version that it made.
    number: u64,
}

impl Row {
    pub(super) fn to_item(&self) -> ConsentItem {
        ConsentItem {
            user: self.user.to_wire(),
            room_id: self.room.as_ref().map(RoomUri::to_wire),
            at: self.at.0,
        }
    }
}

/// A list that drops its oldest entry when it is full.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// Other user and room → [`Row`].
    rows: u8,
    /// Version → key in `rows`.
    ages: u8,
}

/// Open requests of others.
pub(super) const INCOMING: List =
    List { rows: table::CONSENT_INCOMING, ages: table::CONSENT_INCOMING_AGES };
/// The user's own open requests.
pub(super) const REQUESTED: List =
    List { rows: table::CONSENT_REQUESTED, ages: table::CONSENT_REQUESTED_AGES };
/// Grants of others.
pub(super) const RECEIVED: List =
    List { rows: table::CONSENT_RECEIVED, ages: table::CONSENT_RECEIVED_AGES };

impl List {
    pub(super) fn find(
        self,
        transaction: &Transaction<'_>,
        user: &UserUri,
        room: Option<&RoomUri>,
    ) -> Result<Option<Row>, InternalError> {
        transaction.load(&key(self.rows, user, room))
    }

    /// All entries about one other user.
    pub(super) fn about(
        self,
        transaction: &Transaction<'_>,
        user: &UserUri,
    ) -> Result<Vec<Row>, InternalError> {
        rows(transaction, &Key::table(self.rows).text(user.as_str()).build())
    }

    /// All entries, by user and room.
    pub(super) fn all(self, transaction: &Transaction<'_>) -> Result<Vec<Row>, InternalError> {
        rows(transaction, &[self.rows])
    }

    /// What has to go before there is room for one more.
    pub(super) fn surplus(
        self,
        transaction: &Transaction<'_>,
    ) -> Result<Option<Row>, InternalError> {
        let ages = transaction.scan(&[self.ages], &[self.ages], MAX_ENTRIES)?;
        match ages.first() {
            Some((_, oldest)) if ages.len() >= MAX_ENTRIES => transaction.load(oldest),
            _ => Ok(None),
        }
    }

    fn age_key(self, number: u64) -> Vec<u8> {
        Key::table(self.ages).number(number).build()
    }
}

/// What the user said to somebody who may want to add it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decision {
    pub(super) row: Row,
    pub(super) verdict: Verdict,
}

/// What the user said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
    Refused,
    Granted,
    /// And the other user's provider got KeyPackages with it, once (R97).
    GrantedWithKeyPackages,
}

impl Decision {
    pub(super) const fn is_grant(&self) -> bool {
        matches!(self.verdict, Verdict::Granted | Verdict::GrantedWithKeyPackages)
    }
}

/// What the user said to `requester`.
pub(super) fn decisions_about(
    transaction: &Transaction<'_>,
    requester: &UserUri,
) -> Result<Vec<Decision>, InternalError> {
    rows(transaction, &Key::table(table::CONSENT_GIVEN).text(requester.as_str()).build())
}

/// Everything that the user said.
pub(super) fn decisions(transaction: &Transaction<'_>) -> Result<Vec<Decision>, InternalError> {
    rows(transaction, &[table::CONSENT_GIVEN])
}

/// The version of everything here; 0 when nothing has been said yet.
pub(in crate::provider) fn version(transaction: &Transaction<'_>) -> Result<u64, InternalError> {
    Ok(transaction.load(&[table::CONSENT_VERSION])?.unwrap_or(0))
}

/// A change of what is stored, from [`Book::open`] to [`Book::close`].
pub(super) struct Book {
    devices: Vec<ClientUri>,
    version: u64,
    opened_at: u64,
}

impl Book {
    pub(super) fn open(transaction: &Transaction<'_>) -> Result<Self, InternalError> {
        let version = version(transaction)?;
        Ok(Self { devices: devices::devices(transaction)?, version, opened_at: version })
    }

    /// Whether there is such a user.
    pub(super) const fn is_known(&self) -> bool {
        !self.devices.is_empty()
    }

    pub(super) fn insert(
        &mut self,
        step: &mut Step<'_>,
        list: List,
        user: &UserUri,
        room: Option<&RoomUri>,
    ) -> Result<(), InternalError> {
        let row = self.new_row(step, user, room);
        let key = key(list.rows, user, room);
        step.transaction.store(key.clone(), &row)?;
        step.transaction.write(list.age_key(row.number), key);
        Ok(())
    }

    pub(super) fn remove(&mut self, step: &mut Step<'_>, list: List, row: &Row) {
        self.version += 1;
        step.transaction.delete(key(list.rows, &row.user, row.room.as_ref()));
        step.transaction.delete(list.age_key(row.number));
    }

    /// Stores a decision in place of an earlier one of this scope (R101).
    ///
    /// # Errors
    /// `TooManyRequests` when there are too many: none is dropped, for it may be one that refuses.
    pub(super) fn decide(
        &mut self,
        step: &mut Step<'_>,
        requester: &UserUri,
        room: Option<&RoomUri>,
        verdict: Verdict,
    ) -> Result<()> {
        let key = key(table::CONSENT_GIVEN, requester, room);
        let prefix = [table::CONSENT_GIVEN];
        if step.transaction.read(&key)?.is_none()
            && step.transaction.scan(&prefix, &prefix, MAX_ENTRIES)?.len() >= MAX_ENTRIES
        {
            return Err(ProtocolError::TooManyRequests.into());
        }
        let row = self.new_row(step, requester, room);
        Ok(step.transaction.store(key, &Decision { row, verdict })?)
    }

    /// Forgets a decision.
    pub(super) fn forget(&mut self, step: &mut Step<'_>, decision: &Decision) {
        self.version += 1;
        let Row { user, room, .. } = &decision.row;
        step.transaction.delete(key(table::CONSENT_GIVEN, user, room.as_ref()));
    }

    /// Tells the user's devices, if something changed.
    pub(super) fn close(self, step: &mut Step<'_>) -> Result<(), InternalError> {
        if self.version == self.opened_at {
            return Ok(());
        }
        step.transaction.store(vec![table::CONSENT_VERSION], &self.version)?;
        let frame = encode(&FromProvider::Consent { version: self.version })?;
        for device in self.devices {
            step.effect(Effect::Send { device, frame: frame.clone() });
        }
        Ok(())
    }

    fn new_row(&mut self, step: &Step<'_>, user: &UserUri, room: Option<&RoomUri>) -> Row {
        self.version += 1;
        Row { user: user.clone(), room: room.cloned(), at: step.now, number: self.version }
    }
}

/// Whether what is said of `scope` holds for everything that `other` is about.
pub(super) fn covers(scope: Option<&RoomUri>, other: Option<&RoomUri>) -> bool {
    scope.is_none() || scope == other
}

/// Whether what is said of `scope` holds for something that `other` is about.
pub(super) fn touches(scope: Option<&RoomUri>, other: Option<&RoomUri>) -> bool {
    covers(scope, other) || other.is_none()
}

fn key(table: u8, user: &UserUri, room: Option<&RoomUri>) -> Vec<u8> {
    Key::table(table).text(user.as_str()).text(room.map_or("", RoomUri::as_str)).build()
}

fn rows<T: serde::de::DeserializeOwned>(
    transaction: &Transaction<'_>,
    prefix: &[u8],
) -> Result<Vec<T>, InternalError> {
    let rows = transaction.scan(prefix, prefix, usize::MAX)?;
    rows.iter().map(|(_, row)| decode_row(row)).collect()
}
