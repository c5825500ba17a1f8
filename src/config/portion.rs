//! So many of the fleet: a number, or a share.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// So many of a number of targets: how many may fail, for example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// This many.
    Count(usize),
    /// This share of all targets, rounded up, in hundredths of a percent: 10,000 is all of them.
    Share(u16),
}

/// The text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a number nor a percentage: write a number such as 3, or a percentage such as \"1%\" or \"0.5%\""
)]
pub struct InvalidPortion(String);

impl Portion {
    /// How many of `targets` that is.
    pub fn of(self, targets: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Share(hundredths) => {
                // At most `targets`, so it fits again.
                let many = (targets as u128 * u128::from(hundredths)).div_ceil(10_000);
                usize::try_from(many).unwrap_or(targets)
            }
        }
    }
}

impl FromStr for Portion {
    type Err = InvalidPortion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPortion(text.to_owned());
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Count).map_err(|_| invalid());
        };
        let percent: f64 = percent.trim_end().parse().map_err(|_| invalid())?;
        let hundredths = percent * 100.0;
        if !(0.0..=10_000.0).contains(&hundredths) || (hundredths - hundredths.round()).abs() > 1e-6
        {
            return Err(invalid());
        }
        Ok(Self::Share(hundredths.round() as u16))
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => f.pad(&count.to_string()),
            Self::Share(hundredths) => f.pad(&format!("{}%", f64::from(*hundredths) / 100.0)),
        }
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountOrShare)
    }
}

impl Serialize for Portion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct CountOrShare;

impl Visitor<'_> for CountOrShare {
    type Value = Portion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number such as 3, or a percentage such as \"1%\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Portion, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Portion, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up() {
        let one_percent: Portion = "1%".parse().unwrap();
        assert_eq!(one_percent.of(0), 0);
        assert_eq!(one_percent.of(1), 1);
        assert_eq!(one_percent.of(100), 1);
        assert_eq!(one_percent.of(101), 2);
        assert_eq!("100%".parse::<Portion>().unwrap().of(7), 7);
    }

    #[test]
    fn survives_its_text_form() {
        for text in ["0", "3", "1%", "0.5%", "12.25%", "100%"] {
            assert_eq!(text.parse::<Portion>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        for text in [
            "", "%", "-1", "1.5", "101%", "-1%", "0.001%", "NaN%", "a few",
        ] {
            assert!(text.parse::<Portion>().is_err(), "{text:?} was taken");
        }
    }
}
