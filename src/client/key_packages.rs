//! KeyPackages: made, published and replaced, so that others can add this device (D4).

use openmls::{key_packages::KeyPackageIn, prelude::KeyPackageRef};
use openmls_traits::{OpenMlsProvider, storage::StorageProvider};
use serde::{Deserialize, Serialize};

use super::{
    Event, Stock,
    request::{Request, Settled},
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, Result},
    mls::{
        self, MlsProvider,
        key_package::{KeyPackageKind, create_key_package},
    },
    room::codepoints::cipher_suite,
    storage::decode_row,
    time::UnixMillis,
    transport::Response,
    wire::{self, KeyPackageList, KeyPackageStock, Verbatim},
};

/// How many the provider should hold.
const TARGET: u32 = 20;
/// After how long all are made anew, in milliseconds (D4): 42 days.
const REPLACE_MILLIS: u64 = 42 * DAY_MILLIS;
/// How long the private keys outlive a KeyPackage, in milliseconds: a Welcome may be late.
const KEEP_MILLIS: u64 = DAY_MILLIS;
/// For how long the provider's word on what it holds will do, in milliseconds.
const STOCK_MILLIS: u64 = 60 * 60 * 1000;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// A KeyPackage whose private keys are stored here.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Published {
    reference: KeyPackageRef,
    not_after: UnixMillis,
}

/// The first KeyPackages of this device, one last-resort one among them.
pub(super) fn publish_first(step: &mut Step<'_>) -> Result<()> {
    publish(step, TARGET, 1)
}

/// Asks what the provider holds.
pub(super) fn ask_stock(step: &mut Step<'_>) -> Result<()> {
    Ok(step.enqueue(&Request::Stock)?)
}

/// Asks what the provider holds, unless it said so lately.
pub(super) fn ask_stock_if_old(step: &mut Step<'_>) -> Result<()> {
    let age = step.now.since(step.account()?.stock_known_at);
    if age >= STOCK_MILLIS { ask_stock(step) } else { Ok(()) }
}

/// The provider took KeyPackages and answered what it holds now. Should it still be too little, more
/// are made only after the next question: a provider that keeps none would have us make them for ever.
pub(super) fn publish_answered(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    note_stock(step, response)?;
    Ok(Settled::Delivered)
}

/// The provider answered what it holds.
pub(super) fn stock_answered(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    if let Some(KeyPackageStock { available, last_resort, .. }) = note_stock(step, response)?
        && (available < TARGET / 2 || last_resort == 0)
    {
        publish(step, TARGET.saturating_sub(available), 1_u32.saturating_sub(last_resort))?;
    }
    Ok(Settled::Delivered)
}

fn note_stock(step: &mut Step<'_>, response: &Response) -> Result<Option<KeyPackageStock>> {
    let stock = match wire::decode_exact::<KeyPackageStock>(&response.body) {
        Ok(stock) if response.is_success() => stock,
        _ => return Ok(None),
    };
    forget_expired(step)?;
    let mut account = step.account()?;
    account.stock_known_at = step.now;
    step.store_account(&account)?;
    let KeyPackageStock { available, last_resort, next_expiry } = stock;
    let next_expiry = (next_expiry != 0).then_some(UnixMillis(next_expiry));
    step.emit(Event::KeyPackages(Stock { available, last_resort, next_expiry }));
    Ok(Some(stock))
}

/// When all KeyPackages are to be made anew (D4).
pub(super) fn replacement_due(published_at: Option<UnixMillis>) -> Option<UnixMillis> {
    Some(published_at?.plus(REPLACE_MILLIS))
}

/// Makes all KeyPackages anew, if it is time; the provider stops handing out the old ones by itself.
pub(super) fn replace_if_due(step: &mut Step<'_>) -> Result<()> {
    match replacement_due(step.account()?.published_at) {
        Some(due) if due <= step.now => publish(step, TARGET, 1),
        _ => Ok(()),
    }
}

fn publish(step: &mut Step<'_>, single_use: u32, last_resort: u32) -> Result<()> {
    let kinds = (0..single_use)
        .map(|_| KeyPackageKind::SingleUse)
        .chain((0..last_resort).map(|_| KeyPackageKind::LastResort));
    let mut key_packages = Vec::new();
    for kind in kinds {
        key_packages.push(make(step, kind)?);
    }
    let mut account = step.account()?;
    account.published_at = Some(account.published_at.map_or(step.now, |at| {
        // A refill does not make the others younger.
        if single_use >= TARGET { step.now } else { at }
    }));
    step.store_account(&account)?;
    let body = wire::encode(&KeyPackageList { key_packages })?;
    Ok(step.enqueue(&Request::PublishKeyPackages(body))?)
}

/// Makes a KeyPackage that is not published (R97).
pub(super) fn make_single_use(step: &mut Step<'_>) -> Result<Verbatim<KeyPackageIn>> {
    make(step, KeyPackageKind::SingleUse)
}

fn make(step: &mut Step<'_>, kind: KeyPackageKind) -> Result<Verbatim<KeyPackageIn>> {
    let suite = mls::accepted_suite(cipher_suite::DEFAULT)
        .ok_or(InternalError::Mls("the default suite"))?;
    let (identity, now) = (step.identity, step.now);
    let made = create_key_package(
        &MlsProvider::new(&mut step.transaction, step.crypto),
        &identity.key_pair,
        (&identity.client, identity.key_pair.public()),
        suite,
        kind,
        now,
    )?;
    let reference = made
        .key_package
        .hash_ref(step.algorithms())
        .map_err(|_| InternalError::Mls("KeyPackageRef"))?;
    let published = Published { reference, not_after: made.not_after };
    step.transaction.store(tables::published(&made.reference), &published)?;
    Ok(Verbatim::own(made.bytes)?)
}

/// Deletes the private keys of KeyPackages that nobody can use any more.
fn forget_expired(step: &mut Step<'_>) -> Result<()> {
    let prefix = tables::all_published();
    for (key, row) in step.transaction.scan(&prefix, &prefix, usize::MAX)? {
        let published: Published = decode_row(&row)?;
        if published.not_after.plus(KEEP_MILLIS) > step.now {
            continue;
        }
        step.transaction.delete(key);
        step.provider().storage().delete_key_package(&published.reference)?;
    }
    Ok(())
}
