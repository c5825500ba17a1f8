//! One batch as one message: one transaction that changes the rows and moves the cursor, or does neither.

use std::fmt::Write as _;

use super::{Definition, key::Key};
use crate::{
    apply::{Failure, Limits, Place},
    history::Head,
    migration::Direction,
    postgres::{Fault, Message, ServerError},
    sql::{Ident, InvalidIdent, Literal, Position},
    store::cursors::Cursor,
};

/// What a batch is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) definition: &'a Definition,
    pub(super) limits: &'a Limits,
    pub(super) head: &'a Head,
    pub(super) key: &'a Key,
    pub(super) cursor: &'a Cursor,
}

/// The text of a batch, and which of its bytes are the file's.
#[derive(Debug, Default)]
pub(super) struct BatchText {
    pub(super) text: String,
    /// How many statements it has so far.
    statements: usize,
    /// Which of them is the backfill's.
    statement: Option<usize>,
    /// Pieces of the backfill's statement: first byte in the message, first byte in the file, bytes copied.
    pieces: Vec<(usize, usize, usize)>,
}

impl Batch<'_> {
    /// The whole message. Where the cursor has no next batch yet, it only looks for the first one.
    pub(super) fn message(&self) -> Result<BatchText, InvalidIdent> {
        let schema = Ident::new(self.head.schema.as_str())?;
        let (limits, oid) = (self.limits, self.head.schema_oid);
        let name = literal(&self.head.schema);
        let (backfill, revision) = (literal(&self.definition.name), self.cursor.revision);
        let mut message = BatchText::default();
        message
            .own("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            .own("SET LOCAL standard_conforming_strings = on")
            .own("SET LOCAL TimeZone = 'UTC'")
            // Keys are kept as text between the batches.
            .own("SET LOCAL DateStyle = 'ISO'")
            // Rows that a policy hides would be passed over in silence: an error is better.
            .own("SET LOCAL row_security = off")
            .own(&format!(
                "SET LOCAL lock_timeout = {}",
                limits.lock_timeout.as_millis()
            ))
            .own(&format!(
                "SET LOCAL statement_timeout = {}",
                limits.statement_timeout.as_millis()
            ))
            .own(&format!(
                "SELECT tenantry.enter_batch({oid}, {name}, {backfill}, {revision})"
            ));
        let mut path = schema.to_string();
        for other in &limits.extra_search_path {
            let _ = write!(path, ", {other}");
        }
        message.own(&format!("SET LOCAL search_path = {path}, pg_temp"));
        if let Some(high) = &self.cursor.high {
            message.backfill(self.definition, &self.condition(high));
            // Else deferred checks fail at COMMIT, without naming the statement.
            message.own("SET CONSTRAINTS ALL IMMEDIATE");
        }
        message
            .own(&format!(
                "WITH next AS ({}) SELECT * FROM tenantry.leave_batch({oid}, {backfill}, {revision}, \
                 (SELECT next.key FROM next), (SELECT next.rows FROM next))",
                self.next(&schema)
            ))
            .own("COMMIT")
            .own("RESET ALL");
        Ok(message)
    }

    /// The rows of this batch.
    fn condition(&self, high: &str) -> String {
        let column = &self.key.column;
        let below = format!("{column} <= {}", self.value(high));
        match &self.cursor.low {
            Some(low) => format!("({column} > {} AND {below})", self.value(low)),
            None => format!("({below})"),
        }
    }

    /// The last key of the next batch, and its rows. Neither `max`, which not every type has, nor a count of the table.
    fn next(&self, schema: &Ident) -> String {
        let (column, table) = (&self.key.column, &self.definition.table);
        let after = self.cursor.high.as_ref().or(self.cursor.low.as_ref());
        let after = after.map_or_else(String::new, |after| {
            format!("WHERE t.{column} > {}", self.value(after))
        });
        format!(
            "SELECT w.key::text AS key, pg_catalog.count(*) OVER () AS rows \
             FROM (SELECT t.{column} AS key FROM {schema}.{table} t {after} ORDER BY t.{column} LIMIT {}) w \
             ORDER BY w.key DESC LIMIT 1",
            self.definition.pace.batch
        )
    }

    fn value(&self, key: &str) -> String {
        format!("{}::{}", literal(key), self.key.cast)
    }
}

impl BatchText {
    /// Names are in it through `Ident`, values through `Literal`.
    pub(super) fn to_message(&self) -> Message {
        Message::vouched(self.text.as_str())
    }

    /// The failure that an error of the message is, with the file's line where it is the statement's.
    pub(super) fn failure(
        &self,
        definition: &Definition,
        error: ServerError,
        completed: usize,
    ) -> Failure {
        let start = definition.statement.start;
        let at = match error.position {
            Some(position) => self.in_file(position),
            None => (self.statement == Some(completed)).then_some(start),
        };
        let place = at.map(|at| Place {
            version: None,
            name: definition.name.clone(),
            direction: Direction::Up,
            path: definition.path.clone(),
            position: Position::of(&definition.text, at),
            statement: definition.text[definition.statement.clone()].to_owned(),
            offset: at - start,
            line: Position::of(&definition.text, start).line,
        });
        Failure {
            place,
            ..Failure::without_place(Fault::of(&error), error)
        }
    }

