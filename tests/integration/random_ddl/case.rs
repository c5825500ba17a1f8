//! One case: its statements are run, what stands there is written down, and what that makes is compared.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, PgConnection, postgres::PgConnectOptions, raw_sql};
use tenantry::{
    postgres::{Session, Shard},
    sql::Ident,
    structure::{Snapshot, diff, snapshot, write},
    tenant::ShardName,
    verify::{Dumped, Subject, write_down},
};

use super::{
    model::Model,
    operations::{OPERATIONS, Operation},
};
use crate::support::{Database, database};

/// How many cases a database holds: its catalog must not grow too long.
const CASES_A_DATABASE: u32 = 25;

/// How many kinds of names schemas have.
pub(super) const STYLES: u32 = 5;

/// Where cases are tried.
pub(super) struct Ground {
    session: Session,
    count: u32,
    pub(super) tried: Tried,
}

/// How many operations of each kind the server took, and of how many that fitted.
#[derive(Default)]
pub(super) struct Tried(Vec<(u32, u32)>);

impl Tried {
    fn count(&mut self, kind: usize, is_taken: bool) {
        self.0.resize(OPERATIONS.len(), (0, 0));
        let (taken, all) = &mut self.0[kind];
        *taken += u32::from(is_taken);
        *all += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0.resize(OPERATIONS.len(), (0, 0));
        for (mine, its) in self.0.iter_mut().zip(other.0) {
            *mine = (mine.0 + its.0, mine.1 + its.1);
        }
    }

    pub(super) fn of(&self, name: &str) -> (u32, u32) {
        let kind = OPERATIONS.iter().position(|(other, _, _)| *other == name);
        self.0[kind.unwrap()]
    }
}

impl Ground {
    pub(super) async fn new() -> Self {
        Self {
            session: session(&database().await).await,
            count: 0,
            tried: Tried::default(),
        }
    }

    /// Why the case is no good, with its statements.
    pub(super) async fn case(
        &mut self,
        style: u32,
        operations: &[Operation],
    ) -> Result<(), String> {
        self.count += 1;
        if self.count.is_multiple_of(CASES_A_DATABASE) {
            let next = session(&database().await).await;
            std::mem::replace(&mut self.session, next).close().await;
        }
        let number = self.count;
        let schema = match style % STYLES {
            0 => format!("We\"ird. {number}"),
            1 => format!("it's, {number}"),
            2 => format!("Orders{number}"),
            _ => format!("s{number}"),
        };
        let schema = Ident::new(schema).unwrap();
        let statements = self.make(&schema, operations).await;
        let whole = style < STYLES;
        self.compare(&schema, whole).await.map_err(|why| {
            let mut told = format!(
                "{why}\n\nCREATE SCHEMA {schema}; SET search_path = {schema}, pg_catalog;\n"
            );
            for statement in statements {
                writeln!(told, "{statement};").unwrap();
            }
            told
        })
    }

    /// Why what these statements make is no good.
    pub(super) async fn made_by(&mut self, statements: &str) -> Result<(), String> {
        let schema = Ident::new("found").unwrap();
        let connection = self.session.connection();
        let begin = "DROP SCHEMA IF EXISTS found, \"found copy\" CASCADE; CREATE SCHEMA found; SET search_path = found, pg_catalog";
        self.count += 1;
        run(connection, &format!("{begin}; {statements}; RESET ALL"))
            .await
            .unwrap();
        self.compare(&schema, true).await
    }

    /// Runs the operations in a new schema; what was taken of them.
    async fn make(&mut self, schema: &Ident, operations: &[Operation]) -> Vec<String> {
        let connection = self.session.connection();
        let begin = format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}, pg_catalog; SET check_function_bodies = on"
        );
        run(connection, &begin).await.unwrap();
        let mut model = Model::new(schema.as_str());
        let mut statements = Vec::new();
        for operation in operations {
            let Some(step) = operation.step(&mut model) else {
                continue;
            };
            let done = run(connection, &step.sql).await;
            self.tried.count(operation.kind, done.is_ok());
            if done.is_ok() {
                (step.effect)(&mut model);
                statements.push(step.sql);
            }
        }
        run(connection, "RESET ALL").await.unwrap();
        statements
    }

    /// Each statement is run by itself, and what that leaves compared. Where it is asked, the text is also run as a whole, and
    /// what that leaves is written again.
    async fn compare(&mut self, schema: &Ident, whole: bool) -> Result<(), String> {
        let number = self.count;
        let original = look(self.session.connection(), schema).await;
        let first = self.written(&original, &format!("first{number}")).await?;
        if !whole {
            return Ok(());
        }
        let copy = Ident::new(format!("{} copy", schema.as_str())).unwrap();
        let connection = self.session.connection();
        let whole = format!(
            "CREATE SCHEMA {copy}; SET search_path = {copy};\n{}",
            first.text
        );
        let done = run(connection, &whole).await;
        run(connection, "RESET ALL").await.unwrap();
        done.map_err(|error| format!("the file does not run: {error}\n{}", first.text))?;
        let left = look(connection, &copy).await;
        let differences = diff(&original, &left);
        if original != left {
            let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
            return Err(format!("differs: {}\n{}", told.join("\n"), first.text));
        }
        if write(&left).map_err(|error| error.to_string())? != write(&original).unwrap() {
            return Err("what is written of the copy is something else".to_owned());
        }
        let second = self.written(&left, &format!("second{number}")).await?;
        if second.text != first.text {
            return Err(format!("other texts:\n{}\n{}", first.text, second.text));
        }
        Ok(())
    }

    async fn written(&mut self, of: &Snapshot, copy: &str) -> Result<Dumped, String> {
        let subject = Subject {
            snapshot: of.clone(),
            unseen: Default::default(),
            title: "a random schema".to_owned(),
            privileges: false,
        };
        let copy = Ident::new(copy).unwrap();
        let written = write_down(&mut self.session, &subject, &copy).await;
        let written = written.map_err(|error| error.to_string())?;
        match &written.reworded[..] {
            [] => Ok(written),
            reworded => Err(format!(
                "in other words: {}\n{}",
                reworded.join(", "),
                written.text
            )),
        }
    }
}

async fn session(database: &Database) -> Session {
    let options: PgConnectOptions = database.url.parse().unwrap();
    let shard = Shard::new(ShardName::new("main"), options, 1);
    shard.connect().await.unwrap()
}

async fn look(connection: &mut PgConnection, schema: &Ident) -> Snapshot {
    snapshot(connection, schema).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), String> {
    let done = raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await;
    done.map(|_| ()).map_err(|error| error.to_string())
}
