//! Rows for tables of which nothing is known but what the catalog says.
//!
//! A table that takes none is left empty, with a word about why: nobody may take a migration for proven on rows that were not
//! there.

mod catalog;
mod insert;
mod order;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction, postgres::PgDatabaseError,
};

use self::{
    catalog::Table,
    insert::{Manner, insert},
    order::order,
};
use super::{NotSeeded, Seeded, VerifyError};
use crate::{postgres::ServerError, sql::Ident};

pub(super) use self::catalog::Catalog;

/// Puts rows into tables, and remembers which way of making them each table took.
pub(super) struct Seeds {
    rows: u64,
    known: HashMap<String, Manner>,
    /// What a table looked like when it took none, and why.
    refused: BTreeMap<String, (String, String)>,
    taken: BTreeSet<String>,
}

/// Where rows are put.
#[derive(Clone, Copy)]
pub(super) struct Plot<'a> {
    /// The schema.
    pub(super) schema: &'a Ident,
    /// The schemas in which triggers look for names after it.
    pub(super) others: &'a [Ident],
}

/// What there was before rows were put into tables.
pub(super) struct Planted {
    /// The tables.
    pub(super) catalog: Catalog,
    /// Those without rows.
    pub(super) empty: BTreeSet<String>,
}

impl Seeds {
    /// Puts so many rows into each table.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            rows: u64::try_from(rows).unwrap_or(1),
            known: HashMap::new(),
            refused: BTreeMap::new(),
            taken: BTreeSet::new(),
        }
    }

    /// Puts rows into the tables that have none, as far as they take some; into those that were there for `earlier` none,
    /// even if a migration has emptied them since.
    pub(super) async fn plant(
        &mut self,
        connection: &mut PgConnection,
        plot: Plot<'_>,
        earlier: Option<&Planted>,
    ) -> Result<Planted, VerifyError> {
        let catalog = Catalog::read(connection, plot.schema).await?;
        let mut empty = empty(connection, plot.schema, &catalog).await?;
        let known = earlier
            .into_iter()
            .flat_map(|planted| &planted.catalog.tables);
        known.for_each(|table| {
            empty.remove(&table.name);
        });
        let tables = order(&catalog).into_iter();
        let tables: Vec<_> = tables.filter(|t| empty.contains(&t.name)).collect();
        if !self
            .all_at_once(connection, plot, &catalog, &tables)
            .await?
        {
            self.one_by_one(connection, plot, &catalog, &tables).await?;
        }
        Ok(Planted { catalog, empty })
    }

    /// Which tables took rows, and which did not when it was last tried.
    pub(super) fn told(&self) -> Told {
        let refused = self.refused.iter();
        let refused = refused.map(|(table, (_, reason))| (table.clone(), Some(reason.clone())));
        let taken = self.taken.iter().map(|table| (table.clone(), None));
        Told(taken.chain(refused).collect())
    }

    /// One message for tables of which each is known to take rows; whether they did.
    async fn all_at_once(
        &self,
        connection: &mut PgConnection,
        plot: Plot<'_>,
        catalog: &Catalog,
        tables: &[&Table],
    ) -> Result<bool, VerifyError> {
        let mut message = String::new();
        for table in tables {
            if self.refused_as(table, tables) {
                continue;
            }
            let Some(manner) = self.known.get(&table.name) else {
                return Ok(false);
            };
            let statement = insert(catalog, plot.schema, table, *manner)?;
            message += &format!("{statement};\n");
        }
        Ok(match begun_with(connection, plot, message).await? {
            Some(transaction) => transaction.commit().await.is_ok(),
            None => false,
        })
    }

    async fn one_by_one(
        &mut self,
        connection: &mut PgConnection,
        plot: Plot<'_>,
        catalog: &Catalog,
        tables: &[&Table],
    ) -> Result<(), VerifyError> {
        let mut transaction = begin(connection, plot).await?;
        for table in tables {
            if self.refused_as(table, tables) {
                continue;
            }
            match self.one(&mut transaction, plot, catalog, table).await? {
                Ok(manner) => {
                    self.known.insert(table.name.clone(), manner);
                    self.refused.remove(&table.name);
                    self.taken.insert(table.name.clone());
                }
                Err(reason) => {
                    self.known.remove(&table.name);
                    self.taken.remove(&table.name);
                    let looks = self.looks(table, tables);
                    self.refused.insert(table.name.clone(), (looks, reason));
                }
            }
        }
        transaction.commit().await.map_err(failed)
    }

    /// The manner that a table takes, or what it said against the first one.
    async fn one(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        plot: Plot<'_>,
        catalog: &Catalog,
        table: &Table,
    ) -> Result<Result<Manner, String>, VerifyError> {
        let known = self.known.get(&table.name).copied();
        let mut first = None;
        // A check may take one row and no second one, as of a flag that has to be true.
        let manners = Manner::all(self.rows).chain(Manner::all(1));
        for manner in known.into_iter().chain(manners) {
            let mut manner = manner;
            let mut run = attempt(transaction, plot, catalog, table, manner).await?;
            // Some tables have room for one row and no more.
            let is_full = |error: &Refused| ["23505", "23P01"].contains(&error.code.as_str());
            if run.as_ref().is_err_and(is_full) && manner.rows > 1 {
                manner = manner.single();
                run = attempt(transaction, plot, catalog, table, manner).await?;
            }
            match run {
                Ok(()) => return Ok(Ok(manner)),
                Err(error) => {
                    let is_hopeless = ["23503", "23502"].contains(&error.code.as_str());
                    first.get_or_insert(error.reason);
                    if is_hopeless {
                        break;
                    }
                }
            }
        }
        Ok(Err(first.unwrap_or_default()))
    }

    /// Whether it took none when it looked as it does now.
    fn refused_as(&self, table: &Table, tables: &[&Table]) -> bool {
        let refused = self.refused.get(&table.name);
        refused.is_some_and(|(looks, _)| *looks == self.looks(table, tables))
    }

    /// What it depends on whether a table takes rows.
    fn looks(&self, table: &Table, tables: &[&Table]) -> String {
        let is_empty = |name: &str| {
            tables.iter().any(|other| other.name == name) && !self.taken.contains(name)
        };
        let needs = table.references.iter().map(|reference| &reference.table);
        let lacks: Vec<_> = needs.filter(|name| is_empty(name)).collect();
        format!("{table:?} {lacks:?}")
    }
}

