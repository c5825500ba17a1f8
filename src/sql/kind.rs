//! What a statement can be, as far as it matters for carrying it.

/// The kinds of statement that are not carried like any other. The words say what made it so, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Begins, ends or changes the transaction: `BEGIN`, `COMMIT`, `ROLLBACK`, `SET TRANSACTION`, …
    TransactionControl(&'static str),
    /// Cannot run inside a transaction: `VACUUM`, `CREATE INDEX CONCURRENTLY`, …
    NoTransaction(&'static str),
    /// Changes the search path, for the transaction or beyond.
    SearchPath(&'static str),
    /// Changes the role, for the transaction or beyond.
    Role(&'static str),
    /// Changes the session beyond the transaction: `SET` without `LOCAL`, `RESET`, `DISCARD`,
    /// `PREPARE`, `LISTEN`, …
    Session(&'static str),
    /// Needs data from the client or sends it there: `COPY … FROM STDIN`, `COPY … TO STDOUT`.
    Copy(&'static str),
    /// A command for psql, such as `\copy`; no server takes it.
    MetaCommand,
    /// `ALTER TYPE … ADD VALUE`: the value cannot be used in the same transaction.
    AddEnumValue,
    /// `CREATE TABLE`, also `AS` a query.
    CreateTable,
    /// `CREATE INDEX` inside a transaction.
    CreateIndex,
    /// `ALTER TABLE`.
    AlterTable,
    /// Any other statement that changes structure.
    Ddl,
    /// Anything else: data, queries, `DO` blocks, calls.
    Other,
}

impl Kind {
    /// The copy whose data comes from the client.
    pub(super) const COPY_FROM_STDIN: Self = Self::Copy("COPY … FROM STDIN");

    /// The words that made it this kind; none where nothing is special about it.
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::TransactionControl(words)
            | Self::NoTransaction(words)
            | Self::SearchPath(words)
            | Self::Role(words)
            | Self::Session(words)
            | Self::Copy(words) => Some(words),
            Self::MetaCommand => Some("a psql command"),
            Self::AddEnumValue => Some("ALTER TYPE … ADD VALUE"),
            Self::CreateTable => Some("CREATE TABLE"),
            Self::CreateIndex => Some("CREATE INDEX"),
            Self::AlterTable => Some("ALTER TABLE"),
            Self::Ddl | Self::Other => None,
        }
    }

    /// About how many locks such a statement takes at most: crude, for sizing transactions.
    pub fn estimated_locks(self) -> u32 {
        match self {
            // Table, its type's array, TOAST table and index, a sequence, a key's index, two tables referred to.
            Self::CreateTable => 8,
            Self::AlterTable => 6,
            Self::Ddl | Self::AddEnumValue => 4,
            Self::CreateIndex => 3,
            _ => 2,
        }
    }
}
