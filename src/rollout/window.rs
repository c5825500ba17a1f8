//! Maintenance windows: whether one is open at an instant, until when, and when the next one opens. Pure; whose clock it is
//! says the caller.
//!
//! Where a clock is put forward and a window would open or close at a time that does not exist, it does at the first instant
//! after; where a time comes twice, the first counts.

use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

use crate::config::{Strategy, Window};

/// So many days are looked at: longer than any window of the week can be away, one of them being cut out by a clock that is
/// put forward.
const DAYS: i64 = 15;

/// What the maintenance windows say at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hours {
    /// There are none.
    Any,
    /// One is open until this instant.
    Open(Timestamp),
    /// None is open; when the next one opens, in the time zone of the windows.
    Closed(Option<Zoned>),
}

/// What a rollout's windows say.
pub(super) fn hours(strategy: &Strategy, now: Timestamp) -> Hours {
    let zone = strategy.time_zone.tz();
    match strategy.windows.as_slice() {
        [] => Hours::Any,
        windows => at(windows, zone, now),
    }
}

impl Hours {
    /// Why nothing may be begun now.
    pub(super) fn why(&self) -> Option<String> {
        let Self::Closed(opens) = self else {
            return None;
        };
        Some(match opens {
            Some(opens) => {
                let zone = opens.time_zone().iana_name().unwrap_or("UTC");
                format!(
                    "waits for the window that opens {} ({zone})",
                    opens.strftime("%Y-%m-%d %H:%M")
                )
            }
            None => "waits for a window, and none ever opens".to_owned(),
        })
    }
}

fn at(windows: &[Window], zone: &TimeZone, now: Timestamp) -> Hours {
    let mut spans: Vec<_> = windows
        .iter()
        .flat_map(|window| spans(*window, zone, now))
        .filter(|(start, end)| start < end && *end > now)
        .collect();
    spans.sort();
    let mut open = None;
    for (start, end) in &spans {
        let reached: Timestamp = open.unwrap_or(now);
        if *start > reached {
            break;
        }
        open = Some(reached.max(*end));
    }
    match open {
        Some(until) => Hours::Open(until),
        None => {
            let next = spans.first();
            Hours::Closed(next.map(|(start, _)| start.to_zoned(zone.clone())))
        }
    }
}

/// When a window opens and closes, from the day before `now` on.
fn spans(
    window: Window,
    zone: &TimeZone,
    now: Timestamp,
) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    let today = zone.to_datetime(now).date();
    (-1..DAYS).filter_map(move |ahead| {
        let day = today.checked_add(ahead.days()).ok()?;
        if !window.opens_on(day.weekday()) {
            return None;
        }
        let last = match window.closes_next_day() {
            true => day.tomorrow().ok()?,
            false => day,
        };
        let start = instant(zone, day.to_datetime(window.from))?;
        Some((start, instant(zone, last.to_datetime(window.until))?))
    })
}

