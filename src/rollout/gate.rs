//! The health gate between two waves: a query that has to give true on every shard, and a URL that has to answer.

use std::time::Duration;

use futures::future::try_join_all;
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Connection as _, Row};

use super::http;
use crate::{
    config::Gate,
    fleet::Fleet,
    postgres::{ServerError, Session, Shard},
};

/// How long the URL may take to answer.
const HTTP_LIMIT: Duration = Duration::from_secs(5);

/// How long the query may take on a shard, its connection included.
const SQL_LIMIT: Duration = Duration::from_secs(15);

/// Looks once. An error says what is not well.
pub(super) async fn look(fleet: Fleet, gate: Gate) -> Result<(), String> {
    if let Some(url) = &gate.http {
        http::get(url.expose_secret(), HTTP_LIMIT).await?;
    }
    if !gate.sql.trim().is_empty() {
        try_join_all(fleet.shards.iter().map(|shard| on(shard, &gate.sql))).await?;
    }
    Ok(())
}

async fn on(shard: &Shard, query: &str) -> Result<(), String> {
    let asked = async {
        let session = shard.connect().await;
        let mut session = session.map_err(|error| error.to_string())?;
        let told = ask(&mut session, query).await;
        session.close().await;
        told.map_err(|error| format!("the query failed: {}", ServerError::of(&error).message))?
    };
    let told = tokio::time::timeout(SQL_LIMIT, asked).await;
    told.unwrap_or_else(|_| Err(format!("no answer within {SQL_LIMIT:?}")))
        .map_err(|why| format!("shard {}: {why}", shard.name))
}

/// In a transaction that can write nothing. As a prepared statement, the text can be one query only, which leaves it so.
async fn ask(session: &mut Session, query: &str) -> sqlx::Result<Result<(), String>> {
    let mut transaction = session.connection().begin().await?;
    sqlx::raw_sql("set transaction read only; set local statement_timeout = '10s'; set local search_path = ''")
        .execute(&mut *transaction)
        .await?;
    let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    let [row] = rows.as_slice() else {
        return Ok(Err(format!(
            "the query gives {} rows instead of one",
            rows.len()
        )));
    };
    Ok(match row.try_get::<Option<bool>, _>(0) {
        Ok(Some(true)) => Ok(()),
        Ok(Some(false)) => Err("the query gives false".to_owned()),
        Ok(None) => Err("the query gives null".to_owned()),
        Err(_) => Err("the query gives no boolean".to_owned()),
    })
}
