//! Whose an answer of the server is: which statement of a message failed, and which one a notice was sent by.

use super::{
    super::{Failure, Noticed, Place, Rung},
    Origin, Piece, Template,
};
use crate::{
    history::Head,
    postgres::{Ended, Fault, ServerError},
    telemetry::Notice,
};

impl Template {
    /// What a refused statement makes of the whole message, as it was stamped.
    pub(in crate::apply) fn failure(
        &self,
        head: &Head,
        rung: Rung,
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
        let place = self.locate(head, rung, error.position, completed);
        let fault = match error.code.as_str() {
            // Out of shared memory: the lock table took no more, and each of the steps may fit alone.
            "53200" if self.revisions > 1 => Fault::Finer,
            _ => Fault::of(&error),
        };
        Failure {
            place: place.map(|(origin, byte)| Place::of(origin, byte)),
            ..Failure::without_place(fault, error)
        }
    }

    /// What the server said while the statements of scripts ran. What it says of a statement of ours, such as the deferred
    /// checks, belongs to the script before it; after the COMMIT there is none.
    pub(in crate::apply) fn noticed(&self, heard: Vec<(usize, Notice)>) -> Vec<Noticed> {
        self.noticed_by_each(0, 1, heard).pop().unwrap_or_default()
    }

    /// Whose statement came next after so many were completed, in a message as [`noticed_by_each`](Self::noticed_by_each) says:
    /// the number of the target, from 0.
    pub(in crate::apply) fn whose(
        &self,
        before: usize,
        targets: usize,
        completed: usize,
    ) -> Option<usize> {
        let at = completed.checked_sub(before)?;
        let number = at / self.origins().len().max(1);
        (number < targets).then_some(number)
    }

    /// The same for a message in which this stands once for each of so many `targets`, one behind the other, after `before`
    /// other statements. What was said before or behind them is left out: nobody can tell whose it is.
    pub(in crate::apply) fn noticed_by_each(
        &self,
        before: usize,
        targets: usize,
        heard: Vec<(usize, Notice)>,
    ) -> Vec<Vec<Noticed>> {
        let origins = self.origins();
        let mut each: Vec<Vec<Noticed>> = vec![Vec::new(); targets];
        for (completed, notice) in heard {
            let Some(at) = completed.checked_sub(before) else {
                continue;
            };
            let length = origins.len().max(1);
            let origin = origins.get(at % length).copied().flatten();
            let (Some(origin), Some(noticed)) = (origin, each.get_mut(at / length)) else {
                continue;
            };
            let same = |step: &Origin| {
                (step.version, step.direction) == (origin.version, origin.direction)
            };
            let position = self.steps.iter().position(same);
            let notice = Noticed::of(origin, position, notice);
            match noticed.iter_mut().find(|known| known.is_same(&notice)) {
                Some(known) => known.times += notice.times,
                None => noticed.push(notice),
            }
        }
        each
    }

    /// For each statement, the script's statement that it is, or that has run last before it.
    fn origins(&self) -> Vec<Option<&Origin>> {
        let (mut origins, mut last) = (Vec::new(), None);
        for piece in &self.pieces {
            match piece {
                Piece::Statement(origin) => last = Some(origin),
                Piece::End => {
                    // The COMMIT is one of the script's still: a trigger that is deferred may speak in it.
                    let is_behind = self.commit > 0 && origins.len() > self.commit;
                    origins.push(last.filter(|_| !is_behind));
                }
                _ => {}
            }
        }
        origins
    }

    /// Whether an error after so many `completed` statements is in no transaction because a script ended it, and not
    /// because nothing had begun or the COMMIT itself was refused.
    fn is_escape(&self, completed: usize) -> bool {
        completed > 0 && completed != self.commit
    }

    /// The script's statement that an error of the message belongs to, and the byte in the script if the server named
    /// one: by the `position` in characters, else by the number of statements `completed` before it.
    pub(super) fn locate(
        &self,
        head: &Head,
        rung: Rung,
        position: Option<usize>,
        completed: usize,
    ) -> Option<(&Origin, Option<usize>)> {
        let mut starts = Vec::new();
        let message = self
            .stamp_with(head, rung, |piece, start| starts.push((piece, start)))
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
    if Fault::of(&error) == Fault::Escaped {
        return error;
    }
    ServerError {
        code: "TN005".to_owned(),
        detail: Some(format!("after that, the server said: {error}")),
        ..ServerError::local("the script ended the transaction that it ran in".to_owned())
    }
}
