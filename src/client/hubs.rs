//! What the hubs of this device's rooms can do (D13): whether they take a tree by reference (A23).

use openmls::treesync;
use serde::{Deserialize, Serialize};

use super::{
    request::{Request, Settled},
    step::Step,
};
use crate::{
    error::{InternalError, Result},
    mls::ratchet_tree,
    time::UnixMillis,
    transport::Response,
    wire::{RatchetTreeOption, RatchetTreeSupport, decode_exact, uri::Domain},
};

/// For how long a hub's word will do, in milliseconds (D13).
const KNOWN_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// A hub.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Hub {
    /// When its directory was last asked for.
    asked_at: UnixMillis,
    /// Whether it takes trees by reference, as far as this device knows.
    takes_references: bool,
}

/// Asks for a hub's directory, unless that was done lately.
pub(super) fn learn(step: &mut Step<'_>, domain: &Domain) -> Result<(), InternalError> {
    let mut account = step.account()?;
    let known = account.hubs.get(domain).copied();
    if known.is_some_and(|hub| step.now.since(hub.asked_at) < KNOWN_MILLIS) {
        return Ok(());
    }
    let takes_references = known.is_some_and(|hub| hub.takes_references);
    account.hubs.insert(domain.clone(), Hub { asked_at: step.now, takes_references });
    step.store_account(&account)?;
    step.enqueue(&Request::Directory(domain.clone()))
}

/// The provider answered `GET directory/{domain}`.
pub(super) fn answered(
    step: &mut Step<'_>,
    domain: &Domain,
    response: &Response,
) -> Result<Settled> {
    let takes_references = response.is_success()
        && decode_exact(&response.body) == Ok(RatchetTreeSupport::ByReference);
    note(step, domain, takes_references)?;
    Ok(Settled::Delivered)
}

/// Takes note of what a hub can do.
pub(super) fn note(
    step: &mut Step<'_>,
    domain: &Domain,
    takes_references: bool,
) -> Result<(), InternalError> {
    let mut account = step.account()?;
    account.hubs.insert(domain.clone(), Hub { asked_at: step.now, takes_references });
    step.store_account(&account)
}

/// The tree after a commit, as this hub takes it: all of it, if nothing else is known.
pub(super) fn tree_option(
    step: &Step<'_>,
    domain: &Domain,
    tree: &treesync::RatchetTree,
) -> Result<RatchetTreeOption, InternalError> {
    if step.account()?.hubs.get(domain).is_some_and(|hub| hub.takes_references) {
        return Ok(RatchetTreeOption::ByReference);
    }
    Ok(RatchetTreeOption::Full(ratchet_tree::to_wire(tree)?))
}
