//! What a roundtrip found, in words for people. Colour and marks are for the command line to add.

use std::fmt;

use super::{Finding, Outcome, Stage, Verdict};
use crate::plan::Refusal;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Irreversible => "irreversible",
            Self::NotTried => "not tried",
            Self::Differs => "differs",
            Self::Refused => "refused",
            Self::Fails => "fails",
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "the up",
            Self::Down => "the down",
            Self::UpAgain => "the second up",
            Self::Repeatables => "the repeatables",
            Self::SecondTenant => "the up of a second tenant",
        })
    }
}

/// One line, then one a difference or reason, indented; no last line break.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, outcome } = self;
        match (outcome, stage) {
            (Outcome::Differs { .. }, Stage::Down) => {
                write!(
                    f,
                    "{stage} leaves another structure than the first up found:"
                )?;
            }
            (Outcome::Differs { .. }, _) => {
                write!(
                    f,
                    "{stage} leaves another structure than the first up left:"
                )?;
            }
            (Outcome::Fails { .. }, _) => write!(f, "{stage} fails:")?,
            (Outcome::Refused { .. }, _) => write!(f, "{stage} is refused:")?,
        }
        let outcome = outcome.to_string();
        outcome.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// A line a difference or reason; no last line break.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = match self {
            Self::Differs { differences } => differences.iter().map(ToString::to_string).collect(),
            Self::Fails { failure } => vec![failure.to_string()],
            Self::Refused { refusal } => texts(refusal),
        };
        f.write_str(&lines.join("\n"))
    }
}

/// The problems themselves where there are some: what people want is not their number.
pub(super) fn texts(refusal: &Refusal) -> Vec<String> {
    match refusal {
        Refusal::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        refusal => vec![refusal.to_string()],
    }
}
