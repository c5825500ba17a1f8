//! What must be so once a statement has run that no transaction takes: how it is told, from the catalog, whether it was
//! done, was not done, or left something behind.

use std::ops::Range;

use sqlx::{PgConnection, postgres::types::Oid};

use crate::{
    postgres::Message,
    sql::{Ident, InvalidIdent, Kind, Lexer, Token, TokenKind, kind},
    store::statements::Before,
};

/// What must be so once a statement has run. Names are as the statement has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Postcondition {
    /// The table has a valid index of that name.
    Built {
        /// The index, without a schema.
        index: String,
        /// The table that it is on.
        table: String,
    },
    /// The index is gone.
    Dropped(String),
    /// No index of the table (or of the whole schema) is left over from a rebuild.
    Rebuilt(Rebuilt, String),
    /// The partition is on its own.
    Detached {
        /// The partitioned table.
        parent: String,
        /// The partition.
        partition: String,
    },
    /// Running it again comes to the same.
    Repeatable,
    /// It is done or not, but afterwards nothing tells.
    Unseen,
    /// It may be done in part, and nothing tells.
    Unseeable,
}

/// Whose indexes are rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rebuilt {
    Index,
    Table,
    Schema,
}

/// What the catalog says of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It was done.
    Done,
    /// Nothing is left of it.
    Absent,
    /// Something is left of it that these mend.
    Broken(Vec<Message>),
    /// Somebody is at it: neither done nor failed yet.
    Building,
    /// Something was there before that stands in its way.
    Invalid(String),
    /// Nothing tells.
    Unsure,
}

impl Postcondition {
    /// That of a statement; none for one that can be in a transaction.
    pub(super) fn of(statement: &str) -> Option<Self> {
        let mut words = Words::new(statement);
        let needs_none = matches!(kind(statement), Kind::NoTransaction(_));
        let found = match words.next()?.to_ascii_uppercase().as_str() {
            "REINDEX" => words.reindex(),
            // What it calls may commit on the way.
            "CALL" => None,
            "DO" if words.commits() => None,
            _ if !needs_none => return None,
            "CREATE" if words.has("INDEX") => words.create_index(),
            "DROP" if words.has("INDEX") => words.drop_index(),
            "ALTER" if words.has("TABLE") => words.detach(),
            "VACUUM" | "CLUSTER" => Some(Self::Repeatable),
            "ALTER" if words.has("SYSTEM") => Some(Self::Repeatable),
            _ => Some(Self::Unseen),
        };
        Some(found.unwrap_or(Self::Unseeable).into_known())
    }

    /// Whether it waits for all older transactions of the database, so that two of them would wait for each other.
    pub(super) fn is_queued(&self) -> bool {
        matches!(
            self,
            Self::Built { .. } | Self::Dropped(_) | Self::Rebuilt(..) | Self::Detached { .. }
        )
    }

    /// Whether an error of the server says that nothing of it was done.
    pub(super) fn is_all_or_nothing(&self) -> bool {
        matches!(self, Self::Repeatable | Self::Unseen)
    }

    /// What the statement finds.
    pub(super) async fn before(&self, connection: &mut PgConnection) -> sqlx::Result<Before> {
        let oid: Option<Oid> = match self {
            Self::Built { index, table } => {
                let found = index_of(connection, index, table).await?;
                found.map(|found| found.oid)
            }
            Self::Dropped(index) => {
                sqlx::query_scalar("select pg_catalog.to_regclass($1)::oid")
                    .bind(index)
                    .fetch_one(connection)
                    .await?
            }
            Self::Detached { parent, partition } => {
                let found = attached(connection, parent, partition).await?;
                found.map(|found| found.oid)
            }
            _ => None,
        };
        Ok(Before(oid.map(|oid| oid.0)))
    }

