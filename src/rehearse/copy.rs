//! Copying one schema: its structure, as much of its data as is allowed, where its sequences stand, statistics.

use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    Copied, Partial, RehearseError,
    budget::{Allowed, Portion, portions},
    build::{Parts, parts, without},
    keys,
    source::{self, Key, Table},
    veil::veiled,
};
use crate::{
    postgres::{Message, Outcome, Session},
    sql::Ident,
    structure::{Detail, Snapshot, Statement, detailed, diff, unseen},
    verify::{arrange, is_rewording},
};

/// What is copied where.
pub(super) struct Copying<'a> {
    /// The schema of the fleet.
    pub(super) original: &'a Ident,
    /// The empty schema that becomes its copy.
    pub(super) copy: &'a Ident,
    pub(super) allowed: &'a Allowed,
    /// Whether the copy stands beside what the original refers to, and must not be tied to it.
    pub(super) is_beside: bool,
}

/// What a copy has: views are filled where the original's are.
const DETAIL: Detail = Detail {
    unpopulated: true,
    ..Detail::STRUCTURE
};

/// Copies a schema, as it is at this moment.
pub(super) async fn copy(
    from: &mut Session,
    to: &mut Session,
    copying: &Copying<'_>,
) -> Result<Copied, RehearseError> {
    let original = copying.original;
    let mut reading = source::begin(from, original).await?;
    let structure = detailed(&mut reading, original, DETAIL).await?;
    let lacks = unseen(&mut reading, original).await?;
    let mut left_out = lacks.objects;
    let keys = source::keys(&mut reading, original).await?;
    // The live tables would get triggers by them, and the application's own statements would meet the copy.
    let leads_out = |key: &&Key| copying.is_beside && key.parent_schema != original.as_str();
    let outward: Vec<_> = keys.iter().filter(leads_out).collect();
    left_out.extend(outward.iter().map(|key| {
        let Key {
            name,
            child,
            parent_schema,
            parent,
            ..
        } = key;
        format!("foreign key {name} of {child} to {parent_schema}.{parent}")
    }));
    let structure = without(&structure, &outward);
    let Parts { early, late } = parts(&structure)?;
    let waiting = arrange(to, copying.copy, early).await?.waiting;
    let tables = source::tables(&mut reading, original).await?;
    let hidden = copying.allowed.hidden(&tables);
    if !hidden.is_empty() {
        return Err(RehearseError::Hidden(hidden));
    }
    let mut partial = data(&mut reading, to, copying, &tables).await?;
    sequences(&mut reading, to, copying).await?;
    reading
        .rollback()
        .await
        .map_err(RehearseError::server("end reading"))?;
    let pruned = keys::keep(to, copying, &keys, &partial).await?;
    for table in tables.iter().filter(|table| pruned.contains(&table.name)) {
        if partial.iter().all(|partial| partial.table != table.name) {
            partial.push(Partial::of(table, 0));
        }
    }
    let waiting = waiting.into_iter().map(|waiting| waiting.statement);
    left_out.extend(dress(to, copying, &structure, waiting.chain(late).collect()).await?);
    finish(to, copying, partial, left_out).await
}

/// Adds what comes after the rows; in what the copy differs from the original then.
async fn dress(
    to: &mut Session,
    copying: &Copying<'_>,
    structure: &Snapshot,
    statements: Vec<Statement>,
) -> Result<Vec<String>, RehearseError> {
    let waiting = arrange(to, copying.copy, statements).await?.waiting;
    if let Some(first) = waiting.into_iter().next() {
        return Err(RehearseError::Stuck {
            statement: first.statement.sql,
            error: veiled(first.error),
        });
    }
    let made = detailed(to.connection(), copying.copy, DETAIL).await?;
    let differences = diff(structure, &without(&made, &[]));
    let differences = differences.iter().filter(|found| !is_rewording(found));
    Ok(differences
        .map(|found| format!("the copy differs: {found}"))
        .collect())
}

/// Copies rows; tells of which tables not all of them.
async fn data(
    reading: &mut PgConnection,
    to: &mut Session,
    copying: &Copying<'_>,
    tables: &[Table],
) -> Result<Vec<Partial>, RehearseError> {
    source::write_alike(to.connection(), copying.copy, false).await?;
    let mut partial = Vec::new();
    for (table, portion) in tables.iter().zip(portions(tables, copying.allowed)) {
        let copied = rows(reading, to.connection(), copying, table, portion).await?;
        let is_whole = match portion {
            Portion::All(limit) => copied < limit,
            Portion::Percent(..) => false,
            Portion::Nothing => table.is_empty,
        };
        if !is_whole {
            partial.push(Partial::of(table, copied));
        }
    }
    run(to, "RESET ALL".to_owned(), "end copying").await?;
    Ok(partial)
}

impl Partial {
    fn of(table: &Table, copied: u64) -> Self {
        Self {
            table: table.name.clone(),
            rows: copied,
            of: table.rows.max(copied as f64).round() as u64,
            bytes: 0,
            of_bytes: table.bytes,
            is_counted: table.rows >= 0.0,
        }
    }
}

