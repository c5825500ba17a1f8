//! Whether new tenants can be built from a structure: whether the migrations that made it leave anything else in one.
//!
//! What a look at the schema proves is told of it; what only words hint at is told as that, and whoever knows better can say
//! so. Looks at a scratch database only.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection};

use super::{Dumped, VerifyError};
use crate::{
    fleet::Fleet,
    migration::{Migration, Version},
    plan::{NOBODY, Origin},
    postgres::ServerError,
    sql::{Ident, beyond_structure},
};

/// So many reasons are written into the file and told.
const MOST: usize = 20;

/// Tables that have rows, and sequences that do not stand at their beginning.
pub(super) async fn leftovers(
    connection: &mut PgConnection,
    schema: &Ident,
) -> Result<Vec<String>, VerifyError> {
    let failed = |error: sqlx::Error| VerifyError::Rows(ServerError::of(&error));
    let relations: Vec<(String, bool)> = sqlx::query_as(
        "select c.relname::text, c.relkind = 'S'
           from pg_catalog.pg_class c
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where n.nspname = $1 and c.relkind in ('r', 'S')
          order by c.relkind = 'S', c.relname collate \"C\"",
    )
    .bind(schema.as_str())
    .persistent(false)
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let mut found = Vec::new();
    for (name, is_sequence) in relations {
        let relation = Ident::new(name.as_str())?;
        let (query, what) = match is_sequence {
            false => (
                format!("select exists (select from only {schema}.{relation})"),
                format!("the migrations leave rows in the table {name}"),
            ),
            true => (
                format!(
                    "select q.is_called or q.last_value <> s.seqstart from {schema}.{relation} q
                       join pg_catalog.pg_sequence s on s.seqrelid = q.tableoid"
                ),
                format!("the migrations leave the sequence {name} elsewhere than at its start"),
            ),
        };
        let is_left: bool = sqlx::query_scalar(AssertSqlSafe(query))
            .persistent(false)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if is_left {
            found.push(what);
        }
    }
    Ok(found)
}

/// What the statements of migrations may do beside changing the structure, each with its place; not those of `trusted`.
pub(super) fn doubts(migrations: &[Arc<Migration>], trusted: &[Version]) -> Vec<String> {
    let mut found = Vec::new();
    let doubted = |m: &&Arc<Migration>| !trusted.contains(&m.version);
    for migration in migrations.iter().filter(doubted) {
        for statement in &migration.up.statements {
            if let Some(words) = beyond_structure(migration.up.statement(statement)) {
                let (path, at) = (
                    migration.up.path.display(),
                    migration.up.position(statement.span.start),
                );
                found.push(format!(
                    "{path}:{}: {words} may do more than change the structure (if it leaves nothing else in a new tenant: \
                     --trust {})",
                    at.line, migration.version
                ));
            }
        }
    }
    found
}

impl Dumped {
    /// Writes into the file what it stands for, or why nobody can be built from it.
    pub(super) fn stands_for(&mut self, fleet: &Fleet, mut why_not: Vec<String>) {
        let privileges = self.left_out.iter();
        why_not.extend(
            privileges.map(|left_out| match left_out.contains("privileges") {
                true => format!("{left_out} are not in it (see --privileges)"),
                false => format!("{left_out} is not in it"),
            }),
        );
        let reworded = self.reworded.iter();
        why_not.extend(reworded.map(|what| {
            format!("PostgreSQL says {what} in other words once it was built from here")
        }));
        let (head, body) = self.text.split_at(self.body);
        let origin = Origin::of(&fleet.tenant, &fleet.shared, self.postgres, body);
        if origin.is_none() {
            why_not.push("there are no migrations".to_owned());
        }
        let more = why_not.len().saturating_sub(MOST);
        why_not.truncate(MOST);
        if more > 0 {
            why_not.push(format!("and {more} more"));
        }
        let mut text = head.to_owned();
        match origin.filter(|_| why_not.is_empty()) {
            Some(origin) => text += &origin.to_string(),
            None => {
                text += "-- No new tenant can be built from it:\n";
                for why in &why_not {
                    // A name may have line breaks in it.
                    text += &format!("--   {}\n", why.replace(['\n', '\r'], " "));
                }
                text += NOBODY;
            }
        }
        let head = text.len();
        text += body;
        (self.text, self.body) = (text, head);
        self.builds = Some(why_not);
    }
}