/// What became of each table: why it took none, or none where it took some.
pub(super) struct Told(BTreeMap<String, Option<String>>);

impl Told {
    /// What became of them together; what was told later counts.
    pub(super) fn sum(all: impl IntoIterator<Item = Self>) -> Seeded {
        let tables: BTreeMap<_, _> = all.into_iter().flat_map(|told| told.0).collect();
        let taken = tables.values().filter(|reason| reason.is_none()).count();
        let not_seeded = tables.into_iter().filter_map(|(table, reason)| {
            let reason = reason?;
            Some(NotSeeded { table, reason })
        });
        Seeded {
            tables: taken,
            not_seeded: not_seeded.collect(),
        }
    }
}

impl Planted {
    /// Takes all rows out of the tables that had none; whether that was possible.
    pub(super) async fn uproot(
        &self,
        connection: &mut PgConnection,
        plot: Plot<'_>,
    ) -> Result<bool, VerifyError> {
        // Neither triggers nor foreign keys, whose order may be a circle.
        let mut message = "SET LOCAL session_replication_role = replica;\n".to_owned();
        for table in &self.empty {
            message += &format!("DELETE FROM {}.{};\n", plot.schema, Ident::new(table)?);
        }
        let Some(transaction) = begun_with(connection, plot, message).await? else {
            return Ok(false);
        };
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }
}

/// Why a table did not take rows.
struct Refused {
    code: String,
    reason: String,
}

