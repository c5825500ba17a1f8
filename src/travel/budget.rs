//! The failure budget of one run over the fleet.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::config::Portion;

/// Counts failures and says when no further target may be started.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    failed: AtomicUsize,
    halted: AtomicBool,
}

impl Budget {
    /// What may fail of so many targets.
    pub fn new(max: Portion, targets: usize) -> Self {
        Self {
            limit: max.of(targets),
            failed: AtomicUsize::new(0),
            halted: AtomicBool::new(false),
        }
    }

    /// One more failed.
    pub fn spend(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// No further target may be started, whatever is left: the error would be the same for all.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    /// Whether no further target may be started.
    pub fn is_spent(&self) -> bool {
        self.halted.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed) > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_spent_by_one_more_than_may_fail() {
        let budget = Budget::new(Portion::Share(100), 200);
        budget.spend();
        budget.spend();
        assert!(!budget.is_spent());
        budget.spend();
        assert!(budget.is_spent());
    }

    #[test]
    fn an_authors_error_halts_at_once() {
        let budget = Budget::new(Portion::Count(100), 200);
        budget.halt();
        assert!(budget.is_spent());
    }
}
