//! One failure in full: the statement, the place in it, and all that the server said.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet, renderer::DecorStyle};

use crate::{
    apply::{Failure, Place},
    cli::paint::Paint,
};

/// The whole report, without a last line break. `example` names the target that it is about.
pub(in crate::cli) fn render(failure: &Failure, example: Option<&str>, paint: Paint) -> String {
    let error = &failure.error;
    let pointed = error.position.is_some();
    let source = failure
        .place
        .as_ref()
        .map(|place| Source::of(place, pointed));
    let mut report = Level::ERROR.primary_title(&error.message);
    if !error.code.is_empty() {
        report = report.id(&error.code);
    }
    let mut report = match &source {
        Some(source) => report.element(source.element(pointed)),
        None => report.element(Level::NOTE.message("no statement of a script is to blame")),
    };
    let mut notes: Vec<Element<'_>> = Vec::new();
    if let Some(detail) = &error.detail {
        notes.push(Level::NOTE.message(detail).into());
    }
    if let Some(context) = &error.context {
        notes.push(Level::NOTE.message(context).into());
    }
    if let Some(hint) = &error.hint {
        notes.push(Level::HELP.message(hint).into());
    }
    for blocker in &failure.blockers {
        let blocked = format!("blocked by {blocker}");
        notes.push(Level::NOTE.message(blocked).into());
    }
    notes.push(Level::NOTE.message(story(failure, example)).into());
    report = report.elements(notes);
    let renderer = if paint.enabled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.decor_style(DecorStyle::Ascii).render(&[report])
}

/// Whose failure it is, and how often it was tried.
fn story(failure: &Failure, example: Option<&str>) -> String {
    let mut story = match example {
        Some(example) => format!("in {example}"),
        None => "outside any target".to_owned(),
    };
    if let Some(place) = &failure.place {
        story.push_str(&format!(", going {}", place.direction));
    }
    if failure.tries > 1 {
        story.push_str(&format!(", tried {} times", failure.tries));
    }
    story
}

/// A statement, set where it stands in its file.
struct Source<'a> {
    place: &'a Place,
    path: String,
    /// The statement, moved to the right by what stands before it on its first line.
    text: String,
    span: Range<usize>,
}

impl<'a> Source<'a> {
    fn of(place: &'a Place, pointed: bool) -> Self {
        let before = place.statement[..place.offset.min(place.statement.len())].to_owned();
        // On the statement's first line the column counts from the line's start; further down nothing stands before.
        let indent = if before.contains('\n') {
            0
        } else {
            (place.position.column - 1).saturating_sub(before.chars().count())
        };
        let start = indent + before.len();
        let rest = &place.statement[before.len()..];
        let length = if pointed {
            word(rest)
        } else {
            rest.lines().next().unwrap_or_default().trim_end().len()
        };
        Self {
            place,
            path: place.path.display().to_string(),
            text: format!("{}{}", " ".repeat(indent), place.statement),
            span: start..start + length,
        }
    }

    fn element(&self, pointed: bool) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let label = (!pointed).then_some("in this statement");
        let mark = AnnotationKind::Primary.span(self.span.clone()).label(label);
        Snippet::source(&self.text)
            .line_start(self.place.line)
            .path(&self.path)
            .annotation(mark)
    }
}

/// How many bytes the word at the start has: at least one, where there is anything.
fn word(text: &str) -> usize {
    let end = text
        .char_indices()
        .find(|(_, c)| !(c.is_alphanumeric() || "_.\"".contains(*c)))
        .map_or(text.len(), |(byte, _)| byte);
    end.max(text.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        migration::{Direction, Version},
        postgres::{Fault, ServerError},
        sql::Position,
    };

    fn failure(statement: &str, offset: usize, position: Position, line: usize) -> Failure {
        Failure {
            fault: Fault::Tenant,
            error: ServerError {
                code: "42703".to_owned(),
                message: "column \"emial\" does not exist".to_owned(),
                detail: None,
                hint: Some("Perhaps you meant \"email\".".to_owned()),
                context: None,
                position: Some(offset),
                ends_session: false,
                leaves_running: false,
            },
            place: Some(Place {
                version: Some(Version::new(7)),
                name: "emails".to_owned(),
                direction: Direction::Up,
                path: PathBuf::from("tenant_migrations/7-emails.up.sql"),
                position,
                statement: statement.to_owned(),
                offset,
                line,
            }),
            tries: 1,
            blockers: Vec::new(),
        }
    }

    #[test]
    fn points_where_the_server_pointed() {
        let statement = "CREATE INDEX users_email\n    ON users (emial)";
        let offset = statement.find("emial").unwrap();
        let position = Position {
            line: 4,
            column: 15,
        };
        let failure = failure(statement, offset, position, 3);
        insta::assert_snapshot!(render(&failure, Some("acme"), Paint::default()), @r#"
        error[42703]: column "emial" does not exist
         --> tenant_migrations/7-emails.up.sql:4:15
          |
        4 |     ON users (emial)
          |               ^^^^^
          |
          = help: Perhaps you meant "email".
          = note: in acme, going up
        "#);
    }

    #[test]
    fn a_statement_in_the_middle_of_a_line_keeps_its_column() {
        let position = Position {
            line: 1,
            column: 18,
        };
        let failure = failure("SELECT emial", 7, position, 1);
        let text = render(&failure, None, Paint::default());
        assert!(text.contains("7-emails.up.sql:1:18"), "{text}");
    }
}
