//! Numbers as people read them.

use std::time::Duration;

/// `850 ms`, `1.2 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `166/s`; below one a second, `12/min`.
pub(crate) fn rate(count: usize, elapsed: Duration) -> String {
    let per_second = count as f64 / elapsed.as_secs_f64().max(0.001);
    if per_second >= 10.0 {
        format!("{per_second:.0}/s")
    } else if per_second >= 1.0 {
        format!("{per_second:.1}/s")
    } else {
        format!("{:.0}/min", per_second * 60.0)
    }
}

/// `1 tenant`, `12,345 tenants`.
pub(crate) fn count(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// Digits in groups of three.
pub(crate) fn number(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_or_three_digits() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (850, "850 ms"),
            (1_240, "1.2 s"),
            (42_999, "42 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 05 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn rates_have_a_unit_that_fits() {
        assert_eq!(rate(200, Duration::from_millis(1_200)), "167/s");
        assert_eq!(rate(9, Duration::from_secs(4)), "2.2/s");
        assert_eq!(rate(2, Duration::from_secs(10)), "12/min");
    }

    #[test]
    fn numbers_are_grouped_and_counted() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(999), "999");
        assert_eq!(count(1, "tenant", "tenants"), "1 tenant");
        assert_eq!(count(2_000, "tenant", "tenants"), "2,000 tenants");
    }
}
