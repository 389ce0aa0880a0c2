//! What goes wrong on the network, from a seed.

/// Chances in percent, and the random source that decides.
#[derive(Debug, Clone)]
pub struct Faults {
    pub drop_percent: u64,
    pub duplicate_percent: u64,
    /// Longest time that a request waits before it arrives, in milliseconds; 0: in order.
    pub delay_millis: u64,
    state: u64,
}

impl Faults {
    /// A network that delivers everything once, in order, at once.
    pub const fn none(seed: u64) -> Self {
        Self {
            drop_percent: 0,
            duplicate_percent: 0,
            delay_millis: 0,
            state: seed ^ 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// A network that drops, duplicates and reorders.
    pub const fn stormy(seed: u64) -> Self {
        Self { drop_percent: 15, duplicate_percent: 15, delay_millis: 400, ..Self::none(seed) }
    }

    /// A network that loses nothing and in which requests overtake each other.
    pub const fn slow(seed: u64) -> Self {
        Self { delay_millis: 400, ..Self::none(seed) }
    }

    /// Is this one lost?
    pub fn drops(&mut self) -> bool {
        self.drop_percent > 0 && self.below(100) < self.drop_percent
    }

    /// Does this one arrive twice?
    pub fn duplicates(&mut self) -> bool {
        self.duplicate_percent > 0 && self.below(100) < self.duplicate_percent
    }

    /// How long this one takes, in milliseconds.
    pub fn delay(&mut self) -> u64 {
        if self.delay_millis == 0 { 0 } else { self.below(self.delay_millis) }
    }

    /// Which of `count` things comes next: the first, unless requests overtake each other.
    pub fn choose(&mut self, count: usize) -> usize {
        if self.delay_millis == 0 || count == 0 {
            return 0;
        }
        self.pick(count)
    }

    /// An index of one of `count` things.
    pub fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    /// A number below `bound` (splitmix64).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}
