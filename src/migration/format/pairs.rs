//! `<version>-<name>.up.sql` and `<version>-<name>.down.sql`: a pair of files a migration, as migratus and golang-migrate have it.

use super::{Format, Stem};
use crate::migration::{Direction, version};

/// A pair of files a migration; `-` or `_` stands between version and name.
#[derive(Debug, Clone, Copy)]
pub struct Pairs;

impl Format for Pairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn parse(&self, file_name: &str) -> Result<Option<Stem>, String> {
        let named = file_name.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &file_name[..file_name.len() - named.len()];
        let Some((named, ending)) = named.rsplit_once('.') else {
            return Ok(None);
        };
        if digits.is_empty() || !ending.eq_ignore_ascii_case("sql") {
            return Ok(None);
        }
        if ending != "sql" {
            return Err(format!("it ends in .{ending} instead of .sql"));
        }
        if digits.len() > version::MAX_DIGITS {
            let (count, most) = (digits.len(), version::MAX_DIGITS);
            return Err(format!(
                "its version has {count} digits, and {most} are the most"
            ));
        }
        let (named, direction) = match named.rsplit_once('.') {
            Some((named, "up")) => (named, Direction::Up),
            Some((named, "down")) => (named, Direction::Down),
            _ => return Err("it says neither .up.sql nor .down.sql".to_owned()),
        };
        let mut name = named.chars();
        let separator = match name.next() {
            Some(separator @ ('-' | '_')) => separator,
            None => return Err("no name follows the version".to_owned()),
            Some(other) => {
                return Err(format!(
                    "`{other}` follows the version where `-` or `_` should"
                ));
            }
        };
        let name = name.as_str().to_owned();
        if name.trim().is_empty() {
            return Err("no name follows the version".to_owned());
        }
        Ok(Some(Stem {
            digits: digits.to_owned(),
            separator,
            name,
            direction,
        }))
    }

    fn file_name(&self, stem: &Stem) -> String {
        let Stem {
            digits,
            separator,
            name,
            direction,
        } = stem;
        format!("{digits}{separator}{name}.{direction}.sql")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_apart() {
        for (file_name, digits, separator, name, direction) in [
            (
                "20260301000000-orders.up.sql",
                "20260301000000",
                '-',
                "orders",
                Direction::Up,
            ),
            (
                "000001_init.down.sql",
                "000001",
                '_',
                "init",
                Direction::Down,
            ),
            ("0000-init.up.sql", "0000", '-', "init", Direction::Up),
            (
                "7-v1.2 of-the_plan.up.sql",
                "7",
                '-',
                "v1.2 of-the_plan",
                Direction::Up,
            ),
            ("7_-x.up.sql", "7", '_', "-x", Direction::Up),
        ] {
            let stem = Stem {
                digits: digits.to_owned(),
                separator,
                name: name.to_owned(),
                direction,
            };
            assert_eq!(Pairs.file_name(&stem), file_name);
            assert_eq!(Pairs.parse(file_name), Ok(Some(stem)));
        }
    }

    #[test]
    fn leaves_other_files_alone() {
        for file_name in [
            "README.md",
            "seed.sql",
            "1-a.up.sql~",
            "1-a.txt",
            "x1-a.up.sql",
            "1",
        ] {
            assert_eq!(Pairs.parse(file_name), Ok(None), "{file_name}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_name() {
        let long = format!("{}-a.up.sql", "9".repeat(39));
        for (file_name, what) in [
            (&*long, "its version has 39 digits, and 38 are the most"),
            ("1-a.sql", "it says neither .up.sql nor .down.sql"),
            ("1.sql", "it says neither .up.sql nor .down.sql"),
            ("1.up.sql", "no name follows the version"),
            ("1-.down.sql", "no name follows the version"),
            (
                "1a.up.sql",
                "`a` follows the version where `-` or `_` should",
            ),
            (
                "1.5-a.up.sql",
                "`.` follows the version where `-` or `_` should",
            ),
        ] {
            assert_eq!(Pairs.parse(file_name), Err(what.to_owned()), "{file_name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_is_written_the_same(file_name in "[0-9]{0,40}[-_a-zß. ]{0,6}(\\.up|\\.down)?(\\.sql)?") {
            if let Ok(Some(stem)) = Pairs.parse(&file_name) {
                proptest::prop_assert_eq!(Pairs.file_name(&stem), file_name);
            }
        }
    }
}
