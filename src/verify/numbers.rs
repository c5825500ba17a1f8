//! Where the sequences of a schema stand: a number that was given out must not be given out once more after a way back.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::{Loss, VerifyError, rows::Rows};
use crate::{postgres::ServerError, sql::Ident};

/// The sequences of a schema, by name.
pub(super) type Numbers = BTreeMap<String, Stand>;

/// Where a sequence stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Stand {
    name: String,
    /// Another one where it was dropped and made anew.
    oid: i64,
    /// The table whose column owns it.
    owner: Option<String>,
    start: i64,
    increment: i64,
    /// The last number that it gave out.
    last: Option<i64>,
}

/// Reads the sequences of a schema.
pub(super) async fn read(
    connection: &mut PgConnection,
    schema: &Ident,
) -> Result<Numbers, VerifyError> {
    let found: Vec<Stand> = sqlx::query_as(include_str!("numbers.sql"))
        .bind(schema.as_str())
        .fetch_all(connection)
        .await
        .map_err(|error| VerifyError::Rows(ServerError::of(&error)))?;
    let found = found.into_iter();
    Ok(found.map(|stand| (stand.name.clone(), stand)).collect())
}

/// The sequences that will give out numbers again: set back, or made anew and not set since. Of a table without rows, or
/// whose rows are lost, nothing is told: there is nothing that a number could be in the way of.
pub(super) fn lost(
    before: &Numbers,
    after: &Numbers,
    rows: &Rows,
    emptied: impl Fn(&str) -> bool,
) -> Vec<Loss> {
    let counts = |stand: &&Stand| {
        let owner = stand.owner.as_deref();
        owner.is_none_or(|table| rows.contains_key(table) && !emptied(table))
    };
    let stands = before.values().filter(counts);
    stands
        .filter_map(|stand| {
            let now = after.get(&stand.name)?;
            stand.is_behind(now).then(|| Loss::Numbers {
                sequence: stand.name.clone(),
                stood: stand.last,
                stands: now.last,
                start: now.start,
            })
        })
        .collect()
}

impl Stand {
    fn is_behind(&self, now: &Self) -> bool {
        match (self.last, now.last) {
            (_, None) => self.last.is_some() || self.oid != now.oid,
            (Some(stood), Some(stands)) if self.increment < 0 => stands > stood,
            (Some(stood), Some(stands)) => stands < stood,
            (None, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(oid: i64, increment: i64, last: Option<i64>) -> Stand {
        Stand {
            name: "n".to_owned(),
            oid,
            owner: None,
            start: 1,
            increment,
            last,
        }
    }

    #[test]
    fn what_was_given_out_must_not_come_again() {
        for (before, after, expected) in [
            ((1, 1, Some(12)), (1, 1, Some(12)), false),
            ((1, 1, Some(12)), (1, 1, Some(20)), false),
            ((1, 1, Some(12)), (1, 1, Some(5)), true),
            ((1, 1, Some(12)), (1, 1, None), true),
            ((1, 1, None), (1, 1, None), false),
            // Made anew: whatever it stood at in a database where it is used.
            ((1, 1, None), (2, 1, None), true),
            ((1, 1, None), (2, 1, Some(7)), false),
            ((1, -1, Some(-5)), (1, -1, Some(-9)), false),
            ((1, -1, Some(-5)), (1, -1, Some(-2)), true),
        ] {
            let stand = |(oid, increment, last)| stand(oid, increment, last);
            let found = stand(before).is_behind(&stand(after));
            assert_eq!(found, expected, "{before:?} {after:?}");
        }
    }
}
