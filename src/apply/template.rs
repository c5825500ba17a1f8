//! One message with the places left open in which targets differ.

mod locate;
mod singly;

pub use singly::Sent;

use std::{fmt::Write as _, ops::Range, sync::Arc, time::Duration};

use super::Rung;
use crate::{
    history::{Digest, Head},
    migration::{Direction, Repeatable, Script, Version},
    plan::{Built, Step},
    postgres::Message,
    sql::{Ident, InvalidIdent, Literal},
};

/// A message compiled once for a cohort; [`Template::stamp`] makes it a target's own.
#[derive(Debug, Clone, Default)]
pub struct Template {
    pieces: Vec<Piece>,
    /// How many steps it carries; each raises the revision by one, and so do the repeatables together.
    pub(super) revisions: i64,
    /// How many migrations it carries.
    pub(super) migrations: usize,
    /// The first statement of each step.
    pub(super) steps: Vec<Origin>,
    /// The highest version and the digest that its last step leaves; none where it has only repeatables.
    pub(super) leaves: Option<(Option<Version>, Digest)>,
    /// The hash of the repeatables that it leaves; none where it leaves them alone.
    pub(super) repeatables: Option<Digest>,
    /// How many relations it touches, by estimate.
    pub(super) relations: u32,
    /// How long its statements may run together; none where that is not limited.
    pub(super) longest: Option<Duration>,
    /// How many statements stand before the COMMIT.
    commit: usize,
}

/// A part of a message.
#[derive(Debug, Clone)]
enum Piece {
    /// Ours, the same for all.
    Text(String),
    /// One statement of a script, as it is written.
    Statement(Origin),
    /// The schema's OID.
    Oid,
    /// The schema's name as a literal.
    Name,
    /// The schema's name as an identifier.
    Schema,
    /// The revision at which the message must find the schema.
    Revision,
    /// The fence likewise.
    Fence,
    /// How long a statement may wait for a lock, of which this is the most.
    LockTimeout(Duration),
    /// The end of a statement.
    End,
}

/// Where a statement of a message comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The migration's number; none for a repeatable.
    pub(super) version: Option<Version>,
    /// The migration's or repeatable's name.
    pub(super) name: String,
    /// Which way it is carried.
    pub(super) direction: Direction,
    /// The whole script.
    pub(super) script: Arc<Script>,
    /// The statement's bytes in it.
    pub(super) span: Range<usize>,
}

impl Origin {
    /// The first statement of a step.
    pub(super) fn of_step(step: &Step) -> Self {
        Self {
            version: Some(step.migration.version),
            name: step.migration.name.clone(),
            direction: step.direction,
            span: Self::first(&step.script),
            script: step.script.clone(),
        }
    }

    /// The first statement of what stands in for migrations.
    pub(super) fn of_built(built: &Built) -> Self {
        Self {
            version: Some(built.version),
            name: "structure".to_owned(),
            direction: Direction::Up,
            span: Self::first(&built.script),
            script: built.script.clone(),
        }
    }

    /// The first statement of a repeatable.
    pub(super) fn of_repeatable(repeatable: &Repeatable) -> Self {
        Self {
            version: None,
            name: repeatable.name.clone(),
            direction: Direction::Up,
            span: Self::first(&repeatable.script),
            script: repeatable.script.clone(),
        }
    }

    fn first(script: &Script) -> Range<usize> {
        script.statements.first().map_or(0..0, |s| s.span.clone())
    }

    pub(super) fn text(&self) -> &str {
        &self.script.text[self.span.clone()]
    }
}

