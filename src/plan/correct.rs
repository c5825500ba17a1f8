//! From what a history says to what it should say, without a script being run.

use std::{collections::BTreeMap, sync::Arc};

use super::Refusal;
use crate::{
    history::{Applied, Digest},
    migration::{Direction, Migration, MigrationSet, Script, Version},
};

/// What a person says of a schema, against its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// Everything up to this version is in it, though nothing was ever recorded.
    Baseline(Version),
    /// Everything up to this version is in it and nothing above; none for nothing at all.
    Force(Option<Version>),
    /// The text that the file of this version has now is the one that was applied.
    Accept(Version),
    /// It stands where its history says, and is not dirty.
    Clear,
}

/// What a history has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// What is appended, in order.
    pub entries: Vec<(Direction, Applied)>,
    /// The texts that the entries name and the shard may not have.
    pub scripts: Vec<Arc<Script>>,
    /// The highest version afterwards.
    pub version: Option<Version>,
    /// The digest afterwards.
    pub digest: Digest,
}

impl Correction {
    /// Whether it is a way out for a schema that stopped half-way; the others leave such a schema alone.
    pub fn takes_dirty(self) -> bool {
        matches!(self, Self::Force(_) | Self::Clear)
    }
}

/// What to tell the history of a schema in which `applied` stands, and which stopped half-way at `dirty`.
pub fn correct(
    set: &MigrationSet,
    applied: &[Applied],
    dirty: Option<Version>,
    correction: Correction,
) -> Result<Amendment, Refusal> {
    let mut book = Book::new(applied);
    match correction {
        Correction::Baseline(version) => baseline(set, &mut book, version)?,
        Correction::Force(version) => force(set, &mut book, version)?,
        Correction::Accept(version) => accept(set, &mut book, version)?,
        Correction::Clear => {}
    }
    if let Some(version) = dirty {
        book.affirm(set, version);
    }
    Ok(book.close())
}

fn baseline(set: &MigrationSet, book: &mut Book, version: Version) -> Result<(), Refusal> {
    if set.get(version).is_none() {
        return Err(Refusal::UnknownVersion(version));
    }
    let present: Vec<_> = upto(set, Some(version))
        .map(|migration| Applied::of(migration))
        .collect();
    match book.head() {
        None => upto(set, Some(version)).for_each(|migration| book.apply(migration)),
        // Done before, by a run that was cut off further on.
        Some(_) if Digest::of(book.applied.values()) == Digest::of(&present) => {}
        Some(head) => return Err(Refusal::HasHistory { head }),
    }
    Ok(())
}

fn force(set: &MigrationSet, book: &mut Book, version: Option<Version>) -> Result<(), Refusal> {
    if let Some(version) = version
        && set.get(version).is_none()
        && !book.applied.contains_key(&version)
    {
        return Err(Refusal::UnknownVersion(version));
    }
    let above: Vec<_> = book
        .applied
        .keys()
        .rev()
        .copied()
        .take_while(|applied| Some(*applied) > version)
        .collect();
    above.into_iter().for_each(|applied| book.revert(applied));
    for migration in upto(set, version) {
        if !book.applied.contains_key(&migration.version) {
            book.apply(migration);
        }
    }
    Ok(())
}

fn accept(set: &MigrationSet, book: &mut Book, version: Version) -> Result<(), Refusal> {
    let migration = set.get(version).ok_or(Refusal::UnknownVersion(version))?;
    let now = Applied::of(migration);
    let differs = |then: &Applied| (then.up, then.down) != (now.up, now.down);
    if book.applied.get(&version).is_some_and(differs) {
        book.apply(migration);
    }
    Ok(())
}

/// The migrations of the files up to `version`; none of them where it is none.
fn upto(set: &MigrationSet, version: Option<Version>) -> impl Iterator<Item = &Arc<Migration>> {
    set.migrations
        .iter()
        .take_while(move |migration| Some(migration.version) <= version)
}

/// A history in the making.
struct Book {
    applied: BTreeMap<Version, Applied>,
    entries: Vec<(Direction, Applied)>,
    scripts: Vec<Arc<Script>>,
}

impl Book {
    fn new(applied: &[Applied]) -> Self {
        Self {
            applied: applied.iter().map(|a| (a.version, a.clone())).collect(),
            entries: Vec::new(),
            scripts: Vec::new(),
        }
    }

    fn head(&self) -> Option<Version> {
        self.applied.keys().next_back().copied()
    }

    fn apply(&mut self, migration: &Migration) {
        let applied = Applied::of(migration);
        self.applied.insert(applied.version, applied.clone());
        self.entries.push((Direction::Up, applied));
        self.scripts.push(migration.up.clone());
        self.scripts.extend(migration.down.clone());
    }

    fn revert(&mut self, version: Version) {
        if let Some(applied) = self.applied.remove(&version) {
            self.entries.push((Direction::Down, applied));
        }
    }

