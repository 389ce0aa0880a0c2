//! KeyPackages: made, published and replaced, so that others can add this device (D4).
//!
//! The provider says what it holds: it is asked when the device is opened, after each join, and once a
//! day. Below half the target they are replenished; long before they end, all are made anew.

use openmls::{key_packages::KeyPackageIn, prelude::KeyPackageRef};
use openmls_traits::{OpenMlsProvider, storage::StorageProvider};
use serde::{Deserialize, Serialize};

use super::{
    Client, ErrorCode, Event, IntentId, KeyPackageChoice, KeyPackageOptions, Stock,
    identity::Account,
    intent,
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
    storage::{Transaction, decode_row},
    time::UnixMillis,
    transport::Response,
    wire::{self, KeyPackageList, KeyPackageStock, Verbatim},
};

/// How long before its end a KeyPackage is handed out no more, in days (D4).
const WITHDRAWN_DAYS: u32 = 28;
/// How long the private keys outlive a KeyPackage, in milliseconds: a Welcome may be late.
const KEEP_MILLIS: u64 = DAY_MILLIS;
/// For how long the provider's word on what it holds will do at an opening, in milliseconds.
const STOCK_MILLIS: u64 = 60 * 60 * 1000;
/// After how long the provider is asked what it holds in any case, in milliseconds.
const ASK_MILLIS: u64 = DAY_MILLIS;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// Most KeyPackages that the provider takes in one call.
const MOST_PER_CALL: usize = 100;

/// A KeyPackage whose private keys are stored here.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Published {
    reference: KeyPackageRef,
    not_after: UnixMillis,
}

/// How this device cares for its KeyPackages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Care {
    options: KeyPackageOptions,
    /// The life, in days, of those that were made when all were made anew.
    made_for_days: u32,
    /// When the provider was last asked what it holds.
    asked_at: UnixMillis,
    /// What it said last.
    stock: Stock,
    /// The ref of the last-resort one that was made last.
    last_resort: Option<Vec<u8>>,
}

impl Default for Care {
    fn default() -> Self {
        let options = KeyPackageOptions::default();
        Self {
            options,
            made_for_days: options.lifetime_days,
            asked_at: UnixMillis::default(),
            stock: Stock::default(),
            last_resort: None,
        }
    }
}

impl Care {
    /// How this storage says.
    pub(super) fn load(transaction: &Transaction<'_>) -> Result<Self, InternalError> {
        Ok(transaction.load(&tables::care())?.unwrap_or_default())
    }

    fn store(&self, step: &mut Step<'_>) -> Result<(), InternalError> {
        step.transaction.store(tables::care(), self)
    }

    /// When to look after the KeyPackages of a registered device next.
    pub(super) fn due(&self, account: &Account) -> Option<UnixMillis> {
        Some(self.replacement_due(account)?.min(self.asked(account).plus(ASK_MILLIS)))
    }

    /// When all are to be made anew: after three quarters of the time in which they are handed out (D4).
    fn replacement_due(&self, account: &Account) -> Option<UnixMillis> {
        let days = self.made_for_days.min(self.options.lifetime_days);
        let handed_out = u64::from(days.saturating_sub(WITHDRAWN_DAYS)) * DAY_MILLIS;
        Some(account.published_at?.plus(handed_out / 4 * 3))
    }

    /// When the provider was asked last, or said it unasked.
    fn asked(&self, account: &Account) -> UnixMillis {
        self.asked_at.max(account.stock_known_at)
    }
}

impl Client {
    /// What the own provider holds of this device's KeyPackages, as it said last: nothing before it said
    /// so for the first time.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn key_package_stock(&self) -> Result<Stock> {
        let Care { stock, options, .. } = Care::load(&Transaction::new(&self.storage))?;
        Ok(Stock { target: options.target, ..stock })
    }

    /// Brings the stock up to its target now, with a last-resort KeyPackage if there is none. The result
    /// names the call in [`Event::KeyPackagesMade`] and [`Event::AccountFailed`].
    ///
    /// # Errors
    /// When the storage fails.
    pub fn replenish_key_packages(&mut self, now: UnixMillis) -> Result<IntentId> {
        self.step(now, |step| {
            let id = intent::new_id(step)?;
            asked(step)?;
            step.enqueue(&Request::StockAsked(id))?;
            Ok(id)
        })
    }

    /// Puts a new last-resort KeyPackage in the place of the one that is published. It is done by itself
    /// whenever somebody has used that one. The result names the call in [`Event::KeyPackagesMade`] and
    /// [`Event::AccountFailed`].
    ///
    /// # Errors
    /// When the storage or the randomness fails.
    pub fn rotate_last_resort(&mut self, now: UnixMillis) -> Result<IntentId> {
        self.step(now, |step| {
            let id = intent::new_id(step)?;
            publish(step, 0, 1, Some(id))?;
            Ok(id)
        })
    }
}

