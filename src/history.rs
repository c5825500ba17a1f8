//! What a schema remembers of the migrations applied to it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::migration::{Checksum, Direction, Migration, Repeatable, Version};

/// One migration that stands in a schema, as its history tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its number.
    pub version: Version,
    /// The slug it had.
    pub name: String,
    /// The up text that was run.
    pub up: Checksum,
    /// The down text that was stored beside it.
    pub down: Option<Checksum>,
}

impl Applied {
    /// What the history will say of a migration once it is applied as its files are now.
    pub fn of(migration: &Migration) -> Self {
        Self {
            version: migration.version,
            name: migration.name.clone(),
            up: migration.up.checksum,
            down: migration.down.as_ref().map(|down| down.checksum),
        }
    }

    fn add_to(&self, hash: &mut Sha256) {
        hash.update(self.version.number().to_be_bytes());
        hash.update(self.up.as_bytes());
        hash.update(self.down.map_or([0; 32], |down| *down.as_bytes()));
    }
}

/// The hash of what a schema stands at: equal digests, equal applied sets with equal stored downs.
///
/// The digest of nothing applied is [`Digest::EMPTY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of a schema to which nothing was applied.
    pub const EMPTY: Self = Self([0; 32]);

    /// The digest of an applied set, in ascending order of version.
    pub fn of<'a>(applied: impl IntoIterator<Item = &'a Applied>) -> Self {
        let mut hash = Sha256::new();
        let mut any = false;
        for entry in applied {
            any = true;
            entry.add_to(&mut hash);
        }
        if any {
            Self(hash.finalize().into())
        } else {
            Self::EMPTY
        }
    }

    /// The digests of the first one, the first two, and so on up to all of these, as [`Digest::of`] gives each.
    pub fn of_each_beginning<'a>(
        applied: impl IntoIterator<Item = &'a Applied>,
    ) -> impl Iterator<Item = Self> {
        let applied = applied.into_iter();
        applied.scan(Sha256::new(), |hash, entry| {
            entry.add_to(hash);
            Some(Self(hash.clone().finalize().into()))
        })
    }

    /// The digest of several digests, in this order.
    pub fn of_digests(digests: impl IntoIterator<Item = Self>) -> Self {
        let mut hash = Sha256::new();
        for digest in digests {
            hash.update(digest.0);
        }
        Self(hash.finalize().into())
    }

    /// The digest of a text; of none, that of nothing.
    pub fn of_text(text: &str) -> Self {
        match text {
            "" => Self::EMPTY,
            text => Self(Sha256::digest(text).into()),
        }
    }

    /// The digest of two together; of twice nothing, that of nothing.
    pub fn of_both(self, other: Self) -> Self {
        match (self, other) {
            (Self::EMPTY, Self::EMPTY) => Self::EMPTY,
            _ => Self(
                Sha256::new()
                    .chain_update(self.0)
                    .chain_update(other.0)
                    .finalize()
                    .into(),
            ),
        }
    }

    /// The digest of a list of repeatables, in order of name.
    pub fn of_repeatables<'a>(repeatables: impl IntoIterator<Item = &'a Repeatable>) -> Self {
        let mut hash = Sha256::new();
        let mut any = false;
        for repeatable in repeatables {
            any = true;
            hash.update((repeatable.name.len() as u64).to_be_bytes());
            hash.update(&repeatable.name);
            hash.update(repeatable.script.checksum.as_bytes());
        }
        if any {
            Self(hash.finalize().into())
        } else {
            Self::EMPTY
        }
    }
}

/// Where a schema stands: one row of `tenantry.heads`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The schema's OID when it was pinned; another OID under the same name is another schema.
    pub schema_oid: u32,
    /// The schema's name when it was pinned.
    pub schema: String,
    /// The highest version applied; none where nothing is.
    pub version: Option<Version>,
    /// The hash of the applied set.
    pub digest: Digest,
    /// The hash of the repeatables as last applied.
    pub repeatables: Digest,
    /// Raised by every change, up or down.
    pub revision: i64,
    /// Raised by whoever takes the schema over; older holders are refused.
    pub fence: i64,
    /// The version at which the schema stopped half-way.
    pub dirty: Option<Version>,
    /// What it is in the middle of, statement by statement.
    pub running: Option<Running>,
}

/// A migration that was begun and is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Running {
    /// Its number.
    pub version: Version,
    /// Which way it is carried.
    pub direction: Direction,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(version: u64, up: &str) -> Applied {
        Applied {
            version: Version::new(version),
            name: "x".to_owned(),
            up: Checksum::of(up),
            down: None,
        }
    }

    #[test]
    fn digest_covers_versions_and_texts_not_names() {
        let one = [applied(1, "a"), applied(2, "b")];
        assert_eq!(Digest::of(&[]), Digest::EMPTY);
        assert_eq!(
            Digest::of(&one),
            Digest::of(&[applied(1, "a"), applied(2, "b")])
        );
        assert_ne!(
            Digest::of(&one),
            Digest::of(&[applied(1, "a"), applied(2, "c")])
        );
        assert_ne!(Digest::of(&one), Digest::of(&one[..1]));
    }
}
