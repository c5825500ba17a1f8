//! One connection that carries works of one shard, lot after lot: for whoever takes them from a list that others share.

use tokio_util::sync::CancellationToken;

use super::{
    Breaker, Budget, Run,
    conduct::{Conductor, Desk, Work, store_scripts},
    queue::{Learnt, Prepared, Queue},
};
use crate::{
    apply::{Carrier, Failure},
    fleet::Fleet,
    postgres::Shard,
};

/// One connection, and what it has learnt.
pub(crate) struct Hand<'a> {
    fleet: &'a Fleet,
    shard: &'a Shard,
    carrier: Carrier<'a>,
    breaker: Breaker,
    halt: CancellationToken,
}

/// Works that share a plan, and how it went with those before them.
pub(crate) struct Lot<'a> {
    pub(crate) works: Vec<Work<'a>>,
    pub(crate) prepared: &'a Prepared,
    pub(crate) learnt: Option<Learnt>,
}

impl<'a> Hand<'a> {
    /// Connects when there is something to do. Begins nothing once `halt` is cancelled.
    pub(crate) fn new(fleet: &'a Fleet, shard: &'a Shard, halt: CancellationToken) -> Self {
        Self {
            fleet,
            shard,
            carrier: Carrier::new(shard, &fleet.limits).until(halt.clone()),
            breaker: Breaker::new(Breaker::PAUSE),
            halt,
        }
    }

    /// The connection, for a look at where schemas stand.
    pub(crate) fn carrier(&mut self) -> &mut Carrier<'a> {
        &mut self.carrier
    }

    /// Puts the texts of a plan where its record will refer to them.
    pub(crate) async fn store(&mut self, lot: &Lot<'_>) -> Result<(), Failure> {
        let queue = Queue::new(lot.works.iter().copied(), 1, self.fleet.limits.group_time);
        store_scripts(&mut self.carrier, &queue).await
    }

    /// Carries all of a lot, and tells `observe` of each as it ends. Returns what was learnt.
    pub(crate) async fn carry(
        &mut self,
        lot: Lot<'_>,
        budget: &Budget,
        observe: &(dyn Fn(&Run) + Sync),
    ) -> Option<Learnt> {
        let queue = Queue::new(lot.works, 1, self.fleet.limits.group_time);
        if let Some(learnt) = lot.learnt {
            queue.recall(lot.prepared, learnt);
        }
        let desk = Desk {
            shard: self.shard,
            queue,
            halt: &self.halt,
            breaker: &self.breaker,
        };
        let conductor = Conductor {
            fleet: self.fleet,
            budget,
            stop: &self.halt,
            observe,
        };
        conductor.work(&desk, &mut self.carrier).await;
        desk.queue.learnt(lot.prepared)
    }

    /// Gives the connection back.
    pub(crate) async fn close(self) {
        self.carrier.close().await;
    }
}