/// The instant at which the clocks of a zone show this time first; where they never do, the first one after.
fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            // By the clock as it is put, that time lies before it is put.
            let before = after.to_timestamp(local).ok()?;
            zone.following(before)
                .next()
                .map(|transition| transition.timestamp())
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn hours(windows: &[&str], zone: &str, now: &str) -> Hours {
        let windows: Vec<_> = windows.iter().map(|text| text.parse().unwrap()).collect();
        at(
            &windows,
            &TimeZone::get(zone).unwrap(),
            now.parse().unwrap(),
        )
    }

    fn open(until: &str) -> Hours {
        Hours::Open(until.parse().unwrap())
    }

    /// The next opening, as its own clock and its instant tell.
    fn closed(hours: &Hours) -> (String, String) {
        let Hours::Closed(Some(opens)) = hours else {
            panic!("{hours:?}");
        };
        (
            opens.strftime("%a %H:%M").to_string(),
            opens.timestamp().to_string(),
        )
    }

    #[test]
    fn a_window_may_cross_midnight() {
        let berlin = |now| hours(&["22:00-05:00"], "Europe/Berlin", now);
        // 21:59:59, 22:00, 04:59 and 05:00 in winter.
        let at = closed(&berlin("2026-01-14T20:59:59Z"));
        assert_eq!(at, ("Wed 22:00".into(), "2026-01-14T21:00:00Z".into()));
        assert_eq!(berlin("2026-01-14T21:00:00Z"), open("2026-01-15T04:00:00Z"));
        assert_eq!(berlin("2026-01-15T03:59:00Z"), open("2026-01-15T04:00:00Z"));
        let at = closed(&berlin("2026-01-15T04:00:00Z"));
        assert_eq!(at.1, "2026-01-15T21:00:00Z");
    }

    #[test]
    fn a_day_is_the_one_on_which_it_opens() {
        let week = |now| hours(&["Mon-Fri 22:00-05:00"], "UTC", now);
        // A Saturday morning belongs to Friday.
        assert_eq!(week("2026-01-17T04:00:00Z"), open("2026-01-17T05:00:00Z"));
        let at = closed(&week("2026-01-17T05:00:00Z"));
        assert_eq!(at, ("Mon 22:00".into(), "2026-01-19T22:00:00Z".into()));
        let monday = week("2026-01-19T04:00:00Z");
        assert_eq!(closed(&monday).1, "2026-01-19T22:00:00Z");
    }

    #[test]
    fn windows_that_touch_are_one() {
        let two = ["Fri 22:00-24:00", "Sat 00:00-06:00", "Sat 05:00-07:00"];
        let now = "2026-01-16T23:00:00Z";
        assert_eq!(hours(&two, "UTC", now), open("2026-01-17T07:00:00Z"));
        assert!(matches!(
            hours(&["00:00-24:00"], "UTC", now),
            Hours::Open(_)
        ));
    }

    #[test]
    fn what_the_clock_leaves_out_opens_when_it_is_put_forward() {
        // 2026-03-29: 02:00 is 03:00 in Berlin, which is 01:00 UTC.
        let berlin = |window, now| hours(&[window], "Europe/Berlin", now);
        let at = closed(&berlin("02:30-05:00", "2026-03-29T00:00:00Z"));
        assert_eq!(at, ("Sun 03:00".into(), "2026-03-29T01:00:00Z".into()));
        assert_eq!(
            berlin("02:30-05:00", "2026-03-29T01:00:00Z"),
            open("2026-03-29T03:00:00Z")
        );
        assert_eq!(
            berlin("22:00-02:30", "2026-03-28T22:00:00Z"),
            open("2026-03-29T01:00:00Z")
        );
        // All of it is left out: it opens on the next day.
        let at = closed(&berlin("02:10-02:50", "2026-03-29T00:00:00Z"));
        assert_eq!(at, ("Mon 02:10".into(), "2026-03-30T00:10:00Z".into()));
        // And once a week, in the week after.
        let at = closed(&berlin("Sun 02:10-02:50", "2026-03-29T00:00:00Z"));
        assert_eq!(at, ("Sun 02:10".into(), "2026-04-05T00:10:00Z".into()));
    }

    #[test]
    fn of_a_time_that_comes_twice_the_first_counts() {
        // 2026-10-25: 03:00 is 02:00 again in Berlin, at 01:00 UTC.
        let berlin = |window, now| hours(&[window], "Europe/Berlin", now);
        let at = closed(&berlin("02:30-04:00", "2026-10-25T00:00:00Z"));
        assert_eq!(at, ("Sun 02:30".into(), "2026-10-25T00:30:00Z".into()));
        assert_eq!(
            berlin("02:30-04:00", "2026-10-25T01:10:00Z"),
            open("2026-10-25T03:00:00Z")
        );
        assert_eq!(
            berlin("22:00-02:30", "2026-10-24T21:00:00Z"),
            open("2026-10-25T00:30:00Z")
        );
        let second = berlin("22:00-02:30", "2026-10-25T01:10:00Z");
        assert_eq!(closed(&second).0, "Sun 22:00");
    }

    #[test]
    fn a_clock_may_be_put_by_half_an_hour() {
        // Lord Howe: 2026-10-04, 02:00 is 02:30, at 15:30 UTC; 2026-04-05, 02:00 is 01:30 again, at 15:00 UTC.
        let howe = |window, now| hours(&[window], "Australia/Lord_Howe", now);
        let at = closed(&howe("02:15-04:00", "2026-10-03T15:00:00Z"));
        assert_eq!(at, ("Sun 02:30".into(), "2026-10-03T15:30:00Z".into()));
        let at = closed(&howe("01:45-04:00", "2026-04-04T14:00:00Z"));
        assert_eq!(at, ("Sun 01:45".into(), "2026-04-04T14:45:00Z".into()));
    }

    #[test]
    fn says_when_the_next_one_opens() {
        let told = hours(&["22:00-05:00"], "Europe/Berlin", "2026-07-01T12:00:00Z").why();
        let expected = "waits for the window that opens 2026-07-01 22:00 (Europe/Berlin)";
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(Hours::Any.why(), None);
    }

    proptest! {
        #[test]
        fn what_is_open_is_closed_when_it_said_and_the_other_way(
            seconds in 1_700_000_000_i64..1_900_000_000, from in 0_u8..24, until in 0_u8..24, minute in 0_u8..60,
            zone in proptest::sample::select(vec!["Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "UTC"]),
        ) {
            let window = format!("Mon-Sat {from:02}:{minute:02}-{until:02}:30").parse().unwrap();
            let zone = TimeZone::get(zone).unwrap();
            let now = Timestamp::from_second(seconds).unwrap();
            let moment = SignedDuration::from_secs(1);
            match at(&[window], &zone, now) {
                Hours::Open(until) => {
                    prop_assert!(until > now);
                    prop_assert_eq!(at(&[window], &zone, until - moment), Hours::Open(until));
                }
                Hours::Closed(Some(opens)) => {
                    let opens = opens.timestamp();
                    prop_assert!(opens > now);
                    prop_assert!(matches!(at(&[window], &zone, opens), Hours::Open(_)));
                    prop_assert!(matches!(at(&[window], &zone, opens - moment), Hours::Closed(_)));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
