//! One thing that is wrong with a file, and how it is shown to people.
//!
//! Whether it stops anything is for the caller to say: in what every schema already has, it only warns.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle,
};

use super::{Code, text};
use crate::sql::Position;

/// One thing wrong with a file. `Display` is the whole message, without colour, as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind of thing.
    pub code: &'static Code,
    /// What is wrong here: a fragment in lower case.
    pub what: String,
    /// The file.
    pub path: PathBuf,
    /// Other files that have a part in it.
    pub others: Vec<PathBuf>,
    /// Where in the file; none where it is about the file as a whole.
    pub excerpt: Option<Excerpt>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The file's whole text.
    pub text: Arc<str>,
    /// The bytes of it that are marked.
    pub span: Range<usize>,
    /// What stands beside the mark; may be empty.
    pub label: String,
}

/// How loudly a problem is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It stops what was asked for.
    Error,
    /// It does not.
    Warning,
}

impl Problem {
    /// Something wrong with the file as a whole.
    pub fn new(code: &'static Code, path: &Path, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            path: path.to_owned(),
            others: Vec::new(),
            excerpt: None,
        }
    }

    /// The same, at a place in the file. Of a span of several lines, the first is marked.
    #[must_use]
    pub fn at(mut self, text: &Arc<str>, span: Range<usize>, label: impl Into<String>) -> Self {
        let marked = &text[span.clone()];
        let first_line = marked.lines().next().unwrap_or(marked).trim_end();
        self.excerpt = Some(Excerpt {
            text: text.clone(),
            span: span.start..span.start + first_line.len(),
            label: label.into(),
        });
        self
    }

    /// The same, with another file that has a part in it.
    #[must_use]
    pub fn with(mut self, other: &Path) -> Self {
        self.others.push(other.to_owned());
        self
    }

    /// Line and column in the file, where it is about a place.
    pub fn position(&self) -> Option<Position> {
        let excerpt = self.excerpt.as_ref()?;
        Some(text::position(&excerpt.text, excerpt.span.start))
    }

    /// The whole message: what is wrong, where, why it matters and what to do. Several lines, without a last line break.
    pub fn render(&self, severity: Severity, color: bool) -> String {
        let level = match severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let report = [self.report(level)];
        renderer.decor_style(DecorStyle::Ascii).render(&report)
    }

    fn report<'a>(&'a self, level: Level<'a>) -> Group<'a> {
        let path = self.path.to_string_lossy();
        let place: Element<'_> = match &self.excerpt {
            None => Origin::path(path).into(),
            Some(Excerpt { text, span, label }) => {
                let mark = text::without_mark(text);
                let skipped = text.len() - mark.len();
                let span = span.start - skipped..span.end - skipped;
                let label = (!label.is_empty()).then_some(label.as_str());
                let annotation = AnnotationKind::Primary.span(span).label(label);
                Snippet::source(mark)
                    .path(path)
                    .annotation(annotation)
                    .into()
            }
        };
        let others = self.others.iter().map(|other| other.to_string_lossy());
        level
            .primary_title(&self.what)
            .id(self.code.id)
            .element(place)
            .elements(others.map(Origin::path))
            .element(Level::NOTE.message(self.code.why))
            .element(Level::HELP.message(self.code.help))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Severity::Error, false))
    }
}

/// All that is wrong with the files of a set: at least one problem. `Display` shows all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems as an error; `Ok` where there are none.
    pub fn none_of(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self(problems))
        }
    }

    /// The problems, in the order of their files.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// Every message, a blank line between them.
    pub fn render(&self, severity: Severity, color: bool) -> String {
        let messages: Vec<_> = self.0.iter().map(|p| p.render(severity, color)).collect();
        messages.join("\n\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Severity::Error, false))
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::code;

    fn problem(text: &str, marked: &str) -> Problem {
        let start = text.find(marked).unwrap();
        Problem::new(&code::DISCARD, Path::new("a.sql"), "DISCARD here").at(
            &text.into(),
            start..start + marked.len(),
            "",
        )
    }

    #[test]
    fn a_warning_says_the_same_in_another_voice() {
        let problem = problem("discard all", "discard all");
        let warning = problem.render(Severity::Warning, false);
        assert!(
            warning.starts_with("warning[F405]: DISCARD here\n"),
            "{warning}"
        );
        assert_eq!(warning.replacen("warning", "error", 1), problem.to_string());
    }

    #[test]
    fn colour_is_there_when_asked_for_and_only_then() {
        let problem = problem("discard all", "discard all");
        assert!(!problem.render(Severity::Error, false).contains('\u{1b}'));
        assert!(problem.render(Severity::Error, true).contains("\u{1b}["));
    }

    #[test]
    fn line_column_and_mark_fit_whatever_stands_before() {
        for (text, place, line) in [
            ("\u{feff}discard all", "a.sql:1:1", "1 | discard all"),
            ("-- größe\r\n\u{feff}☃ discard all\r\n", "a.sql:2:4", ""),
            ("\tdiscard\n all;", "a.sql:1:2", "1 |     discard"),
            ("discard all", "a.sql:1:1", "1 | discard all"),
        ] {
            let marked = &text[text.find("discard").unwrap()..];
            let problem = problem(text, marked.trim_end());
            let message = problem.to_string();
            assert!(message.contains(&format!("--> {place}\n")), "{message}");
            assert!(message.contains(line), "{message}");
            assert_eq!(format!("a.sql:{}", problem.position().unwrap()), place);
        }
    }

    #[test]
    fn nothing_in_a_file_reaches_the_terminal_as_a_command() {
        let text = "discard all -- \u{1b}[2J";
        let message = problem(text, text).to_string();
        assert!(!message.contains('\u{1b}'), "{message}");
    }

    #[test]
    fn problems_are_shown_one_after_the_other() {
        let one = problem("discard all", "discard all");
        let problems = Problems::none_of(vec![one.clone(), one.clone()]).unwrap_err();
        assert_eq!(problems.to_string(), format!("{one}\n\n{one}"));
        assert_eq!(Problems::none_of(Vec::new()), Ok(()));
    }
}
