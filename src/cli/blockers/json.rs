//! The waits for programs.

use serde::Serialize;

use super::Seen;
use crate::postgres::{Activity, Wait, chains};

#[derive(Serialize)]
pub(super) struct AllJson<'a> {
    shards: Vec<ShardJson<'a>>,
}

#[derive(Serialize)]
struct ShardJson<'a> {
    shard: &'a str,
    /// Why it cannot be asked; none where it could be.
    error: Option<String>,
    /// Those who wait for nobody themselves.
    roots: Vec<RootJson<'a>>,
    waits: &'a [Wait],
}

#[derive(Serialize)]
struct RootJson<'a> {
    #[serde(flatten)]
    activity: &'a Activity,
    /// How many wait behind it, at whatever distance.
    waiting: usize,
}

/// All of the waits.
pub(super) fn all(seen: &[Seen]) -> AllJson<'_> {
    AllJson {
        shards: seen.iter().map(shard).collect(),
    }
}

fn shard(seen: &Seen) -> ShardJson<'_> {
    let waits = seen.waits.as_deref().unwrap_or_default();
    let chains = chains(waits);
    let roots = chains.iter().filter(|chain| chain.wait.is_none());
    ShardJson {
        shard: seen.shard.as_str(),
        error: seen.waits.as_ref().err().map(ToString::to_string),
        roots: roots
            .map(|chain| RootJson {
                activity: chain.activity,
                waiting: chain.waiting(),
            })
            .collect(),
        waits,
    }
}
