//! Which of the provider's users have no device connected, as far as an object knows: what is for
//! connected devices alone is not sent to them.
//!
//! A user's object that is sent such a thing says when it has no socket. From then on it gets nothing
//! more of the kind until one of the user's devices asks this object for something, as every device
//! does that connects, or this object has something for the user's inbox; and now and then it is tried
//! again. This is memory alone: whoever nothing is known of is sent everything.

use std::collections::BTreeMap;

use crate::{time::UnixMillis, transport::ObjectName};

/// How many users it is kept of when they last were heard of: then it begins anew.
const MOST_HEARD: usize = 10_000;
/// After this time, in milliseconds, a user who had nobody connected is tried again.
const TRY_AGAIN_MILLIS: u64 = 5 * 60 * 1000;

/// What is known of who listens.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// Since when.
    silent: BTreeMap<ObjectName, UnixMillis>,
    /// The number of the last push before the user was heard of.
    heard: BTreeMap<ObjectName, u64>,
    pushes: u64,
    /// Of pushes up to this number nothing is believed any more.
    forgotten: u64,
}

impl Listeners {
    /// Whether this user may have a device connected.
    pub(super) fn may_listen(&self, user: &ObjectName, now: UnixMillis) -> bool {
        self.silent.get(user).is_none_or(|since| now.since(*since) >= TRY_AGAIN_MILLIS)
    }

    /// The user was heard of, or is about to be: what it said before does not count.
    pub(super) fn hear(&mut self, user: &ObjectName) {
        if self.heard.len() >= MOST_HEARD {
            let pushes = self.pushes;
            *self = Self { pushes, forgotten: pushes, ..Self::default() };
        }
        self.silent.remove(user);
        self.heard.insert(user.clone(), self.pushes);
    }

    /// The number of a push that is sent now.
    pub(super) fn number(&mut self) -> u64 {
        self.pushes += 1;
        self.pushes
    }

    /// The push of this number found no device of the user's.
    pub(super) fn found_none(&mut self, user: &ObjectName, number: u64, now: UnixMillis) {
        let heard = self.heard.get(user).copied().unwrap_or(0).max(self.forgotten);
        if heard < number {
            self.heard.remove(user);
            self.silent.insert(user.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ObjectClass;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn bob() -> ObjectName {
        ObjectName { class: ObjectClass::User, name: "bob@alpha.example".into() }
    }

    #[test]
    fn who_is_silent_is_so_until_heard_of() {
        let mut listeners = Listeners::default();
        assert!(listeners.may_listen(&bob(), NOW));
        let first = listeners.number();
        listeners.found_none(&bob(), first, NOW);
        assert!(!listeners.may_listen(&bob(), NOW));
        listeners.hear(&bob());
        assert!(listeners.may_listen(&bob(), NOW));
    }

    #[test]
    fn who_is_silent_is_tried_again_after_five_minutes() {
        let mut listeners = Listeners::default();
        let number = listeners.number();
        listeners.found_none(&bob(), number, NOW);
        assert!(!listeners.may_listen(&bob(), NOW.plus(TRY_AGAIN_MILLIS - 1)));
        assert!(listeners.may_listen(&bob(), NOW.plus(TRY_AGAIN_MILLIS)));
        let number = listeners.number();
        listeners.found_none(&bob(), number, NOW.plus(TRY_AGAIN_MILLIS));
        assert!(!listeners.may_listen(&bob(), NOW.plus(TRY_AGAIN_MILLIS)));
    }

    /// The answer to a push comes when a device has connected meanwhile.
    #[test]
    fn what_was_found_before_a_user_was_heard_of_does_not_count() {
        let mut listeners = Listeners::default();
        let (early, late) = (listeners.number(), listeners.number());
        listeners.hear(&bob());
        listeners.found_none(&bob(), early, NOW);
        listeners.found_none(&bob(), late, NOW);
        assert!(listeners.may_listen(&bob(), NOW));
        let next = listeners.number();
        listeners.found_none(&bob(), next, NOW);
        assert!(!listeners.may_listen(&bob(), NOW));
    }

    #[test]
    fn of_many_who_were_heard_of_nothing_is_kept_and_nothing_early_believed() {
        let mut listeners = Listeners::default();
        let early = listeners.number();
        for number in 0..=MOST_HEARD {
            listeners.hear(&ObjectName { name: format!("user-{number}@alpha.example"), ..bob() });
        }
        assert_eq!(listeners.heard.len(), 1);
        listeners.found_none(&bob(), early, NOW);
        assert!(listeners.may_listen(&bob(), NOW));
        let late = listeners.number();
        listeners.found_none(&bob(), late, NOW);
        assert!(!listeners.may_listen(&bob(), NOW));
    }
}
