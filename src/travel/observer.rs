//! Who is told of a run as it happens.

use super::{Cohorts, Run};
use crate::migration::Scope;

/// Is told of what happens, for progress bars and logs.
pub trait Observer: Sync {
    /// Everything is planned, and nothing is begun; where any of it is refused, nothing will be.
    fn planned(&self, _plans: &[Cohorts]) {}
    /// So many targets of this scope are about to be moved.
    fn begin(&self, _scope: Scope, _targets: usize) {}
    /// One of them has ended.
    fn ended(&self, _scope: Scope, _run: &Run) {}
    /// All of them have.
    fn finish(&self, _scope: Scope) {}
}

/// Nobody listens.
impl Observer for () {}

/// Both are told.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn planned(&self, plans: &[Cohorts]) {
        self.0.planned(plans);
        self.1.planned(plans);
    }

    fn begin(&self, scope: Scope, targets: usize) {
        self.0.begin(scope, targets);
        self.1.begin(scope, targets);
    }

    fn ended(&self, scope: Scope, run: &Run) {
        self.0.ended(scope, run);
        self.1.ended(scope, run);
    }

    fn finish(&self, scope: Scope) {
        self.0.finish(scope);
        self.1.finish(scope);
    }
}

/// Who may not be there is told when they are.
impl<A: Observer> Observer for Option<A> {
    fn planned(&self, plans: &[Cohorts]) {
        self.iter().for_each(|one| one.planned(plans));
    }

    fn begin(&self, scope: Scope, targets: usize) {
        self.iter().for_each(|one| one.begin(scope, targets));
    }

    fn ended(&self, scope: Scope, run: &Run) {
        self.iter().for_each(|one| one.ended(scope, run));
    }

    fn finish(&self, scope: Scope) {
        self.iter().for_each(|one| one.finish(scope));
    }
}