async fn attempt(
    transaction: &mut Transaction<'_, Postgres>,
    plot: Plot<'_>,
    catalog: &Catalog,
    table: &Table,
    manner: Manner,
) -> Result<Result<(), Refused>, VerifyError> {
    let statement = insert(catalog, plot.schema, table, manner)?;
    // Deferred checks are run while it is known whose they are.
    let message = format!(
        "SAVEPOINT seed;\n{statement};\nSET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; RELEASE seed"
    );
    let run = sqlx::raw_sql(AssertSqlSafe(message))
        .execute(&mut **transaction)
        .await;
    let Err(error) = run else {
        return Ok(Ok(()));
    };
    let refused = refused(&error, table);
    sqlx::raw_sql("ROLLBACK TO seed; RELEASE seed")
        .execute(&mut **transaction)
        .await
        .map_err(failed)?;
    Ok(Err(refused))
}

fn refused(error: &sqlx::Error, table: &Table) -> Refused {
    let said = ServerError::of(error);
    let told = error.as_database_error();
    let told = told.and_then(|told| told.try_downcast_ref::<PgDatabaseError>());
    let constraint = told.and_then(PgDatabaseError::constraint);
    let column = told.and_then(PgDatabaseError::column);
    let reason = match (said.code.as_str(), constraint, column) {
        ("23514", Some(name), _) => format!("check constraint {name}"),
        ("23505", Some(name), _) => format!("unique constraint {name}"),
        ("23P01", Some(name), _) => format!("exclusion constraint {name}"),
        ("23503", Some(name), _) => format!("foreign key {name}"),
        ("23502", _, Some(column)) => match table.reference_of(column) {
            Some((reference, _)) => format!("needs rows in {}", reference.table),
            None => format!("nothing to put into {column}"),
        },
        _ => said.message.clone(),
    };
    Refused {
        code: said.code,
        reason,
    }
}

/// The tables without rows.
async fn empty(
    connection: &mut PgConnection,
    schema: &Ident,
    catalog: &Catalog,
) -> Result<BTreeSet<String>, VerifyError> {
    let mut message = String::new();
    for table in &catalog.tables {
        let table = Ident::new(&table.name)?;
        message += &format!("SELECT EXISTS (SELECT FROM {schema}.{table});\n");
    }
    let rows = sqlx::raw_sql(AssertSqlSafe(message))
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let mut empty = BTreeSet::new();
    for (row, table) in rows.iter().zip(&catalog.tables) {
        if !sqlx::Row::try_get::<bool, _>(row, 0).map_err(failed)? {
            empty.insert(table.name.clone());
        }
    }
    Ok(empty)
}

/// A transaction in which this message has run; none where it did not, and nothing is left of it then.
async fn begun_with<'a>(
    connection: &'a mut PgConnection,
    plot: Plot<'_>,
    message: String,
) -> Result<Option<Transaction<'a, Postgres>>, VerifyError> {
    let mut transaction = begin(connection, plot).await?;
    let run = sqlx::raw_sql(AssertSqlSafe(message))
        .execute(&mut *transaction)
        .await;
    if run.is_err() {
        transaction.rollback().await.map_err(failed)?;
        return Ok(None);
    }
    Ok(Some(transaction))
}

/// As a migration finds it: names are looked for in the schema and then in `others`.
async fn begin<'a>(
    connection: &'a mut PgConnection,
    plot: Plot<'_>,
) -> Result<Transaction<'a, Postgres>, VerifyError> {
    let mut path = plot.schema.to_string();
    for other in plot.others {
        path += &format!(", {other}");
    }
    let mut transaction = connection.begin().await.map_err(failed)?;
    let message =
        format!("SET LOCAL search_path = {path}, pg_temp; SET LOCAL statement_timeout = '10s'");
    sqlx::raw_sql(AssertSqlSafe(message))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    Ok(transaction)
}

fn failed(error: sqlx::Error) -> VerifyError {
    VerifyError::Rows(ServerError::of(&error))
}