    /// The byte of the file at which the character `position` of the message stands; none where that is ours.
    fn in_file(&self, position: usize) -> Option<usize> {
        let (byte, _) = self.text.char_indices().nth(position)?;
        let piece = self.pieces.iter().rfind(|(start, _, _)| *start <= byte);
        let (start, file, copied) = piece?;
        // After the last piece comes our own text again, and in a condition its first byte stands for all.
        let is_last = self.pieces.last() == piece;
        match byte - start {
            after if after < *copied => Some(file + after),
            _ if is_last => None,
            _ => Some(*file + *copied),
        }
    }

    fn own(&mut self, statement: &str) -> &mut Self {
        self.text.push_str(statement);
        self.end()
    }

    /// The backfill's statement, with the condition wherever the file has `{batch}`.
    fn backfill(&mut self, definition: &Definition, condition: &str) {
        self.statement = Some(self.statements);
        let mut from = definition.statement.start;
        for place in &definition.places {
            self.copy(definition, from, place.start);
            self.text.push_str(condition);
            from = place.end;
        }
        self.copy(definition, from, definition.statement.end);
        self.end();
    }

    fn copy(&mut self, definition: &Definition, from: usize, to: usize) {
        self.pieces.push((self.text.len(), from, to - from));
        self.text.push_str(&definition.text[from..to]);
    }

    fn end(&mut self) -> &mut Self {
        // On a line of its own: the statement may end in a comment.
        self.text.push_str("\n;\n");
        self.statements += 1;
        self
    }
}

/// Our own names, and keys that PostgreSQL gave us: neither can hold a NUL.
fn literal(text: &str) -> String {
    Literal::new(text)
        .map(|text| text.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::{backfill::Pace, migration::Checksum};

    fn message(low: Option<&str>, high: Option<&str>) -> (Definition, BatchText) {
        let text =
            "-- tenantry: backfill table=o'T\nupdate t set ö = nope where {batch} and {batch}";
        let pace = Pace { batch: 3, rate: 1 };
        let definition = Definition::parse("b", Path::new("b.sql"), text.to_owned(), pace).unwrap();
        let limits = Limits {
            grace: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(9),
            lock_tries: 1,
            busy_wait: Duration::ZERO,
            extra_search_path: Vec::new(),
            also_writes: Vec::new(),
            group_time: Duration::ZERO,
            locks: 1,
            relations: 1,
            who: String::new(),
        };
        let head = Head {
            schema_oid: 7,
            schema: "o'b\"x".to_owned(),
            ..Head::default()
        };
        let key = Key {
            column: Ident::new("i\"d").unwrap(),
            cast: "text".to_owned(),
        };
        let own = |key: &str| key.to_owned();
        let cursor = Cursor {
            checksum: Checksum::of(""),
            key: "id".to_owned(),
            low: low.map(own),
            high: high.map(own),
            rows: 0,
            rows_done: 0,
            batches: 0,
            revision: 4,
            done: false,
        };
        let batch = Batch {
            definition: &definition,
            limits: &limits,
            head: &head,
            key: &key,
            cursor: &cursor,
        };
        let message = batch.message().unwrap();
        (definition, message)
    }

    #[test]
    fn puts_names_and_keys_in_quotes() {
        let (_, BatchText { text, .. }) = message(Some("a'\\"), Some("z"));
        for part in [
            r#"(7, 'o''b"x', 'b', 4)"#,
            r#"where ("i""d" > E'a''\\'::text AND "i""d" <= 'z'::text) and ("i""d" >"#,
            r#"FROM "o'b""x"."o'T" t WHERE t."i""d" > 'z'::text ORDER BY t."i""d" LIMIT 3"#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let first = message(None, Some("z")).1.text;
        assert!(
            first.contains(r#"where ("i""d" <= 'z'::text) and"#),
            "{first}"
        );
        assert!(!message(None, None).1.text.contains("update"));
    }

    #[test]
    fn finds_the_place_in_the_file() {
        let (definition, message) = message(Some("a"), Some("z"));
        let place = |needle: &str| {
            let byte = message.text.find(needle).unwrap();
            let error = ServerError {
                position: Some(message.text[..byte].chars().count()),
                ..ServerError::local(String::new())
            };
            message
                .failure(&definition, error, 0)
                .place
                .map(|place| place.position.to_string())
        };
        assert_eq!(place("nope").as_deref(), Some("2:18"));
        assert_eq!(place("\"i\"\"d\" >").as_deref(), Some("2:29"));
        assert_eq!(place("and (").as_deref(), Some("2:37"));
        assert_eq!(place("WITH next"), None);
        // BEGIN, six settings, enter and the path are done; the statement is not.
        let by_count = |done| {
            message
                .failure(&definition, ServerError::local(String::new()), done)
                .place
        };
        assert_eq!(by_count(9).unwrap().position.to_string(), "2:1");
        assert_eq!(by_count(10), None);
    }
}
