//! What must be so once a statement has run that no transaction takes, told by its words. `catalog` looks whether it is.

use std::ops::Range;

use crate::sql::{Kind, Lexer, Token, TokenKind, kind};

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

impl Postcondition {
    /// Whether it is that of a statement that is carried CONCURRENTLY.
    pub(super) fn is_concurrent(&self) -> bool {
        matches!(
            self,
            Self::Built { .. } | Self::Dropped(_) | Self::Rebuilt(..) | Self::Detached { .. }
        )
    }

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

    /// Whether an error of the server leaves open how much of it was done.
    pub(super) fn is_unseeable(&self) -> bool {
        *self == Self::Unseeable
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

    /// What follows REINDEX. Without CONCURRENTLY it leaves nothing behind, and waits like any other for its lock, with all
    /// who come after it; it is sent by itself all the same, since partitions and schemas are rebuilt in no transaction.
    fn reindex(&mut self) -> Option<Postcondition> {
        let mut is_concurrent = false;
        if self.take(&["("]) {
            while !self.take(&[")"]) {
                let is_off = ["false", "off", "0"];
                let option = self.next()?;
                if option.eq_ignore_ascii_case("CONCURRENTLY") {
                    is_concurrent = !is_off.iter().any(|off| self.take(&[off]));
                }
            }
        }
        let whose = match self.next()?.to_ascii_uppercase().as_str() {
            "INDEX" => Some(Rebuilt::Index),
            "TABLE" => Some(Rebuilt::Table),
            "SCHEMA" => Some(Rebuilt::Schema),
            _ => None,
        };
        is_concurrent |= self.take(&["CONCURRENTLY"]);
        match whose {
            Some(_) if !is_concurrent => Some(Postcondition::Repeatable),
            whose => Some(Postcondition::Rebuilt(whose?, self.name()?)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_to_look_for() {
        let built = |index: &str, table: &str| Postcondition::Built {
            index: index.to_owned(),
            table: table.to_owned(),
        };
        let detached = Postcondition::Detached {
            parent: "a.parts".to_owned(),
            partition: "\"P 1\"".to_owned(),
        };
        for (statement, found) in [
            ("create index concurrently i on t (a)", built("i", "t")),
            (
                "CREATE UNIQUE INDEX CONCURRENTLY /* why */ IF NOT EXISTS \"I\" ON ONLY s . \"T\" USING gin (a)",
                built("\"I\"", "s . \"T\""),
            ),
            (
                "drop index concurrently if exists s.i cascade",
                Postcondition::Dropped("s.i".to_owned()),
            ),
            (
                "reindex (verbose, concurrently) table t",
                Postcondition::Rebuilt(Rebuilt::Table, "t".to_owned()),
            ),
            (
                "reindex index concurrently i",
                Postcondition::Rebuilt(Rebuilt::Index, "i".to_owned()),
            ),
            ("reindex database", Postcondition::Unseeable),
            ("reindex (verbose) table t", Postcondition::Repeatable),
            (
                "reindex (concurrently off) index i",
                Postcondition::Repeatable,
            ),
            (
                "alter table if exists only a.parts detach partition \"P 1\" concurrently",
                detached,
            ),
            ("vacuum (full) t", Postcondition::Repeatable),
            ("alter system set work_mem = 1", Postcondition::Repeatable),
            ("create database d", Postcondition::Unseen),
            ("call p()", Postcondition::Unseeable),
            ("do $$ begin commit; end $$", Postcondition::Unseeable),
            (
                "create index concurrently U&\"\\0041\" on t (a)",
                Postcondition::Unseeable,
            ),
        ] {
            assert_eq!(Postcondition::of(statement), Some(found), "{statement}");
        }
        for statement in [
            "create index i on t (a)",
            "alter table t validate constraint c",
            "alter table parts detach partition p finalize",
            "alter type mood add value 'glad'",
            "do $$ begin perform 1; end $$",
            "analyze t",
            "insert into t values (1)",
        ] {
            assert_eq!(Postcondition::of(statement), None, "{statement}");
        }
    }
}