    /// What the catalog says, given what was there before. `ran`: the server said that it was done.
    pub(super) async fn look(
        &self,
        connection: &mut PgConnection,
        before: Before,
        ran: bool,
    ) -> sqlx::Result<Found> {
        let told = if ran { Found::Done } else { Found::Absent };
        Ok(match self {
            Self::Built { index, table } => match index_of(connection, index, table).await? {
                None => Found::Absent,
                Some(found) if Some(found.oid.0) == before.0 => match (ran, found.is_valid) {
                    (true, false) => Found::Invalid(format!(
                        "the index {} was there before and is invalid; drop it (`DROP INDEX CONCURRENTLY`), then try again",
                        found.name
                    )),
                    _ => told,
                },
                // A bug on purpose, see Cargo.toml.
                Some(_) if cfg!(feature = "mutant-if-not-exists") => Found::Done,
                Some(found) if found.is_valid => Found::Done,
                Some(found) if found.is_building => Found::Building,
                Some(found) => found.drop()?,
            },
            Self::Dropped(_) => match before.0 {
                None => told,
                Some(oid) => match exists(connection, oid).await? {
                    true => Found::Absent,
                    false => Found::Done,
                },
            },
            Self::Rebuilt(whose, name) => {
                let left = left_over(connection, *whose, name).await?;
                if left.is_empty() {
                    told
                } else if left.iter().any(|index| index.is_building) {
                    Found::Building
                } else {
                    Found::Broken(messages(left.iter().map(Relation::drop_message))?)
                }
            }
            Self::Detached { parent, partition } => {
                match attached(connection, parent, partition).await? {
                    _ if before.0.is_none() => told,
                    None => Found::Done,
                    Some(found) if found.is_pending => found.finalize()?,
                    Some(_) => Found::Absent,
                }
            }
            Self::Repeatable => told,
            Self::Unseen | Self::Unseeable if ran => told,
            Self::Unseen | Self::Unseeable => Found::Unsure,
        })
    }

    /// A name in a form that the catalog's functions do not read leaves nothing to look for.
    fn into_known(self) -> Self {
        let names: &[&str] = match &self {
            Self::Built { index, table } => &[index, table],
            Self::Dropped(name) | Self::Rebuilt(_, name) => &[name],
            Self::Detached { parent, partition } => &[parent, partition],
            _ => &[],
        };
        if names.iter().any(|name| name.contains('&')) {
            return Self::Unseeable;
        }
        self
    }
}

/// An index, as the catalog has it.
#[derive(sqlx::FromRow)]
struct Relation {
    oid: Oid,
    schema: String,
    name: String,
    is_valid: bool,
    is_building: bool,
}

impl Relation {
    fn drop_message(&self) -> Result<Message, InvalidIdent> {
        let schema = Ident::new(self.schema.as_str())?;
        let name = Ident::new(self.name.as_str())?;
        let text = format!("DROP INDEX CONCURRENTLY {schema}.{name}");
        Ok(Message::vouched(text))
    }

    fn drop(&self) -> sqlx::Result<Found> {
        Ok(Found::Broken(messages([self.drop_message()])?))
    }
}