impl Template {
    /// Adds our own text: a statement's beginning, or more of it.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
        self
    }

    /// Adds the place of something in which targets differ.
    fn open(&mut self, piece: Piece) -> &mut Self {
        self.pieces.push(piece);
        self
    }

    /// Ends the statement.
    pub(super) fn end(&mut self) -> &mut Self {
        self.open(Piece::End)
    }

    /// Adds a statement of our own.
    pub(super) fn own(&mut self, statement: &str) -> &mut Self {
        self.text(statement).end()
    }

    /// Adds the limit on waiting for locks: `most` for the most patient try, less for those before it.
    pub(super) fn lock_timeout(&mut self, most: Duration) -> &mut Self {
        self.text("SET LOCAL lock_timeout = ")
            .open(Piece::LockTimeout(most))
            .end()
    }

    /// The shortest time for which any of its statements may wait for a lock in a try as patient as `rung`.
    pub(super) fn shortest_wait(&self, rung: Rung) -> Option<Duration> {
        let waits = self.pieces.iter().filter_map(|piece| match piece {
            Piece::LockTimeout(most) => Some(rung.lock_timeout(*most)),
            _ => None,
        });
        waits.min()
    }

    /// Adds the COMMIT.
    pub(super) fn commit(&mut self) -> &mut Self {
        let ends = |piece: &&Piece| matches!(piece, Piece::End);
        self.commit = self.pieces.iter().filter(ends).count();
        self.own("COMMIT")
    }

    /// How many statements of scripts it has.
    pub(super) fn statements(&self) -> usize {
        let is_statement = |piece: &&Piece| matches!(piece, Piece::Statement(_));
        self.pieces.iter().filter(is_statement).count()
    }

    /// Adds a statement of a script.
    pub(super) fn statement(&mut self, origin: Origin) -> &mut Self {
        // Its semicolon goes on a line of its own: the statement may end in a comment.
        self.open(Piece::Statement(origin)).text("\n").end()
    }

    /// Adds a whole script, by its first statement.
    pub(super) fn script(&mut self, first: Origin) -> &mut Self {
        for statement in &first.script.statements {
            self.statement(Origin {
                span: statement.span.clone(),
                ..first.clone()
            });
        }
        self.steps.push(first);
        self
    }

    /// Adds a call of one of our procedures that takes the name first.
    pub(super) fn call_by_name(&mut self, procedure: &str, arguments: &str) -> &mut Self {
        self.text("CALL tenantry.").text(procedure).text("(");
        self.open(Piece::Name).text(arguments).text(")").end()
    }

    /// Adds a call of one of our procedures, most of which take the OID and the name first.
    pub(super) fn call(&mut self, function: &str, arguments: &str) -> &mut Self {
        self.text("CALL tenantry.")
            .text(function)
            .text("(")
            .open(Piece::Oid)
            .text(", ")
            .open(Piece::Name);
        self.text(arguments).text(")").end()
    }

    /// Adds the call that opens the transaction.
    pub(super) fn enter(&mut self) -> &mut Self {
        self.text("CALL tenantry.enter(")
            .open(Piece::Oid)
            .text(", ")
            .open(Piece::Name)
            .text(", ");
        self.open(Piece::Revision)
            .text(", ")
            .open(Piece::Fence)
            .text(")")
            .end()
    }

    /// Adds a call of one of our functions that guard a single statement: they take the revision and the fence as well.
    pub(super) fn guard(&mut self, function: &str, arguments: &str) -> &mut Self {
        self.text(&format!("SELECT tenantry.{function}("));
        let places = [Piece::Oid, Piece::Name, Piece::Revision, Piece::Fence];
        for (number, place) in places.into_iter().enumerate() {
            self.text(if number == 0 { "" } else { ", " }).open(place);
        }
        self.text(arguments).text(")").end()
    }

    /// Adds the search path: the schema, then `others`.
    pub(super) fn search_path(&mut self, others: &[Ident]) -> &mut Self {
        self.text("SET LOCAL ").path(others)
    }

    /// Adds the search path for the whole session.
    pub(super) fn session_path(&mut self, others: &[Ident]) -> &mut Self {
        self.text("SET ").path(others)
    }

    fn path(&mut self, others: &[Ident]) -> &mut Self {
        self.text("search_path = ").open(Piece::Schema);
        for other in others {
            self.text(&format!(", {other}"));
        }
        // Last, so that no temporary table hides one of the schema's.
        self.text(", pg_temp").end()
    }

    /// The message for the schema of `head`, to be found as it is there, with the patience of `rung`.
    pub fn stamp(&self, head: &Head, rung: Rung) -> Result<Message, InvalidIdent> {
        let text = self.stamp_text(head, rung)?;
        Ok(Message::vouched(text).touching(self.relations))
    }

    /// The text of the message, or of a part of one.
    pub(super) fn stamp_text(&self, head: &Head, rung: Rung) -> Result<String, InvalidIdent> {
        self.stamp_with(head, rung, |_, _| {})
    }

    /// Where the message leaves the schema of `head`.
    pub fn after(&self, head: &Head) -> Head {
        let (version, digest) = self.leaves.unwrap_or((head.version, head.digest));
        Head {
            version,
            digest,
            repeatables: self.repeatables.unwrap_or(head.repeatables),
            revision: head.revision + self.revisions,
            ..head.clone()
        }
    }

    /// Tells `visit` of each piece and of the byte at which it starts.
    fn stamp_with<'a>(
        &'a self,
        head: &Head,
        rung: Rung,
        mut visit: impl FnMut(&'a Piece, usize),
    ) -> Result<String, InvalidIdent> {
        let schema = Ident::new(head.schema.as_str())?.to_string();
        // An Ident holds no control character, hence no NUL.
        let name = Literal::new(&head.schema)
            .map(|literal| literal.to_string())
            .unwrap_or_default();
        let mut message = String::with_capacity(self.pieces.len() * 64);
        for piece in &self.pieces {
            visit(piece, message.len());
            match piece {
                Piece::Text(text) => message.push_str(text),
                Piece::Statement(origin) => message.push_str(origin.text()),
                Piece::Name => message.push_str(&name),
                Piece::Schema => message.push_str(&schema),
                Piece::End => message.push_str(";\n"),
                // Writing to a String cannot fail.
                Piece::Oid => drop(write!(message, "{}", head.schema_oid)),
                Piece::Revision => drop(write!(message, "{}", head.revision)),
                Piece::Fence => drop(write!(message, "{}", head.fence)),
                Piece::LockTimeout(most) => {
                    let most = milliseconds(rung.lock_timeout(*most));
                    message.push_str(&most.to_string());
                }
            }
        }
        Ok(message)
    }
}

