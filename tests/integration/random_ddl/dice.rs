//! Choices that one number decides, so that an operation is the same however often it is tried.

/// A source of choices.
pub(super) struct Dice(fastrand::Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Something below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    /// True so many times out of a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.u32(..100) < percent
    }

    /// One of them; none where there are none.
    pub(super) fn any<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        (!all.is_empty()).then(|| &all[self.below(all.len())])
    }

    /// One of some words.
    pub(super) fn word(&mut self, all: &[&'static str]) -> &'static str {
        all[self.below(all.len())]
    }

    /// The word, or nothing.
    pub(super) fn maybe(&mut self, percent: u32, word: &str) -> String {
        if self.chance(percent) {
            word.to_owned()
        } else {
            String::new()
        }
    }
}
