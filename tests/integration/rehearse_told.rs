//! What a rehearsal tells: nothing of the rows, no time that nobody could know, and what to do where rows are hidden.

use serde_json::Value;
use sqlx::postgres::PgConnectOptions;

use crate::support::{Ran, Shop, server};

async fn rehearse(shop: &Shop, arguments: &[&str]) -> Ran {
    let url = server().await.url();
    shop.run(&[&["rehearse", "--server", url], arguments].concat())
}

/// A shop with rows that nobody else is to see, and a migration for them.
async fn with_secrets(up: &str) -> Shop {
    let shop = Shop::with(&["acme"]).await;
    shop.sql(
        "set search_path = acme;
         create table big (id int primary key, amt int not null, note text);
         insert into big select n, n, 'secretnote' || n from generate_series(1, 50) n;
         create function judge(note text) returns int language plpgsql as
             $$ begin execute format('select %L::int', note); return 1; end $$;
         analyze big",
    )
    .await;
    shop.migration(2, "secrets", up, "SELECT 1;\n");
    shop
}

#[tokio::test]
async fn no_value_of_a_row_is_told_unless_that_is_asked_for() {
    for (up, told) in [
        (
            "UPDATE big SET amt = NULL WHERE note = 'secret' || 'note5';\n",
            "violates not-null constraint (SQLSTATE 23502)",
        ),
        (
            "ALTER TABLE big ADD CHECK (id <> 5);\n",
            "is violated by some row (SQLSTATE 23514)",
        ),
        (
            "ALTER TABLE big ALTER note TYPE int USING note::int;\n",
            "invalid input syntax for type integer: \"…\" (SQLSTATE 22P02)",
        ),
        (
            "SELECT judge(note) FROM big;\n",
            "invalid input syntax for type integer: \"…\" (SQLSTATE 22P02)",
        ),
    ] {
        let shop = with_secrets(up).await;
        for output in ["text", "json"] {
            let scratch = rehearse(&shop, &["--output", output]).await;
            let in_place = shop.run(&["rehearse", "--in-place", "--output", output]);
            for ran in [scratch, in_place] {
                assert_eq!(ran.code, 1, "{}", ran.screen());
                assert!(!ran.screen().contains("secretnote"), "{}", ran.screen());
                let is_told = output == "json" || ran.screen().contains(told);
                assert!(is_told, "{told}: {}", ran.screen());
            }
        }
    }
}

#[tokio::test]
async fn what_the_server_said_of_rows_is_told_to_whoever_asks_for_it() {
    let shop = with_secrets("UPDATE big SET amt = NULL WHERE id = 5;\n").await;
    let ran = rehearse(&shop, &[]).await;
    let hidden = "the server said more, which may quote rows: `--show-values` tells it";
    assert!(ran.stderr.contains(hidden), "{}", ran.screen());
    let ran = rehearse(&shop, &["--show-values"]).await;
    assert!(
        ran.stderr.contains("(5, null, secretnote5)"),
        "{}",
        ran.screen()
    );
    assert!(!ran.stderr.contains(hidden), "{}", ran.screen());
    // What is said of the structure alone quotes no row, and is needed.
    let up = "CREATE VIEW notes AS SELECT note FROM big; ALTER TABLE big DROP note;\n";
    shop.migration(2, "secrets", up, "SELECT 1;\n");
    let ran = rehearse(&shop, &[]).await;
    let depends = "view notes depends on column note of table big";
    assert!(ran.stderr.contains(depends), "{}", ran.screen());
    assert!(!ran.stderr.contains(hidden), "{}", ran.screen());
}

/// The first statement of the first copy.
fn first(report: &Value) -> &Value {
    &report["copies"][0]["transactions"][0]["statements"][0]
}

