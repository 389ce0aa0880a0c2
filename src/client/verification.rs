//! Verification of people: whether the devices that stand for a user are that user's.
//!
//! What is compared are the devices with a leaf in the rooms that both users are in and this device is
//! in: both sides see the same leaves there. Devices whose rooms differ show different numbers.

use openmls_traits::OpenMlsProvider;
use serde::{Deserialize, Serialize};

use super::{
    Client, Event, Trust,
    known::{self, Known},
    room::mls_error,
    safety_number::{KnownDevice, SafetyNumber},
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, Result, UsageError},
    sorted::{SortedMap, SortedSet},
    storage::{Transaction, decode_row},
    time::UnixMillis,
    wire::uri::{RoomUri, UserUri},
};

/// Most bytes that MLS' exporter gives with the hash of our suites: 255 hashes of 32 bytes (RFC 5869).
const MOST_EXPORTED: usize = 255 * 32;

/// A user who was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Verified {
    user: UserUri,
    devices: SortedSet<KnownDevice>,
    /// Whether another device was seen since.
    changed: bool,
}

impl Verified {
    const fn trust(&self) -> Trust {
        if self.changed { Trust::Changed } else { Trust::Verified }
    }
}

impl Client {
    /// The safety number of the own user and another one, as things stand.
    ///
    /// # Errors
    /// [`UsageError::UserUnknown`] when this device is in no room with a device of the user;
    /// [`UsageError::BadArgument`] for the own user.
    pub fn safety_number(&self, user: &UserUri) -> Result<SafetyNumber> {
        let own = self.identity.client.user();
        safety_number(&Transaction::new(&self.storage), &own, user)
    }

    /// Whether a user's devices were verified.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn trust(&self, user: &UserUri) -> Result<Trust> {
        let verified = load(&Transaction::new(&self.storage), user)?;
        Ok(verified.as_ref().map_or(Trust::Unverified, Verified::trust))
    }

    /// All users who were verified, by address, and whether that still holds.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn verified_users(&self) -> Result<Vec<(UserUri, Trust)>> {
        Ok(all(&Transaction::new(&self.storage))?.into_iter().collect())
    }

    /// The devices of a user are verified: those that there are now or, better, those of the number that
    /// was compared, of which this is the QR content. [`Event::TrustChanged`] says so if it is new.
    ///
    /// # Errors
    /// As of [`Client::safety_number`]; [`UsageError::BadState`] when the number is another one by now.
    pub fn verify(&mut self, user: &UserUri, qr: Option<&[u8]>, now: UnixMillis) -> Result<()> {
        let own = self.identity.client.user();
        self.step(now, |step| {
            let number = safety_number(&step.transaction, &own, user)?;
            if qr.is_some_and(|compared| compared != number.qr) {
                return Err(UsageError::BadState("the user's devices have changed").into());
            }
            let (devices, _) = sides(&step.transaction, user, &own)?;
            let verified = Verified { user: user.clone(), devices, changed: false };
            set(step, user, Some(verified))
        })
    }

    /// The devices of a user are no longer taken for verified. [`Event::TrustChanged`] says so if they
    /// were.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn forget_verification(&mut self, user: &UserUri, now: UnixMillis) -> Result<()> {
        self.step(now, |step| set(step, user, None))
    }

    /// A secret of the room's epoch (RFC 9420 §8.5), the same on all devices that are in it; each epoch
    /// has another one.
    ///
    /// # Errors
    /// [`UsageError::RoomUnknown`]; [`UsageError::BadState`] when this device is not in the room;
    /// [`UsageError::BadArgument`] for a length of 0 or of more than 8160 bytes.
    pub fn export_secret(
        &mut self,
        room: &RoomUri,
        label: &str,
        context: &[u8],
        length: usize,
    ) -> Result<Vec<u8>> {
        if !(1..=MOST_EXPORTED).contains(&length) {
            return Err(UsageError::BadArgument("a length of 1 to 8160 bytes").into());
        }
        // Nothing is done, so the time does not matter.
        self.step(UnixMillis(0), |step| {
            step.room(room)?.ok_or(UsageError::RoomUnknown)?;
            let group = step.group(room).map_err(|_| UsageError::RoomUnknown)?;
            if !group.is_active() {
                return Err(UsageError::BadState("this device is not in the room").into());
            }
            let secret = group.export_secret(step.provider().crypto(), label, context, length);
            Ok(secret.map_err(mls_error("a secret cannot be exported"))?)
        })
    }
}

fn safety_number(
    transaction: &Transaction<'_>,
    own: &UserUri,
    user: &UserUri,
) -> Result<SafetyNumber> {
    if user == own {
        return Err(UsageError::BadArgument("another user").into());
    }
    let (theirs, ours) = sides(transaction, user, own)?;
    if theirs.is_empty() {
        return Err(UsageError::UserUnknown.into());
    }
    Ok(SafetyNumber::of((own, &ours), (user, &theirs))?)
}

/// The devices of `user` and of the own one in the rooms that both are in.
fn sides(
    transaction: &Transaction<'_>,
    user: &UserUri,
    own: &UserUri,
) -> Result<(SortedSet<KnownDevice>, SortedSet<KnownDevice>)> {
    let rooms = known::in_rooms(transaction)?;
    let has_user = |known: &&Known| known.get(user).is_some_and(|devices| !devices.is_empty());
    let shared: Vec<&Known> = rooms.iter().map(|(_, known)| known).filter(has_user).collect();
    let devices = |of: &UserUri| -> SortedSet<KnownDevice> {
        shared.iter().filter_map(|known| known.get(of)).flatten().cloned().collect()
    };
    Ok((devices(user), devices(own)))
}

/// The users who were verified, and whether that still holds.
pub(super) fn all(transaction: &Transaction<'_>) -> Result<SortedMap<UserUri, Trust>> {
    let prefix = tables::all_verified();
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    let trust = |(_, row): &(Vec<u8>, Vec<u8>)| {
        let verified: Verified = decode_row(row)?;
        let trust = verified.trust();
        Ok((verified.user, trust))
    };
    rows.iter().map(trust).collect()
}

fn load(transaction: &Transaction<'_>, user: &UserUri) -> Result<Option<Verified>, InternalError> {
    transaction.load(&tables::verified(user))
}

/// The devices with which a user was verified, if it was.
pub(super) fn verified_devices(
    transaction: &Transaction<'_>,
    user: &UserUri,
) -> Result<Option<SortedSet<KnownDevice>>> {
    Ok(load(transaction, user)?.map(|verified| verified.devices))
}

/// A user has these devices now: one that was not verified is told, until people compare again.
pub(super) fn devices_seen(
    step: &mut Step<'_>,
    user: &UserUri,
    devices: &SortedSet<KnownDevice>,
) -> Result<()> {
    match load(&step.transaction, user)? {
        Some(verified) if !devices.is_subset(&verified.devices) => {
            set(step, user, Some(Verified { changed: true, ..verified }))
        }
        _ => Ok(()),
    }
}

fn set(step: &mut Step<'_>, user: &UserUri, verified: Option<Verified>) -> Result<()> {
    let trust = |verified: Option<&Verified>| verified.map_or(Trust::Unverified, Verified::trust);
    let was = trust(load(&step.transaction, user)?.as_ref());
    let is = trust(verified.as_ref());
    let key = tables::verified(user);
    match verified {
        Some(verified) => step.transaction.store(key, &verified)?,
        None => step.transaction.delete(key),
    }
    if was != is {
        step.emit(Event::TrustChanged { user: user.clone(), trust: is });
    }
    Ok(())
}
