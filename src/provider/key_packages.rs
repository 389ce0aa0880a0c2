//! The KeyPackages that a user's devices publish: intake, stock, expiry.
//!
//! One row per KeyPackageRef says whose it is and what became of it, for as long as a Welcome may
//! name it (R32, R33); one row per KeyPackage that can still be handed out holds its bytes.

use openmls::prelude::Capabilities;
use serde::{Deserialize, Serialize};

use super::{devices::Device, user::table};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{
        MlsCrypto,
        key_package::{KeyPackageKind, ValidKeyPackage, check_key_package},
    },
    object::Step,
    storage::{Key, Transaction, decode_row},
    time::UnixMillis,
    wire::{
        KeyPackageList, KeyPackageStock, RequiredCapabilities, decode_exact,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// Most KeyPackages of one call.
const MAX_KEY_PACKAGES_PER_CALL: usize = 100;

/// Most Welcomes that one hub can make of a last-resort KeyPackage.
const MAX_WELCOMES_OF_LAST_RESORT: usize = 64;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// How much of its life a KeyPackage needs to be handed out, in milliseconds (D4).
const MIN_REMAINING_MILLIS: u64 = 28 * DAY_MILLIS;
/// How long its ref is kept after its end, in milliseconds (R33).
const KEPT_AFTER_END_MILLIS: u64 = DAY_MILLIS;
/// How many expired KeyPackages one call clears away: more than it adds.
const EXPIRED_CLEARED: usize = 2 * MAX_KEY_PACKAGES_PER_CALL;

/// Whose a KeyPackageRef is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Issued {
    /// The client.
    pub(super) client: ClientUri,
    /// How often it may be used.
    pub(super) kind: KeyPackageKind,
    /// The first claim that got it (D5).
    pub(super) reserved: Option<Reservation>,
}

/// For whom a KeyPackage is reserved (R31).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reservation {
    pub(super) requester: UserUri,
    /// `None` when the claim named no room (A6).
    pub(super) room: Option<RoomUri>,
}

/// A KeyPackage that can be handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InStock {
    pub(super) cipher_suite: u16,
    pub(super) capabilities: Capabilities,
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
    pub(super) reference: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl InStock {
    /// What is kept of a KeyPackage.
    pub(super) fn new(valid: ValidKeyPackage) -> Self {
        Self {
            cipher_suite: valid.key_package.ciphersuite().into(),
            capabilities: valid.key_package.leaf_node().capabilities().clone(),
            not_before: valid.not_before,
            not_after: valid.not_after,
            reference: valid.reference,
            bytes: valid.bytes,
        }
    }

    /// Whether it may be handed out at `now` (R29, D4).
    pub(super) const fn is_live(&self, now: UnixMillis) -> bool {
        self.not_before.0 <= now.0 && now.plus(MIN_REMAINING_MILLIS).0 <= self.not_after.0
    }
}

/// `POST keyPackages`: stores all of them or, if one is not valid, none. One that is known already
/// has no effect, whatever became of it. A new last-resort one takes the place of the one of its suite,
/// so each device has one of each suite at most.
pub(super) fn publish(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    client: &ClientUri,
    device: &Device,
    body: &[u8],
) -> Result<KeyPackageStock> {
    let KeyPackageList { key_packages } = decode_exact(body)?;
    if key_packages.len() > MAX_KEY_PACKAGES_PER_CALL {
        return Err(ProtocolError::Malformed("more than 100 KeyPackages").into());
    }
    clear_expired(&mut step.transaction, step.now)?;
    clear_stock(&mut step.transaction, client, step.now)?;
    for key_package in key_packages {
        let valid = check_key_package(
            crypto.algorithms(),
            key_package.into_value(),
            &RequiredCapabilities::default(),
            step.now,
        )?;
        check_owner(&valid, client, device)?;
        store(step, client, valid)?;
    }
    let stock = stock(&step.transaction, client, step.now)?;
    if stock.available > step.config.limits.key_packages_per_device {
        return Err(ProtocolError::TooManyRequests.into());
    }
    Ok(stock)
}

