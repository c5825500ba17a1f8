//! The one server of a test process, and databases on it.

use std::{
    io::Write,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{Connection, PgConnection};
use tenantry::{
    sql::Ident,
    verify::scratch::{Options, Server, Source},
};
use tokio::sync::OnceCell;

/// The scratch server that all tests of this process share. It ends with the process.
pub(crate) async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let server = Server::start(&options()).await.unwrap();
            // Not `eprintln!`, which the test runner would keep to itself.
            std::io::stderr()
                .write_all(format!("postgres: {}\n", server.kind()).as_bytes())
                .unwrap();
            server
        })
        .await
}

/// How tests start servers: from the source the environment forces, else from whatever there is.
pub(crate) fn options() -> Options {
    let options = Options::new(env!("CARGO_BIN_EXE_tenantry"))
        .setting("shared_preload_libraries", "pg_stat_statements")
        // It keeps an entry for each CALL and each SET with other values: what is counted must not be pushed out by them.
        .setting("pg_stat_statements.max", "200000")
        // A prepared transaction can be in the way, too.
        .setting("max_prepared_transactions", "8");
    match Source::from_environment().unwrap() {
        Some(source) => options.sources([source]),
        None => options,
    }
}

/// An empty database that no other test knows.
pub(crate) struct Database {
    pub(crate) url: String,
}

/// A new, empty database on the shared server.
pub(crate) async fn database() -> Database {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    // With the process in it, as servers reached by URL see several runs at once.
    let name = format!("test_{}_{number}", std::process::id());
    let url = server()
        .await
        .create_database(&Ident::new(name).unwrap())
        .await
        .unwrap();
    Database { url }
}

impl Database {
    /// A new connection.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// How many queries the server has counted in this database since they were last forgotten.
    pub(crate) async fn queries(&self) -> i64 {
        let mut connection = self.connect().await;
        let count = sqlx::query_scalar(
            "select coalesce(sum(calls), 0)::bigint from pg_stat_statements
              where dbid = (select oid from pg_database where datname = current_database()) and toplevel
                and query not like '%pg_stat_statements%'",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        sqlx::query("select pg_stat_statements_reset(0, oid, 0) from pg_database where datname = current_database()")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        count
    }
}
