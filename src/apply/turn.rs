//! What a plan comes to on a copy: the same statements in the same transactions, and nothing of the record.

use super::{Compiled, Part, Sent};
use crate::{history::Head, sql::InvalidIdent};

/// What is committed together.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Whether it is a transaction; else it is one statement that no transaction takes.
    pub is_transaction: bool,
    /// How many migrations are over with it.
    pub migrations: usize,
    /// Its statements in order, the BEGIN and COMMIT among them.
    pub sent: Vec<Sent>,
}

impl Compiled {
    /// What is to be sent to a copy, the schema of `head`.
    ///
    /// # Errors
    /// The head's name is no schema's.
    pub fn turns(&self, head: &Head) -> Result<Vec<Turn>, InvalidIdent> {
        let mut turns = Vec::new();
        for part in &self.parts {
            match part {
                Part::Message(message) => turns.push(Turn {
                    is_transaction: true,
                    migrations: message.migrations,
                    sent: message.singly(head)?,
                }),
                Part::Alone(alone) => turns.extend(alone.turns(head)?),
            }
        }
        Ok(turns)
    }
}
