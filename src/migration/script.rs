//! One script: the SQL of one direction of a migration, or of a repeatable.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::Checksum;
use crate::sql::Statement;

/// The SQL of one direction, cut into its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The file it was read from; for a stored script a name such as `<history>/20260301000000-orders.down.sql`.
    pub path: PathBuf,
    /// The whole text, as it is in the file.
    pub text: Arc<str>,
    /// The hash of the text.
    pub checksum: Checksum,
    /// What is sent, in order. A BEGIN … COMMIT pair around the whole script is not among them.
    pub statements: Vec<Statement>,
    /// What its header lines ask for.
    pub directives: Directives,
}

/// What a script's `-- tenantry: …` header lines ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `no-transaction`: the statements are carried one by one, outside a transaction.
    pub no_transaction: bool,
    /// `irreversible`: the migration has no down, on purpose.
    pub irreversible: bool,
    /// `lock-timeout=5s`: how long a statement may wait for a lock.
    pub lock_timeout: Option<Duration>,
    /// `statement-timeout=10min`: how long a statement may run.
    pub statement_timeout: Option<Duration>,
}
