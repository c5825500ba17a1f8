//! Sets that others wrote, as one file of SQL each: run in an empty schema, it makes what their migrations make.

use futures::{StreamExt as _, stream};
use sqlx::{AssertSqlSafe, raw_sql};
use tenantry::{
    fleet::Fleet,
    migration::Scope,
    provision,
    sql::Ident,
    store::tenants::Labels,
    structure::{Kind, diff, snapshot},
    tenant::{ShardName, TenantName},
    verify::{DumpError, DumpRequest, Dumped, dump},
};

use super::{
    carried::prepared,
    corpus::{Corpus, Files, folder},
    page,
    sets::CORPORA,
};
use crate::support::{Database, server};

/// What begins the part of the page.
const DUMPED: &str = "<!-- The dumps: made by a test from here on. -->\n";
const HEAD: &str = "\
| set | objects | statements | the structure that they leave | not in them |
|---|--:|--:|---|---|
";

/// How many sets are written at once.
const AT_ONCE: usize = 3;

/// What came of writing one set down.
#[derive(Default)]
struct Written {
    objects: usize,
    statements: usize,
    left_out: Vec<String>,
    /// Why there is no file, or in what the structure that it leaves differs from the one that the migrations made.
    wrong: Vec<String>,
}

#[tokio::test]
async fn structures_are_restored_from_what_dump_writes() {
    let Some(folder) = folder() else {
        return;
    };
    let sets = CORPORA.iter().filter_map(|corpus| {
        let files = corpus.files(&folder)?;
        Some((corpus, files))
    });
    let rows: Vec<_> = stream::iter(sets)
        .map(async |(corpus, files)| (corpus, written(corpus, &files).await))
        .buffered(AT_ONCE)
        .collect()
        .await;
    assert!(!rows.is_empty(), "no set is in {folder:?}");
    let wrong: Vec<_> = rows
        .iter()
        .flat_map(|(corpus, written)| {
            let wrong = written.wrong.iter();
            wrong.map(|wrong| format!("{}: {wrong}", corpus.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if rows.len() == CORPORA.len() {
        let rows = rows.iter().map(|(corpus, written)| written.row(corpus));
        page::check(DUMPED, &(HEAD.to_owned() + &rows.collect::<String>())).await;
    }
}

impl Written {
    fn row(&self, corpus: &Corpus) -> String {
        let structure = match &self.wrong[..] {
            [] => "the same".to_owned(),
            wrong => wrong.join("; "),
        };
        let left_out = match &self.left_out[..] {
            [] => "nothing is missing".to_owned(),
            left_out => left_out.join(", "),
        };
        format!(
            "| {} | {} | {} | {structure} | {left_out} |\n",
            corpus.name, self.objects, self.statements
        )
    }
}

/// Brings the set up in a schema, writes it down, and runs that in another one: beside it, or in another database.
async fn written(corpus: &Corpus, files: &Files) -> Written {
    let dumped = match dumped(corpus, files).await {
        Ok(dumped) => dumped,
        Err(error) => {
            return Written {
                wrong: vec![error.to_string()],
                ..Written::default()
            };
        }
    };
    let (ours, schema) = up(corpus, files).await;
    let mut connection = ours.connect().await;
    let before = snapshot(&mut connection, &schema).await.unwrap();
    assert!(!before.is_empty());
    let mut written = Written {
        objects: before.objects().count(),
        statements: dumped.statements,
        left_out: dumped.left_out,
        wrong: dumped.reworded,
    };
    let restore = format!(
        "CREATE SCHEMA restored; SET search_path = restored;\n{}",
        dumped.text
    );
    // A database has an extension once.
    let has_extension = |kind| before.objects().any(|(object, _)| object.kind == kind);
    if has_extension(Kind::Extension) {
        connection = prepared(corpus).await.connect().await;
    }
    if let Err(error) = raw_sql(AssertSqlSafe(restore))
        .execute(&mut connection)
        .await
    {
        written
            .wrong
            .push(format!("the file does not run: {error}"));
        return written;
    }
    let restored = Ident::new("restored").unwrap();
    let after = snapshot(&mut connection, &restored).await.unwrap();
    let differences = diff(&before, &after);
    let is_equal = before.fingerprint() == after.fingerprint();
    assert_eq!(differences.is_empty(), is_equal, "{}", corpus.name);
    let differences = differences.iter().map(ToString::to_string);
    written.wrong.extend(differences);
    written
}

async fn dumped(corpus: &Corpus, files: &Files) -> Result<Dumped, DumpError> {
    let request = DumpRequest {
        settings: &corpus.settings(files, None),
        scope: corpus.scope(),
        prepare: Some(corpus.prepare),
        from: None,
        privileges: false,
        trusted: &[],
    };
    dump(server().await, &request).await
}

/// A database in which the set was carried, and the schema that holds it.
async fn up(corpus: &Corpus, files: &Files) -> (Database, Ident) {
    let ours = prepared(corpus).await;
    let fleet = Fleet::open(&corpus.settings(files, Some(&ours.url))).unwrap();
    fleet.up().await.unwrap().complete().unwrap();
    let schema = corpus.schemas()[0];
    if corpus.scope() == Scope::Tenant {
        let name = TenantName::new(schema).unwrap();
        let added = provision::add(&fleet, &name, &ShardName::new("main"), &Labels::new()).await;
        added.unwrap();
    }
    (ours, Ident::new(schema).unwrap())
}