/// Takes in what the application wants, as the device is opened.
pub(super) fn choose(step: &mut Step<'_>, choice: KeyPackageChoice) -> Result<()> {
    let mut care = Care::load(&step.transaction)?;
    let options = care.options.after(choice)?;
    if care.options == options {
        return Ok(());
    }
    care.options = options;
    care.store(step)?;
    if step.is_registered()? { ask_stock(step) } else { Ok(()) }
}

/// The first KeyPackages of this device, one last-resort one among them.
pub(super) fn publish_first(step: &mut Step<'_>) -> Result<()> {
    let target = Care::load(&step.transaction)?.options.target;
    publish(step, target, 1, None)
}

/// Asks what the provider holds.
pub(super) fn ask_stock(step: &mut Step<'_>) -> Result<()> {
    asked(step)?;
    Ok(step.enqueue(&Request::Stock)?)
}

fn asked(step: &mut Step<'_>) -> Result<(), InternalError> {
    let mut care = Care::load(&step.transaction)?;
    care.asked_at = step.now;
    care.store(step)
}

/// Asks what the provider holds, unless it said so lately.
pub(super) fn ask_stock_if_old(step: &mut Step<'_>) -> Result<()> {
    let asked = Care::load(&step.transaction)?.asked(&step.account()?);
    if step.now.since(asked) >= STOCK_MILLIS { ask_stock(step) } else { Ok(()) }
}

/// The provider took KeyPackages and answered what it holds now; `call` asked for so many. Should it
/// still be too little, more are made only after the next question: a provider that keeps none would
/// have us make them for ever.
pub(super) fn publish_answered(
    step: &mut Step<'_>,
    call: Option<(IntentId, u32)>,
    response: &Response,
) -> Result<Settled> {
    let stock = note_stock(step, response)?;
    if let Some((id, made)) = call {
        step.emit(match stock {
            Some(_) => Event::KeyPackagesMade { id, made },
            None => failed(id, response),
        });
    }
    Ok(Settled::Delivered)
}

/// The provider answered what it holds.
pub(super) fn stock_answered(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    if let Some(stock) = note_stock(step, response)?
        && (stock.available.saturating_mul(2) < stock.target || stock.last_resort == 0)
    {
        fill_up(step, stock, None)?;
    }
    Ok(Settled::Delivered)
}

/// The same, for a call that wants the target reached.
pub(super) fn asked_stock_answered(
    step: &mut Step<'_>,
    id: IntentId,
    response: &Response,
) -> Result<Settled> {
    match note_stock(step, response)? {
        Some(stock) if stock.available < stock.target || stock.last_resort == 0 => {
            fill_up(step, stock, Some(id))?;
        }
        Some(_) => step.emit(Event::KeyPackagesMade { id, made: 0 }),
        None => step.emit(failed(id, response)),
    }
    Ok(Settled::Delivered)
}

fn failed(id: IntentId, response: &Response) -> Event {
    let code = match response.status {
        _ if response.is_success() => ErrorCode::Incompatible,
        status => ErrorCode::of_status(status),
    };
    Event::AccountFailed { id, code }
}

fn fill_up(step: &mut Step<'_>, stock: Stock, call: Option<IntentId>) -> Result<()> {
    let Stock { available, target, last_resort, .. } = stock;
    publish(step, target.saturating_sub(available), 1_u32.saturating_sub(last_resort), call)
}

fn note_stock(step: &mut Step<'_>, response: &Response) -> Result<Option<Stock>> {
    let said = match wire::decode_exact::<KeyPackageStock>(&response.body) {
        Ok(said) if response.is_success() => said,
        _ => return Ok(None),
    };
    forget_expired(step)?;
    let mut account = step.account()?;
    account.stock_known_at = step.now;
    step.store_account(&account)?;
    let mut care = Care::load(&step.transaction)?;
    let KeyPackageStock { available, last_resort, next_expiry } = said;
    let next_expiry = (next_expiry != 0).then_some(UnixMillis(next_expiry));
    let stock = Stock { available, target: care.options.target, last_resort, next_expiry };
    care.stock = stock;
    care.store(step)?;
    step.emit(Event::KeyPackages(stock));
    Ok(Some(stock))
}

