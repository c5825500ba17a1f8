//! A message statement by statement, for whoever runs it without carrying it: on a copy, of which nothing is recorded.

use super::{Origin, Piece, Template};
use crate::{
    apply::{Failure, Place, Rung},
    history::Head,
    postgres::{Fault, Message, ServerError},
    sql::InvalidIdent,
};

/// One statement of a message, to be sent by itself.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its text.
    pub message: Message,
    /// Where it is from; none where it is one of ours, such as the BEGIN.
    origin: Option<Origin>,
}

/// What runs of ours beside scripts without keeping the record; everything else in our schema keeps it.
const HARMLESS: [&str; 2] = [
    "CALL tenantry.deallocate(",
    "CALL tenantry.validate_functions(",
];

impl Sent {
    /// Where it stands in its script; none where it is one of ours.
    pub fn place(&self) -> Option<Place> {
        self.origin.as_ref().map(|origin| Place::of(origin, None))
    }

    /// What its failure is to be called.
    pub fn failure(&self, error: ServerError) -> Failure {
        let place = self.origin.as_ref().map(|origin| {
            let text = origin.text();
            let pointed = error.position.and_then(|characters| {
                let mut places = text.char_indices();
                places.nth(characters).map(|(byte, _)| byte)
            });
            Place::of(origin, pointed.map(|byte| origin.span.start + byte))
        });
        Failure {
            place,
            ..Failure::without_place(Fault::of(&error), error)
        }
    }
}

impl Template {
    /// Its statements one by one, as they are sent to the schema of `head`, without those that guard it and keep the record.
    pub(in crate::apply) fn singly(&self, head: &Head) -> Result<Vec<Sent>, InvalidIdent> {
        let (mut ends, mut open) = (Vec::new(), None);
        let text = self.stamp_with(head, Rung::first(1), |piece, at| match piece {
            Piece::Statement(origin) => open = Some(origin.clone()),
            Piece::End => ends.push((at, open.take())),
            _ => {}
        })?;
        let mut start = 0;
        let mut sent = Vec::with_capacity(ends.len());
        for (end, origin) in ends {
            let statement = match &origin {
                // Positions are counted from its first character.
                Some(origin) => origin.text(),
                None => text[start..end].trim(),
            };
            start = end + ";\n".len();
            if origin.is_some() || !keeps_record(statement) {
                let message = Message::vouched(statement);
                sent.push(Sent { message, origin });
            }
        }
        Ok(sent)
    }
}

fn keeps_record(statement: &str) -> bool {
    let is_ours = ["CALL tenantry.", "SELECT tenantry."]
        .iter()
        .any(|ours| statement.starts_with(ours));
    is_ours && !HARMLESS.iter().any(|call| statement.starts_with(call))
}
