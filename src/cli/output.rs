//! Where results and messages go: results to standard output, everything else to standard error.

use std::{
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use super::{
    arguments::{Format, Global},
    error::CliError,
    harmless::harmless,
    paint::Paint,
    report::json::problem,
};
use crate::{
    fleet::FleetError,
    migration::{Problem, Problems, Severity},
};

/// Where results and messages go.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    /// For what goes to standard output.
    pub(crate) paint: Paint,
    /// For what goes to standard error.
    pub(crate) error_paint: Paint,
    /// Progress bars, above which messages are written.
    pub(crate) bars: MultiProgress,
    /// Why a result could not be written.
    lost: Arc<Mutex<Option<io::Error>>>,
}

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        Self {
            format: global.output,
            quiet: global.quiet,
            paint: Paint::new(global.color, &io::stdout()),
            error_paint: Paint::new(global.color, &io::stderr()),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            lost: Arc::default(),
        }
    }

    /// Fails where a result could not be written.
    pub(super) fn delivered(&self) -> Result<(), CliError> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.take()
            .map_or(Ok(()), |error| Err(CliError::Write(error)))
    }

    fn deliver(&self, text: &str) {
        let written = written(writeln!(io::stdout().lock(), "{text}"));
        if let Err(error) = written {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert(error);
        }
    }

    /// Whether results are written as JSON; then nothing is said that is no error.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether nothing is said but results and errors.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.is_json()
    }

    /// The command's result: one JSON object, or the text for people.
    pub(crate) fn result(&self, json: &impl Serialize, text: impl FnOnce(Paint) -> String) {
        self.verbatim(json, |paint| {
            harmless(&text(paint), paint.enabled).into_owned()
        });
    }

    /// The same for text that is to be read by a program, each character of which counts.
    pub(crate) fn verbatim(&self, json: &impl Serialize, text: impl FnOnce(Paint) -> String) {
        let text = match self.format {
            Format::Text => text(self.paint),
            Format::Json => serde_json::to_string_pretty(json)
                .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")),
        };
        self.deliver(text.trim_end_matches('\n'));
    }

    /// A part of the result for people that is known before the rest of it.
    pub(crate) fn line(&self, text: impl FnOnce(Paint) -> String) {
        if !self.is_json() {
            let text = text(self.paint);
            let text = harmless(&text, self.paint.enabled);
            self.bars.suspend(|| self.deliver(&text));
        }
    }

    /// The result of a command that has written lines before it: JSON on one line, or the text for people.
    pub(crate) fn last_line(&self, json: &impl Serialize, text: impl FnOnce(Paint) -> String) {
        let line = match self.format {
            Format::Text => harmless(&text(self.paint), self.paint.enabled).into_owned(),
            Format::Json => serde_json::to_string(json)
                .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")),
        };
        self.deliver(&line);
    }

    /// Something to know; unless less is asked for.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet() {
            self.say(&self.error_paint.labelled("note:", text));
        }
    }

    /// Something that should be seen to, though nothing failed.
    pub(crate) fn warning(&self, text: &str) {
        if !self.is_json() {
            self.say(&self.error_paint.labelled("warning:", text));
        }
    }

    /// Something that went wrong, as a fragment in lower case. In JSON it is a part of the result.
    pub(crate) fn error(&self, text: &str) {
        if !self.is_json() {
            self.say(&self.error_paint.labelled("error:", text));
        }
    }

    /// A text of several lines that belongs to an error or a warning.
    pub(crate) fn aside(&self, text: &str) {
        if !self.is_json() {
            self.say(text);
        }
    }

    /// What is wrong with a file, whole.
    pub(crate) fn problem(&self, problem: &Problem, severity: Severity) {
        self.aside(&format!(
            "{}\n",
            problem.render(severity, self.error_paint.enabled)
        ));
    }

    /// The error that ended the command.
    pub(super) fn failed(&self, error: &CliError) {
        if self.is_json() {
            let mut json = serde_json::json!({ "error": {
                "exit_code": error.exit_code().number(),
                "message": error.message(),
            }});
            if let CliError::Fleet(FleetError::Files(problems)) = error {
                let problems: Vec<_> = problems.as_slice().iter().map(problem).collect();
                json["error"]["problems"] = serde_json::json!(problems);
            }
            return self.send(&json.to_string());
        }
        match error {
            CliError::Fleet(FleetError::Files(problems)) => self.files(problems),
            _ => self.error(&error.message()),
        }
    }

    fn files(&self, problems: &Problems) {
        self.say(&problems.render(Severity::Error, self.error_paint.enabled));
    }

    /// To standard error, above whatever bar there is.
    pub(super) fn say(&self, text: &str) {
        self.send(&harmless(text, self.error_paint.enabled));
    }

    fn send(&self, text: &str) {
        // Without standard error there is nobody to tell.
        if self.bars.is_hidden() {
            let _ = writeln!(io::stderr().lock(), "{text}");
        } else {
            let _ = self.bars.println(text);
        }
    }
}

/// What became of text on its way out: whoever closed the pipe has read enough, and on everything else somebody relies.
pub(super) fn written(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
