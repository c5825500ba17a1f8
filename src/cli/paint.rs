//! Colour, where it is wanted.

use std::io::IsTerminal;

use clap::builder::styling::{AnsiColor, Style};

use super::arguments::ColorWhen;

/// Colours words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    /// Whether anything is coloured.
    pub(crate) enabled: bool,
}

impl Paint {
    /// For one stream.
    pub(super) fn new(when: ColorWhen, stream: &impl IsTerminal) -> Self {
        let enabled = match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => stream.is_terminal() && wanted(),
        };
        Self { enabled }
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

/// See no-color.org; a dumb terminal shows escapes as they are.
fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