fn messages(
    made: impl IntoIterator<Item = Result<Message, InvalidIdent>>,
) -> sqlx::Result<Vec<Message>> {
    made.into_iter()
        .collect::<Result<_, _>>()
        // The catalog holds no other names than identifiers.
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Building is told by the table, since a rebuild makes all its indexes before it fills them. Whom we may not look at may be
/// at it as well.
async fn index_of(
    connection: &mut PgConnection,
    index: &str,
    table: &str,
) -> sqlx::Result<Option<Relation>> {
    sqlx::query_as(
        "select c.oid, n.nspname::text as schema, c.relname::text as name,
                coalesce(i.indisvalid and i.indisready and i.indislive, false) as is_valid,
                exists (select from pg_catalog.pg_stat_progress_create_index p
                         where p.datname = pg_catalog.current_database()
                           and coalesce(p.relid = t.oid, true)) as is_building
           from pg_catalog.pg_class t
           join pg_catalog.pg_namespace n on n.oid = t.relnamespace
           join pg_catalog.pg_class c on c.relnamespace = n.oid
           left join pg_catalog.pg_index i on i.indexrelid = c.oid
          where t.oid = pg_catalog.to_regclass($1) and c.relname = (pg_catalog.parse_ident($2))[1]::name",
    )
    .bind(table)
    .bind(index)
    .fetch_optional(connection)
    .await
}

/// What an interrupted rebuild leaves: invalid indexes, named after those that they were to replace.
async fn left_over(
    connection: &mut PgConnection,
    whose: Rebuilt,
    name: &str,
) -> sqlx::Result<Vec<Relation>> {
    let (index, table, schema) = match whose {
        Rebuilt::Index => (Some(name), None, None),
        Rebuilt::Table => (None, Some(name), None),
        Rebuilt::Schema => (None, None, Some(name)),
    };
    sqlx::query_as(
        "select c.oid, n.nspname::text as schema, c.relname::text as name, i.indisvalid as is_valid,
                exists (select from pg_catalog.pg_stat_progress_create_index p
                         where p.datname = pg_catalog.current_database()
                           and coalesce(p.relid = i.indrelid, true)) as is_building
           from pg_catalog.pg_index i
           join pg_catalog.pg_class c on c.oid = i.indexrelid
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where not i.indisvalid and c.relkind = 'i' and c.relname ~ '_cc(new|old)[0-9]*$'
            and (i.indrelid = (select o.indrelid from pg_catalog.pg_index o where o.indexrelid = pg_catalog.to_regclass($1))
                 or i.indrelid in (select pg_catalog.to_regclass($2)
                                   union all
                                   select relid from pg_catalog.pg_partition_tree(pg_catalog.to_regclass($2)))
                 or n.oid = pg_catalog.to_regnamespace($3))
          order by c.oid",
    )
    .bind(index)
    .bind(table)
    .bind(schema)
    .fetch_all(connection)
    .await
}

async fn exists(connection: &mut PgConnection, oid: u32) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from pg_catalog.pg_class where oid = $1)")
        .bind(Oid(oid))
        .fetch_one(connection)
        .await
}

/// A partition, as the catalog has it.
#[derive(sqlx::FromRow)]
struct Partition {
    oid: Oid,
    is_pending: bool,
    parent_schema: String,
    parent: String,
    schema: String,
    name: String,
}

impl Partition {
    /// The first half was done: what is left is to wait until nobody sees the partition any more.
    fn finalize(&self) -> sqlx::Result<Found> {
        let text = || {
            let ident = |name: &str| Ident::new(name);
            let (parent_schema, parent) = (ident(&self.parent_schema)?, ident(&self.parent)?);
            let (schema, name) = (ident(&self.schema)?, ident(&self.name)?);
            Ok(Message::vouched(format!(
                "ALTER TABLE {parent_schema}.{parent} DETACH PARTITION {schema}.{name} FINALIZE"
            )))
        };
        Ok(Found::Broken(messages([text()])?))
    }
}

async fn attached(
    connection: &mut PgConnection,
    parent: &str,
    partition: &str,
) -> sqlx::Result<Option<Partition>> {
    sqlx::query_as(
        "select c.oid, i.inhdetachpending as is_pending, q.nspname::text as parent_schema, p.relname::text as parent,
                n.nspname::text as schema, c.relname::text as name
           from pg_catalog.pg_inherits i
           join pg_catalog.pg_class c on c.oid = i.inhrelid
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           join pg_catalog.pg_class p on p.oid = i.inhparent
           join pg_catalog.pg_namespace q on q.oid = p.relnamespace
          where i.inhrelid = pg_catalog.to_regclass($1) and i.inhparent = pg_catalog.to_regclass($2)",
    )
    .bind(partition)
    .bind(parent)
    .fetch_optional(connection)
    .await
}

