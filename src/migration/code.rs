//! All that can be wrong with migration files: one static table, in which every code says why it matters and what to do.
//!
//! Codes are stable: they stand in people's scripts and searches. A new one goes to the end of its hundred.

/// One kind of thing that can be wrong with a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable id: `F1..` files of a set, `F2..` text, `F3..` directives, `F4..` statements.
    pub id: &'static str,
    /// The name of it in words, as a slug.
    pub slug: &'static str,
    /// What is wrong, in general.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub help: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal $slug:literal { title: $title:expr, why: $why:expr, help: $help:expr $(,)? })*) => {
        $(
            #[doc = concat!("`", $id, "`: ", $title, ".")]
            pub static $name: Code = Code { id: $id, slug: $slug, title: $title, why: $why, help: $help };
        )*

        /// Every code, in order of id.
        pub static CODES: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    VERSION_TWICE = "F101" "version-twice" {
        title: "a version is used by two migrations",
        why: "versions are compared as numbers (001 is 1), and a schema remembers each of them once",
        help: "give the migration that no schema has yet a version above all others, as `tenantry new` picks it;\n\
               of two copies of one file, delete one",
    }
    DOWN_WITHOUT_UP = "F102" "down-without-up" {
        title: "a down script has no up script",
        why: "a down takes back what the up of the same version and name did; alone it is never run",
        help: "rename it to the version and name of its up, restore the up, or delete it",
    }
    FILE_NAME = "F103" "file-name" {
        title: "a file has a version but is not named as a migration",
        why: "a file that begins with a number is meant as a migration; passed over in silence, it would reach no schema",
        help: "name it `<version>-<name>.up.sql` or `<version>-<name>.down.sql`, the version having 1 to 38 digits;\n\
               a file that is no migration must not begin with a digit",
    }
    REPEATABLE_TWICE = "F104" "repeatable-twice" {
        title: "a repeatable's name is used twice",
        why: "a schema remembers a repeatable by the name of its file, so each run would undo the other's",
        help: "rename one of the files, or make one file of both",
    }
    DIRECTORY_MISSING = "F105" "directory-missing" {
        title: "a directory of migrations does not exist",
        why: "taken for an empty one, it would make every schema look up to date",
        help: "create the directory, or point the setting at the one that holds the files;\n\
               a relative path starts from the directory in which tenantry was started;\n\
               git keeps no empty directory: put a file `.gitkeep` into it, or leave it out of the setting",
    }
    UNREADABLE = "F106" "unreadable" {
        title: "a file or directory cannot be read",
        why: "a set with a hole in it must not be carried out",
        help: "make it readable for the user that tenantry runs as, or remove it",
    }
    MISSING_DOWN = "F107" "missing-down" {
        title: "a migration has no down script",
        why: "once it is out, nothing can take it back, and a rollout that goes wrong cannot be rolled back",
        help: "write the down script beside it, or say in the up script's first lines that there is none:\n\
               -- tenantry: irreversible",
    }
    IRREVERSIBLE_WITH_DOWN = "F108" "irreversible-with-down" {
        title: "a migration is marked irreversible and has a down script",
        why: "only one of the two can be true, and the wrong one would be found out during a rollback",
        help: "take the mark away, or delete the down script; the mark belongs in the up script",
    }
    INVALID_UTF8 = "F201" "invalid-utf8" {
        title: "a file is not UTF-8",
        why: "scripts are sent as UTF-8; in another encoding, texts would arrive as other characters or not at all",
        help: "save the file as UTF-8, in the editor or with `iconv -f ENCODING -t UTF-8`,\n\
               ENCODING being what it is in now, such as LATIN1 or UTF-16",
    }
    UNTERMINATED = "F202" "unterminated" {
        title: "a quote, comment or body is never closed",
        why: "all that follows would belong to it, so the statements after it would not be run",
        help: "close it where it should end; a quote inside a string is written twice: 'it''s'",
    }
    NUL_BYTE = "F203" "nul-byte" {
        title: "a file holds a NUL byte",
        why: "PostgreSQL takes a NUL as the end of what was sent, so the statements after it would not be run",
        help: "delete the byte; write binary values as '\\x00'::bytea",
    }
    DIRECTIVE_UNKNOWN = "F301" "directive-unknown" {
        title: "a directive is unknown",
        why: "a misspelt directive would be passed over, and the script run in a way that its author ruled out",
        help: KNOWN_DIRECTIVES,
    }
    DIRECTIVE_VALUE = "F302" "directive-value" {
        title: "a directive is malformed",
        why: "without a clear value, the script would run with limits that its author did not choose",
        help: KNOWN_DIRECTIVES,
    }
    DIRECTIVE_MISPLACED = "F303" "directive-misplaced" {
        title: "a directive stands after the first statement",
        why: "directives hold for the whole script, so they are read only from the comments at its top",
        help: "move the line above the first statement (above BEGIN too)",
    }
    TRANSACTION_CONTROL = "F401" "transaction-control" {
        title: "a statement begins or ends a transaction",
        why: "the statements and their record in the history are committed together;\n\
              a commit inside would keep a part of them without a record when the rest fails",
        help: "delete the statement; one plain BEGIN; … COMMIT; may stand around the whole of a script,\n\
               but not of one that is marked no-transaction",
    }
    SESSION_SET = "F402" "session-set" {
        title: "a SET is not LOCAL",
        why: "one connection serves many tenants, so a setting of the session would leak into the next tenant's migration",
        help: "write SET LOCAL; for timeouts, put a line at the top of the script:\n\
               -- tenantry: lock-timeout=5s, statement-timeout=10min",
    }
    SEARCH_PATH = "F403" "search-path" {
        title: "a statement changes the search_path",
        why: "the search path is what sends a migration into one tenant's schema; changed, it would write into another",
        help: "delete the statement and write names without a schema; objects of the shared schema come from the\n\
               migrations of the shared scope",
    }
    RESET = "F404" "reset" {
        title: "a RESET takes settings back",
        why: "it would undo the time limits and the search path under which the script is carried",
        help: "delete the statement: settings made with SET LOCAL end with the transaction by themselves",
    }
    DISCARD = "F405" "discard" {
        title: "a DISCARD drops the state of the session",
        why: "the session belongs to tenantry, which uses it for the next tenant; its settings and locks would be lost",
        help: "delete the statement: tenantry cleans the session up itself",
    }
    SET_ROLE = "F406" "set-role" {
        title: "a statement changes the role",
        why: "what the script creates would belong to another role, and the next tenant would be migrated as it",
        help: "delete the statement, or give what was made away afterwards with ALTER … OWNER TO",
    }
    NEEDS_NO_TRANSACTION = "F407" "needs-no-transaction" {
        title: "a statement cannot run in a transaction",
        why: "the script is carried in one transaction with its record, where PostgreSQL refuses this statement",
        help: "move the statement to a migration of its own, whose script begins with the line:\n\
               -- tenantry: no-transaction",
    }
    COPY_CLIENT = "F408" "copy-client" {
        title: "a COPY exchanges rows with the client",
        why: "a script is all that is sent: nobody feeds the rows in or takes them out, and the connection would hang",
        help: "insert rows with INSERT … VALUES; big amounts of data are for a backfill, and reading rows is for psql",
    }
    PSQL_COMMAND = "F409" "psql-command" {
        title: "a line is a command of psql",
        why: "commands that begin with a backslash are carried out by psql and are no SQL: the server refuses them",
        help: "delete the line; what \\i includes goes into the script itself",
    }
    SESSION_STATE = "F410" "session-state" {
        title: "a statement changes what the session keeps",
        why: "prepared statements, held cursors and channels outlive the transaction, and one connection serves many\n\
              tenants: the next tenant's migration would meet them",
        help: "write the query where it is needed instead of preparing it, declare the cursor without WITH HOLD,\n\
               and leave LISTEN to the application",
    }
    UNNAMED_INDEX = "F411" "unnamed-index" {
        title: "an index that is built concurrently has no name",
        why: "when the build is cut off, an invalid index may be left, and only its name tells which one that is",
        help: "give it a name: CREATE INDEX CONCURRENTLY orders_customer_idx ON orders …",
    }
}

/// What a directive can be, for its messages.
const KNOWN_DIRECTIVES: &str = "known directives:\n\
    -- tenantry: no-transaction\n\
    -- tenantry: irreversible\n\
    -- tenantry: lock-timeout=5s\n\
    -- tenantry: statement-timeout=10min\n\
    -- tenantry: phase=contract\n\
    -- tenantry: requires-backfill=NAME";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_slugs_are_unique() {
        assert!(CODES.is_sorted_by(|a, b| a.id < b.id));
        let mut slugs: Vec<_> = CODES.iter().map(|code| code.slug).collect();
        slugs.sort_unstable();
        assert!(slugs.is_sorted_by(|a, b| a < b), "a slug is used twice");
    }

    #[test]
    fn messages_are_fragments() {
        for code in CODES {
            for text in [code.title, code.why, code.help] {
                assert!(!text.ends_with('.'), "{}: {text}", code.id);
                assert!(
                    text.lines().all(|line| line.len() <= 120),
                    "{}: {text}",
                    code.id
                );
            }
        }
    }
}
