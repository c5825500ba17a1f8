//! The number of a migration.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest version: what 128 bits always hold.
pub(super) const MAX_DIGITS: usize = 38;

/// A migration's number: a timestamp or a sequence number of up to 38 digits, compared as a number.
///
/// Stored and shown without leading zeros; in JSON a string, since JSON numbers lose digits beyond 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(u128);

/// Why a text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version: a version has 1 to 38 digits")]
pub struct InvalidVersion(String);

impl Version {
    /// The version of this number, as a sequence counts.
    pub const fn new(number: u64) -> Self {
        Self(number as u128)
    }

    /// The number itself.
    pub const fn number(self) -> u128 {
        self.0
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > MAX_DIGITS || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidVersion(text.to_owned()));
        }
        // 38 digits always fit in 128 bits.
        text.parse()
            .map(Self)
            .map_err(|_| InvalidVersion(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_as_a_number_and_forgets_leading_zeros() {
        let parse = |text: &str| text.parse::<Version>().unwrap();
        assert!(parse("9") < parse("0010"));
        assert_eq!(parse("000001").to_string(), "1");
        assert_eq!(parse("0000"), Version::new(0));
        let long = "9".repeat(38);
        assert_eq!(parse(&long).to_string(), long);
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in ["", "1a", "-1", "+1", " 1", &"9".repeat(39)] {
            assert!(text.parse::<Version>().is_err(), "{text:?} was taken");
        }
    }
}
