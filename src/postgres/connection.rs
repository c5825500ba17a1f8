//! The connection below a session, for queries over our own tables: whole, also where a pooler deals out servers.

use std::ops::{Deref, DerefMut};

use futures::{
    FutureExt, StreamExt, TryFutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// A connection for queries over our own tables.
///
/// The driver prepares a query and runs it in two messages. A transaction pooler may give each to another server, where the
/// second runs whatever somebody else has prepared there: behind one, every query is a transaction, and its statement has
/// no name. Whoever begins a transaction by himself makes his queries `.persistent(false)`, for the same reason.
#[derive(Debug)]
pub struct Connection {
    inner: PgConnection,
    is_pooled: bool,
}

impl Connection {
    pub(super) fn new(inner: PgConnection, is_pooled: bool) -> Self {
        Self { inner, is_pooled }
    }

    pub(super) fn set_pooled(&mut self) {
        self.is_pooled = true;
    }

    /// Whether the server at the other end may be another one for every transaction.
    pub fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    pub(super) fn into_inner(self) -> PgConnection {
        self.inner
    }

    /// All that a query returns, from a transaction of its own.
    async fn whole<'q, E: Execute<'q, Postgres> + 'q>(
        &mut self,
        query: E,
    ) -> sqlx::Result<Vec<Either<PgQueryResult, PgRow>>> {
        let mut transaction = sqlx::Connection::begin(&mut self.inner).await?;
        let replies = (&mut *transaction).fetch_many(Unnamed(query));
        let replies = replies.try_collect().await?;
        transaction.commit().await?;
        Ok(replies)
    }
}

/// Straight to a server.
impl From<PgConnection> for Connection {
    fn from(inner: PgConnection) -> Self {
        Self::new(inner, false)
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        'q: 'e,
        E: Execute<'q, Postgres> + 'q,
    {
        if !self.is_pooled {
            return self.inner.fetch_many(query);
        }
        self.whole(query)
            .map_ok(|replies| stream::iter(replies).map(Ok))
            .try_flatten_stream()
            .boxed()
    }

    fn fetch_optional<'e, 'q, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        'q: 'e,
        E: Execute<'q, Postgres> + 'q,
    {
        if !self.is_pooled {
            return self.inner.fetch_optional(query);
        }
        self.whole(query)
            .map_ok(|replies| replies.into_iter().find_map(Either::right))
            .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.inner.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.inner.describe(sql)
    }
}

/// A query whose statement gets no name on the server.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}