/// PostgreSQL takes 0 for "no limit"; a limit below a millisecond is one millisecond.
pub(super) fn milliseconds(duration: Duration) -> i32 {
    let rounded_up = if duration.is_zero() {
        0
    } else {
        duration.as_millis().max(1)
    };
    i32::try_from(rounded_up).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{apply::Noticed, telemetry::Notice};

    const TRIES: usize = 12;

    fn head(schema: &str) -> Head {
        Head {
            schema_oid: 7,
            schema: schema.to_owned(),
            revision: 3,
            ..Head::default()
        }
    }

    fn template() -> Template {
        let script = Arc::new(Script::parse(
            Path::new("1-x.up.sql"),
            "select 'größe';\nselect nope -- why",
        ));
        let mut template = Template::default();
        template
            .own("BEGIN")
            .enter()
            .search_path(&[])
            .lock_timeout(Duration::from_secs(2));
        for statement in &script.statements {
            template.statement(Origin {
                version: Some(Version::new(1)),
                name: "x".to_owned(),
                direction: Direction::Up,
                span: statement.span.clone(),
                script: script.clone(),
            });
        }
        template.own("COMMIT");
        template
    }

    #[test]
    fn stamps_names_as_identifier_and_literal() {
        let message = template()
            .stamp(&head("o'b\"x; y"), Rung::first(1))
            .unwrap();
        assert!(
            message
                .as_str()
                .contains("tenantry.enter(7, 'o''b\"x; y', 3, 0)"),
            "{message:?}"
        );
        assert!(
            message
                .as_str()
                .contains("search_path = \"o'b\"\"x; y\", pg_temp"),
            "{message:?}"
        );
    }

    #[test]
    fn finds_the_statement_by_position_and_by_count() {
        let (template, head) = (template(), head("we;ird, x"));
        let message = template.stamp(&head, Rung::first(TRIES)).unwrap();
        let message = message.as_str();
        let byte = message.find("nope").unwrap();
        let character = message[..byte].chars().count();
        let (origin, offset) = template
            .locate(&head, Rung::first(TRIES), Some(character), 0)
            .unwrap();
        assert!(origin.script.text[offset.unwrap()..].starts_with("nope"));
        // BEGIN, enter, the path and the limit are done; the first statement of the script is not.
        let (origin, _) = template.locate(&head, Rung::first(TRIES), None, 4).unwrap();
        assert_eq!(origin.text(), "select 'größe'");
        assert!(
            template
                .locate(&head, Rung::first(TRIES), Some(0), 0)
                .is_none()
        );
    }

    fn said(completed: usize) -> (usize, Notice) {
        let notice = Notice {
            level: crate::telemetry::NoticeLevel::Notice,
            message: format!("of {completed}"),
            times: 1,
        };
        (completed, notice)
    }

    #[test]
    fn what_was_said_belongs_to_the_statement_that_ran() {
        let template = template();
        let messages = |noticed: &[Noticed]| -> Vec<String> {
            noticed.iter().map(|n| n.message.clone()).collect()
        };
        // BEGIN, enter, the path, the limit, two statements, COMMIT: what is said before the first one is nobody's.
        let noticed = template.noticed((0..7).map(said).collect());
        assert_eq!(messages(&noticed), ["of 4", "of 5", "of 6"]);
        // Twice, behind two other statements.
        let each = template.noticed_by_each(2, 2, [1, 6, 7, 13, 14, 16].map(said).to_vec());
        let each: Vec<_> = each.iter().map(|noticed| messages(noticed)).collect();
        assert_eq!(each, [["of 6", "of 7"], ["of 13", "of 14"]]);
    }
}