#[tokio::test]
async fn what_no_row_was_copied_for_takes_nobody_knows_how_long() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql(
        "set search_path = acme;
         create table big (id int, note text not null);
         insert into big select n, repeat('x', 90) from generate_series(1, 60000) n;
         analyze big",
    )
    .await;
    for up in [
        "ALTER TABLE big ADD token uuid DEFAULT gen_random_uuid();\n",
        "ALTER TABLE big ALTER id SET NOT NULL;\n",
        "CREATE INDEX big_id ON big (id);\n",
        "UPDATE big SET id = id + 1;\n",
    ] {
        shop.migration(2, "big", up, "SELECT 1;\n");
        let ran = rehearse(&shop, &["--without", "big", "--output", "json"]).await;
        let report = ran.json();
        assert_eq!(first(&report)["estimated_us"], Value::Null, "{report:#}");
        assert_eq!(first(&report)["grows"], true, "{report:#}");
        assert_eq!(first(&report)["locks"][0]["held_us"], Value::Null);
        assert_eq!(report["copies"][0]["estimated_us"], Value::Null);
        assert_eq!(report["estimate"], Value::Null);
        assert_eq!(report["warnings"], serde_json::json!([]), "{report:#}");
        let ran = rehearse(&shop, &["--without", "big"]).await;
        for told in [
            "; how long with all rows of acme is not known",
            "what the plan takes is not known: too few rows were copied of big (tenant_migrations/2-big.up.sql:1:1)",
        ] {
            assert!(ran.screen().contains(told), "{told}: {}", ran.screen());
        }
    }
    // What touches no row takes what it takes.
    shop.migration(2, "big", "ALTER TABLE big ADD more int;\n", "SELECT 1;\n");
    let ran = rehearse(&shop, &["--without", "big", "--output", "json"]).await;
    let report = ran.json();
    assert_eq!(
        first(&report)["estimated_us"],
        first(&report)["elapsed_us"],
        "{report:#}"
    );
    assert!(report["estimate"].is_object(), "{report:#}");
}

#[tokio::test]
async fn an_empty_table_that_was_never_analyzed_is_copied_whole() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql("create table acme.texts (id int, body text); create table acme.numbers (id int)")
        .await;
    shop.migration(
        2,
        "more",
        "ALTER TABLE users ADD more int;\n",
        "SELECT 1;\n",
    );
    for arguments in [
        &[][..],
        &["--size", "1kB"],
        &["--without", "texts", "--without", "numbers"],
    ] {
        let ran = rehearse(&shop, &[arguments, &["--output", "json"]].concat()).await;
        let report = ran.json();
        let partial = &report["copies"][0]["copied"]["partial"];
        assert_eq!(*partial, serde_json::json!([]), "{arguments:?}");
        assert_eq!(report["notes"], serde_json::json!([]), "{arguments:?}");
    }
}

#[tokio::test]
async fn numbers_of_rows_are_written_in_one_way() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql("insert into acme.users select 'u' || n from generate_series(1, 2500) n")
        .await;
    let up = "ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid();\n";
    shop.migration(2, "token", up, "SELECT 1;\n");
    let ran = rehearse(&shop, &["--large", "1000"]).await;
    for told in [
        "rewrites users: 2,500 rows",
        "users is written anew: 2,500 rows on acme",
    ] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.screen());
    }
}

#[tokio::test]
async fn whose_rows_are_hidden_is_told_with_what_to_do() {
    let shop = Shop::with(&["acme"]).await;
    let role = format!("owner_{}", shop.database.url.rsplit('/').next().unwrap());
    shop.sql(&format!(
        "create role {role} login password 'x';
         grant create on database {} to {role};
         create table acme.acc (id int, owner text);
         insert into acme.acc values (1, 'a'), (2, 'b');
         alter table acme.acc enable row level security;
         alter table acme.acc force row level security;
         create policy own on acme.acc using (owner = current_setting('app.owner', true));
         alter schema acme owner to {role};
         alter table acme.acc owner to {role};
         alter table acme.users owner to {role};
         grant usage on schema shared, tenantry to {role};
         grant all on all tables in schema shared, tenantry to {role};
         grant all on all functions in schema tenantry to {role};",
        shop.database.url.rsplit('/').next().unwrap()
    ))
    .await;
    shop.migration(
        2,
        "more",
        "ALTER TABLE acc ADD more int; UPDATE users SET email = 'x';\n",
        "SELECT 1;\n",
    );
    let options: PgConnectOptions = shop.database.url.parse().unwrap();
    let owner = options.username(&role).password("x");
    let url: String = sqlx::ConnectOptions::to_url_lossy(&owner).into();
    let scratch = server().await.url();
    let run = |arguments: &[&str]| {
        let mut command = shop.command(&[&["rehearse"], arguments].concat());
        command.env("TENANTRY__HOME__URL", &url);
        Ran::of(command)
    };
    for ground in [&["--server", scratch][..], &["--in-place"]] {
        let hidden = run(ground);
        assert_eq!(hidden.code, 1, "{}", hidden.screen());
        let told = "policies (row-level security) hide rows of acc from the role that copies: leave it empty \
                    (`--without acc`), or connect as a role with BYPASSRLS";
        assert!(hidden.stdout.contains(told), "{}", hidden.screen());
        let without = run(&[ground, &["--without", "acc"]].concat());
        assert_eq!(without.code, 0, "{}", without.screen());
    }
    shop.sql(&format!("drop owned by {role} cascade; drop role {role}"))
        .await;
}
