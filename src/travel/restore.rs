//! The texts of a version as they were last applied, from the shards' own copies.

use super::{Survey, cohort::Dirty, histories::Histories};
use crate::{
    fleet::{Fleet, FleetError},
    history::Applied,
    migration::{Checksum, Scope, Version},
    store::scripts,
};

/// The texts of one version, as they stand in some of the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTexts {
    /// The scope of the targets.
    pub scope: Scope,
    /// What their histories say.
    pub applied: Applied,
    /// The text that was run; none when the shard has lost it.
    pub up: Option<String>,
    /// The text for the way back; none when there was none, or the shard has lost it.
    pub down: Option<String>,
    /// How many targets have it.
    pub targets: usize,
}

/// The texts of `version` that stand anywhere in the fleet: one item for each pair of checksums.
pub async fn stored_texts(
    fleet: &Fleet,
    survey: &Survey,
    version: Version,
) -> Result<Vec<StoredTexts>, FleetError> {
    let mut found: Vec<StoredTexts> = Vec::new();
    for (scope, standings) in [
        (Scope::Shared, &survey.shared),
        (Scope::Tenant, &survey.tenants),
    ] {
        let mut histories = Histories::new(fleet, scope);
        for group in histories.groups(standings, Dirty::Passes).await?.0 {
            let targets = group.targets;
            let Some(applied) = group.applied.into_iter().find(|a| a.version == version) else {
                continue;
            };
            let same = |texts: &&mut StoredTexts| {
                let pair = (texts.applied.up, texts.applied.down);
                texts.scope == scope && pair == (applied.up, applied.down)
            };
            if let Some(texts) = found.iter_mut().find(same) {
                texts.targets += targets.len();
                continue;
            }
            let checksums: Vec<_> = [Some(applied.up), applied.down]
                .into_iter()
                .flatten()
                .collect();
            let session = histories.session(&targets[0].0.shard).await?;
            let texts = scripts::get(session.connection(), &checksums).await?;
            let text = |checksum: Checksum| {
                let mut texts = texts.iter();
                texts
                    .find(|(stored, _)| *stored == checksum)
                    .map(|(_, text)| text.clone())
            };
            found.push(StoredTexts {
                scope,
                up: text(applied.up),
                down: applied.down.and_then(text),
                applied,
                targets: targets.len(),
            });
        }
        histories.close().await;
    }
    Ok(found)
}
