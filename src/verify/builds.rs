//! Whether new tenants can be built from a structure: whether the migrations that made it leave anything else in one.
//!
//! What a look at the schema proves is told of it; what only words hint at is told as that, and whoever knows better can say
//! so. Looks at a scratch database only.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{Dumped, VerifyError};
use crate::{
    fleet::Fleet,
    migration::{Migration, Version},
    plan::{NOBODY, Origin},
    postgres::ServerError,
    sql::{Ident, beyond_structure, frozen, grants, runs_code},
    structure::unseen,
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

/// Privileges that a tenant has on the scratch server. Those of another database may be others, though the same was granted.
pub(super) async fn granted(
    connection: &mut PgConnection,
    schema: &Ident,
) -> Result<Vec<String>, VerifyError> {
    let unseen = unseen(connection, schema).await?;
    let privileges = unseen
        .circumstances
        .into_iter()
        .filter(|what| is_privileges(what));
    Ok(privileges
        .map(|what| {
            format!("the migrations leave {what}; a file of the structure never stands for those")
        })
        .collect())
}

fn is_privileges(left_out: &str) -> bool {
    left_out.contains("privileges")
}

/// What the statements of the tenants' migrations may do beside changing the structure, each with its place; not those of
/// `trusted`, but for privileges, which depend on the database.
pub(super) fn doubts(fleet: &Fleet, trusted: &[Version]) -> Vec<String> {
    let mut found = Vec::new();
    for migration in &fleet.tenant.migrations {
        let is_trusted = trusted.contains(&migration.version);
        for statement in &migration.up.statements {
            let at = migration.up.position(statement.span.start);
            let text = migration.up.statement(statement);
            let doubt = doubt(text, migration, !fleet.limits.also_writes.is_empty());
            found.extend(
                grants(text)
                    .map(of_privileges)
                    .or_else(|| doubt.filter(|_| !is_trusted))
                    .map(|why| format!("{}:{}: {why}", migration.up.path.display(), at.line)),
            );
        }
    }
    found
}

fn of_privileges(words: &str) -> String {
    format!(
        "{words}: what it leaves depends on the default privileges of the database, which nobody knows when the file is \
         written"
    )
}

/// What is to be said of a statement that only its author can answer for.
fn doubt(statement: &str, migration: &Migration, writes_elsewhere: bool) -> Option<String> {
    let trust = format!("--trust {}", migration.version);
    if let Some(words) = beyond_structure(statement) {
        return Some(format!(
            "{words} may do more than change the structure (if it leaves nothing else in a new tenant: {trust})"
        ));
    }
    if let Some(words) = frozen(statement) {
        return Some(format!(
            "{words} may be worked out when the file is written, not when a tenant is made (if that is the same: {trust})"
        ));
    }
    let words = runs_code(statement).filter(|_| writes_elsewhere)?;
    Some(format!(
        "{words} may run code that writes to a schema of migrations.also_writes (if it does not: {trust})"
    ))
}

impl Dumped {
    /// Writes into the file what it stands for, or why nobody can be built from it.
    pub(super) fn stands_for(&mut self, fleet: &Fleet, mut why_not: Vec<String>) {
        // Of privileges it was told already, whether they are in it or not.
        let left_out = self.left_out.iter().filter(|what| !is_privileges(what));
        why_not.extend(left_out.map(|what| format!("{what} is not in it")));
        let reworded = self.reworded.iter();
        why_not.extend(reworded.map(|what| {
            format!("PostgreSQL says {what} in other words once it was built from here")
        }));
        let (head, body) = self.text.split_at(self.body);
        let origin = Origin::of(&fleet.tenant, fleet.beside_tenants(), self.postgres, body);
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
