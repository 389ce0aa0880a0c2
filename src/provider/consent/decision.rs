//! Whether somebody may claim a user's KeyPackages (R31, R101, R102).

use super::book::{self, Decision};
use crate::{
    config::ConsentDefault,
    error::InternalError,
    object::Step,
    wire::{
        KeyMaterialUserCode,
        uri::{RoomUri, UserUri},
    },
};

/// The code that refuses `requester` the KeyPackages of `target` for `room`; `None` when it may have
/// them.
///
/// A user's own devices need no consent (R16); a common room gives none (R102).
///
/// # Errors
/// When the storage fails.
pub(in crate::provider) fn refusal(
    step: &Step<'_>,
    requester: &UserUri,
    target: &UserUri,
    room: Option<&RoomUri>,
) -> Result<Option<KeyMaterialUserCode>, InternalError> {
    let decisions = book::decisions_about(&step.transaction, requester)?;
    if requester == target {
        return Ok(None);
    }
    Ok(look_up(&decisions, room, step.config.consent_default))
}

/// R101: the room's entry, else the one for any room, else the default.
fn look_up(
    decisions: &[Decision],
    room: Option<&RoomUri>,
    default: ConsentDefault,
) -> Option<KeyMaterialUserCode> {
    let any = explicit(decisions, None).unwrap_or(default == ConsentDefault::Allow);
    let allowed = room.and_then(|room| explicit(decisions, Some(room))).unwrap_or(any);
    if allowed {
        return None;
    }
    let elsewhere = any || decisions.iter().any(Decision::is_grant);
    match room {
        Some(_) if elsewhere => Some(KeyMaterialUserCode::NoConsentForThisRoom),
        // Without a room there is no "this room".
        _ => Some(KeyMaterialUserCode::NoConsent),
    }
}

/// Whether the user has allowed the room (or any), as far as it said so.
fn explicit(decisions: &[Decision], room: Option<&RoomUri>) -> Option<bool> {
    let said = decisions.iter().find(|decision| decision.row.room.as_ref() == room);
    said.map(Decision::is_grant)
}

/// Whether the user has said that the room (or any) is allowed.
pub(super) fn is_granted(decisions: &[Decision], room: Option<&RoomUri>) -> bool {
    explicit(decisions, room).or_else(|| explicit(decisions, None)) == Some(true)
}
