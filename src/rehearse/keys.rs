//! What is missing of a table must not be referred to: rows whose parent was not copied go again.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use super::{Partial, RehearseError, copy::Copying, source::Key};
use crate::{
    postgres::{ServerError, Session},
    sql::{Ident, InvalidIdent},
};

/// Takes rows out of the copy until every foreign key holds again; the tables that lost some.
///
/// What another schema lacks counts as well, where the copy refers to that.
pub(super) async fn keep(
    to: &mut Session,
    copying: &Copying<'_>,
    keys: &[Key],
    partial: &[Partial],
) -> Result<BTreeSet<String>, RehearseError> {
    let original = copying.original.as_str();
    let mut lacking: BTreeSet<&str> = partial.iter().map(|table| table.table.as_str()).collect();
    let (mut pruned, mut is_first) = (BTreeSet::new(), true);
    loop {
        let mut again = BTreeSet::new();
        for key in keys.iter().filter(|key| key.is_valid) {
            let is_own = key.parent_schema == original;
            let may_lack = if is_own {
                lacking.contains(key.parent.as_str())
            } else {
                is_first && !copying.is_beside
            };
            if may_lack && prune(to, copying, key).await? {
                again.insert(key.child.as_str());
            }
        }
        if again.is_empty() {
            return Ok(pruned);
        }
        pruned.extend(again.iter().map(|table| (*table).to_owned()));
        (lacking, is_first) = (again, false);
    }
}

/// Whether rows of this key had no parent.
async fn prune(to: &mut Session, copying: &Copying<'_>, key: &Key) -> Result<bool, RehearseError> {
    let delete = orphans(key, copying)?;
    let deleted = sqlx::query(AssertSqlSafe(delete))
        .execute(to.connection())
        .await;
    match deleted {
        Ok(deleted) => Ok(deleted.rows_affected() > 0),
        // undefined_table: that it is not there is said when the key itself cannot be made.
        Err(error) if ServerError::of(&error).code == "42P01" => Ok(false),
        Err(error) => {
            let doing = format!("keep the foreign key {}", key.name);
            Err(RehearseError::server(doing)(error))
        }
    }
}

/// The statement that takes out the rows of a key whose parents are not there.
fn orphans(key: &Key, copying: &Copying<'_>) -> Result<String, InvalidIdent> {
    let parent_schema = if key.parent_schema == copying.original.as_str() {
        copying.copy.clone()
    } else {
        Ident::new(&key.parent_schema)?
    };
    let (mut refers, mut equals) = (Vec::new(), Vec::new());
    for (child, parent) in key.child_columns.iter().zip(&key.parent_columns) {
        let (child, parent) = (Ident::new(child)?, Ident::new(parent)?);
        refers.push(format!("c.{child} IS NOT NULL"));
        equals.push(format!("p.{parent} = c.{child}"));
    }
    Ok(format!(
        "DELETE FROM {}.{} c WHERE {} AND NOT EXISTS (SELECT FROM {parent_schema}.{} p WHERE {})",
        copying.copy,
        Ident::new(&key.child)?,
        refers.join(" AND "),
        Ident::new(&key.parent)?,
        equals.join(" AND "),
    ))
}
