//! Sets that others wrote, as one file of SQL each: run in an empty schema, it makes what their migrations make.

use std::{env, fs, path::Path};

use sqlx::{AssertSqlSafe, raw_sql};
use tenantry::{
    fleet::Fleet,
    migration::Scope,
    provision,
    sql::Ident,
    store::tenants::Labels,
    structure::{diff, snapshot},
    tenant::{ShardName, TenantName},
    verify::{DumpRequest, dump},
};

use super::{
    carried::{prepared, settings},
    corpus::{CORPORA, Corpus, Files, folder, skipped},
};
use crate::support::{database, server};

const BEGIN: &str = "<!-- The dumps: made by a test from here on. -->\n";
const END: &str = "<!-- The dumps: up to here. -->\n";
const HEAD: &str = "\
| set | objects | statements | the structure that they leave | left out |
|---|--:|--:|---|---|
";

/// What came of writing one set down.
struct Written {
    objects: usize,
    statements: usize,
    left_out: Vec<String>,
    /// In what the restored structure differs from the one that the migrations made.
    differences: Vec<String>,
}

#[tokio::test]
async fn structures_are_restored_from_what_dump_writes() {
    let Some(folder) = folder() else {
        return;
    };
    let (mut part, mut wrong) = (format!("\n{HEAD}"), Vec::new());
    let mut all = true;
    for corpus in CORPORA {
        let Some(files) = corpus.files(&folder) else {
            all = false;
            continue;
        };
        let written = written(corpus, &files).await;
        part += &written.row(corpus);
        let differences = written.differences.iter();
        wrong.extend(differences.map(|difference| format!("{}: {difference}", corpus.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if all {
        check(&part).await;
    }
}

impl Written {
    fn row(&self, corpus: &Corpus) -> String {
        let structure = match &self.differences[..] {
            [] => "the same".to_owned(),
            differences => differences.join("; "),
        };
        let left_out = match &self.left_out[..] {
            [] => "nothing".to_owned(),
            left_out => left_out.join(", "),
        };
        format!(
            "| {} | {} | {} | {structure} | {left_out} |\n",
            corpus.name, self.objects, self.statements
        )
    }
}

/// Brings the set up in a tenant, writes it down, and runs that beside the tenant.
async fn written(corpus: &Corpus, files: &Files) -> Written {
    let request = DumpRequest {
        settings: &settings(None, files),
        scope: Scope::Tenant,
        prepare: Some(corpus.prepare),
        from: None,
        privileges: false,
    };
    let dumped = dump(server().await, &request).await;
    let dumped = dumped.unwrap_or_else(|error| panic!("{}: {error}", corpus.name));
    let ours = prepared(corpus).await;
    let fleet = Fleet::open(&settings(Some(&ours), files)).unwrap();
    let name = TenantName::new("acme").unwrap();
    let added = provision::add(&fleet, &name, &ShardName::new("main"), &Labels::new()).await;
    added.unwrap();
    let mut connection = ours.connect().await;
    let restore = format!(
        "CREATE SCHEMA restored; SET search_path = restored;\n{}",
        dumped.text
    );
    let restored = raw_sql(AssertSqlSafe(restore))
        .execute(&mut connection)
        .await;
    restored.unwrap();
    let before = snapshot(&mut connection, name.schema()).await.unwrap();
    let restored = Ident::new("restored").unwrap();
    let after = snapshot(&mut connection, &restored).await.unwrap();
    let differences = diff(&before, &after);
    let is_equal = differences.is_empty();
    assert_eq!(is_equal, before.fingerprint() == after.fingerprint());
    Written {
        objects: before.objects().count(),
        statements: dumped.statements,
        left_out: dumped.left_out,
        differences: differences.iter().map(ToString::to_string).collect(),
    }
}

/// Writes the part of the page where `TENANTRY_WRITE_DOCS` is set; else it must say the same.
async fn check(part: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/real-sets.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut connection = database().await.connect().await;
    let version: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let (major, _) = version.split_once('.').unwrap();
    let made_with = format!("\nMade with PostgreSQL {major}.\n");
    let made = format!("{before}{BEGIN}{made_with}{part}\n{END}{after}");
    if env::var_os("TENANTRY_WRITE_DOCS").is_some() {
        fs::write(path, made).unwrap();
    } else if !rest.starts_with(&made_with) {
        skipped("the dumps of docs/real-sets.md were made with another PostgreSQL");
    } else {
        assert_eq!(
            page, made,
            "docs/real-sets.md is stale: TENANTRY_WRITE_DOCS=1 writes it"
        );
    }
}
