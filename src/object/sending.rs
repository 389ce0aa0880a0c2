//! What the outbox wants sent: a request at a time, and what came of each.

use super::{
    Call, LANE_BATCH, Lane, LaneRequest, Object, Role,
    announce::announcement,
    directories::{self, Directories, Resolved},
};
use crate::{
    error::Result,
    storage::{Transaction, decode_row},
    time::UnixMillis,
    transport::{ObjectClass, Outcome, Outgoing, OutgoingRequest, RequestId},
    wire::uri::Domain,
};

/// A request that waits for its answer.
pub(super) enum Pending {
    Directory { lane: Vec<u8>, domain: Domain },
    Entries { lane: Vec<u8>, last: u64, batch: bool, domain: Option<Domain> },
}

impl<R: Role> Object<R> {
    /// The next request that the outbox wants sent, if any.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn poll_request(&mut self, now: UnixMillis) -> Result<Option<OutgoingRequest>> {
        self.stored = self.stored.known(&*self.storage)?;
        loop {
            let due = {
                let transaction = Transaction::new(&*self.storage);
                self.outbox.take_due(&transaction, now, LANE_BATCH)?
            };
            let Some(due) = due else { return Ok(None) };
            let limit = if self.singly.contains_key(&due.lane) { 1 } else { LANE_BATCH };
            let entries: Vec<Vec<u8>> =
                due.entries.iter().take(limit).map(|(_, entry)| entry.clone()).collect();
            let made = self.step(now, |role, step| match decode_row(&due.lane)? {
                Lane::Object(object) if object.class == ObjectClass::Provider => {
                    Ok(Some(announcement(object, &entries)?))
                }
                lane => role.lane_request(step, &lane, &entries),
            });
            let Ok(made) = made else {
                // The other lanes do not wait for what is wrong with this one (R84).
                self.try_later(&due.lane, None, now)?;
                continue;
            };
            let count = made.as_ref().map_or(1, |request| request.entries.max(1));
            let last = due.entries.iter().take(count).next_back().map_or(0, |(number, _)| *number);
            match made {
                None => self.skip(&due.lane, last, now)?,
                Some(request) => {
                    let batch = count > 1;
                    match self.send(due.lane.clone(), last, batch, request, now) {
                        Ok(request) => return Ok(Some(request)),
                        Err(_) => self.try_later(&due.lane, None, now)?,
                    }
                }
            }
        }
    }

    fn send(
        &mut self,
        lane: Vec<u8>,
        last: u64,
        batch: bool,
        request: LaneRequest,
        now: UnixMillis,
    ) -> Result<OutgoingRequest> {
        let id = self.next_id;
        self.next_id += 1;
        let (outgoing, label, pending) = match request.call {
            Call::Object(call) => (
                Outgoing::Object(call),
                request.label,
                Pending::Entries { lane, last, batch, domain: None },
            ),
            Call::Directory(domain) => (
                Outgoing::Http(directories::fetch(&domain)),
                request.label,
                Pending::Entries { lane, last, batch, domain: None },
            ),
            Call::Peer(call) => {
                let transaction = Transaction::new(&*self.storage);
                match Directories::resolve(&transaction, &self.config, &call, now)? {
                    Resolved::Call(http) => (
                        Outgoing::Http(http),
                        request.label,
                        Pending::Entries { lane, last, batch, domain: Some(call.domain) },
                    ),
                    Resolved::DirectoryFirst(http) => (
                        Outgoing::Http(http),
                        "directory".into(),
                        Pending::Directory { lane, domain: call.domain },
                    ),
                }
            }
        };
        self.pending.insert(id, pending);
        Ok(OutgoingRequest { id, outgoing, label, since: request.since })
    }

    /// Reports what came of a request of [`Object::poll_request`].
    ///
    /// # Errors
    /// When the storage fails.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<()> {
        match self.pending.remove(&id) {
            None => Ok(()),
            Some(Pending::Directory { lane, domain }) => match self.learn(&domain, outcome, now) {
                Ok(()) => {
                    self.outbox.release(&lane);
                    Ok(())
                }
                Err(_) => self.try_later(&lane, None, now),
            },
            Some(Pending::Entries { lane, last, batch, domain }) => {
                self.settle(&lane, last, batch, domain.as_ref(), outcome, now)
            }
        }
    }
}
