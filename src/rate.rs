//! How often somebody may ask: token buckets (D18).
//!
//! In memory alone: after a restart every bucket is full. In scope: counting. Out of scope: who is
//! counted, and the answer.

use std::collections::BTreeMap;

use crate::time::UnixMillis;

/// How many requests are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second, on and on.
    pub per_second: u32,
    /// Requests at once, after a time without any.
    pub burst: u32,
}

/// Names that are remembered; those whose buckets are full again are forgotten first.
const MOST_NAMES: usize = 10_000;
/// Parts of a token: what a rate of one per second brings in a millisecond.
const PARTS: u64 = 1000;

/// What one name has left.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Tokens, in thousandths.
    parts: u64,
    at: UnixMillis,
}

impl Bucket {
    fn refilled(self, rate: Rate, now: UnixMillis) -> Self {
        let most = u64::from(rate.burst.max(1)).saturating_mul(PARTS);
        // A clock that goes back brings nothing, and takes nothing away.
        let gained = now.since(self.at).saturating_mul(rate.per_second.into());
        Self { parts: self.parts.saturating_add(gained).min(most), at: self.at.max(now) }
    }

    fn is_full(self, rate: Rate) -> bool {
        self.parts >= u64::from(rate.burst.max(1)).saturating_mul(PARTS)
    }
}

/// The buckets of many names.
#[derive(Debug, Default)]
pub struct Buckets(BTreeMap<String, Bucket>);

impl Buckets {
    /// Takes one token of `name`.
    ///
    /// # Errors
    /// When there is none: in how many seconds there will be one, at least 1.
    pub fn take(&mut self, name: &str, rate: Rate, now: UnixMillis) -> Result<(), u64> {
        if !self.0.contains_key(name) {
            self.make_room(rate, now);
        }
        let full = Bucket { parts: u64::MAX, at: now };
        let bucket = self.0.entry(name.to_owned()).or_insert(full);
        *bucket = bucket.refilled(rate, now);
        if let Some(left) = bucket.parts.checked_sub(PARTS) {
            bucket.parts = left;
            return Ok(());
        }
        let missing = PARTS.saturating_sub(bucket.parts);
        let per_second = u64::from(rate.per_second.max(1)).saturating_mul(PARTS);
        Err(missing.div_ceil(per_second).max(1))
    }

    /// Forgets names that have everything again; of too many others, the one that is named first.
    fn make_room(&mut self, rate: Rate, now: UnixMillis) {
        if self.0.len() < MOST_NAMES {
            return;
        }
        self.0.retain(|_, bucket| !bucket.refilled(rate, now).is_full(rate));
        if self.0.len() >= MOST_NAMES {
            self.0.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 2, burst: 3 };
    const NOW: UnixMillis = UnixMillis(1_000_000);

    #[test]
    fn d18_a_burst_is_let_through_and_then_so_many_a_second() {
        let mut buckets = Buckets::default();
        for _ in 0..3 {
            assert_eq!(buckets.take("a", RATE, NOW), Ok(()));
        }
        assert_eq!(buckets.take("a", RATE, NOW), Err(1));
        assert_eq!(buckets.take("b", RATE, NOW), Ok(()), "each has a bucket of its own");
        assert_eq!(buckets.take("a", RATE, NOW.plus(499)), Err(1));
        assert_eq!(buckets.take("a", RATE, NOW.plus(500)), Ok(()));
        assert_eq!(buckets.take("a", RATE, NOW.plus(500)), Err(1));
        // A long rest brings the burst back, and no more.
        for _ in 0..3 {
            assert_eq!(buckets.take("a", RATE, NOW.plus(1_000_000)), Ok(()));
        }
        assert_eq!(buckets.take("a", RATE, NOW.plus(1_000_000)), Err(1));
    }

    #[test]
    fn d18_a_clock_that_goes_back_neither_brings_nor_takes() {
        let mut buckets = Buckets::default();
        for _ in 0..3 {
            assert_eq!(buckets.take("a", RATE, NOW), Ok(()));
        }
        assert_eq!(buckets.take("a", RATE, UnixMillis(0)), Err(1));
        assert_eq!(buckets.take("a", RATE, NOW.plus(500)), Ok(()));
    }

    #[test]
    fn d18_names_are_forgotten_when_they_are_too_many() {
        let mut buckets = Buckets::default();
        for number in 0..MOST_NAMES + 10 {
            assert_eq!(buckets.take(&format!("{number:06}"), RATE, NOW), Ok(()));
        }
        assert_eq!(buckets.0.len(), MOST_NAMES);
        assert_eq!(buckets.take("later", RATE, NOW.plus(60_000)), Ok(()));
        assert_eq!(buckets.0.len(), 1, "all others have everything again");
    }
}
