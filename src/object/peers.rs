//! What an operator sees and does of what waits for other providers, in one object.

use serde::Serialize;

use super::{Lane, Object, Role, Step, sending::Pending};
use crate::{
    error::{ProtocolError, Result},
    storage::{decode_row, encode_row},
    time::UnixMillis,
    transport::{Endpoint, IncomingRequest, Response, Source},
    wire::uri::Domain,
};

/// What waits for one provider.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    peer: Domain,
    entries: u64,
    /// Milliseconds since 1970; none when the last try did not fail.
    failing_since: Option<u64>,
    attempts: u32,
    given_up: bool,
}

impl<R: Role> Object<R> {
    /// The answer to an operator's request that every object understands; none for other requests.
    pub(super) fn operate(
        &mut self,
        request: &IncomingRequest,
        now: UnixMillis,
    ) -> Option<Result<Response>> {
        let peer = match &request.endpoint {
            Endpoint::Waiting => None,
            Endpoint::Retry { peer } | Endpoint::Drop { peer } => Some(peer.clone()),
            _ => return None,
        };
        if request.source != Source::Own {
            return Some(Err(ProtocolError::PeerRefused("not for others").into()));
        }
        let is_drop = matches!(request.endpoint, Endpoint::Drop { .. });
        Some(match peer {
            None => self.step(now, |_, step| waiting(step)),
            Some(peer) if is_drop => self.drop_queue(peer, now),
            Some(peer) => self.step(now, |_, step| {
                let lane = encode_row(&Lane::Provider(peer))?;
                step.outbox.wake(&mut step.transaction, &lane, now)?;
                Ok(Response::empty(200))
            }),
        })
    }

    /// What comes of a request that is under way is not heard any more: it is about what is dropped.
    fn drop_queue(&mut self, peer: Domain, now: UnixMillis) -> Result<Response> {
        let dropped = encode_row(&Lane::Provider(peer))?;
        self.step(now, |_, step| {
            let Step { transaction, outbox, .. } = step;
            Ok(outbox.skipped(transaction, &dropped, u64::MAX)?)
        })?;
        self.singly.remove(&dropped);
        self.pending.retain(|_, pending| match pending {
            Pending::Directory { lane, .. } | Pending::Entries { lane, .. } => *lane != dropped,
        });
        Ok(Response::empty(200))
    }
}

fn waiting(step: &Step<'_>) -> Result<Response> {
    let mut all = Vec::new();
    for view in step.outbox.lanes(&step.transaction)? {
        if let Lane::Provider(peer) = decode_row(&view.lane)? {
            let failing = view.failing;
            all.push(Waiting {
                peer,
                entries: view.waiting,
                failing_since: failing.map(|failing| failing.since.0),
                attempts: failing.map_or(0, |failing| failing.attempts),
                given_up: failing.is_some_and(|failing| failing.given_up),
            });
        }
    }
    Ok(Response::json(&all)?)
}
