//! Through pgbouncer in transaction mode: what is a transaction works, the rest says what to configure.

use crate::support::{Small, pooler::Pooler, small};

/// As it comes, and as people set it who met a driver that asks for more: what is asked for at the start is then
/// dropped in silence.
const KINDS: [&str; 2] = ["", "ignore_startup_parameters = extra_float_digits,options"];

/// What a command says that goes through the pooler.
fn through(pooler: &Pooler, small: &Small, arguments: &[&str]) -> String {
    let url = pooler.url_for(&small.database.url);
    let output = small
        .tenantry(arguments)
        .env("TENANTRY__HOME__URL", url)
        .env("TENANTRY__APPLY__BUSY_WAIT", "10s")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    format!(
        "exit {}\n{}{}",
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_work() {
    for settings in KINDS {
        let small = small(2).await;
        let Some(pooler) = Pooler::start(&small.database.url, settings).await else {
            return;
        };
        let run = |arguments: &[&str]| {
            let screen = through(&pooler, &small, arguments);
            assert!(screen.starts_with("exit 0\n"), "{arguments:?}: {screen}");
            screen
        };
        run(&["up"]);
        let tenants: Vec<_> = (0..12).map(|number| format!("tenant{number}")).collect();
        for tenant in &tenants {
            run(&["tenant", "add", tenant]);
        }
        small.write(
            "tenant/3-people.up.sql",
            "create table people (id bigint primary key, name text);\n\
             insert into people select n, null from generate_series(1, 60) n;\n",
        );
        small.write("tenant/3-people.down.sql", "drop table people;\n");
        run(&["up"]);
        small.make_directory("tenant/backfills");
        small.write(
            "tenant/backfills/names.sql",
            "-- tenantry: backfill table=people batch=10\n\
             update people set name = coalesce(name, '') || 'n' || id where {batch}\n",
        );
        run(&["backfill", "start", "names"]);
        for tenant in &tenants {
            let wrong = format!(
                "do $$ begin
                     assert (select count(*) = 60 and bool_and(name = 'n' || id) from {tenant}.people);
                 end $$"
            );
            small.run(&wrong).await;
        }
        let status = run(&["status"]);
        assert!(status.contains("12"), "{status}");
        run(&["down", "--all", "--yes", "--steps", "1"]);
        assert_eq!(small.tables("tenant7").await, ["t1", "t2"]);
        assert_eq!(small.log("tenant7").await.len(), 4);
        run(&["tenant", "retire", "tenant7", "--yes"]);
        assert_eq!(small.tables("tenant7").await, [""; 0]);
    }
}