    /// Says once more how it is with `version`, so that the log tells who took the dirty mark away.
    fn affirm(&mut self, set: &MigrationSet, version: Version) {
        if self
            .entries
            .iter()
            .any(|(_, entry)| entry.version == version)
        {
            return;
        }
        if let Some(applied) = self.applied.get(&version) {
            self.entries.push((Direction::Up, applied.clone()));
        } else if let Some(migration) = set.get(version) {
            self.entries.push((Direction::Down, Applied::of(migration)));
        }
    }

    fn close(self) -> Amendment {
        Amendment {
            version: self.head(),
            digest: Digest::of(self.applied.values()),
            entries: self.entries,
            scripts: self.scripts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Scope;

    fn set(versions: &[u64]) -> MigrationSet {
        let migration = |version: &u64| {
            let script = |text: String| Arc::new(Script::parse("x.sql", text));
            Arc::new(Migration {
                version: Version::new(*version),
                name: "x".to_owned(),
                up: script(format!("select {version}")),
                down: Some(script(format!("select -{version}"))),
                problems: Vec::new(),
            })
        };
        MigrationSet {
            migrations: versions.iter().map(migration).collect(),
            ..MigrationSet::empty(Scope::Tenant)
        }
    }

    fn applied(set: &MigrationSet) -> Vec<Applied> {
        set.migrations.iter().map(|m| Applied::of(m)).collect()
    }

    fn told(amendment: &Amendment) -> Vec<(Direction, u128)> {
        let number = |(direction, entry): &(_, Applied)| (*direction, entry.version.number());
        amendment.entries.iter().map(number).collect()
    }

    use Direction::{Down, Up};

    #[test]
    fn baseline_takes_what_the_files_have_up_to_the_version() {
        let set = set(&[1, 2, 3]);
        let baseline = Correction::Baseline(Version::new(2));
        let amendment = correct(&set, &[], None, baseline).unwrap();
        assert_eq!(told(&amendment), [(Up, 1), (Up, 2)]);
        assert_eq!(amendment.scripts.len(), 4);
        assert_eq!(amendment.digest, Digest::of(&applied(&set)[..2]));
        let again = correct(&set, &applied(&set)[..2], None, baseline).unwrap();
        assert!(again.entries.is_empty());
        let other = correct(&set, &applied(&set), None, baseline);
        assert_eq!(
            other,
            Err(Refusal::HasHistory {
                head: Version::new(3)
            })
        );
        let unknown = Correction::Baseline(Version::new(9));
        assert!(correct(&set, &[], None, unknown).is_err());
    }

    #[test]
    fn force_takes_away_above_and_fills_up_below() {
        let (set, force) = (set(&[1, 2, 3]), Correction::Force(Some(Version::new(2))));
        let all = applied(&set);
        let late = [all[0].clone(), all[2].clone()];
        let amendment = correct(&set, &late, None, force).unwrap();
        assert_eq!(told(&amendment), [(Down, 3), (Up, 2)]);
        assert_eq!(amendment.digest, Digest::of(&all[..2]));
        let none = correct(&set, &all, None, Correction::Force(None)).unwrap();
        assert_eq!(told(&none), [(Down, 3), (Down, 2), (Down, 1)]);
        assert_eq!((none.version, none.digest), (None, Digest::EMPTY));
    }

    #[test]
    fn a_version_without_a_file_can_be_forced_where_it_is_applied() {
        let (all, without) = (applied(&set(&[1, 2, 3])), set(&[1, 3]));
        let force = Correction::Force(Some(Version::new(2)));
        let amendment = correct(&without, &all, None, force).unwrap();
        assert_eq!(told(&amendment), [(Down, 3)]);
        assert!(correct(&without, &all[..1], None, force).is_err());
    }

    #[test]
    fn clearing_says_how_it_is_with_the_dirty_version() {
        let set = set(&[1, 2]);
        let all = applied(&set);
        let dirty = Some(Version::new(2));
        let on_the_way_up = correct(&set, &all[..1], dirty, Correction::Clear).unwrap();
        assert_eq!(told(&on_the_way_up), [(Down, 2)]);
        assert_eq!(on_the_way_up.digest, Digest::of(&all[..1]));
        let on_the_way_down = correct(&set, &all, dirty, Correction::Clear).unwrap();
        assert_eq!(told(&on_the_way_down), [(Up, 2)]);
        assert_eq!(on_the_way_down.digest, Digest::of(&all));
        let forced = Correction::Force(Some(Version::new(2)));
        let forced = correct(&set, &all[..1], dirty, forced).unwrap();
        assert_eq!(told(&forced), [(Up, 2)]);
    }

    #[test]
    fn accepting_replaces_the_checksums_where_they_differ() {
        let set = set(&[1, 2]);
        let mut then = applied(&set);
        then[0].up = crate::migration::Checksum::of("another text");
        let accept = Correction::Accept(Version::new(1));
        let amendment = correct(&set, &then, None, accept).unwrap();
        assert_eq!(told(&amendment), [(Up, 1)]);
        assert_eq!(amendment.digest, Digest::of(&applied(&set)));
        assert_eq!(amendment.version, Some(Version::new(2)));
        let same = correct(&set, &applied(&set), None, accept).unwrap();
        assert!(same.entries.is_empty());
    }
}
