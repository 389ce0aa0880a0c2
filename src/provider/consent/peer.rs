//! What other users say: `requestConsent` (E6) and `updateConsent` (E7).
//!
//! The answer is the same, and what is read too, whether the user exists or not (R99); of a user who
//! does not exist nothing is stored.

use super::{
    Entry,
    book::{self, Book, INCOMING, RECEIVED, REQUESTED, Row},
    decision,
    key_packages::{self, Granted},
};
use crate::{
    error::{ProtocolError, Result},
    mls::MlsCrypto,
    object::Step,
    provider::outgoing,
    transport::Response,
    wire::{ConsentOperation, uri::UserUri},
};

/// Takes in what somebody says to `user`. Who that is has been checked (R98).
///
/// # Errors
/// `Malformed` when the body is no entry for this user, or KeyPackages in it are not valid (R97).
pub(in crate::provider) fn receive(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    user: &UserUri,
    body: &[u8],
) -> Result<Response> {
    let mut entry = Entry::parse(body)?;
    if entry.is_told() != user {
        return Err(ProtocolError::Malformed("another user").into());
    }
    let granted = match &mut entry.operation {
        ConsentOperation::Grant(list) => {
            key_packages::check(crypto, step.now, std::mem::take(list), &entry.target)?
        }
        _ => Vec::new(),
    };
    let mut book = Book::open(&step.transaction)?;
    match &entry.operation {
        ConsentOperation::Request => request(step, &mut book, entry)?,
        ConsentOperation::Cancel => cancel(step, &mut book, &entry)?,
        ConsentOperation::Grant(_) => grant(step, &mut book, &entry, granted)?,
        ConsentOperation::Revoke => revoke(step, &book, &entry)?,
    }
    book.close(step)?;
    Ok(Response::empty(201))
}

/// D17. What the user allows already is said again: whoever asks has missed it.
fn request(step: &mut Step<'_>, book: &mut Book, mut entry: Entry) -> Result<()> {
    let (requester, room) = (&entry.requester, entry.room.as_ref());
    let open = INCOMING.find(&step.transaction, requester, room)?;
    let surplus = INCOMING.surplus(&step.transaction)?;
    let decisions = book::decisions_about(&step.transaction, requester)?;
    if !book.is_known() || open.is_some() {
        return Ok(());
    }
    if decision::is_granted(&decisions, room) {
        entry.operation = ConsentOperation::Grant(Vec::new());
        return Ok(outgoing::say(step, &entry)?);
    }
    if let Some(oldest) = surplus {
        book.remove(step, INCOMING, &oldest);
    }
    Ok(book.insert(step, INCOMING, requester, room)?)
}

/// R103: what was requested with this scope, or nothing.
fn cancel(step: &mut Step<'_>, book: &mut Book, entry: &Entry) -> Result<()> {
    let open = INCOMING.find(&step.transaction, &entry.requester, entry.room.as_ref())?;
    if let (true, Some(open)) = (book.is_known(), open) {
        book.remove(step, INCOMING, &open);
    }
    Ok(())
}

/// R96, R97, D17. The same again has no effect.
fn grant(step: &mut Step<'_>, book: &mut Book, entry: &Entry, granted: Vec<Granted>) -> Result<()> {
    let (target, room) = (&entry.target, entry.room.as_ref());
    let earlier = RECEIVED.find(&step.transaction, target, room)?;
    let surplus = RECEIVED.surplus(&step.transaction)?;
    let mut answered = REQUESTED.about(&step.transaction, target)?;
    answered.retain(|row| book::touches(room, row.room.as_ref()));
    let held = key_packages::held(&step.transaction, target)?;
    if !book.is_known() {
        return Ok(());
    }
    key_packages::keep(step, target, room, &held, granted)?;
    if earlier.is_some() && answered.is_empty() {
        return Ok(());
    }
    for row in answered {
        book.remove(step, REQUESTED, &row);
    }
    if let Some(earlier) = earlier {
        book.remove(step, RECEIVED, &earlier);
    } else if let Some(oldest) = surplus {
        book.remove(step, RECEIVED, &oldest);
        key_packages::forget(step, &oldest.user)?;
    }
    Ok(book.insert(step, RECEIVED, target, room)?)
}

/// R100: nobody is told. The KeyPackages that came with grants are not used any more.
fn revoke(step: &mut Step<'_>, book: &Book, entry: &Entry) -> Result<()> {
    let (target, room) = (&entry.target, entry.room.as_ref());
    let held = key_packages::held(&step.transaction, target)?;
    if book.is_known() {
        key_packages::drop_touched(step, target, room, held)?;
    }
    Ok(())
}

/// Closes the requests that a decision about this scope answers.
pub(super) fn close_answered(
    step: &mut Step<'_>,
    book: &mut Book,
    requester: &UserUri,
    is_answered: impl Fn(&Row) -> bool,
) -> Result<()> {
    for row in INCOMING.about(&step.transaction, requester)? {
        if is_answered(&row) {
            book.remove(step, INCOMING, &row);
        }
    }
    Ok(())
}