/// R30, D9: the KeyPackage is the client's, under the one key of its device.
pub(super) fn check_owner(
    valid: &ValidKeyPackage,
    client: &ClientUri,
    device: &Device,
) -> Result<(), ProtocolError> {
    if valid.client != *client {
        return Err(ProtocolError::InvalidProposal("a KeyPackage of another client"));
    }
    let scheme = valid.key_package.ciphersuite().signature_algorithm() as u16;
    let key = valid.key_package.leaf_node().signature_key();
    if (scheme, key.as_slice()) != (device.signature_scheme, device.signature_key.as_slice()) {
        return Err(ProtocolError::InvalidProposal("a KeyPackage with another key"));
    }
    Ok(())
}

fn store(step: &mut Step<'_>, client: &ClientUri, valid: ValidKeyPackage) -> Result<()> {
    let kind = valid.kind;
    let in_stock = InStock::new(valid);
    if !in_stock.is_live(step.now) {
        return Err(ProtocolError::InvalidProposal("a KeyPackage that ends within 28 days").into());
    }
    if issued(&step.transaction, &in_stock.reference)?.is_some() {
        return Ok(());
    }
    if kind == KeyPackageKind::LastResort {
        let suite = in_stock.cipher_suite;
        retain_stock(&mut step.transaction, client, kind, |row| row.cipher_suite != suite)?;
    }
    let issued = Issued { client: client.clone(), kind, reserved: None };
    record(&mut step.transaction, &in_stock, &issued)?;
    Ok(step.transaction.store(stock_key(client, kind, &in_stock), &in_stock)?)
}

/// Takes note of whose a KeyPackage is, until it has ended (R32, R33).
pub(super) fn record(
    transaction: &mut Transaction<'_>,
    key_package: &InStock,
    issued: &Issued,
) -> Result<(), InternalError> {
    let InStock { reference, not_after, .. } = key_package;
    transaction.write(expiry_key(*not_after, reference), Vec::new());
    transaction.store(issued_key(reference), issued)
}

/// What a device has in stock.
pub(super) fn stock(
    transaction: &Transaction<'_>,
    client: &ClientUri,
    now: UnixMillis,
) -> Result<KeyPackageStock> {
    let live = |kind| -> Result<Vec<InStock>, InternalError> {
        let mut rows = in_stock(transaction, client, kind)?;
        rows.retain(|row| row.is_live(now));
        Ok(rows)
    };
    let (single_use, last_resort) =
        (live(KeyPackageKind::SingleUse)?, live(KeyPackageKind::LastResort)?);
    // Rows are in order of their end.
    let next_expiry =
        single_use.first().map_or(0, |row| row.not_after.0.saturating_sub(MIN_REMAINING_MILLIS));
    let length = |rows: &[InStock]| u32::try_from(rows.len()).unwrap_or(u32::MAX);
    Ok(KeyPackageStock {
        available: length(&single_use),
        last_resort: length(&last_resort),
        next_expiry,
    })
}

/// The KeyPackages of `client` that wait to be handed out, the one that ends first in front.
pub(super) fn in_stock(
    transaction: &Transaction<'_>,
    client: &ClientUri,
    kind: KeyPackageKind,
) -> Result<Vec<InStock>, InternalError> {
    let prefix = stock_prefix(client, kind).build();
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.iter().map(|(_, row)| decode_row(row)).collect()
}

/// What is known of a KeyPackageRef.
pub(super) fn issued(
    transaction: &Transaction<'_>,
    reference: &[u8],
) -> Result<Option<Issued>, InternalError> {
    transaction.load(&issued_key(reference))
}

/// Takes note of a Welcome, known by its hash, that `hub` made of a KeyPackage, and says whether the
/// client is to have it. Of a single-use KeyPackage it gets the first, and none a second time: who
/// holds its ref is not to fill the inbox (R27, R76, D3).
pub(super) fn note_welcome(
    transaction: &mut Transaction<'_>,
    reference: &[u8],
    kind: KeyPackageKind,
    hub: &Domain,
    hash: &[u8],
) -> Result<bool, InternalError> {
    let of_hub = welcomes_of(reference).text(hub.as_str());
    let (counted, most) = match kind {
        KeyPackageKind::SingleUse => (welcomes_of(reference).build(), 1),
        KeyPackageKind::LastResort => (of_hub.clone().build(), MAX_WELCOMES_OF_LAST_RESORT),
    };
    let row = of_hub.bytes(hash).build();
    let is_known = transaction.read(&row)?.is_some();
    if is_known || transaction.scan(&counted, &counted, most)?.len() >= most {
        return Ok(false);
    }
    transaction.write(row, Vec::new());
    Ok(true)
}

