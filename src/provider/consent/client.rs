//! `consent` of the client API: what a user of ours says and sees.

use super::{
    Entry,
    book::{self, Book, INCOMING, RECEIVED, REQUESTED, Row, Verdict},
    key_packages, peer,
};
use crate::{
    error::{ProtocolError, Result},
    mls::MlsCrypto,
    object::Step,
    provider::outgoing,
    storage::Transaction,
    transport::Response,
    wire::{ConsentItem, ConsentOperation, ConsentState, encode, uri::UserUri},
};

/// `POST consent`: takes in what `user` says, tells the other user's provider, and answers as
/// [`state`].
///
/// # Errors
/// `Malformed`; `NotAllowed` when it is somebody else's to say; `TooManyRequests` for one decision too
/// many; as [`key_packages::issue`].
pub(in crate::provider) fn post(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    user: &UserUri,
    body: &[u8],
) -> Result<Response> {
    let entry = Entry::parse(body)?;
    if entry.says() != user {
        return Err(ProtocolError::NotAllowed("somebody else's to say".into()).into());
    }
    let mut book = Book::open(&step.transaction)?;
    match &entry.operation {
        ConsentOperation::Request => request(step, &mut book, &entry)?,
        ConsentOperation::Cancel => cancel(step, &mut book, &entry)?,
        ConsentOperation::Grant(list) => {
            let verdict = match list.is_empty() {
                true => Verdict::Granted,
                false => Verdict::GrantedWithKeyPackages,
            };
            key_packages::issue(step, crypto, &entry, list)?;
            grant(step, &mut book, &entry, verdict)?;
        }
        ConsentOperation::Revoke => revoke(step, &mut book, &entry)?,
    }
    book.close(step)?;
    Ok(Response::tls(200, encode(&state(&step.transaction)?)?))
}

/// A request is sent whether it is open already or not: it may have got lost on the other side (D17).
fn request(step: &mut Step<'_>, book: &mut Book, entry: &Entry) -> Result<()> {
    let (target, room) = (&entry.target, entry.room.as_ref());
    if REQUESTED.find(&step.transaction, target, room)?.is_none() {
        if let Some(oldest) = REQUESTED.surplus(&step.transaction)? {
            book.remove(step, REQUESTED, &oldest);
        }
        book.insert(step, REQUESTED, target, room)?;
    }
    Ok(outgoing::say(step, entry)?)
}

/// R103: only what is open can be taken back.
fn cancel(step: &mut Step<'_>, book: &mut Book, entry: &Entry) -> Result<()> {
    let open = REQUESTED.find(&step.transaction, &entry.target, entry.room.as_ref())?;
    let Some(open) = open else { return Ok(()) };
    book.remove(step, REQUESTED, &open);
    Ok(outgoing::say(step, entry)?)
}

/// R96, R101. A grant for a room answers the request for any room too.
fn grant(step: &mut Step<'_>, book: &mut Book, entry: &Entry, verdict: Verdict) -> Result<()> {
    let (requester, room) = (&entry.requester, entry.room.as_ref());
    let earlier = book::decisions_about(&step.transaction, requester)?;
    let of_scope = earlier.iter().find(|decision| decision.row.room == entry.room);
    let verdict = match of_scope.map(|decision| decision.verdict) {
        Some(Verdict::GrantedWithKeyPackages) => Verdict::GrantedWithKeyPackages,
        _ => verdict,
    };
    book.decide(step, requester, room, verdict)?;
    peer::close_answered(step, book, requester, |row| book::touches(room, row.room.as_ref()))?;
    Ok(outgoing::say(step, entry)?)
}

/// R100, R101. The other side is told only if it has KeyPackages to put away.
fn revoke(step: &mut Step<'_>, book: &mut Book, entry: &Entry) -> Result<()> {
    let (requester, room) = (&entry.requester, entry.room.as_ref());
    let mut key_packages_are_out = false;
    for earlier in book::decisions_about(&step.transaction, requester)? {
        key_packages_are_out |= earlier.verdict == Verdict::GrantedWithKeyPackages
            && book::touches(room, earlier.row.room.as_ref());
        if room.is_none() && earlier.is_grant() {
            book.forget(step, &earlier);
        }
    }
    book.decide(step, requester, room, Verdict::Refused)?;
    peer::close_answered(step, book, requester, |row| book::covers(room, row.room.as_ref()))?;
    if key_packages_are_out {
        outgoing::say(step, entry)?;
    }
    Ok(())
}

/// Everything that there is about the user's consent (D17).
///
/// # Errors
/// When the storage fails.
pub(in crate::provider) fn state(transaction: &Transaction<'_>) -> Result<ConsentState> {
    let items = |rows: &[Row]| -> Vec<ConsentItem> { rows.iter().map(Row::to_item).collect() };
    let (given, refused): (Vec<_>, Vec<_>) =
        book::decisions(transaction)?.into_iter().partition(book::Decision::is_grant);
    let rows = |decisions: Vec<book::Decision>| -> Vec<ConsentItem> {
        decisions.iter().map(|decision| decision.row.to_item()).collect()
    };
    Ok(ConsentState {
        version: book::version(transaction)?,
        incoming: items(&INCOMING.all(transaction)?),
        given: rows(given),
        refused: rows(refused),
        requested: items(&REQUESTED.all(transaction)?),
        received: items(&RECEIVED.all(transaction)?),
    })
}
