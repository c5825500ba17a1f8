//! Colour where it is wanted, and lines no longer than the terminal is wide.

use std::io::IsTerminal;

use clap::builder::styling::{AnsiColor, Style};

use super::arguments::ColorWhen;

/// Colours words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Paint {
    /// Whether anything is coloured.
    pub(crate) enabled: bool,
    /// The terminal's columns; none where there is no terminal, and nothing is wrapped.
    pub(crate) width: Option<usize>,
}

impl Paint {
    /// For one stream.
    pub(super) fn new(when: ColorWhen, stream: &impl IsTerminal) -> Self {
        let enabled = match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => stream.is_terminal() && wanted(),
        };
        let size = || comfy_table::Table::new().use_stderr().width();
        let width = stream.is_terminal().then(size).flatten();
        Self {
            enabled,
            width: width.map(usize::from),
        }
    }

    /// A text after its label, such as `error:`; further lines are set in as far as the first.
    pub(crate) fn labelled(self, label: &str, text: &str) -> String {
        let painted = match label {
            "error:" | "blocked:" | "refused:" => self.bad(label),
            "warning:" | "drift:" => self.caution(label),
            _ => self.faint(label),
        };
        let indent = label.len() + 1;
        let room = self.width.map_or(usize::MAX, |width| {
            width.saturating_sub(indent).max(NARROWEST)
        });
        let lines: Vec<_> = text.lines().flat_map(|line| wrap(line, room)).collect();
        format!("{painted} {}", lines.join(&format!("\n{:indent$}", "")))
    }

    /// What went well.
    pub(crate) fn good(self, text: impl Into<String>) -> String {
        self.style(AnsiColor::Green.on_default(), text.into())
    }

    /// What did not.
    pub(crate) fn bad(self, text: impl Into<String>) -> String {
        self.style(AnsiColor::Red.on_default().bold(), text.into())
    }

    /// What deserves a look.
    pub(crate) fn caution(self, text: impl Into<String>) -> String {
        self.style(AnsiColor::Yellow.on_default().bold(), text.into())
    }

    /// What is only there for completeness.
    pub(crate) fn faint(self, text: impl Into<String>) -> String {
        self.style(Style::new().dimmed(), text.into())
    }

    /// Headings.
    pub(crate) fn strong(self, text: impl Into<String>) -> String {
        self.style(Style::new().bold(), text.into())
    }

    fn style(self, style: Style, text: String) -> String {
        if self.enabled {
            format!("{style}{text}{style:#}")
        } else {
            text
        }
    }
}

/// Text is not wrapped into columns narrower than this.
const NARROWEST: usize = 20;

/// Breaks a line at its blanks. A word that is longer than the line stays whole.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if let Some(last) = lines
            .last_mut()
            .filter(|_| used == 0 || used + 1 + length <= width)
        {
            if used > 0 {
                last.push(' ');
                used += 1;
            }
            last.push_str(word);
            used += length;
        } else {
            lines.push(word.to_owned());
            used = length;
        }
    }
    lines
}

/// See no-color.org; a dumb terminal shows escapes as they are.
fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_hang_from_their_label() {
        let narrow = Paint {
            enabled: false,
            width: Some(28),
        };
        assert_eq!(
            narrow.labelled("error:", "the file was changed, put it back"),
            "error: the file was changed,\n       put it back"
        );
        let text = "no terminal, no end of the line";
        assert_eq!(
            Paint::default().labelled("note:", text),
            format!("note: {text}")
        );
    }
}