/// So large a table, in bytes, is read whole to draw rows from it by chance; of larger ones whole pages are drawn.
const SMALL: u64 = 8 << 20;

/// As much is sent at once.
const CHUNK: usize = 64 * 1024;

/// Copies rows of one table, as text: whoever reads the other form must know the same types by the same numbers.
async fn rows(
    reading: &mut PgConnection,
    to: &mut PgConnection,
    copying: &Copying<'_>,
    table: &Table,
    portion: Portion,
) -> Result<u64, RehearseError> {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(Ident::new)
        .collect::<Result<_, _>>()?;
    let columns: Vec<_> = columns.iter().map(ToString::to_string).collect();
    let (sample, limit) = match portion {
        Portion::Nothing => return Ok(0),
        // A row of no columns is nothing that could be sent.
        _ if columns.is_empty() => return Ok(0),
        Portion::All(limit) => (String::new(), limit),
        Portion::Percent(percent, limit) => {
            let method = if table.bytes < SMALL {
                "BERNOULLI"
            } else {
                "SYSTEM"
            };
            let sample = format!(" TABLESAMPLE {method} ({percent:.4}) REPEATABLE (0)");
            (sample, limit)
        }
    };
    let (columns, name) = (columns.join(", "), Ident::new(&table.name)?);
    let (original, copy) = (copying.original, copying.copy);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = format!(
        "COPY (SELECT {columns} FROM ONLY {original}.{name}{sample} LIMIT {limit}) TO STDOUT"
    );
    let write = format!("COPY {copy}.{name} ({columns}) FROM STDIN");
    let failed = || RehearseError::server(format!("copy the table {}", table.name));
    let mut rows = reading.copy_out_raw(&read).await.map_err(failed())?;
    let mut sink = to.copy_in_raw(&write).await.map_err(failed())?;
    let mut chunk = Vec::with_capacity(2 * CHUNK);
    loop {
        let row = rows.try_next().await.map_err(failed())?;
        if let Some(row) = &row {
            chunk.extend_from_slice(row);
        }
        if chunk.len() >= CHUNK || row.is_none() {
            sink.send(&chunk[..]).await.map_err(failed())?;
            chunk.clear();
        }
        if row.is_none() {
            return sink.finish().await.map_err(failed());
        }
    }
}

/// Sequences go on where the original's stand.
async fn sequences(
    reading: &mut PgConnection,
    to: &mut Session,
    copying: &Copying<'_>,
) -> Result<(), RehearseError> {
    let (original, copy) = (copying.original, copying.copy);
    for name in source::sequences(reading, original).await? {
        let failed = || RehearseError::server(format!("copy the sequence {name}"));
        let sequence = Ident::new(&name)?;
        let query = format!("SELECT last_value, is_called FROM {original}.{sequence}");
        let (value, is_called): (i64, bool) = sqlx::query_as(AssertSqlSafe(query))
            .fetch_one(&mut *reading)
            .await
            .map_err(failed())?;
        sqlx::query("select pg_catalog.setval(pg_catalog.to_regclass($1), $2, $3)")
            .bind(format!("{copy}.{sequence}"))
            .bind(value)
            .bind(is_called)
            .execute(to.connection())
            .await
            .map_err(failed())?;
    }
    Ok(())
}

/// Statistics, as the planner would have them, and what the copy has come to.
async fn finish(
    to: &mut Session,
    copying: &Copying<'_>,
    mut partial: Vec<Partial>,
    left_out: Vec<String>,
) -> Result<Copied, RehearseError> {
    let copy = copying.copy;
    let mut names = Vec::new();
    for table in source::tables(to.connection(), copy).await? {
        names.push(format!("{copy}.{}", Ident::new(&table.name)?));
    }
    if !names.is_empty() {
        let analyze = format!("ANALYZE {}", names.join(", "));
        run(to, analyze, "gather statistics").await?;
    }
    let tables = source::tables(to.connection(), copy).await?;
    for partial in &mut partial {
        let copied = tables.iter().find(|table| table.name == partial.table);
        if let Some(table) = copied {
            partial.rows = table.rows.max(0.0).round() as u64;
            partial.bytes = table.bytes;
            // Where nobody has counted the original, it has as many more as it is larger.
            let ratio = partial.of_bytes as f64 / partial.bytes.max(1) as f64;
            let by_size = (partial.rows as f64 * ratio).round() as u64;
            partial.of = partial.of.max(if partial.is_counted { 0 } else { by_size });
        }
    }
    Ok(Copied {
        tables: tables.len(),
        rows: tables
            .iter()
            .map(|table| table.rows.max(0.0).round() as u64)
            .sum(),
        bytes: tables.iter().map(|table| table.bytes).sum(),
        partial,
        left_out,
    })
}

/// A statement of ours, which has to run.
pub(super) async fn run(
    session: &mut Session,
    sql: String,
    doing: &str,
) -> Result<(), RehearseError> {
    match session.send(&Message::vouched(sql)).await? {
        Outcome::Done => Ok(()),
        Outcome::Refused { error, .. } => Err(RehearseError::Server {
            doing: doing.to_owned(),
            error,
        }),
    }
}
