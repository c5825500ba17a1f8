//! Durations as people write them.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{
    Deserializer, Serializer,
    de::{self, Visitor},
};

/// Reads `"2s"` or `"1h 30min"`. A bare number is refused, since nobody can tell its unit.
pub(super) fn friendly<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Friendly)
}

/// Reads `2s` or `1h 30min`; none where the text is no such time.
pub(crate) fn read(text: &str) -> Option<Duration> {
    Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()
}

/// The same, and `7d`, a day having 24 hours.
pub(crate) fn read_with_days(text: &str) -> Option<Duration> {
    let days = || {
        let span: Span = text.parse().ok()?;
        Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()
    };
    read(text).or_else(days)
}

/// Writes what [`friendly`] reads.
pub(super) fn write<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let time = SignedDuration::try_from(*time).unwrap_or(SignedDuration::MAX);
    serializer.collect_str(&format_args!("{time:#}"))
}

struct Friendly;

impl Visitor<'_> for Friendly {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"500ms\", \"2s\", \"15min\" or \"1h 30min\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        read_with_days(text).ok_or_else(|| {
            E::custom(format!(
                "{text:?} is no duration: write \"500ms\", \"2s\", \"15min\" or \"1h 30min\""
            ))
        })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
        Err(E::custom(format!(
            "{number} has no unit: write \"{number}s\" for seconds"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::value::{Error, I64Deserializer, StrDeserializer};

    fn setting(text: &str) -> Result<Duration, String> {
        friendly(StrDeserializer::<Error>::new(text)).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_what_people_write() {
        assert_eq!(setting("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(setting("15min"), Ok(Duration::from_secs(900)));
        assert_eq!(setting("1h 30min"), Ok(Duration::from_secs(5400)));
        assert_eq!(setting("500ms"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn refuses_what_is_ambiguous_or_negative() {
        for text in ["", "2", "2 parsecs", "-2s", "2s ago"] {
            assert!(setting(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(
            friendly(I64Deserializer::<Error>::new(30))
                .unwrap_err()
                .to_string(),
            "30 has no unit: write \"30s\" for seconds"
        );
    }
}
