//! Whether a user's KeyPackages may be claimed (R31).
//!
//! In scope: the provider's default (R102). Out of scope: what a user said to somebody; there are no
//! consent entries here.

use crate::{
    config::ConsentDefault,
    wire::{KeyMaterialUserCode, uri::UserUri},
};

/// The code that refuses `requester` the KeyPackages of `target`; `None` when it may have them.
///
/// A user's own devices need no consent (R16); a common room gives none (R102).
pub(super) fn refusal(
    default: ConsentDefault,
    requester: &UserUri,
    target: &UserUri,
) -> Option<KeyMaterialUserCode> {
    match default {
        ConsentDefault::Allow => None,
        ConsentDefault::Ask if requester == target => None,
        ConsentDefault::Ask => Some(KeyMaterialUserCode::NoConsent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r102_the_default_decides_and_own_devices_are_allowed() {
        let alice = UserUri::parse("alice@alpha.example").unwrap();
        let bob = UserUri::parse("bob@bravo.example").unwrap();
        assert_eq!(refusal(ConsentDefault::Allow, &alice, &bob), None);
        assert_eq!(
            refusal(ConsentDefault::Ask, &alice, &bob),
            Some(KeyMaterialUserCode::NoConsent)
        );
        assert_eq!(refusal(ConsentDefault::Ask, &bob, &bob), None);
    }
}
