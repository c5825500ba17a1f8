//! Tells of proofs in one order, whichever comes first: what is written must not depend on how many jobs there are.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::Proof;
use crate::migration::Scope;

/// Whoever is told of proofs.
type Observe<'a> = &'a (dyn Fn(Scope, &Proof) + Sync);

/// Tells of proofs in the order of their turns, which are counted from 0.
pub(super) struct Turns<'a> {
    observe: Observe<'a>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: usize,
    proofs: BTreeMap<usize, Option<(Scope, Proof)>>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(observe: Observe<'a>) -> Self {
        Self {
            observe,
            waiting: Mutex::default(),
        }
    }

    /// Tells of a proof as soon as all those before it were told of.
    pub(super) fn tell(&self, turn: usize, scope: Scope, proof: &Proof) {
        self.put(turn, Some((scope, proof.clone())));
    }

    /// There is nothing to tell at this turn.
    pub(super) fn pass(&self, turn: usize) {
        self.put(turn, None);
    }

    fn put(&self, turn: usize, proof: Option<(Scope, Proof)>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.proofs.insert(turn, proof);
        loop {
            let next = waiting.next;
            let Some(proof) = waiting.proofs.remove(&next) else {
                return;
            };
            waiting.next += 1;
            if let Some((scope, proof)) = proof {
                (self.observe)(scope, &proof);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_turns() {
        let told = Mutex::new(Vec::new());
        let observe = |_: Scope, proof: &Proof| told.lock().unwrap().push(proof.name.clone());
        let turns = Turns::new(&observe);
        turns.tell(2, Scope::Tenant, &Proof::named("c"));
        turns.pass(1);
        assert!(told.lock().unwrap().is_empty());
        turns.tell(0, Scope::Tenant, &Proof::named("a"));
        assert_eq!(*told.lock().unwrap(), ["a", "c"]);
    }
}
