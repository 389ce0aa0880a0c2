//! What is sent, and what came of it: the outbox, its answers, and what is done when its time comes.

use super::{
    Client,
    identity::{Account, Registration},
    intent::{self, WaitsFor},
    key_packages::{self, Care},
    request::{Made, Request, Settled},
    step::{self, Step},
    tables,
};
use crate::{
    error::{Error, InternalError, Result},
    storage::{Transaction, decode_row},
    time::UnixMillis,
    transport::{Outcome, Outgoing, OutgoingRequest, RequestId},
};

impl Client {
    /// The next request that is due, if any. Its URL is below the provider's base URL.
    ///
    /// What it changes has to be persisted before the request is sent, as with every call.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn poll_request(&mut self, now: UnixMillis) -> Result<Option<OutgoingRequest>> {
        if self.is_refused()? {
            return Ok(None);
        }
        if self.next_timer()?.is_some_and(|due| due <= now) {
            self.timers(now)?;
        }
        loop {
            let due = self.outbox.take_due(&Transaction::new(&self.storage), now, 1)?;
            let Some(due) = due else { return Ok(None) };
            let lane = due.lane;
            let Some((number, entry)) = due.entries.into_iter().next() else {
                self.outbox.release(&lane);
                return Err(InternalError::Storage("a lane without its entries").into());
            };
            let made = decode_row::<Request>(&entry)
                .map_err(Error::from)
                .and_then(|request| self.step(now, |step| Ok((request.make(step)?, request))));
            let (made, request) = match made {
                Ok(made) => made,
                Err(error) => {
                    // Not at once again: other lanes have their turn first.
                    self.settle(&lane, number, Settled::Later(None), now)?;
                    return Err(error);
                }
            };
            match made {
                Made::Send(call, label) => {
                    let id = self.next_id;
                    self.next_id += 1;
                    self.sent.insert(id, (lane, number, request));
                    return Ok(Some(OutgoingRequest {
                        id,
                        outgoing: Outgoing::Http(call),
                        label,
                        since: None,
                    }));
                }
                Made::Wait => self.settle(&lane, number, Settled::Later(None), now)?,
                Made::Drop => self.settle(&lane, number, Settled::Delivered, now)?,
            }
        }
    }

    /// Reports what came of a request of [`Client::poll_request`].
    ///
    /// # Errors
    /// When the storage fails or the answer cannot be taken in; then the request is sent again, later.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<()> {
        let Some((lane, number, request)) = self.sent.remove(&id) else { return Ok(()) };
        let Some(response) = outcome else {
            return self.settle(&lane, number, Settled::Later(None), now);
        };
        let taken = self.step(now, |step| {
            let settled = request.answered(step, &response)?;
            settle(step, &lane, number, settled)
        });
        if taken.is_err() {
            self.settle(&lane, number, Settled::Later(None), now)?;
        }
        taken
    }

    /// The connection is back: what waits for a retry is due now.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn retry_now(&mut self, now: UnixMillis) -> Result<()> {
        self.step(now, |step| Ok(step.outbox.retry_now(&mut step.transaction, step.now)?))
    }

    /// When to call [`Client::poll_request`] next; `None` when nothing waits.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_wake(&self) -> Result<Option<UnixMillis>> {
        if self.is_refused()? {
            return Ok(None);
        }
        let due = self.outbox.next_due(&Transaction::new(&self.storage))?;
        Ok(due.into_iter().chain(self.next_timer()?).min())
    }

    fn settle(
        &mut self,
        lane: &[u8],
        number: u64,
        settled: Settled,
        now: UnixMillis,
    ) -> Result<()> {
        self.step(now, |step| settle(step, lane, number, settled))
    }

    /// A device that its provider refuses sends nothing.
    fn is_refused(&self) -> Result<bool> {
        Ok(self.registration()? == Registration::Refused)
    }

    /// What is done when its time comes. What fails in one room does not stop the others.
    fn timers(&mut self, now: UnixMillis) -> Result<()> {
        self.step(now, key_packages::look_after)?;
        for (room, _) in self.rooms()? {
            if self.step(now, |step| intent::advance(step, &room)).is_err() {
                self.step(now, |step| intent::give_up_first(step, &room))?;
            }
        }
        Ok(())
    }

    fn next_timer(&self) -> Result<Option<UnixMillis>> {
        let transaction = Transaction::new(&self.storage);
        let account: Account = transaction.load(&tables::account())?.unwrap_or_default();
        if account.registration != Registration::Done {
            return Ok(None);
        }
        let mut next = Care::load(&transaction)?.due(&account);
        for room in step::rooms(&transaction)? {
            let due = intent::first(&transaction, &room.uri)?
                .filter(|intent| intent.waits_for == WaitsFor::Nothing)
                .filter(|_| room.is_ready_for_intents())
                .map(|intent| intent.not_before);
            next = next.into_iter().chain(due).min();
        }
        Ok(next)
    }
}

fn settle(step: &mut Step<'_>, lane: &[u8], number: u64, settled: Settled) -> Result<()> {
    let now = step.now;
    match settled {
        Settled::Delivered => step.outbox.delivered(&mut step.transaction, lane, number, now)?,
        Settled::Later(after) => step.outbox.failed(&mut step.transaction, lane, now, after)?,
    }
    Ok(())
}