/// The words of a statement, read from the left.
struct Words<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let tokens = Lexer::new(text).map_while(Result::ok);
        Self {
            text,
            tokens: tokens.filter(|token| !token.kind.is_blank()).collect(),
            at: 0,
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(&self.text[token.span.clone()])
    }

    fn peek(&self) -> Option<(&Token, &'a str)> {
        let token = self.tokens.get(self.at)?;
        Some((token, &self.text[token.span.clone()]))
    }

    /// Takes these words, if they come next.
    fn take(&mut self, words: &[&str]) -> bool {
        let next = self.tokens[self.at.min(self.tokens.len())..].iter();
        let next = next.map(|token| &self.text[token.span.clone()]);
        let fits =
            next.len() >= words.len() && next.zip(words).all(|(a, b)| a.eq_ignore_ascii_case(b));
        self.at += if fits { words.len() } else { 0 };
        fits
    }

    /// Whether the word stands anywhere.
    fn has(&self, word: &str) -> bool {
        let is_word = |t: &&Token| t.kind == TokenKind::Word;
        let mut words = self.tokens.iter().filter(is_word);
        words.any(|token| self.text[token.span.clone()].eq_ignore_ascii_case(word))
    }

    /// A name, perhaps with that of a schema, as it is written.
    fn name(&mut self) -> Option<String> {
        let is_name = |kind| matches!(kind, TokenKind::Word | TokenKind::QuotedName);
        let mut span: Option<Range<usize>> = None;
        loop {
            let (token, _) = self.peek().filter(|(token, _)| is_name(token.kind))?;
            let part = token.span.clone();
            span = Some(span.map_or(part.start, |span| span.start)..part.end);
            self.at += 1;
            if !self.take(&["."]) {
                return span.map(|span| self.text[span].to_owned());
            }
        }
    }

    /// Whether a body has a COMMIT or a ROLLBACK of its own.
    fn commits(&self) -> bool {
        let bodies = self.tokens.iter();
        let bodies =
            bodies.filter(|t| matches!(t.kind, TokenKind::DollarString | TokenKind::String));
        let mut bodies = bodies.map(|token| self.text[token.span.clone()].to_ascii_lowercase());
        bodies.any(|body| body.contains("commit") || body.contains("rollback"))
    }

    /// What follows CREATE.
    fn create_index(&mut self) -> Option<Postcondition> {
        self.take(&["UNIQUE"]);
        self.take(&["INDEX", "CONCURRENTLY"]);
        self.take(&["IF", "NOT", "EXISTS"]);
        if self.take(&["ON"]) {
            return None;
        }
        let index = self.name()?;
        self.take(&["ON"]).then_some(())?;
        self.take(&["ONLY"]);
        let table = self.name()?;
        Some(Postcondition::Built { index, table })
    }

    /// What follows DROP.
    fn drop_index(&mut self) -> Option<Postcondition> {
        self.take(&["INDEX", "CONCURRENTLY"]);
        self.take(&["IF", "EXISTS"]);
        self.name().map(Postcondition::Dropped)
    }

    /// What follows REINDEX.
    fn reindex(&mut self) -> Option<Postcondition> {
        if self.take(&["("]) {
            while !self.take(&[")"]) {
                self.next()?;
            }
        }
        let whose = match self.next()?.to_ascii_uppercase().as_str() {
            "INDEX" => Rebuilt::Index,
            "TABLE" => Rebuilt::Table,
            "SCHEMA" => Rebuilt::Schema,
            _ => return None,
        };
        self.take(&["CONCURRENTLY"]);
        self.name().map(|name| Postcondition::Rebuilt(whose, name))
    }

    /// What follows ALTER.
    fn detach(&mut self) -> Option<Postcondition> {
        self.take(&["TABLE"]);
        self.take(&["IF", "EXISTS"]);
        self.take(&["ONLY"]);
        let parent = self.name()?;
        self.take(&["DETACH", "PARTITION"]).then_some(())?;
        let partition = self.name()?;
        Some(Postcondition::Detached { parent, partition })
    }
}
