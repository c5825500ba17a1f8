//! Sets that others wrote, carried into tenants' schemas: the structure is the one that `psql` leaves.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tenantry::{
    fleet::Fleet,
    migration::Scope,
    provision,
    sql::Ident,
    store::tenants::Labels,
    structure::{Snapshot, diff, snapshot},
    tenant::{ShardName, TenantName},
};

use super::{
    corpus::{Corpus, Files, folder, skipped},
    page,
    psql::Clients,
    sets::CORPORA,
};
use crate::support::{Database, database};

/// What came of carrying one set.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) migrations: usize,
    /// In how many schemas all of them were applied.
    pub(crate) schemas: usize,
    /// What keeps them from being applied, or in what the structure differs from `psql`'s; empty where all is well.
    pub(crate) differences: Vec<String>,
    /// Whether `pg_dump` was asked too.
    pub(crate) dumped: bool,
}

#[tokio::test]
async fn structures_are_those_that_psql_leaves() {
    let (Some(folder), Some(clients)) = (folder(), clients()) else {
        return;
    };
    let mut rows = Vec::new();
    for corpus in CORPORA {
        let Some(files) = corpus.files(&folder) else {
            continue;
        };
        let carried = carry(corpus, &files, &clients).await;
        rows.push((corpus, carried));
    }
    let mut wrong = String::new();
    for (corpus, carried) in &rows {
        if !carried.differences.is_empty() {
            writeln!(
                wrong,
                "{}:\n{}",
                corpus.name,
                carried.differences.join("\n")
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    if rows.len() == CORPORA.len() {
        let dumped = rows.iter().all(|(_, carried)| carried.dumped);
        assert!(
            dumped || !page::is_written(),
            "without pg_dump nobody can say that its dumps are equal"
        );
        page::check(page::CARRIED, &page::carried(&folder, &rows)).await;
    }
}

fn clients() -> Option<Clients> {
    let clients = Clients::find();
    if clients.is_none() {
        skipped("there is no psql with a pg_dump beside it");
    }
    clients
}

async fn carry(corpus: &Corpus, files: &Files, clients: &Clients) -> Carried {
    let mut carried = Carried {
        migrations: files.ups().len() - usize::from(corpus.stubs.is_some()),
        schemas: 0,
        differences: Vec::new(),
        dumped: false,
    };
    let theirs = prepared(corpus).await;
    let first = corpus.schemas()[0];
    let mut connection = theirs.connect().await;
    execute(
        &mut connection,
        &format!("CREATE SCHEMA IF NOT EXISTS {first}"),
    )
    .await;
    let path = [&[first], corpus.path].concat().join(",");
    for file in files.ups() {
        if let Err(error) = clients.run(&theirs.url, &path, &file) {
            carried.differences.push(format!("psql fails: {error}"));
            return carried;
        }
    }
    let ours = prepared(corpus).await;
    let settings = corpus.settings(files, Some(&ours.url));
    let fleet = Fleet::open(&settings).unwrap();
    match fleet.up().await.unwrap().complete() {
        Ok(_) => carried.schemas += usize::from(corpus.scope() == Scope::Shared),
        Err(error) => {
            carried.differences.push(format!("{first} fails: {error}"));
            return carried;
        }
    }
    for tenant in corpus.tenants {
        let name = TenantName::new(*tenant).unwrap();
        match provision::add(&fleet, &name, &ShardName::new("main"), &Labels::new()).await {
            Ok(_) => carried.schemas += 1,
            Err(error) => {
                carried
                    .differences
                    .push(format!("{tenant} fails: {}", told(&error)));
                return carried;
            }
        }
    }
    for schema in corpus.schemas() {
        compare(
            &mut carried,
            (clients, corpus.writes),
            (&theirs, first),
            (&ours, schema),
        )
        .await;
    }
    carried
}

/// Adds in what the two schemas differ, by our own eyes and by those of `pg_dump`.
async fn compare(
    carried: &mut Carried,
    (clients, others): (&Clients, &[&str]),
    (theirs, first): (&Database, &str),
    (ours, tenant): (&Database, &str),
) {
    let (expected, is) = (look(theirs, first).await, look(ours, tenant).await);
    assert!(!expected.is_empty());
    let differences = diff(&expected, &is);
    carried
        .differences
        .extend(differences.iter().map(|d| format!("{tenant}: {d}")));
    let dump = |database: &Database, schema| {
        clients.dump(&database.url, &[&[schema, "public"], others].concat())
    };
    match (dump(theirs, first), dump(ours, tenant)) {
        (Ok(theirs), Ok(ours)) => {
            carried.dumped = true;
            let ours = ours.replace(tenant, first);
            if let Some((theirs, ours)) = theirs.lines().zip(ours.lines()).find(|(a, b)| a != b) {
                carried
                    .differences
                    .push(format!("{tenant}, pg_dump: {theirs} → {ours}"));
            } else if theirs.len() != ours.len() {
                carried
                    .differences
                    .push(format!("{tenant}, pg_dump: one dump is longer"));
            }
        }
        (Err(why), _) | (_, Err(why)) => skipped(&format!("no dump: {why}")),
    }
}

async fn look(database: &Database, schema: &str) -> Snapshot {
    let schema = Ident::new(schema).unwrap();
    snapshot(&mut database.connect().await, &schema)
        .await
        .unwrap()
}

/// A database with what the set takes for granted.
pub(super) async fn prepared(corpus: &Corpus) -> Database {
    let database = database().await;
    let mut connection = database.connect().await;
    execute(&mut connection, "CREATE SCHEMA extensions").await;
    execute(&mut connection, corpus.prepare).await;
    connection.close().await.unwrap();
    database
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

/// The error with the problems that it only counts.
fn told(error: &provision::ProvisionError) -> String {
    let mut told = error.to_string();
    if let provision::ProvisionError::Refused(tenantry::plan::Refusal::Problems(problems)) = error {
        for problem in problems {
            write!(told, "\n{problem}").unwrap();
        }
    }
    told
}
