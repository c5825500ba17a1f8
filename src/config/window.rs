//! Hours of the week in which something may be done, and the time zone in which they are meant.
//!
//! Only what people write: when that is on a given day, `rollout` works out.

use std::{fmt, str::FromStr};

use jiff::{
    civil::{Time, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The days as people write them, Monday first.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Hours that come again every day, or on some days of the week: `22:00-05:00`, `Mon-Fri 22:00-05:00`, `Sat 00:00-24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first and the last day on which it opens; `Fri-Mon` goes over Sunday.
    pub days: (Weekday, Weekday),
    /// When it opens.
    pub from: Time,
    /// When it closes: on the next day where that is no later than `from`.
    pub until: Time,
}

/// The text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no window: write \"22:00-05:00\", or with days \"Mon-Fri 22:00-05:00\" or, for a whole one, \"Sat 00:00-24:00\""
)]
pub struct InvalidWindow(String);

impl Window {
    /// Whether it opens on this day.
    pub fn opens_on(&self, day: Weekday) -> bool {
        let (first, last) = self.days;
        first.until(day) <= first.until(last)
    }

    /// Whether it closes on the day after the one on which it opens.
    pub fn closes_next_day(&self) -> bool {
        self.until <= self.from
    }
}

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| InvalidWindow(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Window> {
    let text = text.trim();
    let (days, hours) = match text.rsplit_once(char::is_whitespace) {
        Some((days, hours)) => (Some(days.trim_end()), hours),
        None => (None, text),
    };
    let days = match days.map(|days| days.split_once('-').unwrap_or((days, days))) {
        Some((first, last)) => (day(first)?, day(last)?),
        None => (Weekday::Monday, Weekday::Sunday),
    };
    let (from, until) = hours.split_once('-')?;
    let from = time(from)?;
    let until = match until {
        "24:00" => Time::midnight(),
        // Nobody can tell whether that is no time or a whole day, which is 00:00-24:00.
        until => time(until).filter(|until| *until != from)?,
    };
    Some(Window { days, from, until })
}

fn day(text: &str) -> Option<Weekday> {
    let index = DAYS
        .iter()
        .position(|day| day.eq_ignore_ascii_case(text.trim()))?;
    Weekday::from_monday_zero_offset(i8::try_from(index).ok()?).ok()
}

/// `22:00`, and nothing shorter or longer.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<i8>().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: Weekday| {
            let index = usize::try_from(day.to_monday_zero_offset()).unwrap_or_default();
            DAYS.get(index).copied().unwrap_or_default()
        };
        match self.days {
            (Weekday::Monday, Weekday::Sunday) => {}
            (first, last) if first == last => write!(f, "{} ", name(first))?,
            (first, last) => write!(f, "{}-{} ", name(first), name(last))?,
        }
        let (from, until) = (self.from, self.until);
        write!(f, "{:02}:{:02}-", from.hour(), from.minute())?;
        match until == Time::midnight() {
            true => f.write_str("24:00"),
            false => write!(f, "{:02}:{:02}", until.hour(), until.minute()),
        }
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A time zone of the IANA database, such as `Europe/Berlin`; the database is built into the program, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone as `jiff` has it.
    pub fn tz(&self) -> &TimeZone {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let zone = TimeZone::get(text).ok().map(Self);
        zone.filter(|zone| zone.0.iana_name().is_some())
            .ok_or_else(|| {
                format!("{text:?} is no time zone: write one of the IANA database, such as \"Europe/Berlin\" or \"UTC\"")
            })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_text_form() {
        for text in [
            "22:00-05:00",
            "Mon-Fri 22:00-05:00",
            "Fri-Mon 00:30-23:59",
            "Sat 00:00-24:00",
        ] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        let lower: Window = "mon-fri  22:00-24:00".parse().unwrap();
        assert_eq!(lower.to_string(), "Mon-Fri 22:00-24:00");
    }

    #[test]
    fn days_may_go_over_sunday() {
        let window: Window = "Fri-Mon 01:00-02:00".parse().unwrap();
        let open: Vec<_> = Weekday::Monday
            .cycle_forward()
            .take(7)
            .filter(|day| window.opens_on(*day))
            .collect();
        use Weekday::{Friday, Monday, Saturday, Sunday};
        assert_eq!(open, [Monday, Friday, Saturday, Sunday]);
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "22:00",
            "22-05",
            "22:00-5:00",
            "10:00-10:00",
            "Mon 00:00-00:00",
            "24:00-05:00",
            "22:00-25:00",
            "22:60-23:00",
            "Mo 22:00-05:00",
            "Mon,Tue 22:00-05:00",
            "Mon 22:00 - 05:00",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn zones_are_those_of_the_database() {
        assert_eq!(
            "Europe/Berlin".parse::<Zone>().unwrap().to_string(),
            "Europe/Berlin"
        );
        assert_eq!("UTC".parse::<Zone>().unwrap().to_string(), "UTC");
        let error = "Europe/Bärlin".parse::<Zone>().unwrap_err();
        assert!(error.contains("Europe/Berlin"), "{error}");
    }
}
