//! From the time on a part of the rows to that on all of them, where there is enough to tell it by.

use std::time::Duration;

/// About what rewriting a table or building an index takes on no rows at all; that does not grow.
const FIXED: Duration = Duration::from_millis(2);

/// Of what takes less it cannot be told how much of it grows.
const TELLING: Duration = Duration::from_millis(4);

/// Up to so many times the rows, that does not matter.
const NEAR: f64 = 10.0;

/// How long it takes on `factor` times as many rows; none where the time on these was too short to tell.
pub(super) fn scaled(elapsed: Duration, factor: f64) -> Option<Duration> {
    match elapsed.checked_sub(FIXED) {
        _ if factor <= 1.0 => Some(elapsed),
        Some(growing) if elapsed >= TELLING => Some(FIXED + growing.mul_f64(factor)),
        _ => (factor <= NEAR).then(|| elapsed.mul_f64(factor)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_grow_is_not_multiplied() {
        let milliseconds = Duration::from_millis;
        assert_eq!(scaled(milliseconds(3), 1.0), Some(milliseconds(3)));
        assert_eq!(scaled(milliseconds(3), 5.0), Some(milliseconds(15)));
        assert_eq!(scaled(milliseconds(12), 15.0), Some(milliseconds(152)));
        // Of three milliseconds nobody knows which of them grow.
        assert_eq!(scaled(milliseconds(3), 300.0), None);
    }
}
