//! What becomes of what was sent from a lane: delivered, tried again, sent singly, skipped, given up
//! (R82, D22).
//!
//! The operator hears of a provider that refuses us, of one that is given up and of one that answers
//! again, and of a message that was refused for good; by domain and status, nothing else.

use super::{Lane, News, Object, Role, Step};
use crate::{
    error::Result,
    storage::decode_row,
    time::UnixMillis,
    transport::{Effect, Outcome, Response},
    wire::uri::Domain,
};

/// Refusals that are final for what was sent (R82). After any other answer but success it is sent
/// again: what a receiver did not say no to is not lost.
const FINAL_CODES: [u16; 5] = [400, 404, 413, 415, 422];
/// How often a provider that was given up is tried, in milliseconds.
const PROBE_MILLIS: u64 = 60 * 60 * 1000;

impl<R: Role> Object<R> {
    /// R82: delivered, retried, sent singly, or refused for good.
    pub(super) fn settle(
        &mut self,
        lane: &[u8],
        last: u64,
        batch: bool,
        domain: Option<&Domain>,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<()> {
        let Some(response) = outcome else { return self.try_later(lane, None, now) };
        if response.is_success() {
            return self.done_with(lane, last, now);
        }
        let stale = domain.is_some_and(|domain| self.note_stale_directory(domain, &response, now));
        if stale || !FINAL_CODES.contains(&response.status) {
            return self.try_later(lane, Some(&response), now);
        }
        if batch {
            self.singly.insert(lane.to_vec(), last);
            self.outbox.release(lane);
            return Ok(());
        }
        if let Some(domain) = provider_of(lane) {
            self.report(&domain, &format!("a message is refused, {}", response.status), now);
        }
        self.done_with(lane, last, now)
    }

    /// The entries up to `last` are delivered, or refused: their receiver answers.
    fn done_with(&mut self, lane: &[u8], last: u64, now: UnixMillis) -> Result<()> {
        self.end_singly(lane, last);
        let was_given_up = self.step(now, |_, step| {
            let Step { transaction, outbox, now, .. } = step;
            let failing = outbox.failing(transaction, lane)?;
            outbox.delivered(transaction, lane, last, *now)?;
            Ok(failing.is_some_and(|failing| failing.given_up))
        })?;
        if was_given_up && let Some(domain) = provider_of(lane) {
            self.report(&domain, "answers again", now);
        }
        Ok(())
    }

    /// There is nothing to send for the entries up to `last` any more.
    pub(super) fn skip(&mut self, lane: &[u8], last: u64, now: UnixMillis) -> Result<()> {
        self.end_singly(lane, last);
        self.step(now, |_, step| {
            let Step { transaction, outbox, .. } = step;
            Ok(outbox.skipped(transaction, lane, last)?)
        })
    }

    fn end_singly(&mut self, lane: &[u8], last: u64) {
        if self.singly.get(lane).is_some_and(|until| last >= *until) {
            self.singly.remove(lane);
        }
    }

    /// The lane waits, and is given up if the role does so with a provider that failed for too long
    /// (D22).
    /// `response` is none when there was no answer.
    pub(super) fn try_later(
        &mut self,
        lane: &[u8],
        response: Option<&Response>,
        now: UnixMillis,
    ) -> Result<()> {
        let provider = provider_of(lane);
        let give_up_millis = self.config.retention.give_up_millis;
        let after = response.and_then(Response::retry_after_millis);
        let (before, is_over) = self.step(now, |_, step| {
            let Step { transaction, outbox, now, .. } = step;
            let before = outbox.failing(transaction, lane)?;
            outbox.failed(transaction, lane, *now, after)?;
            let since = before.map_or(*now, |failing| failing.since);
            let may_end = R::GIVES_UP && provider.is_some();
            let is_over = may_end && now.since(since) >= give_up_millis;
            if is_over {
                outbox.give_up(transaction, lane, now.plus(PROBE_MILLIS))?;
            }
            Ok((before, is_over))
        })?;
        let Some(domain) = provider else { return Ok(()) };
        if is_over {
            self.singly.remove(lane);
            if before.is_some_and(|failing| !failing.given_up) {
                self.report(&domain, "given up", now);
            }
        } else if before.is_none()
            && let Some(Response { status: status @ (401 | 403), .. }) = response
        {
            self.report(&domain, &format!("refused, {status}"), now);
        }
        Ok(())
    }

    /// The operator is told in a line, and in the index when this object is in it.
    fn report(&mut self, domain: &Domain, what: &str, now: UnixMillis) {
        self.effects.push(Effect::Report { line: format!("{} to {domain}: {what}", R::SENDS) });
        if self.own_name.is_some() {
            let what = format!("{}: {what}", R::SENDS);
            let news = News::Report { peer: domain.clone(), what };
            // A report that cannot be stored is in the log.
            let _ = self.step(now, |_, step| Ok(step.tell_index(&news)?));
        }
    }
}

/// The provider that a lane leads to, if it leads to one.
fn provider_of(lane: &[u8]) -> Option<Domain> {
    match decode_row(lane) {
        Ok(Lane::Provider(domain)) => Some(domain),
        Ok(Lane::Object(_)) | Err(_) => None,
    }
}
