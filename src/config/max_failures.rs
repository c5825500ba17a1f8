//! How much may fail.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// How many targets may fail before no further one is started: the failure budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxFailures {
    /// This many.
    Count(usize),
    /// This share of all targets, rounded up, in hundredths of a percent: 10,000 is all of them.
    Share(u16),
}

/// The text is no failure budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no failure budget: write a number such as 3, or a percentage such as \"1%\" or \"0.5%\""
)]
pub struct InvalidMaxFailures(String);

impl MaxFailures {
    /// How many of `targets` may fail.
    pub fn limit(self, targets: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Share(hundredths) => {
                // At most `targets`, so it fits again.
                let limit = (targets as u128 * u128::from(hundredths)).div_ceil(10_000);
                usize::try_from(limit).unwrap_or(targets)
            }
        }
    }

    /// Whether `failed` of `targets` are more than may fail.
    pub fn is_exceeded(self, failed: usize, targets: usize) -> bool {
        failed > self.limit(targets)
    }
}

impl FromStr for MaxFailures {
    type Err = InvalidMaxFailures;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMaxFailures(text.to_owned());
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

impl fmt::Display for MaxFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => f.pad(&count.to_string()),
            Self::Share(hundredths) => f.pad(&format!("{}%", f64::from(*hundredths) / 100.0)),
        }
    }
}

impl<'de> Deserialize<'de> for MaxFailures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountOrShare)
    }
}

struct CountOrShare;

impl Visitor<'_> for CountOrShare {
    type Value = MaxFailures;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number such as 3, or a percentage such as \"1%\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MaxFailures, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<MaxFailures, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up() {
        let one_percent: MaxFailures = "1%".parse().unwrap();
        assert_eq!(one_percent.limit(0), 0);
        assert_eq!(one_percent.limit(1), 1);
        assert_eq!(one_percent.limit(100), 1);
        assert_eq!(one_percent.limit(101), 2);
        assert_eq!("100%".parse::<MaxFailures>().unwrap().limit(7), 7);
        assert!(!one_percent.is_exceeded(1, 50));
        assert!(one_percent.is_exceeded(2, 50));
        assert!(MaxFailures::Count(0).is_exceeded(1, 50));
    }

    #[test]
    fn survives_its_text_form() {
        for text in ["0", "3", "1%", "0.5%", "12.25%", "100%"] {
            assert_eq!(text.parse::<MaxFailures>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        for text in [
            "", "%", "-1", "1.5", "101%", "-1%", "0.001%", "NaN%", "a few",
        ] {
            assert!(text.parse::<MaxFailures>().is_err(), "{text:?} was taken");
        }
    }
}
