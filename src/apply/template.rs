//! One message with the places left open in which targets differ.

use std::{fmt::Write as _, ops::Range, sync::Arc, time::Duration};

use super::{Failure, Place};
use crate::{
    history::{Digest, Head},
    migration::{Direction, Repeatable, Script, Version},
    plan::Step,
    postgres::{Ended, Fault, Message, ServerError},
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

    fn text(&self) -> &str {
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

    /// Adds the COMMIT.
    pub(super) fn commit(&mut self) -> &mut Self {
        let ends = |piece: &&Piece| matches!(piece, Piece::End);
        self.commit = self.pieces.iter().filter(ends).count();
        self.own("COMMIT")
    }

    /// What a refused statement makes of the whole message.
    pub(super) fn failure(
        &self,
        head: &Head,
        completed: usize,
        ended: Ended,
        error: ServerError,
    ) -> Failure {
        let is_escape = match ended {
            Ended::Committed => true,
            Ended::Before => self.is_escape(completed),
            Ended::RolledBack => false,
        };
        if is_escape {
            return Failure::without_place(Fault::Escaped, escaped(error));
        }
        let place = self.locate(head, error.position, completed);
        let fault = match error.code.as_str() {
            // Out of shared memory: the lock table took no more, and each of the steps may fit alone.
            "53200" if self.revisions > 1 => Fault::Finer,
            code => Fault::of(code),
        };
        Failure {
            place: place.map(|(origin, byte)| Place::of(origin, byte)),
            ..Failure::without_place(fault, error)
        }
    }

    /// Whether an error after so many `completed` statements is in no transaction because a script ended it, and not
    /// because nothing had begun or the COMMIT itself was refused.
    fn is_escape(&self, completed: usize) -> bool {
        completed > 0 && completed != self.commit
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

    /// The message for the schema of `head`, to be found as it is there.
    pub fn stamp(&self, head: &Head) -> Result<Message, InvalidIdent> {
        self.stamp_text(head).map(Message::vouched)
    }

    /// The text of the message, or of a part of one.
    pub(super) fn stamp_text(&self, head: &Head) -> Result<String, InvalidIdent> {
        self.stamp_with(head, |_, _| {})
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
            }
        }
        Ok(message)
    }

    /// The script's statement that an error of the message belongs to, and the byte in the script if the server named
    /// one: by the `position` in characters, else by the number of statements `completed` before it.
    fn locate(
        &self,
        head: &Head,
        position: Option<usize>,
        completed: usize,
    ) -> Option<(&Origin, Option<usize>)> {
        let mut starts = Vec::new();
        let message = self
            .stamp_with(head, |piece, start| starts.push((piece, start)))
            .ok()?;
        let byte = position.map(|at| {
            message
                .char_indices()
                .nth(at)
                .map_or(message.len(), |(byte, _)| byte)
        });
        let (mut ended, mut last) = (0, None);
        for (piece, start) in starts {
            // In one of our own: see below.
            if byte.is_some_and(|byte| byte < start) {
                break;
            }
            if let Piece::Statement(origin) = piece {
                last = Some((origin, None));
            }
            match (piece, byte) {
                (Piece::Statement(origin), Some(byte))
                    if (start..start + origin.span.len()).contains(&byte) =>
                {
                    return Some((origin, Some(origin.span.start + byte - start)));
                }
                (Piece::Statement(origin), None) if ended == completed => {
                    return Some((origin, None));
                }
                // One of our own, such as the asserts: the script before it is what they did not like.
                (Piece::End, None) if ended == completed => break,
                (Piece::End, _) => ended += 1,
                _ => {}
            }
        }
        last
    }
}

/// The error of a statement that ran outside our transaction.
fn escaped(error: ServerError) -> ServerError {
    if Fault::of(&error.code) == Fault::Escaped {
        return error;
    }
    ServerError {
        code: "TN005".to_owned(),
        detail: Some(format!("after that, the server said: {error}")),
        ..ServerError::local("the script ended the transaction that it ran in".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

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
        template.own("BEGIN").enter().search_path(&[]);
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
        let message = template().stamp(&head("o'b\"x; y")).unwrap();
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
        let message = template.stamp(&head).unwrap();
        let message = message.as_str();
        let byte = message.find("nope").unwrap();
        let character = message[..byte].chars().count();
        let (origin, offset) = template.locate(&head, Some(character), 0).unwrap();
        assert!(origin.script.text[offset.unwrap()..].starts_with("nope"));
        // BEGIN, enter and the path are done; the first statement of the script is not.
        let (origin, _) = template.locate(&head, None, 3).unwrap();
        assert_eq!(origin.text(), "select 'größe'");
        assert!(template.locate(&head, Some(0), 0).is_none());
    }
}
