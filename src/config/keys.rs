//! Keys of settings: taking tables apart, and telling what a wrong key should have been.

use std::collections::BTreeSet;

use config::{Map, Value, ValueKind};

use super::shards;

/// A key cut at its dots.
pub(super) type Key = Vec<String>;

/// Every key of `table` that is no table itself.
pub(super) fn leaves(table: Map<String, Value>) -> Vec<(Key, Value)> {
    let mut found = Vec::new();
    collect(Vec::new(), table, &mut found);
    found
}

/// Why `key` is no key, with the keys it could have been; none where it is one.
pub(super) fn unknown(key: &[String], known: &BTreeSet<Key>) -> Option<String> {
    if known.contains(key) || is_of_shard(key) {
        return None;
    }
    let section = key.first()?;
    if section == "shards" {
        let keys = shards::KEYS.join(", ");
        return Some(format!(
            "a shard is a table [shards.NAME] with the keys {keys}"
        ));
    }
    let keys = |section: &str| {
        let keys = known.iter().filter(|key| key[0] == section);
        keys.map(|key| key[1..].join("."))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let sections: BTreeSet<_> = known.iter().map(|key| key[0].as_str()).collect();
    Some(if !sections.contains(section.as_str()) {
        let sections: Vec<_> = sections.into_iter().collect();
        format!(
            "no such section; there are {} and shards",
            sections.join(", ")
        )
    } else if key.len() == 1 {
        format!("is a section, not a value; its keys are {}", keys(section))
    } else {
        format!("no such key; [{section}] has {}", keys(section))
    })
}

/// Whether the value of `key` may hold a password.
pub(super) fn is_secret(key: &[String]) -> bool {
    key.last()
        .is_some_and(|last| ["url", "direct_url", "metrics_token"].contains(&last.as_str()))
}

fn is_of_shard(key: &[String]) -> bool {
    matches!(key, [shards, _, last] if shards == "shards" && shards::KEYS.contains(&last.as_str()))
}

fn collect(prefix: Key, table: Map<String, Value>, found: &mut Vec<(Key, Value)>) {
    for (name, value) in table {
        let mut key = prefix.clone();
        if prefix.is_empty() {
            // The environment's keys come whole.
            key.extend(name.split('.').map(str::to_owned));
        } else {
            key.push(name);
        }
        match value.kind {
            ValueKind::Table(table) => collect(key, table, found),
            _ => found.push((key, value)),
        }
    }
}
