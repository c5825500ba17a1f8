//! Sizes as people write them.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(u64);

/// As PostgreSQL has them: each is 1024 of the one before.
const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];

impl Size {
    pub(super) fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no size: write \"500kB\", \"100MB\" or \"2GB\"");
        let end = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim();
        let power = UNITS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(unit));
        let power = u32::try_from(power.ok_or_else(wrong)?).unwrap_or_default();
        let bytes = number.checked_mul(1024_u64.pow(power));
        bytes.map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_needs_its_unit() {
        assert_eq!("100MB".parse(), Ok(Size(100 << 20)));
        assert_eq!("8 kb".parse(), Ok(Size(8 << 10)));
        assert_eq!("0B".parse(), Ok(Size(0)));
        for wrong in ["100", "MB", "1.5GB", "9999999999TB", "-1MB", ""] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
