//! What a roundtrip found, in words for people. Colour and marks are for the command line to add.

use std::fmt;

use super::{Finding, Loss, NotSeeded, Outcome, Stage, Verdict};
use crate::plan::Refusal;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Irreversible => "irreversible",
            Self::NotJudged => "not judged",
            Self::NotTried => "not tried",
            Self::LosesRows => "loses rows",
            Self::FailsOnRows => "fails where tables have rows",
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
            Self::RepeatablesAgain => "the repeatables once more",
            Self::SecondTenant => "the up of a second tenant",
        })
    }
}

/// One line, then one a difference or reason, indented; no last line break.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stage,
            with_rows,
            outcome,
        } = self;
        let rows = if *with_rows {
            " where tables have rows"
        } else {
            ""
        };
        match (outcome, stage) {
            (Outcome::Differs { .. }, Stage::Down) => {
                let found = "another structure than the first up found";
                write!(f, "{stage} leaves {found}{rows}:")?;
            }
            (Outcome::Differs { .. }, Stage::Repeatables | Stage::RepeatablesAgain) => {
                write!(f, "{stage} leave another structure than before:")?;
            }
            (Outcome::Differs { .. }, Stage::Up) if !with_rows => {
                write!(
                    f,
                    "{stage} leaves another structure than the ups one by one left:"
                )?;
            }
            (Outcome::Differs { .. }, _) => {
                let left = "another structure than the first up left";
                write!(f, "{stage} leaves {left}{rows}:")?;
            }
            (Outcome::Loses { .. }, _) => write!(f, "{stage} does not bring everything back:")?,
            (Outcome::Fails { .. }, Stage::Repeatables | Stage::RepeatablesAgain) => {
                write!(f, "{stage} fail:")?;
            }
            (Outcome::Fails { .. }, _) => write!(f, "{stage} fails{rows}:")?,
            (Outcome::Refused { .. }, _) => write!(f, "{stage} is refused{rows}:")?,
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
            Self::Loses { losses } => losses.iter().map(ToString::to_string).collect(),
            Self::Fails { failure } => vec![failure.to_string()],
            Self::Refused { refusal } => texts(refusal),
        };
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows {
                table,
                before,
                after,
            } => write!(f, "rows lost: {table} {before} → {after}"),
            Self::Values {
                table,
                column,
                lost,
                of,
            } => write!(f, "values lost: {table}.{column} {lost} of {of}"),
            Self::Numbers {
                sequence,
                stood,
                stands,
                start,
            } => {
                write!(f, "values lost: sequence {sequence} ")?;
                if let Some(stood) = stood {
                    write!(f, "stood at {stood}, ")?;
                }
                match stands {
                    Some(stands) => write!(f, "stands at {stands}"),
                    None => write!(f, "starts at {start} again"),
                }
            }
        }
    }
}

impl fmt::Display for NotSeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.table, self.reason)
    }
}

/// The problems themselves where there are some: what people want is not their number.
pub(super) fn texts(refusal: &Refusal) -> Vec<String> {
    match refusal {
        Refusal::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        refusal => vec![refusal.to_string()],
    }
}
