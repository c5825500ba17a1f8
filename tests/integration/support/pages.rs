//! Pages of the documentation that are made by tests.

use std::{env, fs};

/// Writes the page where `TENANTRY_WRITE_DOCS` is set, else fails where it is not current.
pub(crate) fn write_or_compare(page: &str, now: &str, made: &str, is_current: bool) {
    if is_current {
        return;
    }
    if env::var_os("TENANTRY_WRITE_DOCS").is_some() {
        fs::write(page, made).unwrap();
    } else {
        assert_eq!(
            now, made,
            "{page} is stale: TENANTRY_WRITE_DOCS=1 writes it"
        );
    }
}
