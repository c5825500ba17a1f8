//! A fleet to measure: many tenants with one small table each.

use std::{fs, path::Path};

use sqlx::{Connection, PgConnection};
use tenantry::{config::Settings, fleet::Fleet};

/// The fleet at `url` with the sets `shared/` and `tenant/` of a directory, which are made where they are missing.
pub(crate) fn fleet(url: &str, files: &Path, connections: usize) -> Fleet {
    Fleet::open(&settings(url, files, connections)).unwrap()
}

/// Its settings; a daemon with them waits for rollouts.
pub(crate) fn settings(url: &str, files: &Path, connections: usize) -> Settings {
    let directory = |scope: &str| {
        let directory = files.join(scope);
        fs::create_dir_all(&directory).unwrap();
        directory.display().to_string()
    };
    let environment = [
        ("TENANTRY__HOME__URL", url.to_owned()),
        ("TENANTRY__MIGRATIONS__SHARED", directory("shared")),
        ("TENANTRY__MIGRATIONS__TENANT", directory("tenant")),
        ("TENANTRY__APPLY__CONCURRENCY", connections.to_string()),
        ("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0".to_owned()),
        ("TENANTRY__DAEMON__APPLY_AT_START", "false".to_owned()),
        ("TENANTRY__ROLLOUT__CANARIES", "0".to_owned()),
        ("TENANTRY__ROLLOUT__WAVES", "100%".to_owned()),
    ];
    Settings::load(None, environment).unwrap()
}

/// Makes the tenants `bench_0`, `bench_1` and so on: registered, pinned, with nothing applied.
pub(crate) async fn sign_up(url: &str, fleet: &Fleet, tenants: usize) {
    fleet.home().await.unwrap().close().await;
    let shard = fleet.shards.iter().next().unwrap();
    fleet.shard(shard).await.unwrap().close().await;
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query("select set_config('bench.tenants', $1, false)")
        .bind(tenants.to_string())
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::raw_sql(
        "do $$ declare name text; begin
             for number in 0 .. current_setting('bench.tenants')::int - 1 loop
                 name := 'bench_' || number;
                 execute format('create schema %I', name);
                 execute format('create table %I.items (id bigint primary key, name text)', name);
                 insert into tenantry.tenants (name, shard, state) values (name, 'main', 'active');
                 insert into tenantry.heads (schema_oid, schema_name) values (name::regnamespace, name);
                 -- Locks are held to the end of a transaction, and there is room for so many only.
                 if number % 100 = 99 then commit; end if;
             end loop;
         end $$",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    for settle in ["vacuum analyze", "checkpoint"] {
        sqlx::raw_sql(settle)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}
