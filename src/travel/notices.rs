//! What the server said in a run over the fleet, told together where it is the same.

use std::collections::BTreeMap;

use super::{Run, ScopeReport};
use crate::{apply::Noticed, tenant::Target};

/// The same message of the server, of the same migration, and everywhere it was said.
#[derive(Debug, Clone)]
pub struct NoticeGroup<'a> {
    /// One of them.
    pub example: &'a Noticed,
    /// All targets.
    pub targets: Vec<&'a Target>,
    /// How often it was sent in all.
    pub times: u64,
}

impl ScopeReport {
    /// What the server said, warnings first, then by migration.
    pub fn notice_groups(&self) -> Vec<NoticeGroup<'_>> {
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        // So that the example does not depend on who was quickest.
        runs.sort_by_key(|run| &run.target);
        let mut groups: BTreeMap<_, NoticeGroup<'_>> = BTreeMap::new();
        for run in runs {
            for noticed in &run.noticed {
                let Noticed {
                    level,
                    version,
                    name,
                    direction,
                    message,
                    ..
                } = noticed;
                let key = (*level, *version, name, direction.as_str(), message);
                let group = groups.entry(key).or_insert_with(|| NoticeGroup {
                    example: noticed,
                    targets: Vec::new(),
                    times: 0,
                });
                group.times += noticed.times;
                if group.targets.last() != Some(&&run.target) {
                    group.targets.push(&run.target);
                }
            }
        }
        groups.into_values().collect()
    }
}
