//! Rollouts carried by a daemon of this process.

use std::time::Duration;

use jiff_sqlx::Timestamp;
use tenantry::{
    Fleet,
    config::Settings,
    daemon,
    plan::Goal,
    rollout::{self, Ask},
    store::{daemons, rollouts, waves},
};
use tokio_util::sync::CancellationToken;

/// How often it is looked how far it is; what counts is by the server's clock.
const LOOK: Duration = Duration::from_millis(10);

/// How many seconds a rollout took, by the server's clock.
pub(crate) struct Took {
    /// From the moment in which it was asked for to its end.
    pub(crate) all: f64,
    /// From the beginning of its first wave to the end of its last: all but the planning. 0 where there was nothing to do.
    pub(crate) waves: f64,
}

/// Starts so many rollouts to all that the files have, one after the other.
pub(crate) async fn carry(settings: &Settings, selector: Option<&str>, times: usize) -> Vec<Took> {
    let fleet = Fleet::open(settings).unwrap();
    let stop = CancellationToken::new();
    let built = daemon::build(settings.clone()).await.unwrap();
    let run = built.run(stop.clone().cancelled_owned());
    let roll = async {
        let mut home = fleet.home().await.unwrap();
        while daemons::living(home.connection()).await.unwrap() == 0 {
            tokio::time::sleep(LOOK).await;
        }
        let mut took = Vec::new();
        for _ in 0..times {
            let ask = Ask {
                ignores_windows: false,
                goal: Goal::Latest,
                selector,
                strategy: &settings.rollout,
                reason: None,
            };
            let id = rollout::start(&fleet, home.connection(), &ask)
                .await
                .unwrap();
            let row = loop {
                let row = rollouts::get(home.connection(), id).await.unwrap().unwrap();
                if row.ended_at.is_some() {
                    break row;
                }
                tokio::time::sleep(LOOK).await;
            };
            assert_eq!(row.state, "complete");
            let waves = waves::list(home.connection(), id).await.unwrap();
            let begun = waves.iter().filter_map(|wave| wave.begun_at).min();
            let ended = waves.iter().filter_map(|wave| wave.ended_at).max();
            took.push(Took {
                all: seconds(row.created_at, row.ended_at.unwrap()),
                waves: begun
                    .zip(ended)
                    .map_or(0.0, |(begun, ended)| seconds(begun, ended)),
            });
        }
        home.close().await;
        stop.cancel();
        took
    };
    let (ended, took) = futures::join!(run, roll);
    ended.unwrap();
    took
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    let span = to.to_jiff() - from.to_jiff();
    span.total(jiff::Unit::Second).unwrap()
}