/// Reserves a KeyPackage; of the kind that is used once, it leaves the stock (R27, D5).
pub(super) fn reserve(
    transaction: &mut Transaction<'_>,
    client: &ClientUri,
    kind: KeyPackageKind,
    row: &InStock,
    reservation: Reservation,
) -> Result<(), InternalError> {
    let mut issued = issued(transaction, &row.reference)?
        .ok_or(InternalError::Storage("a KeyPackage without its ref"))?;
    issued.reserved.get_or_insert(reservation);
    transaction.store(issued_key(&row.reference), &issued)?;
    if kind == KeyPackageKind::SingleUse {
        transaction.delete(stock_key(client, kind, row));
    }
    Ok(())
}

/// R33: forgets refs one day after the end of their KeyPackages.
pub(super) fn clear_expired(
    transaction: &mut Transaction<'_>,
    now: UnixMillis,
) -> Result<(), InternalError> {
    let prefix = Key::table(table::KEY_PACKAGE_ENDS).build();
    let ended = now.0.saturating_sub(KEPT_AFTER_END_MILLIS);
    let first_kept = Key::table(table::KEY_PACKAGE_ENDS).number(ended).build();
    for (key, _) in transaction.scan(&prefix, &prefix, EXPIRED_CLEARED)? {
        if key >= first_kept {
            break;
        }
        // Table byte, time, length, ref.
        let reference = key.get(11..).unwrap_or_default();
        transaction.delete(issued_key(reference));
        let welcomes = welcomes_of(reference).build();
        for (welcome, _) in transaction.scan(&welcomes, &welcomes, usize::MAX)? {
            transaction.delete(welcome);
        }
        transaction.delete(key);
    }
    Ok(())
}

/// Nothing of a device's stock is handed out any more; its refs stay.
pub(super) fn withdraw(
    transaction: &mut Transaction<'_>,
    client: &ClientUri,
) -> Result<(), InternalError> {
    retain_stock(transaction, client, KeyPackageKind::SingleUse, |_| false)?;
    retain_stock(transaction, client, KeyPackageKind::LastResort, |_| false)
}

/// Drops what can no longer be handed out from a device's stock; its refs stay.
fn clear_stock(
    transaction: &mut Transaction<'_>,
    client: &ClientUri,
    now: UnixMillis,
) -> Result<(), InternalError> {
    retain_stock(transaction, client, KeyPackageKind::SingleUse, |row| row.is_live(now))?;
    retain_stock(transaction, client, KeyPackageKind::LastResort, |row| row.is_live(now))
}

fn retain_stock(
    transaction: &mut Transaction<'_>,
    client: &ClientUri,
    kind: KeyPackageKind,
    stays: impl Fn(&InStock) -> bool,
) -> Result<(), InternalError> {
    for row in in_stock(transaction, client, kind)? {
        if !stays(&row) {
            transaction.delete(stock_key(client, kind, &row));
        }
    }
    Ok(())
}

fn welcomes_of(reference: &[u8]) -> Key {
    Key::table(table::WELCOMES_SEEN).bytes(reference)
}

fn issued_key(reference: &[u8]) -> Vec<u8> {
    Key::table(table::ISSUED).bytes(reference).build()
}

fn expiry_key(not_after: UnixMillis, reference: &[u8]) -> Vec<u8> {
    Key::table(table::KEY_PACKAGE_ENDS).number(not_after.0).bytes(reference).build()
}

fn stock_prefix(client: &ClientUri, kind: KeyPackageKind) -> Key {
    let table = match kind {
        KeyPackageKind::SingleUse => table::SINGLE_USE,
        KeyPackageKind::LastResort => table::LAST_RESORT,
    };
    Key::table(table).text(client.as_str())
}

fn stock_key(client: &ClientUri, kind: KeyPackageKind, row: &InStock) -> Vec<u8> {
    stock_prefix(client, kind).number(row.not_after.0).bytes(&row.reference).build()
}