/// Makes all KeyPackages anew, if it is time; the provider stops handing out the old ones by itself.
/// Else asks what the provider holds, if that is long ago.
pub(super) fn look_after(step: &mut Step<'_>) -> Result<()> {
    let (care, account) = (Care::load(&step.transaction)?, step.account()?);
    if care.replacement_due(&account).is_some_and(|due| due <= step.now) {
        publish(step, care.options.target, 1, None)
    } else if care.due(&account).is_some_and(|due| due <= step.now) {
        ask_stock(step)
    } else {
        Ok(())
    }
}

/// Somebody brought this device into a room by the last-resort KeyPackage of this ref: who has it now
/// could have had it before, so another one takes its place. And all others must have been used up.
pub(super) fn last_resort_used(step: &mut Step<'_>, reference: &KeyPackageRef) -> Result<()> {
    match Care::load(&step.transaction)?.last_resort {
        // It was replaced already.
        Some(newest) if newest != reference.as_slice() => {}
        _ => publish(step, 0, 1, None)?,
    }
    ask_stock(step)
}

/// Makes KeyPackages and sends them to the provider, on behalf of `call`, if one asked for them.
fn publish(
    step: &mut Step<'_>,
    single_use: u32,
    last_resort: u32,
    call: Option<IntentId>,
) -> Result<()> {
    let mut care = Care::load(&step.transaction)?;
    let days = care.options.lifetime_days;
    let mut key_packages = Vec::new();
    for _ in 0..single_use {
        key_packages.push(make(step, KeyPackageKind::SingleUse, days)?.1);
    }
    for _ in 0..last_resort {
        let (reference, key_package) = make(step, KeyPackageKind::LastResort, days)?;
        care.last_resort = Some(reference);
        key_packages.push(key_package);
    }
    let mut account = step.account()?;
    // A refill does not make the others younger.
    if single_use >= care.options.target || account.published_at.is_none() {
        account.published_at = Some(step.now);
        care.made_for_days = days;
    }
    step.store_account(&account)?;
    care.asked_at = step.now;
    care.store(step)?;
    enqueue(step, key_packages, call)
}

/// In as many calls as it takes; the last of them is the one that `call` waits for.
fn enqueue(
    step: &mut Step<'_>,
    mut key_packages: Vec<Verbatim<KeyPackageIn>>,
    call: Option<IntentId>,
) -> Result<()> {
    let made = u32::try_from(key_packages.len()).unwrap_or(u32::MAX);
    while key_packages.len() > MOST_PER_CALL {
        let rest = key_packages.split_off(MOST_PER_CALL);
        step.enqueue(&Request::PublishKeyPackages(body(key_packages)?))?;
        key_packages = rest;
    }
    let body = body(key_packages)?;
    Ok(step.enqueue(&match call {
        Some(id) => Request::PublishAsked(id, made, body),
        None => Request::PublishKeyPackages(body),
    })?)
}

fn body(key_packages: Vec<Verbatim<KeyPackageIn>>) -> Result<Vec<u8>, InternalError> {
    wire::encode(&KeyPackageList { key_packages })
}

/// Makes a KeyPackage that is not published (R97).
pub(super) fn make_single_use(step: &mut Step<'_>) -> Result<Verbatim<KeyPackageIn>> {
    let days = Care::load(&step.transaction)?.options.lifetime_days;
    Ok(make(step, KeyPackageKind::SingleUse, days)?.1)
}

/// The ref, and the KeyPackage.
fn make(
    step: &mut Step<'_>,
    kind: KeyPackageKind,
    days: u32,
) -> Result<(Vec<u8>, Verbatim<KeyPackageIn>)> {
    let suite = mls::accepted_suite(cipher_suite::DEFAULT)
        .ok_or(InternalError::Mls("the default suite"))?;
    let (identity, now) = (step.identity, step.now);
    let made = create_key_package(
        &MlsProvider::new(&mut step.transaction, step.crypto),
        &identity.key_pair,
        (&identity.client, identity.key_pair.public()),
        suite,
        kind,
        mls::key_package_lifetime_of_days(now, days),
    )?;
    let reference = made
        .key_package
        .hash_ref(step.algorithms())
        .map_err(|_| InternalError::Mls("KeyPackageRef"))?;
    let published = Published { reference, not_after: made.not_after };
    step.transaction.store(tables::published(&made.reference), &published)?;
    Ok((made.reference, Verbatim::own(made.bytes)?))
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
